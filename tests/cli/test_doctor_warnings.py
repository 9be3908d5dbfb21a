"""What works and leaves a risk is named by `retail doctor`, and stops nothing."""

from __future__ import annotations

import pytest

from retail.cli.doctor.examine import engine_port, tls_of
from retail.cli.doctor.finding import Warned
from retail.config import accounts
from retail.config.settings import WarehouseSettings
from retail.lake import private_port
from retail.lake.private_port import CannotCloseError


def test_the_engine_s_port_is_a_warning_while_other_accounts_could_use_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: int) -> None:
        raise CannotCloseError("not here")

    monkeypatch.setattr(private_port, "take_over", refuse)
    monkeypatch.setattr(accounts, "others", lambda: ["alice", "bob", "carol", "dave"])
    found = engine_port()
    assert isinstance(found, Warned)
    assert "alice, bob, carol and 1 more" in found.what
    assert found.next
    monkeypatch.setattr(accounts, "others", list)
    assert isinstance(engine_port(), str)


@pytest.mark.parametrize("mode", ["disable", "prefer", "require", "verify-ca"])
def test_a_weaker_mode_of_tls_is_a_warning_that_names_it(mode: str) -> None:
    found = tls_of(WarehouseSettings.model_validate({"host": "db.example.com", "sslmode": mode}))
    assert isinstance(found, Warned)
    assert mode in found.what
    assert "verify-full" in found.next


def test_the_default_off_this_machine_is_no_warning() -> None:
    assert isinstance(tls_of(WarehouseSettings(host="db.example.com")), str)
