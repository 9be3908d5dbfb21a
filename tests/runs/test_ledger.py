"""The ledger knows what ended, what was killed, and what is done."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from tests.conftest import settings_for

from retail.errors import ConfigurationError, StorageError
from retail.lake.storage.local import LocalStorage
from retail.pipeline import finish
from retail.pipeline.resume import interrupted_at_the_end
from retail.pipeline.tasks import ALL_TASKS, STEPS
from retail.runs.days import Span
from retail.runs.ledger import Ledger, Outcome
from retail.runs.run import new_run_id

TASKS = ("ingest", "transform", "check", "refresh")
UNITS = [("retailer_1", date(2017, 1, 5)), ("retailer_2", date(2017, 1, 5))]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(LocalStorage(tmp_path))


def test_a_step_that_ended_is_found_again_with_its_result(ledger: Ledger) -> None:
    ledger.begin("run-1", UNITS, tasks=TASKS, engine="sail")
    assert ledger.step("run-1", "land") is None
    ledger.end_step("run-1", "land", {"rows": 3}, seconds=1.5)
    found = ledger.step("run-1", "land")
    assert found is not None
    assert (found["rows"], found["seconds"]) == (3, 1.5)


def test_a_killed_run_is_taken_up_by_the_next_for_the_same_units_in_any_order(ledger: Ledger) -> None:
    ledger.begin("run-1", UNITS, tasks=TASKS, engine="sail")
    found = ledger.unfinished(reversed(UNITS), tasks=TASKS)
    assert found is not None
    assert found.run_id == "run-1"


@pytest.mark.parametrize("outcome", ["success", "partial", "stopped"])
def test_a_run_that_came_to_its_end_is_not_taken_up(ledger: Ledger, outcome: str) -> None:
    ledger.begin("run-1", UNITS, tasks=TASKS, engine="sail")
    ledger.end("run-1", outcome)  # type: ignore[arg-type]
    assert ledger.unfinished(UNITS, tasks=TASKS) is None


def test_a_killed_run_of_single_tasks_is_not_taken_up_by_one_of_the_whole_way(ledger: Ledger) -> None:
    ledger.begin("run-1", UNITS, tasks=("transform",), engine="sail")
    assert ledger.unfinished(UNITS, tasks=TASKS) is None


def test_a_run_that_merged_nothing_does_not_stand_between(ledger: Ledger) -> None:
    ledger.begin("run-1", UNITS, tasks=TASKS, engine="sail")
    ledger.begin("run-2", UNITS[:1], tasks=("check",), engine="sail")
    ledger.end("run-2", "success")
    found = ledger.unfinished(UNITS, tasks=TASKS)
    assert found is not None
    assert found.run_id == "run-1"


def test_a_killed_run_is_left_where_another_merged_after_it(ledger: Ledger) -> None:
    ledger.begin("run-1", UNITS, tasks=TASKS, engine="sail")
    ledger.begin("run-2", UNITS[:1], tasks=TASKS, engine="sail")
    ledger.end_step("run-2", "gate", {}, seconds=0)
    ledger.end("run-2", "success")
    assert ledger.unfinished(UNITS, tasks=TASKS) is None


def test_a_named_run_is_found_again_for_its_units_only(ledger: Ledger) -> None:
    run_id = new_run_id(datetime(2026, 11, 24, 2, tzinfo=UTC), "nightly")
    ledger.begin(run_id, UNITS, tasks=("ingest",), engine="sail")
    found = ledger.named("nightly", UNITS)
    assert found is not None
    assert found.run_id == run_id == "20261124T020000Z-nightly"
    assert ledger.named("other", UNITS) is None
    with pytest.raises(ConfigurationError, match="of retailer_1, retailer_2 for 2017-01-05 only"):
        ledger.named("nightly", UNITS[:1])


@pytest.mark.parametrize("name", ["../x", "scheduled__2026-11-24T00:00:00+00:00", "", "a b"])
def test_a_name_that_can_be_no_folder_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="only letters, digits"):
        new_run_id(datetime(2026, 11, 24, tzinfo=UTC), name)


def test_a_killed_run_for_other_units_is_not_taken_up(ledger: Ledger) -> None:
    ledger.begin("run-1", UNITS, tasks=TASKS, engine="sail")
    assert ledger.unfinished(UNITS[:1], tasks=TASKS) is None


def test_a_broken_record_is_named_with_what_to_do(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.write("ops/runs/run-1/run.json", b'{"run_id": "ru')
    with pytest.raises(StorageError, match=r"ops/runs/run-1/run.json is not the JSON of a record"):
        Ledger(storage).run("run-1")


def test_run_ids_sort_by_time() -> None:
    early, late = datetime(2026, 9, 30, 23, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)
    assert new_run_id(early) < new_run_id(late)


def test_run_ids_sort_by_their_beginning_though_the_clock_is_set_back() -> None:
    ahead = new_run_id(datetime(2036, 12, 31, 23, 59, 59, tzinfo=UTC))
    later = new_run_id(datetime(2026, 9, 30, tzinfo=UTC), "named", newest=ahead)
    assert later == "20370101T000000Z-named"
    assert new_run_id(datetime(2037, 1, 1, tzinfo=UTC), newest=later) > later, "of one second"


def test_done_units_are_remembered(ledger: Ledger) -> None:
    ledger.mark_done(UNITS, "run-1")
    assert ledger.done() == set(UNITS)


def test_a_run_is_overtaken_by_a_later_merge_alone(ledger: Ledger) -> None:
    for run_id in ("run-1", "run-2", "run-3"):
        ledger.begin(run_id, UNITS, tasks=TASKS, engine="sail")
    ledger.end_step("run-1", "gate", {}, seconds=0)
    assert not ledger.overtaken("run-1")
    ledger.end_step("run-3", "gate", {}, seconds=0)
    assert ledger.overtaken("run-1")
    assert not ledger.overtaken("run-3")


def test_days_that_are_reopened_are_due_again(ledger: Ledger) -> None:
    days = [("r", date(2017, 1, day)) for day in (3, 4)]
    ledger.begin("run-1", days, tasks=TASKS, engine="sail")
    ledger.mark_done(days, "run-1")
    ledger.set_checkpoint("r", date(2017, 1, 6))
    ledger.reopen("run-1", ["publish"], reason="rolled back")
    assert ledger.checkpoint("r") == date(2017, 1, 2)
    assert ledger.done() == set()
    ledger.reopen("run-1", ["publish"], reason="again")
    assert ledger.checkpoint("r") == date(2017, 1, 2)


@pytest.mark.parametrize(("stood", "stands"), [(4, 4), (5, 4), (6, 4), (9, 9)])
def test_days_of_a_backfill_that_are_reopened_move_back_a_checkpoint_that_stands_on_them(
    ledger: Ledger, stood: int, stands: int
) -> None:
    units = [("retailer_1", date(2017, 1, day)) for day in (5, 6)]
    ledger.begin("run-1", units, tasks=TASKS, engine="sail", backfill=True)
    ledger.mark_done(units, "run-1")
    ledger.set_checkpoint("retailer_1", date(2017, 1, stood))
    ledger.reopen("run-1", ["publish"], reason="rolled back")
    assert ledger.checkpoint("retailer_1") == date(2017, 1, stands)
    assert ledger.done() == set()


def test_days_that_another_run_brought_stay_done_when_one_that_staged_them_again_is_reopened(
    ledger: Ledger,
) -> None:
    first, second = (("r", date(2017, 1, day)) for day in (3, 4))
    ledger.begin("run-1", [first, second], tasks=TASKS, engine="sail")
    ledger.mark_done([first, second], "run-1")
    ledger.set_checkpoint("r", second[1])
    ledger.begin("run-2", [first, second, ("r", date(2017, 1, 5))], tasks=TASKS[1:], engine="sail")
    ledger.reopen("run-2", ["publish"], reason="rolled back")
    assert ledger.done() == {first, second}
    assert ledger.checkpoint("r") == second[1]
    assert ledger.outcome("run-2") == "failed"
    ledger.begin("run-3", [second], tasks=TASKS, engine="sail", force=True)
    ledger.mark_done([second], "run-3")
    ledger.reopen("run-3", ["publish"], reason="rolled back")
    assert ledger.done() == {first}
    assert ledger.checkpoint("r") == first[1]


def test_days_whose_mark_another_rollback_took_are_due_again_when_the_run_that_fetched_them_is_reopened(
    ledger: Ledger,
) -> None:
    unit = ("r", date(2017, 1, 3))
    ledger.begin("run-1", [unit], tasks=TASKS, engine="sail")
    ledger.end_step("run-1", "extract", {}, seconds=0)
    ledger.set_checkpoint("r", unit[1])
    ledger.begin("run-2", [unit], tasks=TASKS, engine="sail", backfill=True, force=True)
    ledger.mark_done([unit], "run-2")
    ledger.set_checkpoint("r", date(2017, 1, 5))
    ledger.reopen("run-2", ["publish"], reason="rolled back")
    assert ledger.checkpoint("r") == date(2017, 1, 5)
    ledger.reopen("run-1", ["publish"], reason="rolled back")
    assert ledger.checkpoint("r") == date(2017, 1, 2)


def test_a_day_that_came_after_all_is_out_of_reach_no_more_also_when_it_is_reopened(ledger: Ledger) -> None:
    unit = ("r", date(2017, 1, 3))
    ledger.mark_out_of_reach([unit], "run-1")
    assert ledger.out_of_reach() == {unit}
    ledger.begin("run-2", [unit], tasks=TASKS, engine="sail")
    ledger.mark_done([unit], "run-2")
    ledger.reopen("run-2", ["publish"], reason="rolled back")
    assert ledger.out_of_reach() == set()


@pytest.mark.parametrize("reopened", [False, True])
def test_a_run_of_which_all_steps_have_ended_lacks_its_last_word(ledger: Ledger, reopened: bool) -> None:
    ledger.begin("run-1", UNITS, tasks=ALL_TASKS, engine="sail")
    if reopened:
        ledger.reopen("run-1", ["publish"], reason="rolled back")
    for step in STEPS:
        assert interrupted_at_the_end(ledger) is None
        ledger.end_step("run-1", step, {}, seconds=0)
    assert interrupted_at_the_end(ledger) == ledger.run("run-1")
    ledger.end("run-1", "success")
    assert interrupted_at_the_end(ledger) is None


def test_a_run_that_was_reopened_is_so_until_it_ends_well(ledger: Ledger) -> None:
    ledger.begin("run-1", UNITS, tasks=TASKS, engine="sail")
    ledger.reopen("run-1", ["publish"], reason="rolled back")
    ledger.resume_run("run-1")
    ledger.end("run-1", "failed", reason="PostgreSQL is not there")
    ended = ledger.ended("run-1")
    assert ended is not None
    assert ended["reopened"]
    ledger.end("run-1", "success")
    assert "reopened" not in (ledger.ended("run-1") or {})


def test_a_run_that_goes_on_has_no_end(ledger: Ledger) -> None:
    begun = ledger.begin("run-1", UNITS, tasks=TASKS, engine="sail")
    ledger.end("run-1", "failed", reason="the disk was full")
    assert ledger.resume_run("run-1") == begun
    assert ledger.ended("run-1") is None


def test_days_anew_are_gone_on_with_by_a_run_that_does_them_anew(ledger: Ledger) -> None:
    ledger.begin("run-1", UNITS, tasks=TASKS, engine="sail")
    assert ledger.unfinished(UNITS, tasks=TASKS, force=True) is None
    force = ledger.begin("run-2", UNITS, tasks=TASKS, engine="sail", force=True)
    assert ledger.unfinished(UNITS, tasks=TASKS, force=True) == force
    assert ledger.unfinished(UNITS, tasks=TASKS) == force


@pytest.mark.parametrize("outcome", [None, "failed", "stopped"])
def test_days_of_a_run_without_success_are_gone_on_with_though_they_are_marked_as_done(
    ledger: Ledger, outcome: Outcome | None
) -> None:
    ledger.begin("run-1", UNITS, tasks=TASKS, engine="sail")
    ledger.mark_done(UNITS, "run-1")
    if outcome is not None:
        ledger.end("run-1", outcome)
    assert ledger.settled(TASKS) == set()
    assert ledger.settled(("check",)) == set(UNITS)
    ledger.end("run-1", "success")
    assert ledger.settled(TASKS) == set(UNITS)


def test_a_part_of_a_backfill_knows_the_whole(ledger: Ledger) -> None:
    whole = Span.of([*UNITS, ("retailer_2", date(2017, 1, 7))])
    assert whole.units == [
        (f"retailer_{number}", date(2017, 1, day)) for number in (1, 2) for day in (5, 6, 7)
    ]
    begun = ledger.begin("run-1", UNITS, tasks=TASKS, engine="sail", span=whole, backfill=True)
    assert ledger.run("run-1") == begun
    assert (begun.span, begun.backfill) == (whole, True)


def test_a_step_is_forgotten_with_all_that_come_behind_it_the_last_first(tmp_path: Path) -> None:
    class Watched(LocalStorage):
        def delete(self, key: str) -> None:
            deleted.append(key.rpartition("/")[2])
            super().delete(key)

    deleted: list[str] = []
    ledger = Ledger(Watched(tmp_path))
    for step in ("extract", "land", "merge-plan-fact_sales", "refresh"):
        ledger.end_step("run-1", step, {}, seconds=0)
    ledger.forget_from("run-1", "land", ("extract", "land", "stage", "refresh"))
    assert deleted == ["refresh.json", "land.json"]
    assert ledger.step("run-1", "extract") is not None


def merged(
    ledger: Ledger, run_id: str, *, checked_by: str | None = None, tasks: tuple[str, ...] = TASKS
) -> None:
    ledger.begin(run_id, UNITS, tasks=tasks, engine="sail")
    for step in ("stage", "gate", "merge", "publish"):
        ledger.end_step(run_id, step, {}, seconds=0)
    if checked_by is not None:
        ledger.mark_checked([run_id], by=checked_by)


def test_a_run_that_merged_is_unchecked_until_a_check_judged_it(ledger: Ledger) -> None:
    merged(ledger, "run-1", checked_by="run-1")
    merged(ledger, "run-2")
    ledger.begin("run-3", UNITS, tasks=TASKS, engine="sail")  # it came to no merge
    merged(ledger, "run-4", checked_by="run-4")
    assert ledger.unchecked() == ["run-2"]
    ledger.mark_checked(["run-2"], by="run-4")
    assert ledger.unchecked() == []


@pytest.mark.parametrize("step", ["stage", "publish", "check"])
def test_a_run_that_does_a_step_again_that_its_check_judged_is_unchecked(ledger: Ledger, step: str) -> None:
    merged(ledger, "run-1", checked_by="run-2")
    ledger.forget_from("run-1", step, STEPS)
    assert ledger.unchecked() == ([] if step == "stage" else ["run-1"])
    ledger.end_step("run-1", "gate", {}, seconds=0)
    assert ledger.unchecked() == ["run-1"]


def test_a_refresh_done_again_leaves_the_check_as_it_was(ledger: Ledger) -> None:
    merged(ledger, "run-1", checked_by="run-1")
    ledger.forget_from("run-1", "refresh", STEPS)
    assert ledger.unchecked() == []


def test_a_check_of_an_earlier_version_covers_all_before_it_unless_it_was_copied(ledger: Ledger) -> None:
    merged(ledger, "run-1")
    merged(ledger, "run-2")
    ledger.end_step("run-2", "check", {}, seconds=0)
    merged(ledger, "run-3")
    ledger.begin("run-4", UNITS, tasks=("refresh",), engine="sail", after_run="run-2")
    ledger.take_over("run-4", "run-2", ["check"])
    assert ledger.unchecked() == ["run-3"]


def test_a_comparison_leaves_complete_days_complete_while_it_works_at_its_end_and_when_it_is_taken_back(
    ledger: Ledger, tmp_path: Path
) -> None:
    day = ("retailer_1", date(2017, 1, 5))
    ledger.begin("run-1", [day], tasks=ALL_TASKS, engine="sail")
    ledger.mark_done([day], "run-1")
    ledger.set_checkpoint("retailer_1", day[1])
    ledger.end("run-1", "success")
    run = ledger.begin("run-2", [day], tasks=ALL_TASKS, engine="sail", force=True, reconcile=True)

    assert ledger.settled(ALL_TASKS) == {day}
    assert ledger.unfinished([day], tasks=ALL_TASKS, force=True) is None
    assert ledger.unfinished([day], tasks=ALL_TASKS, force=True, reconcile=True) == run
    for step in STEPS:
        published = {"runs": [], "months": [], "sent": {}} if step == "publish" else {}
        ledger.end_step("run-2", step, published, seconds=0)
    finish.end(ledger, LocalStorage(tmp_path), run, settings=settings_for("sail", tmp_path))
    ledger.reopen("run-2", ["refresh"], reason="taken back")

    assert (ledger.done(), ledger.checkpoint("retailer_1")) == ({day}, day[1])
