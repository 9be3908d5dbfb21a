"""The pepper of a lake: noted at the first run, required by each later one, and kept after a rotation."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.conftest import settings_for

from retail.cli import customers
from retail.config.secrets import PEPPER, Secret, Secrets
from retail.errors import (
    ConfigurationError,
    CustomersLeftError,
    PepperChangedError,
    StorageError,
    TieOutError,
)
from retail.lake import layout
from retail.lake.storage.local import LocalStorage
from retail.landing import pepper
from retail.pipeline import rotate_pepper, runner
from retail.pipeline.erase import names_of
from retail.pipeline.rebuild import _Silence
from retail.pipeline.workspace import Workspace
from retail.runs import customers_note
from retail.runs.customers_note import CustomersNote
from retail.sources.pii import Pepper, pseudonym
from retail.sources.registry import problems

FIRST, SECOND, THIRD = (Secret(letter * 32) for letter in "abc")


def secrets(value: Secret | str) -> Secrets:
    return Secrets({"RETAIL_CUSTOMER_PEPPER": value if isinstance(value, str) else value.reveal()})


def everything(lake: LocalStorage) -> str:
    return "\n".join(lake.read(key).decode("latin-1") for key in lake.list(""))


def test_a_pepper_that_changed_is_noticed_and_the_way_to_change_it_is_named(lake: LocalStorage) -> None:
    pepper.require(lake, secrets(FIRST))
    pepper.require(lake, secrets(FIRST))

    before = everything(lake)
    with pytest.raises(PepperChangedError) as caught:
        pepper.require(lake, secrets(SECOND))
    assert "retail pepper rotate" in caught.value.hint
    assert everything(lake) == before
    assert FIRST.reveal() not in before + str(caught.value)
    assert SECOND.reveal() not in str(caught.value)


def test_a_run_with_another_pepper_stops_before_it_begins(tmp_path: Path) -> None:
    settings, storage = settings_for("sail", tmp_path), LocalStorage(tmp_path)
    retailer = settings.retailers["retailer_2"].model_copy(update={"base_url": "http://127.0.0.1:9"})
    settings = settings.model_copy(update={"retailers": {"retailer_2": retailer}})
    pepper.require(storage, secrets(FIRST))
    login = {f"RETAIL_RETAILER_2_CLIENT_{name}": "x" for name in ("ID", "SECRET")}
    given = Secrets({**login, "RETAIL_CUSTOMER_PEPPER": SECOND.reveal()})
    with Workspace(settings, given) as workspace, pytest.raises(PepperChangedError):
        runner.run(workspace, [("retailer_2", date(2017, 1, 1))], _Silence(), tasks=("ingest",))
    assert list(storage.list(layout.RUNS)) == []
    assert list(storage.list("payloads/")) == []


@pytest.mark.parametrize(("value", "is_enough"), [("x" * 31, False), ("x" * 32, True), ("é" * 16, True)])
def test_a_pepper_has_at_least_32_bytes(tmp_path: Path, value: str, is_enough: bool) -> None:
    found = [
        each for each in problems(settings_for("sail", tmp_path), secrets(value), []) if "PEPPER" in each
    ]
    assert (found == []) is is_enough
    if not is_enough:
        assert "RETAIL_CUSTOMER_PEPPER has 31 bytes" in found[0]
        assert "openssl rand -hex 32" in found[0]
        assert value not in found[0]


def test_after_rotations_the_newest_pepper_alone_gives_a_fetched_customer_the_rotated_pseudonym(
    lake: LocalStorage,
) -> None:
    pepper.require(lake, secrets(FIRST))
    note = pepper.read(lake)
    assert note is not None
    once = pepper.rotated(lake, note, FIRST, SECOND)
    twice = pepper.rotated(lake, once, SECOND, THIRD)
    assert pepper.rotated(lake, note, FIRST, SECOND) == once
    pepper.write(lake, twice)

    given = pepper.with_earlier(lake, secrets(THIRD)).require(PEPPER)
    assert pseudonym(given, "retailer_1", "jo@example.com") == pseudonym(
        Pepper(THIRD.reveal(), (FIRST, SECOND)), "retailer_1", "jo@example.com"
    )
    for each in (FIRST, SECOND, THIRD):
        assert each.reveal() not in everything(lake)


def test_with_the_pepper_before_a_rotation_nothing_is_fetched(lake: LocalStorage) -> None:
    pepper.require(lake, secrets(FIRST))
    note = pepper.read(lake)
    assert note is not None
    pepper.write(lake, pepper.rotated(lake, note, FIRST, SECOND))

    for attempt in (pepper.require, pepper.with_earlier):
        with pytest.raises(PepperChangedError):
            attempt(lake, secrets(FIRST))


def test_a_note_that_was_damaged_gives_nobody_another_pseudonym(lake: LocalStorage) -> None:
    pepper.require(lake, secrets(FIRST))
    note = pepper.read(lake)
    assert note is not None
    rotated = pepper.rotated(lake, note, FIRST, SECOND)
    for earlier in (rotated.earlier[0][:-8] + "AAAAAAA=", "", "…"):
        pepper.write(lake, replace(rotated, earlier=(earlier,)))
        with pytest.raises(StorageError):
            pepper.with_earlier(lake, secrets(SECOND))
    lake.write(layout.PEPPER, json.dumps({"fingerprint": 1}).encode())
    with pytest.raises(StorageError):
        pepper.require(lake, secrets(FIRST))


def test_without_a_pepper_nothing_is_noted(lake: LocalStorage) -> None:
    with pytest.raises(ConfigurationError):
        pepper.require(lake, Secrets({}))
    assert pepper.read(lake) is None


ERASURE = CustomersNote("erase", "retail erase --resume", "r1", "2017-01-01T00:00:00+00:00", 0, {})


def rotating(tmp_path: Path, **configured: dict[str, object]) -> Workspace:
    """A workspace whose pepper is to be changed from the first to the second."""
    settings = settings_for("sail", tmp_path).model_copy(update=configured)
    variables = {"RETAIL_CUSTOMER_PEPPER": FIRST.reveal(), "RETAIL_NEW_PEPPER": SECOND.reveal()}
    return Workspace(settings, Secrets(variables))


def test_a_rotation_to_the_lake_s_own_pepper_leaves_an_erasure_that_has_not_ended(tmp_path: Path) -> None:
    with rotating(tmp_path) as workspace:
        pepper.require(workspace.storage, secrets(SECOND))
        customers_note.write(workspace.storage, ERASURE)
        with pytest.raises(CustomersLeftError):
            rotate_pepper.rotate(workspace, _Silence())
        assert customers_note.read(workspace.storage) == ERASURE

        own = replace(ERASURE, kind="rotate", fingerprint=pepper.fingerprint(SECOND))
        customers_note.write(workspace.storage, own)
        assert rotate_pepper.rotate(workspace, _Silence()) is None
        assert customers_note.read(workspace.storage) is None


def test_in_a_lake_without_a_note_no_pepper_counts_as_its_own(tmp_path: Path) -> None:
    with rotating(tmp_path) as workspace:
        storage = workspace.storage
        storage.write(layout.raw_file("retailer_2", date(2017, 1, 1)), b"")
        with pytest.raises(ConfigurationError):
            rotate_pepper.rotate(workspace, _Silence())
        with pytest.raises(ConfigurationError) as caught:
            names_of("jo@example.com", ["retailer_2"], storage=storage, secrets=workspace.secrets)
        assert "star.dim_customer" in caught.value.hint
        assert (pepper.read(storage), customers_note.read(storage)) == (None, None)
        name = "a" * 64
        assert names_of(name, ["retailer_2"], storage=storage, secrets=Secrets({})) == [("retailer_2", name)]


def test_a_rotation_that_cannot_read_a_retailer_s_pages_does_not_begin(tmp_path: Path) -> None:
    with rotating(tmp_path, retailers={}) as workspace:
        pepper.require(workspace.storage, workspace.secrets)
        workspace.storage.write(layout.raw_file("retailer_2", date(2017, 1, 1)), b"")
        with pytest.raises(ConfigurationError):
            rotate_pepper.rotate(workspace, _Silence())
        assert customers_note.read(workspace.storage) is None


@pytest.mark.parametrize(
    "field", ['"buyerEmail":', '"customerEmailId":', '"customer_id":', '"customer":{"id":']
)
def test_a_pseudonym_of_before_the_rotation_is_found_wherever_one_is_changed(
    lake: LocalStorage, field: str
) -> None:
    known = pepper.PepperNote(0, pepper.fingerprint(FIRST))
    lake.write("payloads/retailer_3/page", f'{{{field}"1-{"a" * 64}"'.encode())
    rotate_pepper._require_none_before(lake, known)
    lake.write("payloads/retailer_3/page", f'{{{field}"{"a" * 64}"'.encode())
    with pytest.raises(TieOutError):
        rotate_pepper._require_none_before(lake, known)


def test_an_erasure_reads_the_pepper_where_the_configuration_refers_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pepper").write_text(FIRST.reveal())
    monkeypatch.delenv("RETAIL_CUSTOMER_PEPPER", raising=False)
    reference = {"customer_pepper": f"file:{tmp_path / 'pepper'}"}
    settings = settings_for("sail", tmp_path / "lake").model_copy(update={"secrets": reference})
    seen: list[str] = []

    def stop(*_: object, secrets: Secrets, **__: object) -> None:
        seen.append(secrets.require(PEPPER).reveal())
        raise StoppedError

    monkeypatch.setattr(customers, "names_of", stop)
    ended = CliRunner().invoke(customers.erase, ["--customer", "jo@example.com"], obj=lambda: settings)
    assert (type(ended.exception), seen) == (StoppedError, [FIRST.reveal()])


class StoppedError(Exception):
    """Raised where the test has seen enough."""
