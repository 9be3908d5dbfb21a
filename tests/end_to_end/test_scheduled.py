"""What a scheduler does: from the checkpoint to a day, a backfill beside it, tasks by name, one of them cleared."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
import requests

from retail.cli.local import demo
from retail.config.secrets import Secrets
from retail.errors import StorageError
from retail.lake.layout import raw_file
from retail.pipeline import runner
from retail.pipeline.step_context import StepContext
from retail.pipeline.step_results import StepResult
from retail.pipeline.workspace import LeasedWorkspace, Workspace
from retail.runs.lease import hold
from retail.runs.ledger import Ledger
from tests.end_to_end.conftest import CLOCK, Truth
from tests.end_to_end.installation import Installation, star_of, told, warehouse_of
from tests.kill.told import in_operations

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

Install = Callable[..., Installation]
RETAILERS = ("retailer_1", "retailer_2", "retailer_3")


def checkpoints(installation: Installation) -> list[date | None]:
    with Workspace(installation.settings, Secrets({})) as workspace:
        return [workspace.ledger.checkpoint(retailer) for retailer in RETAILERS]


def day(number: int) -> date:
    return date(2017, 1, number)


@pytest.fixture(scope="module")
def straight(install: Install) -> Installation:
    """Four days, one run."""
    made = install("straight")
    told(made, "run", "--from", "2017-01-01", "--to", "2017-01-04")
    return made


def test_from_the_checkpoint_to_a_day_with_a_backfill_before(
    install: Install, straight: Installation
) -> None:
    made = install("scheduled")
    told(made, "backfill", "--from", "2017-01-02", "--to", "2017-01-03", "--parallel", "2")
    assert checkpoints(made) == [None] * 3
    status = told(made, "status")
    assert "2017-01-02…2017-01-03 backfill" in status
    assert "retailer_1 Amazon US none, from 2017-01-01 2 2017-01-01" in status
    assert "3 retailer-days fetched" in told(made, "run", "--to", "2017-01-01")
    assert checkpoints(made) == [day(1)] * 3
    before = _runs(made)
    told(made, "run", "--to", "2017-01-03")
    assert _runs(made) == before
    told(made, "run", "--to", "2017-01-04")
    assert _fetched(made) == [[retailer, "2017-01-04"] for retailer in RETAILERS]
    assert checkpoints(made) == [day(4)] * 3
    assert star_of(made) == star_of(straight)
    assert warehouse_of(made) == warehouse_of(straight)


@pytest.mark.nightly
def test_many_days_come_by_several_runs(install: Install, straight: Installation) -> None:
    made = install("in_parts")
    said = told(made, "run", "--to", "2017-01-04", RETAIL_RUNS__DAYS_A_RUN="2")
    assert "part 1 of 2: 2017-01-01 to 2017-01-02" in said
    assert "part 2 of 2: 2017-01-03 to 2017-01-04" in said
    assert said.count(": success") == 2
    assert star_of(made) == star_of(straight)


def test_status_tells_what_is_left_of_a_backfill_in_parts(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = install("backfill_in_parts")
    backfill = ("backfill", "--from", "2017-01-01", "--to", "2017-01-02", "--only", "retailer_1")
    with monkeypatch.context() as patch:
        _fail_in(patch, "merge", behind=1)
        said = told(made, *backfill, code=1, RETAIL_RUNS__DAYS_A_RUN="1")
    assert "no room left" in said
    _, second = _runs(made)
    assert re.search(rf"next: retail {' '.join(backfill)} \([^)]*{second}\)", told(made, "status"))
    told(made, "run", "--date", "2017-01-03", "--only", "retailer_1")
    status = told(made, "status")
    assert "next: retail run (" in status
    assert f"also: retail {' '.join(backfill)} (1 of its 2 " in status
    told(made, *backfill, RETAIL_RUNS__DAYS_A_RUN="1")
    assert "also:" not in told(made, "status")


@pytest.mark.nightly
def test_a_backfill_anew_goes_on_anew_with_what_it_has_not_come_to(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = install("backfill_anew")
    only = ("--only", "retailer_1")
    days = {number: f"2017-01-0{number}" for number in (1, 2, 3)}
    told(made, "run", "--from", days[1], "--to", days[3], *only)
    with monkeypatch.context() as patch:
        _fail_in(patch, "merge", behind=1)
        whole = ("backfill", "--from", days[1], "--to", days[3], *only, "--again")
        told(made, *whole, code=1, RETAIL_RUNS__DAYS_A_RUN="1")
    failed = _runs(made)[-1]
    rest = ("backfill", "--from", days[2], "--to", days[3], *only, "--again")
    said = told(made, "status", RETAIL_RUNS__DAYS_A_RUN="1")
    assert re.search(rf"next: retail {' '.join(rest)} \([^)]*{failed}\)", said)
    with monkeypatch.context() as patch:
        _fail_in(patch, "extract", behind=0)
        told(made, *rest, code=1, RETAIL_RUNS__DAYS_A_RUN="1")  # day 2 was fetched, day 3 is asked for
    assert len(_runs(made)) == 4
    last = ("backfill", "--date", days[3], *only, "--again")
    said = told(made, "status", RETAIL_RUNS__DAYS_A_RUN="1")
    assert f"next: retail {' '.join(last)} (" in said
    assert "also:" not in said
    told(made, *last, RETAIL_RUNS__DAYS_A_RUN="1")
    assert len(_runs(made)) == 4
    assert "also:" not in told(made, "status")


def test_days_done_anew_that_failed_are_gone_on_with_by_the_command_that_status_tells(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = install("anew_failed")
    one_day = ("--date", "2017-01-01", "--only", "retailer_1")
    told(made, "run", *one_day)
    with monkeypatch.context() as patch:
        _fail_in(patch, "publish")
        told(made, "run", *one_day, "--again", code=1)
    run_id = _runs(made)[-1]
    said = told(made, "status")
    assert re.search(rf"next: retail run {' '.join(one_day)} --again \([^)]*{run_id}\)", said)
    assert f"run {run_id}: success" in told(made, "run", *one_day, "--again")
    told(made, "run", *one_day)
    assert _runs(made)[-1] == run_id


def test_a_command_whose_days_another_run_ends_while_it_waits_for_the_lease_begins_none(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = install("ended_meanwhile")
    units = [("retailer_1", day(1))]

    @contextmanager
    def ended_meanwhile(workspace: Workspace, run_id: str) -> Iterator[LeasedWorkspace]:
        workspace.ledger.mark_done(units, "another")
        with hold(workspace.storage, run_id) as lease:
            yield LeasedWorkspace(workspace, lease, workspace.storage, workspace.ledger)

    monkeypatch.setattr(Workspace, "lease", ended_meanwhile)
    told(made, "run", "--date", "2017-01-01", "--only", "retailer_1")
    assert _runs(made) == []


def test_a_run_that_was_cut_off_before_its_checkpoint_is_ended_by_the_next(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = install("last_words")
    due = ("run", "--to", "2017-01-01", "--only", "retailer_1")

    def cut_off(*_: object) -> None:
        raise StorageError("no room left", hint="make room")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "set_checkpoint", cut_off)
        told(made, *due, code=1)
    assert checkpoints(made) == [None] * 3
    assert "finished a run that was interrupted after its last step" in told(made, *due)
    assert checkpoints(made) == [day(1), None, None]
    told(made, *due)
    assert len(_runs(made)) == 1


def test_a_part_of_retailers_that_failed_before_is_left_out_and_says_so(install: Install) -> None:
    with demo.simulator(demo.demo_environment(), clock=CLOCK) as address:
        made = install("left_out", address)
        told(made, "run", "--date", "2017-01-02", "--only", "retailer_1")
        _fail_once(address, "retailer_2")
        backfill = ("backfill", "--from", "2017-01-01", "--to", "2017-01-02")
        two = ("--only", "retailer_1", "--only", "retailer_2")
        said = told(made, *backfill, *two, code=3, RETAIL_RUNS__DAYS_A_RUN="1")
        assert "part 2 of 2: 2017-01-02 to 2017-01-02, skipped: retailer_2 FAILED" in said
        assert "Nothing" not in said
        also = f"also: retail {' '.join((*backfill, *two))} (2 of its 4 "
        assert also in told(made, "status")


def test_a_retailer_that_alone_has_days_of_a_part_and_fails_stops_no_other(install: Install) -> None:
    with demo.simulator(demo.demo_environment(), clock=CLOCK) as address:
        made = install("alone", address)
        told(made, "run", "--date", "2017-01-01", "--only", "retailer_1")
        two = ("--only", "retailer_1", "--only", "retailer_2")
        _fail_once(address, "retailer_2")
        said = told(made, "run", "--to", "2017-01-02", *two, code=3, RETAIL_RUNS__DAYS_A_RUN="1")
        assert re.search(r"retailer_2 FAILED\b.*: 2017-01-01 ", said)
        assert checkpoints(made) == [day(2), None, None]
        for _ in range(2):
            _fail_once(address, "retailer_2")
        alone = ("run", "--to", "2017-01-02", "--only", "retailer_2")
        said = told(made, *alone, code=1, RETAIL_RUNS__DAYS_A_RUN="1")
        assert re.search(r"\[nobody-answered\] .*- retailer_2: ", said)


def test_check_and_refresh_behind_another_s_merge_make_the_days_of_their_run_done(install: Install) -> None:
    made = install("overtaken")
    only = ("--only", "retailer_1")
    told(made, "ingest", "--run-id", "night", "--date", "2017-01-01", *only)
    told(made, "transform", "--run-id", "night")
    told(made, "backfill", "--date", "2017-01-03", *only)
    for task in ("check", "refresh"):
        told(made, task, "--run-id", "night")
    assert checkpoints(made) == [day(1), None, None]
    before = _runs(made)
    told(made, "run", "--date", "2017-01-01", *only)
    assert _runs(made) == before


def test_the_next_run_catches_a_retailer_up_that_failed(install: Install) -> None:
    with demo.simulator(demo.demo_environment(), clock=CLOCK) as address:
        made = install("caught_up", address)
        _fail_once(address, "retailer_2")
        said = told(made, "run", "--to", "2017-01-02", code=3)
        assert re.search(r"retailer_2 FAILED\b.*: 2017-01-01 to 2017-01-02 ", said)
        assert checkpoints(made) == [day(2), None, day(2)]
        assert re.search(r"retailer_2 Walmart US .* 2017-01-01 0 2017-01-01", told(made, "status"))
        told(made, "run", "--to", "2017-01-02")
        assert _fetched(made) == [["retailer_2", "2017-01-01"], ["retailer_2", "2017-01-02"]]
        assert checkpoints(made) == [day(2)] * 3


def test_a_scheduler_s_tasks_by_name_and_one_of_them_cleared(
    install: Install, straight: Installation
) -> None:
    made = install("by_name")
    told(made, "ingest", "--run-id", "night-1", "--to", "2017-01-04", "--only", "retailer_1")
    assert _fetched(made) == [["retailer_1", str(day(number))] for number in (1, 2, 3, 4)]
    for task in ("transform", "check", "refresh"):
        told(made, task, "--run-id", "night-1", "--redo")
    assert checkpoints(made) == [day(4), None, None]
    before = warehouse_of(made)
    for task in ("check", "refresh", "transform"):  # each cleared by itself
        assert "already done" not in told(made, task, "--run-id", "night-1", "--redo")
    assert "already done" in told(made, "transform", "--run-id", "night-1")
    for task in ("check", "refresh"):
        told(made, task, "--run-id", "night-1", "--redo")
    assert told(made, "refresh", "--run-id", "night-1").endswith(": success")
    assert warehouse_of(made) == before
    said = told(made, "ingest", "--run-id", "night-1", "--to", "2017-01-03", code=2)
    assert "night-1 ends on 2017-01-04; use a new --run-id for fewer days" in said
    told(made, "ingest", "--run-id", "night-2", "--to", "2017-01-04", "--only", "retailer_1")
    for task in ("transform", "check", "refresh"):
        told(made, task, "--run-id", "night-2", "--redo")
    assert [*made.folder.glob("lake/ops/runs/*-night-2/steps/*")] == []
    star = {table: _of(rows, "retailer_1") for table, rows in star_of(straight).items()}
    assert _of(star_of(made)["star/fact_sales"], "retailer_1") == star["star/fact_sales"]


def test_a_task_waits_for_the_one_before_it_and_a_later_fetch_makes_those_behind_it_due(
    install: Install,
) -> None:
    made = install("in_order")
    told(made, "ingest", "--run-id", "night", "--date", "2017-01-01", "--only", "retailer_1")
    said = told(made, "check", "--run-id", "night", code=2)
    assert "`check` of run" in said
    in_operations("… of run … has to wait: its … has not completed", said)
    assert (
        "has to wait: its `transform` has not completed next: run `retail transform` with the same --run-id"
        in said
    )
    told(made, "transform", "--run-id", "night")
    told(made, "check", "--run-id", "night")
    (run_id,) = _runs(made)
    (made.folder / f"lake/ops/runs/{run_id}/steps/publish.json").unlink()
    told(made, "transform", "--run-id", "night")  # publishes, so that what was checked is another star
    assert "`refresh`" in told(made, "refresh", "--run-id", "night", code=2)
    for task in ("check", "refresh"):
        told(made, task, "--run-id", "night")
    assert checkpoints(made) == [day(1), None, None]


def test_a_retailer_that_is_behind_holds_no_other_up(install: Install) -> None:
    with demo.simulator(demo.demo_environment(), clock=CLOCK) as address:
        made = install("behind", address)
        for night in (1, 2, 3):
            _fail_once(address, "retailer_2")
            arguments = ("--run-id", f"night-{night}", "--to", f"2017-01-0{night}")
            told(made, "ingest", *arguments, code=3, RETAIL_RUNS__DAYS_A_RUN="1")
            for task in ("transform", "check", "refresh"):
                told(made, task, "--run-id", f"night-{night}")
        assert checkpoints(made) == [day(3), None, day(3)]


def test_a_fetch_that_nobody_answered_is_done_again_by_the_same_command(install: Install) -> None:
    with demo.simulator(demo.demo_environment(), clock=CLOCK) as address:
        made = install("unanswered", address)
        command = ("ingest", "--run-id", "night", "--to", "2017-01-01", "--only", "retailer_2")
        _fail_once(address, "retailer_2")
        said = told(made, *command, code=1)
        assert re.search(r"\[nobody-answered\] .*- retailer_2: 2017-01-01 ", said)
        in_operations("no day was fetched completely; none of … could be read:", said)
        said = told(made, "transform", "--run-id", "night", code=2)
        assert re.search(r"\[configuration\] .*`transform` .*`ingest`", said)
        told(made, *command)
        for task in ("transform", "check", "refresh"):
            told(made, task, "--run-id", "night")
        assert checkpoints(made) == [None, day(1), None]


@pytest.mark.parametrize("again", [(), ("--redo",)])
def test_a_fetch_that_failed_goes_on_in_its_run(install: Install, again: tuple[str, ...]) -> None:
    with demo.simulator(demo.demo_environment(), clock=CLOCK) as address:
        made = install(f"again{''.join(again)}".replace("-", "_"), address)
        _fail_once(address, "retailer_2")
        told(made, "ingest", "--run-id", "night", "--to", "2017-01-01", code=3)
        pages = _payloads(made)
        told(made, "ingest", "--run-id", "night", *again)
        for task in ("transform", "check", "refresh"):
            told(made, task, "--run-id", "night", *again)
        assert checkpoints(made) == [day(1)] * 3
        assert len(_runs(made)) == 1
        again = [page for page in _payloads(made) if "retailer_2" not in str(page)]  # type: ignore[assignment]
        assert again == pages  # what had answered was not asked again


def _fail_once(address: str, retailer: str) -> None:
    fault = {"retailer": retailer, "kind": "500"}
    requests.post(f"{address}/simulator/faults", json=fault, timeout=10).raise_for_status()


def _fail_in(patch: pytest.MonkeyPatch, step: str, *, behind: int = 0) -> None:
    """The step fails, the first `behind` times excepted."""
    done = runner.STEP_FUNCTIONS[step]
    calls = itertools.count()

    def failing(context: StepContext) -> StepResult:
        if next(calls) < behind:
            return done(context)
        raise StorageError("no room left", hint="make room")

    patch.setitem(runner.STEP_FUNCTIONS, step, failing)


def _payloads(installation: Installation) -> list[Path]:
    return sorted((installation.folder / "lake/payloads").rglob("*.json.gz"))


def _runs(installation: Installation) -> list[object]:
    runs = sorted((installation.folder / "lake/ops/runs").glob("*/run.json"))
    return [json.loads(each.read_text(encoding="utf-8"))["run_id"] for each in runs]


def _fetched(installation: Installation) -> list[list[str]]:
    """The retailer-days that the newest run fetched."""
    extracted = installation.folder / f"lake/ops/runs/{_runs(installation)[-1]}/steps/extract.json"
    return sorted(json.loads(extracted.read_text(encoding="utf-8"))["extracted"])


def _of(rows: list[tuple[object, ...]], retailer: str) -> list[tuple[object, ...]]:
    return [row for row in rows if retailer in row]


def test_raw_files_that_changed_behind_a_fetch_are_named_with_what_lands_them_anew(
    install: Install, truth: Truth
) -> None:
    made = install("landed_between")
    told(made, "ingest", "--run-id", "night", "--date", str(day(1)))
    raw = made.folder / "lake" / raw_file("retailer_1", day(1))
    raw.write_text("".join(raw.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")

    said = told(made, "transform", "--run-id", "night", code=4)
    assert re.search(r"\[tie-out\] .*landed = read .*retailer_1", said)
    command = re.search(r"run `retail (land --run-id \S+ --redo)`, then the same command", said)
    assert command is not None, said
    told(made, *command[1].split())
    for task in ("transform", "check", "refresh"):
        told(made, task, "--run-id", "night")
    assert made.postgresql_figures() == truth([day(1)])
