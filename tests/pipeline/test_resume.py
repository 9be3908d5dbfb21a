"""In which run a task works that a scheduler tries again, or that somebody clears."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from retail.errors import ConfigurationError
from retail.lake.storage.local import LocalStorage
from retail.pipeline.resume import Resumed, by_name
from retail.pipeline.tasks import TASKS
from retail.runs.ledger import Ledger
from retail.runs.run import new_run_id

UNITS = [("retailer_1", date(2017, 1, 5)), ("retailer_2", date(2017, 1, 5))]
NIGHTLY, LATER = (
    new_run_id(datetime(2026, 11, 24, hour, tzinfo=UTC), name)
    for hour, name in ((2, "nightly"), (3, "later"))
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    found = Ledger(LocalStorage(tmp_path))
    found.begin(NIGHTLY, UNITS, tasks=("ingest",), engine="sail")
    return found


def end(ledger: Ledger, *tasks: str, run_id: str = NIGHTLY) -> None:
    for step in (step for task in tasks for step in TASKS[task]):
        ledger.end_step(run_id, step, {"by": run_id, "extracted": [["retailer_1", "2017-01-05"]]}, seconds=0)


def resumed(ledger: Ledger, task: str, *, redo: bool = False, name: str = "nightly") -> Resumed:
    return by_name(ledger, name, UNITS, steps=TASKS[task], redo=redo)


def overtake(ledger: Ledger, by: str = LATER) -> None:
    ledger.begin(by, UNITS, tasks=("ingest",), engine="sail")
    end(ledger, "ingest", "transform", run_id=by)


def test_a_name_that_no_run_has_begins_one(ledger: Ledger) -> None:
    assert resumed(ledger, "ingest", name="other") == Resumed()


def test_other_units_are_another_run(ledger: Ledger) -> None:
    with pytest.raises(ConfigurationError, match=r"nightly .*retailer_1, retailer_2 .*2017-01-05"):
        by_name(ledger, "nightly", UNITS[:1], steps=TASKS["ingest"], redo=False)


@pytest.mark.parametrize("task", ["ingest", "transform", "check", "refresh"])
def test_a_task_that_did_not_end_goes_on_where_it_stopped(ledger: Ledger, task: str) -> None:
    end(ledger, *list(TASKS)[1 : list(TASKS).index(task)])
    if len(TASKS[task]) > 1:
        ledger.end_step(NIGHTLY, TASKS[task][0], {"extracted": [["retailer_1", "2017-01-05"]]}, seconds=0)
    assert resumed(ledger, task) == Resumed(ledger.run(NIGHTLY))


def test_a_merge_that_began_goes_on_though_it_is_to_be_redone(ledger: Ledger) -> None:
    end(ledger, "ingest")
    for step in ("stage", "gate"):
        ledger.end_step(NIGHTLY, step, {}, seconds=0)
    assert resumed(ledger, "transform", redo=True) == Resumed(ledger.run(NIGHTLY))


def test_a_fetch_that_a_retailer_failed_in_has_not_ended_until_its_rest_is_merged(ledger: Ledger) -> None:
    end(ledger, "ingest")
    ledger.end_step(NIGHTLY, "extract", {"extracted": [], "failed": {"retailer_2": "was down"}}, seconds=0)
    for redo in (False, True):
        assert resumed(ledger, "ingest", redo=redo) == Resumed(ledger.run(NIGHTLY), again="extract")
    assert resumed(ledger, "land") == Resumed(ledger.run(NIGHTLY))
    end(ledger, "transform")
    assert resumed(ledger, "ingest") == Resumed(ledger.run(NIGHTLY))


@pytest.mark.parametrize("task", ["ingest", "transform", "check", "refresh"])
def test_a_task_that_ended_is_left_alone_unless_it_is_to_be_redone(ledger: Ledger, task: str) -> None:
    end(ledger, "ingest", "transform", "check", "refresh")
    assert resumed(ledger, task) == Resumed(ledger.run(NIGHTLY))


def test_a_fetch_before_the_merge_is_redone_where_it_was(ledger: Ledger) -> None:
    end(ledger, "ingest")
    assert resumed(ledger, "ingest", redo=True) == Resumed(ledger.run(NIGHTLY), again="extract")


def test_a_fetch_behind_the_merge_is_a_new_run(ledger: Ledger) -> None:
    end(ledger, "ingest", "transform")
    assert resumed(ledger, "ingest", redo=True) == Resumed()


def test_a_merge_is_redone_in_a_new_run_that_knows_what_was_fetched(ledger: Ledger) -> None:
    end(ledger, "ingest", "transform")
    found = resumed(ledger, "transform", redo=True)
    assert found == Resumed(source=NIGHTLY, inherited_steps=("extract", "land"))
    ledger.begin(LATER, UNITS, tasks=("transform",), engine="sail")
    ledger.take_over(LATER, NIGHTLY, found.inherited_steps)
    taken = ledger.step(LATER, "land")
    assert taken is not None
    assert taken["by"] == NIGHTLY
    assert ledger.step(LATER, "stage") is None


@pytest.mark.parametrize("task", ["check", "refresh"])
def test_check_and_refresh_are_redone_where_they_were(ledger: Ledger, task: str) -> None:
    end(ledger, "ingest", "transform", "check", "refresh")
    assert resumed(ledger, task, redo=True) == Resumed(ledger.run(NIGHTLY), again=task)


def test_a_redo_that_failed_and_is_redone_stays_in_the_run_that_it_began(ledger: Ledger) -> None:
    end(ledger, "ingest", "transform", "check", "refresh")
    again = new_run_id(datetime(2026, 11, 24, 4, tzinfo=UTC), "nightly")
    ledger.begin(again, UNITS, tasks=("transform",), engine="sail")
    ledger.take_over(again, NIGHTLY, ("extract", "land"))
    ledger.end_step(again, "stage", {}, seconds=0)
    assert resumed(ledger, "transform", redo=True) == Resumed(ledger.run(again), again="stage")
    end(ledger, "transform", run_id=again)
    for task in ("check", "refresh"):
        assert resumed(ledger, task, redo=True) == Resumed(ledger.run(again), again=task)


def test_a_whole_id_names_its_run_too(ledger: Ledger) -> None:
    assert resumed(ledger, "ingest", name=NIGHTLY).run == ledger.run(NIGHTLY)


def test_a_run_for_nothing_is_none_to_go_on_with(ledger: Ledger) -> None:
    ledger.begin(LATER, [], tasks=("ingest",), engine="sail")
    assert resumed(ledger, "ingest", name="later") == Resumed()


def test_a_merge_that_another_has_overtaken_is_a_new_run(ledger: Ledger) -> None:
    end(ledger, "ingest")
    overtake(ledger)
    assert resumed(ledger, "ingest") == Resumed(ledger.run(NIGHTLY))
    assert resumed(ledger, "transform") == Resumed(source=NIGHTLY, inherited_steps=("extract", "land"))


def test_what_comes_behind_a_merge_that_was_overtaken_is_a_new_run_that_knows_which(ledger: Ledger) -> None:
    end(ledger, "ingest", "transform")
    overtake(ledger)
    assert resumed(ledger, "check") == Resumed(source=NIGHTLY, after_run=NIGHTLY)
    behind = new_run_id(datetime(2026, 11, 24, 4, tzinfo=UTC), "nightly")
    begun = ledger.begin(behind, UNITS, tasks=("check",), engine="sail", after_run=NIGHTLY)
    end(ledger, "check", run_id=behind)
    assert resumed(ledger, "refresh") == Resumed(begun)
    nightly = Resumed(ledger.run(NIGHTLY))
    assert [resumed(ledger, task) for task in ("ingest", "transform")] == [nightly, nightly]
    redone = Resumed(source=NIGHTLY, inherited_steps=("extract", "land"))
    assert resumed(ledger, "transform", redo=True) == redone
    overtake(ledger, "20261124T050000Z-other")
    assert resumed(ledger, "refresh") == Resumed(source=behind, after_run=NIGHTLY)


def test_the_newest_run_of_a_name_is_meant(ledger: Ledger) -> None:
    newer = new_run_id(datetime(2026, 11, 24, 4, tzinfo=UTC), "nightly")
    ledger.begin(newer, UNITS, tasks=("transform",), engine="sail")
    assert resumed(ledger, "transform").run == ledger.run(newer)
