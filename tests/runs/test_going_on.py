"""The commands that status tells go on with what was left, and claim no more than they do."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path

import pytest

from retail.going_on import GoingOn, with_backfills, with_newest
from retail.pipeline import ALL_TASKS
from retail.runs.ledger import Ledger, Outcome
from retail.runs.units import Span, Unit
from retail.storage import LocalStorage

DAYS_A_RUN = 2
WHOLE = Span(("retailer_1",), date(2017, 1, 1), date(2017, 1, 6))
OPTIONS = "--from 2017-01-01 --to 2017-01-06 --only retailer_1"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(LocalStorage(tmp_path))


def units(*days: int) -> list[Unit]:
    return [("retailer_1", date(2017, 1, day)) for day in days]


def ran(
    ledger: Ledger,
    number: int,
    days: Collection[int],
    outcome: Outcome | None,
    *,
    backfill: Span | None = None,
    anew: bool = False,
    tasks: Collection[str] = ALL_TASKS,
) -> None:
    run_id = f"run-{number}"
    ledger.begin(run_id, units(*days), tasks=tasks, engine="sail", backfill=backfill, anew=anew)
    if outcome is not None:
        ledger.end(run_id, outcome)
    if outcome == "success":
        ledger.mark_done(units(*days), run_id)


@pytest.mark.parametrize("outcome", [None, "failed"])
def test_a_run_that_was_left_is_gone_on_with_by_its_days(ledger: Ledger, outcome: Outcome | None) -> None:
    ran(ledger, 1, [2], "success")
    ran(ledger, 2, [1, 3], outcome)  # the day between is done, and so left out again
    told = GoingOn("retail run --from 2017-01-01 --to 2017-01-03 --only retailer_1", "goes on with run run-2")
    assert with_newest(ledger, DAYS_A_RUN) == told


def test_of_a_run_whose_days_no_command_names_none_is_told(ledger: Ledger) -> None:
    ran(ledger, 1, [1, 3], None)
    assert with_newest(ledger, DAYS_A_RUN) is None


@pytest.mark.parametrize("outcome", ["success", "partial"])
def test_a_run_that_ended_well_is_not_gone_on_with(ledger: Ledger, outcome: Outcome) -> None:
    ran(ledger, 1, [1], outcome)
    assert with_newest(ledger, DAYS_A_RUN) is None


def test_a_task_of_a_named_run_is_not_gone_on_with_by_one_of_the_whole_way(ledger: Ledger) -> None:
    ran(ledger, 1, [1], None, tasks=("ingest",))
    assert with_newest(ledger, DAYS_A_RUN) is None


def test_a_run_that_was_stopped_is_judged_anew(ledger: Ledger) -> None:
    ran(ledger, 1, [1], "stopped")
    told = GoingOn("retail run --date 2017-01-01 --only retailer_1", "judges its days anew")
    assert with_newest(ledger, DAYS_A_RUN) == told


def test_a_part_of_a_backfill_is_gone_on_with_by_the_whole(ledger: Ledger) -> None:
    ran(ledger, 1, [1, 2], "success", backfill=WHOLE)
    ran(ledger, 2, [3, 4], None, backfill=WHOLE)
    assert with_newest(ledger, DAYS_A_RUN) == GoingOn(f"retail backfill {OPTIONS}", "goes on with run run-2")
    other = with_newest(ledger, DAYS_A_RUN + 1)  # which would make other parts
    assert other == GoingOn(f"retail backfill {OPTIONS}", "brings what is left of it")


def test_what_is_left_of_a_backfill_is_told_until_it_is_done(ledger: Ledger) -> None:
    ran(ledger, 1, [1, 2], "success", backfill=WHOLE)
    ran(ledger, 2, [3, 4], "success", backfill=WHOLE)
    ran(ledger, 3, [9], "success")
    told = GoingOn(f"retail backfill {OPTIONS}", "2 of its 6 retailer-days are left")
    assert list(with_backfills(ledger, ledger.run_ids())) == [told]
    ran(ledger, 4, [5, 6], "success")
    assert list(with_backfills(ledger, ledger.run_ids())) == []


def test_of_a_backfill_anew_the_days_that_it_has_not_come_to_are_left(ledger: Ledger) -> None:
    ran(ledger, 1, [1, 2, 3, 4, 5, 6], "success")
    ran(ledger, 2, [1, 2], "success", backfill=WHOLE, anew=True)
    rest = "retail backfill --from 2017-01-03 --to 2017-01-06 --only retailer_1 --again"
    assert list(with_backfills(ledger, ledger.run_ids())) == [
        GoingOn(rest, "4 of its 6 retailer-days are left")
    ]
    ran(ledger, 3, [3, 4], "failed", backfill=WHOLE, anew=True)
    assert with_newest(ledger, DAYS_A_RUN) == GoingOn(rest, "goes on with run run-3")
    ran(ledger, 4, [9], "success")
    assert list(with_backfills(ledger, ledger.run_ids())) == [
        GoingOn(rest, "4 of its 6 retailer-days are left")
    ]
    ran(ledger, 5, [3, 4, 5, 6], "success", anew=True)
    assert list(with_backfills(ledger, ledger.run_ids())) == []
