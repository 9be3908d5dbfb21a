"""A secret that is rotated while a service is at work: the login that is refused reads it again, once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from tests.sources.conftest import ENVIRONMENT, FakeTime

from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.errors import RefusedError
from retail.sources.registry import open_service, problems, windows_of
from retail.sources.service import Service

ROTATED = {
    "retailer_1": "retailer_1_refresh_token",
    "retailer_2": "retailer_2_client_secret",
    "retailer_3": "retailer_3_client_secret",
}

# Days that the retailer still shows, and has listed whole by the time of the tests.
DAYS = {
    "retailer_1": date(2017, 1, 2),
    "retailer_2": date(2017, 12, 30),
    "retailer_3": date(2017, 1, 2),
}


def opened(settings: Settings, retailer_id: str, path: Path, time: FakeTime) -> Service:
    """The service, with the secret that is rotated in a file of its own."""
    name = ROTATED[retailer_id]
    variable = f"RETAIL_{name.upper()}"
    others = {each: value for each, value in ENVIRONMENT.items() if each != variable}
    secrets = Secrets(others, {name: f"file:{path}"})
    return open_service(retailer_id, settings, secrets, clock=time.clock())


@pytest.mark.parametrize("retailer_id", ROTATED)
def test_a_rotated_secret_is_read_again_when_the_login_is_refused(
    retailer_id: str,
    simulator: str,
    settings_of: Callable[..., Settings],
    time: FakeTime,
    tmp_path: Path,
) -> None:
    path = tmp_path / "secret"
    path.write_text("of-yesterday")
    settings = settings_of(simulator)
    service = opened(settings, retailer_id, path, time)
    (window,) = windows_of(settings, [(retailer_id, DAYS[retailer_id])]).values()
    with pytest.raises(RefusedError):
        next(service.pages(window, None))
    path.write_text(ENVIRONMENT[f"RETAIL_{ROTATED[retailer_id].upper()}"])
    assert next(service.pages(window, None)).answer


def test_a_token_without_end_that_is_rotated_between_two_pages_is_read_again(
    scripted, reply, settings_of: Callable[..., Settings], time: FakeTime, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text("shpat_first")
    server = scripted(reply(401, {"errors": "invalid"}), reply(401, {"errors": "invalid"}))
    settings = settings_of(server.url, options={"retailer_3": {"access": "token"}})
    secrets = Secrets(ENVIRONMENT, {"retailer_3_access_token": f"file:{path}"})
    assert problems(settings, secrets, ["retailer_3"]) == []
    service = open_service("retailer_3", settings, secrets, clock=time.clock())
    path.write_text("shpat_second")
    (window,) = windows_of(settings, [("retailer_3", DAYS["retailer_3"])]).values()
    with pytest.raises(RefusedError):
        next(service.pages(window, None))
    tokens = [seen.headers["x-shopify-access-token"] for seen in server.seen]
    assert tokens == ["shpat_first", "shpat_second"]


def test_a_reference_that_nothing_asks_for_is_named_with_the_one_that_was_meant(
    settings_of: Callable[..., Settings],
) -> None:
    settings = settings_of("http://127.0.0.1:9").model_copy(
        update={"secrets": {"retailer_1_client_secert": "env:X"}}
    )
    (said,) = problems(settings, Secrets(ENVIRONMENT), settings.retailers)
    assert said.startswith("secrets.retailer_1_client_secert ")
    assert "retailer_1_client_secret?" in said
