"""The commands that status tells go on with what was left, and claim no more than they do."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path

import pytest

from retail.cli.status.next_commands import NextCommand, again, with_earlier, with_newest, with_replays
from retail.lake.storage.local import LocalStorage
from retail.pipeline.tasks import ALL_TASKS
from retail.runs import pending_replays
from retail.runs.days import RetailerDay, Span
from retail.runs.ledger import Ledger, Outcome

DAYS_A_RUN = 2
WHOLE = Span(("retailer_1",), date(2017, 1, 1), date(2017, 1, 6))
OPTIONS = "--from 2017-01-01 --to 2017-01-06 --only retailer_1"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(LocalStorage(tmp_path))


Told = tuple[str, str]


def newest(ledger: Ledger, days_a_run: int = DAYS_A_RUN) -> Told | None:
    found = with_newest(ledger, days_a_run)
    return (found.command, found.effect) if found else None


def earlier(ledger: Ledger) -> list[Told]:
    found = with_earlier(ledger, ledger.run_ids(), with_newest(ledger, DAYS_A_RUN))
    return [(each.command, each.effect) for each in found]


def units(days: Collection[int], retailers: Collection[str] = ("retailer_1",)) -> list[RetailerDay]:
    return [(retailer, date(2017, 1, day)) for retailer in retailers for day in days]


def ran(
    ledger: Ledger,
    number: int,
    days: Collection[int],
    outcome: Outcome | None,
    *,
    span: Span | None = None,
    backfill: bool = False,
    force: bool = False,
    retailers: Collection[str] = ("retailer_1",),
    tasks: Collection[str] = ALL_TASKS,
    reconcile: bool = False,
) -> None:
    """A run of these days; of one that ended partial, all but retailer_2 has come all the way."""
    run_id = f"run-{number}"
    all_of_it = units(days, retailers)
    ledger.begin(
        run_id,
        all_of_it,
        tasks=tasks,
        engine="sail",
        span=span,
        backfill=backfill,
        force=force,
        reconcile=reconcile,
    )
    if outcome is not None:
        ledger.end(run_id, outcome)
    if outcome in ("success", "partial"):
        fetched = [unit for unit in all_of_it if outcome == "success" or unit[0] != "retailer_2"]
        extracted = [[retailer, str(day)] for retailer, day in fetched]
        ledger.end_step(run_id, "extract", {"extracted": extracted}, seconds=0)
        ledger.mark_done(fetched, run_id)


@pytest.mark.parametrize("outcome", [None, "failed"])
def test_a_run_that_was_left_is_gone_on_with_by_its_days(ledger: Ledger, outcome: Outcome | None) -> None:
    ran(ledger, 1, [2], "success")
    ran(ledger, 2, [1, 3], outcome)  # the day between is done, and so left out again
    told = ("retail run --from 2017-01-01 --to 2017-01-03 --only retailer_1", "resumes run run-2")
    assert newest(ledger) == told


def test_of_a_run_whose_days_no_command_names_none_is_told(ledger: Ledger) -> None:
    ran(ledger, 1, [1, 3], None)
    assert newest(ledger) is None


@pytest.mark.parametrize("outcome", ["success", "partial"])
def test_a_run_that_ended_well_is_not_gone_on_with(ledger: Ledger, outcome: Outcome) -> None:
    ran(ledger, 1, [1], outcome)
    assert newest(ledger) is None


def test_a_task_of_a_named_run_is_not_gone_on_with_by_one_of_the_whole_way(ledger: Ledger) -> None:
    ran(ledger, 1, [1], None, tasks=("ingest",))
    assert newest(ledger) is None


def test_a_run_that_was_stopped_is_judged_anew(ledger: Ledger) -> None:
    ran(ledger, 1, [1], "stopped")
    told = ("retail run --date 2017-01-01 --only retailer_1", "re-checks its days")
    assert newest(ledger) == told


def test_a_part_of_a_backfill_is_gone_on_with_by_the_whole(ledger: Ledger) -> None:
    ran(ledger, 1, [1, 2], "success", span=WHOLE, backfill=True)
    ran(ledger, 2, [3, 4], None, span=WHOLE, backfill=True)
    assert newest(ledger) == (f"retail backfill {OPTIONS}", "resumes run run-2")
    other = newest(ledger, DAYS_A_RUN + 1)  # which would make other parts
    assert other == (f"retail backfill {OPTIONS}", "loads the days that are left")


def test_a_comparison_is_resumed_by_its_own_command_and_leaves_no_days_to_load(ledger: Ledger) -> None:
    ran(ledger, 1, [1, 3], "success")
    comparison = {"span": WHOLE, "backfill": True, "force": True, "reconcile": True}
    ran(ledger, 2, [1, 3], None, **comparison)  # type: ignore[arg-type]
    told = "retail reconcile --from 2017-01-01 --to 2017-01-03 --only retailer_1"
    assert newest(ledger) == (told, "resumes run run-2")
    ledger.end("run-2", "success")
    assert (newest(ledger), earlier(ledger)) == (None, [])


def test_what_is_left_of_a_backfill_is_told_until_it_is_done(ledger: Ledger) -> None:
    ran(ledger, 1, [1, 2], "success", span=WHOLE, backfill=True)
    ran(ledger, 2, [3, 4], "success", span=WHOLE, backfill=True)
    ran(ledger, 3, [9], "success")
    told = (f"retail backfill {OPTIONS}", "2 of its 6 retailer-days are left")
    assert earlier(ledger) == [told]
    ran(ledger, 4, [5, 6], "success")
    assert earlier(ledger) == []


def test_days_of_a_backfill_that_are_out_of_reach_are_not_left(ledger: Ledger) -> None:
    ran(ledger, 1, [1, 2, 5, 6], "success", span=WHOLE, backfill=True)
    ledger.mark_out_of_reach(units([3, 4]), "run-1")
    assert earlier(ledger) == []


def test_of_a_backfill_anew_the_days_that_it_has_not_come_to_are_left(ledger: Ledger) -> None:
    ran(ledger, 1, [1, 2, 3, 4, 5, 6], "success")
    ran(ledger, 2, [1, 2], "success", span=WHOLE, backfill=True, force=True)
    rest = "retail backfill --from 2017-01-03 --to 2017-01-06 --only retailer_1 --again"
    assert earlier(ledger) == [(rest, "4 of its 6 retailer-days are left")]
    ran(ledger, 3, [3, 4], "failed", span=WHOLE, backfill=True, force=True)
    assert newest(ledger) == (rest, "resumes run run-3")
    ran(ledger, 4, [9], "success")
    assert earlier(ledger) == [(rest, "4 of its 6 retailer-days are left")]
    ran(ledger, 5, [3, 4, 5, 6], "success", force=True)
    assert earlier(ledger) == []


def test_of_days_anew_a_retailer_that_failed_is_told_from_its_own_first_day(ledger: Ledger) -> None:
    both = ("retailer_1", "retailer_2")
    span = Span(both, date(2017, 1, 1), date(2017, 1, 6))
    ran(ledger, 1, range(1, 7), "success", retailers=both)
    ran(ledger, 2, [1, 2], "partial", span=span, force=True, retailers=both)
    ran(ledger, 3, [3, 4], "failed", span=span, force=True)
    rest = "retail run --from 2017-01-03 --to 2017-01-06 --only retailer_1 --again"
    assert newest(ledger) == (rest, "resumes run run-3")
    of_the_other = "retail run --from 2017-01-01 --to 2017-01-06 --only retailer_2 --again"
    assert earlier(ledger) == [(of_the_other, "6 of its 12 retailer-days are left")]
    ran(ledger, 4, [9], "success")
    left = [(of_the_other, "6 of its 12 retailer-days are left")]
    assert earlier(ledger) == [*left, (rest, "4 of its 12 retailer-days are left")]


def test_days_anew_that_came_all_the_way_before_are_left_once_more_when_they_are_begun_again(
    ledger: Ledger,
) -> None:
    ran(ledger, 1, [1, 2, 3, 4, 5, 6], "success")
    for number, days in ((2, [1, 2]), (3, [3, 4]), (4, [5, 6]), (5, [1, 2])):
        ran(ledger, number, days, "success", span=WHOLE, force=True)
    rest = "retail run --from 2017-01-03 --to 2017-01-06 --only retailer_1 --again"
    assert earlier(ledger) == [(rest, "4 of its 6 retailer-days are left")]


def test_days_of_a_run_that_are_due_are_not_told_besides(ledger: Ledger) -> None:
    ran(ledger, 1, [1], "partial", span=Span.of(units([1])), retailers=("retailer_2",))
    ran(ledger, 2, [2], "success")
    assert earlier(ledger) == []


def test_days_that_were_staged_again_are_replayed_until_they_have_come_all_the_way(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    assert list(with_replays(storage)) == []
    pending_replays.begin(storage, "run-1", units([2, 4]))
    pending_replays.begin(storage, "run-2", units([3]))
    command = "retail quarantine replay --from 2017-01-02 --to 2017-01-04 --only retailer_1"
    how = "3 retailer-days were restaged and are not complete"
    assert list(with_replays(storage)) == [NextCommand(command, how, frozenset(units([2, 3, 4])))]
    told = [NextCommand("retail run", "what is due", frozenset(units([day]))) for day in (2, 4)]
    (left,) = with_replays(storage, told)
    assert left.command == "retail quarantine replay --from 2017-01-03 --to 2017-01-03 --only retailer_1"


def test_what_was_taken_back_of_a_run_that_fetched_nothing_comes_again_by_a_replay(ledger: Ledger) -> None:
    ran(ledger, 1, [1], "success")
    ran(ledger, 2, [1], None, tasks=("transform", "check", "refresh"))
    assert again(ledger, ["run-1"]) == "`retail run` for the same dates"
    assert again(ledger, ["run-of-another-lake"]) == "`retail run` for the same dates"
    assert again(ledger, ["run-2"]) == "`retail quarantine replay`"
    assert (
        again(ledger, ["run-1", "run-2"]) == "`retail run` for the same dates and `retail quarantine replay`"
    )
