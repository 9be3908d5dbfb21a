"""The pipeline: eight steps in four tasks, one run at a time, each step done once.

A run covers units, which are pairs of retailer and logical date. Each step that ends is recorded in the ledger and not
repeated, so a killed run resumes where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from retail.config import logs
from retail.errors import (
    ConfigurationError,
    QualityError,
    RetailError,
    TableDamagedError,
    WarehouseError,
    WarehouseRefusedError,
)
from retail.lake import outage
from retail.lake.storage import Storage
from retail.landing import pepper
from retail.pipeline import finish, resume
from retail.pipeline.check_step import check_step
from retail.pipeline.describe_step import describe_step, is_due
from retail.pipeline.extract_step import extract_step
from retail.pipeline.gate_step import gate_step
from retail.pipeline.land_step import land_step
from retail.pipeline.merge_step import merge_step
from retail.pipeline.publish_step import publish_step
from retail.pipeline.published import require_published
from retail.pipeline.refresh_step import refresh_step
from retail.pipeline.resume import Resumed
from retail.pipeline.stage_step import stage_step
from retail.pipeline.step_context import Report, RunOptions, StepContext
from retail.pipeline.step_results import StepResult, extract_result, out_of_reach
from retail.pipeline.tasks import ALL_TASKS, DESCRIBE, STEPS, TASKS, steps_of
from retail.pipeline.workspace import LeasedWorkspace, Workspace
from retail.quality import drift
from retail.quality.rules import load_row_rules
from retail.quality.suites import validation
from retail.runs import customers_note, lease, rebuild_note, table_states
from retail.runs.days import RetailerDay, Span
from retail.runs.ledger import Ledger, Outcome
from retail.runs.run import Run, new_run_id
from retail.sources.registry import problems
from retail.star import migration
from retail.warehouse import rights
from retail.warehouse.publish import jdbc

log = structlog.get_logger()

_OF_WAREHOUSE: Final = frozenset({"transform", "check", "refresh"})

STEP_FUNCTIONS: Final[dict[str, Callable[[StepContext], StepResult]]] = {
    "extract": extract_step,
    "land": land_step,
    DESCRIBE: describe_step,
    "stage": stage_step,
    "gate": gate_step,
    "merge": merge_step,
    "publish": publish_step,
    "check": check_step,
    "refresh": refresh_step,
}

# Tasks that neither read nor write a Delta table.
_FETCHES: Final = frozenset({"ingest", "land"})


@dataclass(frozen=True)
class Result:
    """How a command ended. `failed` maps a retailer to why this command could not read it, or some of its days.

    `answers` are the failed retailers that still answer, so later days may be requested. `out_of_reach` counts the
    retailer-days that they no longer show. `force` says that the days were to be processed even if complete,
    `reconcile` that they were compared.
    """

    run_id: str | None
    outcome: Outcome
    failed: dict[str, str] = field(default_factory=dict)
    answers: frozenset[str] = frozenset()
    out_of_reach: int = 0
    skipped_units: int = 0
    force: bool = False
    reconcile: bool = False

    @property
    def exit_code(self) -> int:
        return 3 if self.failed else 0


def run(
    workspace: Workspace,
    units: Iterable[RetailerDay],
    report: Report,
    *,
    tasks: Sequence[str] = ALL_TASKS,
    options: RunOptions = RunOptions(),  # noqa: B008 - frozen
    name: str | None = None,
    redo: bool = False,
    span: Span | None = None,
    backfill: bool = False,
    reconcile: bool = False,
) -> Result:
    """Bring `units` through the tasks, as the run called `name` if one is given.

    With all tasks, units that are already complete are skipped unless forced. A `backfill` moves no checkpoint. `span`
    is everything that the command names; these units may be only a part of it. With `reconcile` the units, which are
    complete, are compared with their retailers again instead of fetched. With a name, `redo` repeats tasks that
    have already ended in that run. Raises ConfigurationError before any work, LeaseHeldError if another run is working,
    TableDamagedError, RebuildLeftError or PublishLostError if what the last run left is damaged or lost, QualityError
    if a gate or an identity stopped the run, and whatever a step raises; the ledger then says how the run ended.
    """
    run_id = new_run_id(datetime.now(UTC), name, newest=workspace.ledger.newest())
    wanted = sorted(set(units))
    _require_configuration(workspace, wanted, tasks)
    asked = _Asked(wanted, tuple(tasks), options.force or reconcile, name, redo, reconcile)
    if not _left(workspace.ledger, asked) and resume.interrupted_at_the_end(workspace.ledger) is None:
        _require_all_well(workspace, asked, options)
        _note_nothing_due(workspace.ledger, run_id, asked, engine=workspace.settings.engine)
        return Result(None, "success", skipped_units=len(wanted))
    migration.require_known(workspace.storage)
    settings = workspace.settings
    with workspace.lease(run_id) as leased:
        ledger, storage = leased.ledger, leased.storage
        _require_sound(storage, ledger, asked, options)
        if "ingest" in tasks:
            pepper.require(storage, workspace.secrets)
        # Only inside the lease can nobody else end the remaining units or merge before this run.
        left = _left(ledger, asked)
        resumed = _resumed(ledger, left, asked) if left else Resumed()
        if resumed.run is None and finish.finalize_interrupted(ledger, storage, settings=settings):
            left = _left(ledger, asked)
        if not left:
            _note_nothing_due(ledger, run_id, asked, engine=settings.engine)
            return Result(None, "success", skipped_units=len(wanted))
        current = _begin(
            ledger, run_id, left, asked, resumed, engine=settings.engine, span=span, backfill=backfill
        )
        leased.lease.works_on(current.run_id)
        logs.bind_run(current.run_id)
        options = replace(options, force=options.force or current.force)
        if _do(leased, leased.step_context(current, report, options), tasks):
            outcome = finish.end(ledger, storage, current, settings=settings)
        else:
            outcome = "paused"
            ledger.end(current.run_id, outcome, reason=f"after {options.last_step}, as requested")
    skipped = len(wanted) - len(left)
    result = Result(
        current.run_id, outcome, skipped_units=skipped, force=options.force, reconcile=current.reconcile
    )
    # Without an ingest, the command that fetched has already reported what could not be read.
    return _with_failures(workspace.ledger, current, result) if "ingest" in tasks else result


def _with_failures(ledger: Ledger, run: Run, result: Result) -> Result:
    """The result, with what the run could not read of the retailers."""
    extract = extract_result(ledger, run)
    return replace(
        result,
        failed={} if extract is None else extract.failed,
        answers=frozenset() if extract is None else frozenset(extract.failed_for_days),
        out_of_reach=len(out_of_reach(ledger, run)),
    )


@dataclass(frozen=True)
class _Asked:
    """What a command was asked to do."""

    units: list[RetailerDay]
    tasks: tuple[str, ...]
    force: bool
    name: str | None
    redo: bool
    reconcile: bool


def not_done(ledger: Ledger, units: Iterable[RetailerDay]) -> list[RetailerDay]:
    """The units that are not complete, or that the newest run was forced to process again and did not finish."""
    done = ledger.settled(ALL_TASKS)
    return [unit for unit in units if unit not in done]


def _require_sound(storage: Storage, ledger: Ledger, asked: _Asked, options: RunOptions) -> None:
    """Raises TableDamagedError, RebuildLeftError or CustomersLeftError before anything is written.

    A fetch alone needs no table.
    """
    if not options.rebuild:
        customers_note.require_none(storage)
    if _FETCHES.issuperset(asked.tasks):
        return
    if not options.rebuild:
        rebuild_note.require_none(storage)
    table_states.require_sound(storage, ledger)


def _require_all_well(workspace: Workspace, asked: _Asked, options: RunOptions) -> None:
    """The same without the lease, if nothing is due: a fault that a working run may cause is none.

    Raises PublishLostError too if PostgreSQL lacks runs that it had: there is no run that would send them.
    """
    storage, ledger = workspace.storage, workspace.ledger
    for is_last in (False, True):
        if lease.holder(storage, now=datetime.now(UTC)) is not None:
            return
        try:
            _require_sound(storage, ledger, asked, options)
            break
        except TableDamagedError:
            if is_last:
                raise
    if asked.tasks == ALL_TASKS and ledger.published():
        require_published(ledger, workspace.warehouse)


def _left(ledger: Ledger, asked: _Asked) -> list[RetailerDay]:
    """The units that are not complete; all units if they are forced, or if only some tasks are run."""
    return asked.units if asked.tasks != ALL_TASKS or asked.force else not_done(ledger, asked.units)


def _note_nothing_due(ledger: Ledger, run_id: str, asked: _Asked, *, engine: str) -> None:
    """Record a run with nothing to do, for a named run's later tasks to find. Its own objects need no lease."""
    if asked.name is None or ledger.newest_named(asked.name) is not None:
        return
    ledger.end(run_id, "success", reason="nothing was due")
    ledger.begin(run_id, [], tasks=asked.tasks, engine=engine)


def _require_configuration(workspace: Workspace, units: Sequence[RetailerDay], tasks: Sequence[str]) -> None:
    """Raises ConfigurationError listing every problem; only a run that fetches needs the retailers' secrets."""
    found: list[str] = []
    beside = workspace.settings.folder
    if "ingest" in tasks:
        found += problems(workspace.settings, workspace.secrets, sorted({retailer for retailer, _ in units}))
    for judge in (
        partial(load_row_rules, beside=beside),
        partial(validation.read_all, beside=beside),
        partial(drift.load_limits, beside=beside),
        lambda: jdbc.require(workspace.settings),
    ):
        try:
            judge()
        except ConfigurationError as error:
            found += error.problems
    found += _of_warehouse(workspace, tasks)
    if found:
        raise ConfigurationError(found)


def _of_warehouse(workspace: Workspace, tasks: Sequence[str]) -> list[str]:
    """What PostgreSQL will refuse each time: a login, a right. A server that does not answer stops no fetch.

    Retailers keep their data for a time only, and the same command publishes it once the server is back.
    """
    if workspace.settings.warehouse.embedded or not _OF_WAREHOUSE.intersection(tasks):
        return []
    try:
        warehouse = workspace.warehouse
        lacking = rights.lacking(warehouse) if "transform" in tasks else []
        return [f"{what}; {remedy}" for what, remedy in lacking]
    except ConfigurationError as error:  # the file that should hold the password cannot be read
        return error.problems
    except WarehouseRefusedError as error:
        return [f"{error.message}; {error.hint}"]
    except WarehouseError as error:
        log.warning("PostgreSQL does not answer; the run begins without it", error=error.message)
        return []


def _resumed(ledger: Ledger, units: Sequence[RetailerDay], asked: _Asked) -> Resumed:
    """The run to resume: the named one, or an unfinished run of all tasks."""
    if asked.name is not None:
        steps = [step for task in asked.tasks for step in TASKS[task]]
        return resume.by_name(ledger, asked.name, units, steps=steps, redo=asked.redo)
    if asked.tasks != ALL_TASKS:
        return Resumed()
    return Resumed(ledger.unfinished(units, tasks=asked.tasks, force=asked.force, reconcile=asked.reconcile))


def _begin(
    ledger: Ledger,
    run_id: str,
    units: Sequence[RetailerDay],
    asked: _Asked,
    resumed: Resumed,
    *,
    engine: str,
    span: Span | None,
    backfill: bool,
) -> Run:
    """The run to resume, without the steps to be done again; or a new run, with the steps it inherits."""
    if resumed.run is not None:
        _require_earlier_tasks(ledger, resumed.run, asked.tasks)
        if resumed.again is not None:
            ledger.forget_from(resumed.run.run_id, resumed.again, STEPS)
        if not ledger.reached_merge(resumed.run.run_id):
            _restage_if_stopped(ledger, resumed.run.run_id)
        return ledger.resume_run(resumed.run.run_id)
    if resumed.source is not None:
        _require_earlier_tasks(ledger, ledger.run(resumed.source), asked.tasks)
        ledger.take_over(run_id, resumed.source, resumed.inherited_steps)
    return ledger.begin(
        run_id,
        units,
        tasks=asked.tasks,
        engine=engine,
        span=span,
        backfill=backfill,
        force=asked.force and asked.tasks == ALL_TASKS,
        after_run=resumed.after_run,
        reconcile=asked.reconcile,
    )


def _require_earlier_tasks(ledger: Ledger, run: Run, tasks: Sequence[str]) -> None:
    """Raises ConfigurationError if an earlier task of the run has not ended.

    A run that began with a later task, such as one for existing raw files, never had the earlier ones.
    """
    first, asked = (STEPS.index(TASKS[each[0]][0]) for each in (run.tasks, tasks))
    missing = [step for step in STEPS[first:asked] if ledger.step(run.run_id, step) is None]
    if missing:
        task = next(task for task in ALL_TASKS if missing[0] in TASKS[task])
        raise ConfigurationError(
            [f"`{tasks[0]}` of run {run.run_id} has to wait: its `{task}` has not completed"],
            hint=f"run `retail {task}` with the same --run-id first; `retail status` shows why it did not complete",
        )


def _restage_if_stopped(ledger: Ledger, run_id: str) -> None:
    """Restage a run that the gate stopped: a rule may have been fixed since."""
    if ledger.outcome(run_id) == "stopped":
        ledger.forget_step(run_id, "stage")


def _do(leased: LeasedWorkspace, context: StepContext, tasks: Sequence[str]) -> bool:
    """Do the tasks' steps in order. A step in which the engine lost S3 resumes as after a kill, once S3 answers.

    Returns False if the run pauses before the last of them.
    """
    ledger, run_id, lake = context.ledger, context.run_id, context.settings.lake
    try:
        for step in steps_of(tasks):
            outage.sit_out(
                partial(_do_once, context, step),
                ready=leased.lease.check,
                seconds=lake.s3_retry_seconds,
                url=lake.url,
                waits=partial(context.report.waits, step),
            )
            if step == context.options.last_step:
                return step == STEPS[-1]
        return True
    except QualityError as error:
        ledger.end(run_id, "stopped", reason=error.message)
        raise
    except RetailError as error:
        ledger.end(run_id, "failed", reason=error.message)
        raise
    except Exception as error:  # raised by an engine, a driver or a library
        ledger.end(run_id, "failed", reason=f"{type(error).__name__}: {error}")
        log.exception("run failed")
        raise RetailError(
            f"run {run_id} failed: {type(error).__name__}: {str(error)[:500]}",
            hint="nothing half-done was published; the same command resumes where it stopped",
        ) from error


def _last_time(context: StepContext, step: str) -> float | None:
    """Seconds that the step took in the previous run."""
    ledger, run_id = context.ledger, context.run_id
    before = [each for each in ledger.run_ids() if each < run_id]
    record = ledger.step(before[-1], step) if before else None
    return float(record["seconds"]) if record else None


def _do_once(context: StepContext, step: str) -> None:
    """Do a step and record it, or reuse its record if it has already ended."""
    if step == DESCRIBE and not is_due(context):
        return
    recorded = context.ledger.step(context.run_id, step)
    if recorded is not None:
        context.report.ended(step, recorded["seconds"], recorded["summary"], resumed=True)
        return
    if step in STEPS:
        context.ledger.forget_from(context.run_id, step, STEPS)
    context.report.started(step, last_time=_last_time(context, step))
    started = time.monotonic()
    result = STEP_FUNCTIONS[step](context)
    seconds = time.monotonic() - started
    context.ledger.end_step(context.run_id, step, result.to_json(), seconds=seconds)
    log.info("step ended", step=step, seconds=round(seconds, 2), summary=result.summary)
    context.report.ended(step, seconds, result.summary, resumed=False)
