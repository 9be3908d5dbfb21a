"""Each command with each fault that it may meet before it works: a code of the table, what is wrong, what next."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner
from tests.config.test_settings import GOOD

from retail.cli import main
from retail.cli.local.demo import demo_environment
from retail.cli.options import COMMAND_GROUPS
from retail.warehouse.embedded.cluster import free_port

DAYS = ("--date", "2017-01-01")
COMMANDS = {
    "run": ("run", *DAYS),
    "backfill": ("backfill", *DAYS),
    "ingest": ("ingest", *DAYS),
    "land": ("land", *DAYS),
    "transform": ("transform", *DAYS),
    "check": ("check", *DAYS),
    "refresh": ("refresh", *DAYS),
    "status": ("status",),
    "explain": ("explain", "T1"),
    "profile": ("profile",),
    "data-docs": ("data-docs",),
    "sql": ("sql", "SELECT 1"),
    "doctor": ("doctor",),
    "reconcile": ("reconcile", "--from", "2017-01-01", "--to", "2017-01-02"),
    "quarantine": ("quarantine", "list"),
    "publish": ("publish", "--rollback"),
    "rebuild": ("rebuild", "--postgresql"),
    "maintain": ("maintain",),
    "erase": ("erase", "--customer", "jo@example.com"),
    "pepper": ("pepper", "rotate"),
    "warehouse": ("warehouse", "start"),
}
# They make what the others need, or serve until they are stopped.
WITHOUT_A_CONFIGURATION = {"init", "demo", "simulate"}

Fault = Callable[[Path, pytest.MonkeyPatch], None]


def no_file(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf.unlink()


def no_toml(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf.write_text("start_date = ")


def latin_1(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf.write_bytes(conf.read_text().replace("One", "Café").encode("latin-1"))


def an_unknown_key(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf.write_text("engin = 'sail'\n" + conf.read_text())


def an_unknown_variable(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIL_ENGIN", "spark")


def a_lake_that_is_a_file(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (conf.parent / "lake").write_text("")


def a_ledger_that_is_none(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ops/runs/20170102T000000Z-000000/run.json", "ops/tables.json", "ops/rebuild.json"):
        file = conf.parent / "lake" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(["no", "record"]))


CONFIGURATION: tuple[Fault, ...] = (no_file, no_toml, latin_1, an_unknown_key, an_unknown_variable)
STORED: tuple[Fault, ...] = (a_lake_that_is_a_file, a_ledger_that_is_none)


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A configuration whose PostgreSQL does not answer, with no secret set."""
    for name in demo_environment():
        if name.startswith("RETAIL_"):
            monkeypatch.delenv(name, raising=False)
    file = tmp_path / "test.toml"
    warehouse = f'[warehouse]\nhost = "127.0.0.1"\nport = {free_port()}\n'
    file.write_text(GOOD.replace('"lake"', f'"{tmp_path / "lake"}"').replace("[lake]", f"{warehouse}[lake]"))
    monkeypatch.setenv("RETAIL_CONF", str(file))
    yield file
    structlog.reset_defaults()


def test_every_command_is_tried() -> None:
    every = {name for group in COMMAND_GROUPS.values() for name in group}
    assert every == {*COMMANDS} | WITHOUT_A_CONFIGURATION


@pytest.mark.parametrize("fault", CONFIGURATION, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_configuration_is_a_2_and_nothing_is_begun(
    command: str, fault: Fault, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(conf, monkeypatch)
    ended = CliRunner().invoke(main, COMMANDS[command])
    assert ended.exit_code == 2, ended.output
    assert "next: " in ended.output
    assert not (conf.parent / "lake").exists()


@pytest.mark.parametrize("fault", STORED, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"doctor", "sql", "warehouse"}))
def test_a_lake_that_cannot_be_read_gives_no_stack_trace(
    command: str, fault: Fault, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN"):
        monkeypatch.setenv(f"RETAIL_RETAILER_1_{name}", "x")
    monkeypatch.setenv("RETAIL_CUSTOMER_PEPPER", "x" * 40)
    conf.write_text(conf.read_text() + 'options = {marketplace_ids = ["ATVPDKIKX0DER"]}\n')
    fault(conf, monkeypatch)
    ended = CliRunner().invoke(main, COMMANDS[command])
    assert isinstance(ended.exception, SystemExit | None), ended.exception
    codes = (2,) if fault is a_lake_that_is_a_file else (0, 1, 2, 3)
    assert ended.exit_code in codes, ended.output
    if ended.exit_code in (1, 2):
        assert "retail: [" in ended.output
        assert "next: " in ended.output
