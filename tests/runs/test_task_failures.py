"""A scheduler's failed tasks: kept in the ledger, shown until a run has made them good."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result
from tests.config.test_settings import GOOD

from retail.cli import main
from retail.errors import StorageError
from retail.lake.storage.local import LocalStorage
from retail.runs.ledger import Ledger
from retail.runs.task_failures import Failure, fixed_by, newest, note

UNITS = [("retailer_1", date(2017, 1, 5))]
TOLD = {
    "run": "scheduled-20170106-c0ffee",
    "task": "transform_s3_to_postgres",
    "attempt": "3 of 3",
    "reason": "exit code 1: PostgreSQL on db does not answer\nconnection refused",
    "next": "start it",
    "command": "retail transform --run-id scheduled-20170106-c0ffee",
}


def failure(minute: int) -> Failure:
    return Failure(**TOLD, failed_at=datetime(2017, 1, 6, 10, minute, tzinfo=UTC))


def test_the_newest_failures_come_oldest_first_two_of_one_task_included(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    for minute in (9, 3, 7, 7):
        note(storage, failure(minute))
    assert newest(storage, 3) == [failure(7), failure(7), failure(9)]


def test_a_record_that_is_none_is_named(tmp_path: Path) -> None:
    LocalStorage(tmp_path).write("ops/failures/x.json", b"{}")
    with pytest.raises(StorageError, match=r"ops/failures/x\.json is not the record of a failure"):
        newest(LocalStorage(tmp_path), 1)


@pytest.mark.parametrize(
    ("outcome", "steps", "minutes", "mends"),
    [
        ("success", ("extract", "refresh"), 1, True),
        ("success", ("extract", "refresh"), -1, False),
        ("partial", ("extract", "refresh"), 1, False),
        ("success", ("extract",), 1, False),
        ("success", ("refresh",), 1, False),  # a lone refresh fetches nothing
    ],
)
def test_a_failure_before_any_run_began_is_made_good_by_a_later_run_of_the_whole_way(
    tmp_path: Path, outcome: str, steps: tuple[str, ...], minutes: int, mends: bool
) -> None:
    ledger = ledger_at(tmp_path, minutes)
    ledger.begin("run-1", UNITS, tasks=("ingest",), engine="sail")
    for step in steps:
        ledger.end_step("run-1", step, {}, seconds=1)
    ledger.end("run-1", outcome)  # type: ignore[arg-type]
    assert fixed_by(ledger, failure(10)) == ("run-1" if mends else None)


@pytest.mark.parametrize(("done", "mends"), [(UNITS, True), ([], False)])
def test_a_failure_of_a_run_is_made_good_once_all_its_days_are_done(
    tmp_path: Path, done: list[tuple[str, date]], mends: bool
) -> None:
    ledger = ledger_at(tmp_path, 1)
    failed, later = f"20170106T100000Z-{TOLD['run']}", "20170106T120000Z-later"
    ledger.begin(failed, UNITS, tasks=("ingest",), engine="sail")
    ledger.begin(later, UNITS, tasks=("ingest",), engine="sail")
    ledger.mark_done(done, later)
    ledger.end(later, "success")
    assert fixed_by(ledger, failure(10)) == (later if mends else None)


def ledger_at(folder: Path, minutes: int) -> Ledger:
    """A ledger whose clock stands so many minutes behind the failure."""
    return Ledger(LocalStorage(folder), now=lambda: failure(10).failed_at + timedelta(minutes=minutes))


def retail(folder: Path, *arguments: str, told: dict[str, str] | None = None) -> Result:
    conf = folder / "test.toml"
    conf.write_text(GOOD.replace('"lake"', f'"{folder / "lake"}"'))
    environment = {**os.environ, "RETAIL_CONF": str(conf)}
    result = CliRunner().invoke(main, arguments, input=json.dumps(told), env=environment)
    structlog.reset_defaults()
    return result


def test_status_shows_a_failure_its_reason_and_the_next_command_before_any_run_began(tmp_path: Path) -> None:
    assert retail(tmp_path, "note-failure", told=TOLD).exit_code == 0
    shown = retail(tmp_path, "status").output
    assert "transform_s3_to_postgres, attempt 3 of 3, of scheduled-20170106-c0ffee: OPEN" in shown
    assert (
        "    reason   exit code 1: PostgreSQL on db does not answer\n             connection refused\n"
        in shown
    )
    assert "    next     start it\n" in shown
    assert "    command  retail transform --run-id scheduled-20170106-c0ffee\n" in shown


def test_a_record_with_a_name_that_could_not_be_a_file_s_is_refused(tmp_path: Path) -> None:
    refused = retail(tmp_path, "note-failure", told={**TOLD, "run": "../x", "more": "1"})
    assert refused.exit_code == 2
    assert "  - run: " in refused.output
    assert "  - more: " in refused.output
    assert not (tmp_path / "lake").exists()
