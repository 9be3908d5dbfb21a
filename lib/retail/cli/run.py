"""The pipeline's commands: `run` and `backfill`, and the tasks of a run one by one."""

from __future__ import annotations

import sys
from typing import Any, Final

import click
from rich.console import Console

from retail.cli.options import Selected, dates, reporting, selected, with_settings
from retail.cli.output import console
from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.errors import NobodyAnsweredError
from retail.landing.estimate import plan as plan_ingest
from retail.pipeline import runner
from retail.pipeline.runner import Result
from retail.pipeline.schedule import due_units, in_parts, oldest
from retail.pipeline.step_context import RunOptions
from retail.pipeline.step_results import counts_of
from retail.pipeline.tasks import STEPS
from retail.pipeline.workspace import Workspace
from retail.runs.days import RetailerDay, Span

_RUN_ID = click.option(
    "--run-id", metavar="NAME", help="The run's name. Tasks with the same name are one run."
)
_REDO = click.option(
    "--redo", is_flag=True, help="With --run-id: repeat the task if that run has already completed it."
)
_AGAIN = click.option("--again", is_flag=True, help="Re-fetch and re-merge days that are already complete.")
_NO_WAIT = click.option(
    "--no-wait", is_flag=True, help="Skip a retailer whose quota is used up, instead of waiting for it."
)
_PLAN = click.option(
    "--plan", is_flag=True, help="Only show what it will take: calls, minutes and quota per retailer."
)


@click.command()
@dates
@click.option(
    "--until", "last_step", type=click.Choice(STEPS), help="Pause after this step; a run without it resumes."
)
@_AGAIN
@_NO_WAIT
@with_settings
def run(settings: Settings, /, *, last_step: str | None, again: bool, no_wait: bool, **dates: Any) -> None:
    """Run all steps for some days. Without days: from each retailer's checkpoint to yesterday.

    Yesterday is yesterday in the retailer's own time zone. --to alone ends earlier.
    """
    chosen = selected(settings, **dates)
    with Workspace(settings, Secrets()) as workspace:
        units = chosen.units
        span = Span.of(units) if units else None
        if units is None:
            units = due_units(workspace, chosen.retailers, until=chosen.until)
        options = RunOptions(force=again, patient=not no_wait, last_step=last_step)
        sys.exit(_whole_way(workspace, units, options, span=span))


@click.command()
@dates
@click.option(
    "--parallel",
    type=click.IntRange(1, 32),
    default=4,
    show_default=True,
    help="Days fetched in parallel per retailer.",
)
@_AGAIN
@_NO_WAIT
@_PLAN
@with_settings
def backfill(
    settings: Settings, /, *, parallel: int, again: bool, no_wait: bool, plan: bool, **dates: Any
) -> None:
    """Run all steps for past days, several in parallel. Moves no checkpoint."""
    units = selected(settings, **dates).require_units()
    if plan:
        _plan(settings, units)
    with Workspace(settings, Secrets()) as workspace:
        options = RunOptions(force=again, patient=not no_wait, parallel=parallel)
        sys.exit(_whole_way(workspace, units, options, span=Span.of(units), backfill=True))


@click.command()
@dates
@click.option(
    "--accept-deletions", is_flag=True, help="Mark orders as deleted even if they are many of their day's."
)
@_NO_WAIT
@with_settings
def reconcile(settings: Settings, /, *, accept_deletions: bool, no_wait: bool, **dates: Any) -> None:
    """Compare complete days with the retailers again: load what is missing, mark what was deleted there.

    Each order created on these days is fetched as it stands now. An order that the star has and the retailer no longer
    has gets the status deleted and is worth nothing, until the retailer has it again. Moves no checkpoint.
    """
    wanted = selected(settings, **dates).require_units()
    with Workspace(settings, Secrets()) as workspace:
        complete = workspace.ledger.done()
        units = [unit for unit in wanted if unit in complete]
        if len(units) < len(wanted):
            console.console().print(
                f"{len(wanted) - len(units)} of {len(wanted)} retailer-days are not complete and are not compared; "
                "`retail run` loads them."
            )
        options = RunOptions(force=True, patient=not no_wait, accept_deletions=accept_deletions)
        span = Span.of(wanted)
        sys.exit(
            _whole_way(workspace, units, options, span=span, backfill=True, reconcile=True) if units else 3
        )


@click.command()
@dates
@_RUN_ID
@_REDO
@_NO_WAIT
@_PLAN
@with_settings
def ingest(
    settings: Settings, /, *, run_id: str | None, redo: bool, no_wait: bool, plan: bool, **dates: Any
) -> None:
    """Steps 1-2: fetch the retailers' sales and land them as raw files.

    Without days: the days of the run that --run-id names or, if there is none yet, from the checkpoint to yesterday.
    """
    if plan:
        _plan(settings, selected(settings, **dates).require_units())
    _task(settings, "ingest", RunOptions(patient=not no_wait), run_id=run_id, redo=redo, **dates)


@click.command()
@dates
@_RUN_ID
@_REDO
@click.option("--again", is_flag=True, help="Refresh all views, even if nothing has changed.")
@with_settings
def refresh(settings: Settings, /, *, run_id: str | None, redo: bool, again: bool, **dates: Any) -> None:
    """Step 8: refresh the materialized views whose data has changed."""
    _task(settings, "refresh", RunOptions(force=again), run_id=run_id, redo=redo, **dates)


def _command(name: str, text: str) -> click.Command:
    @click.command(name, help=text)
    @dates
    @_RUN_ID
    @_REDO
    @with_settings
    def command(settings: Settings, /, *, run_id: str | None, redo: bool, **dates: Any) -> None:
        _task(settings, name, RunOptions(), run_id=run_id, redo=redo, **dates)

    return command


def _whole_way(
    workspace: Workspace,
    units: list[RetailerDay],
    options: RunOptions,
    *,
    span: Span | None = None,
    backfill: bool = False,
    reconcile: bool = False,
) -> int:
    """Process all units completely, in several runs if there are many days; returns the exit code.

    A retailer that failed is not asked for later days, unless it answers for others. Raises NobodyAnsweredError if all
    of them failed in every part.
    """
    out = console.console()
    failed: dict[str, str] = {}
    given_up: set[str] = set()
    nobody: NobodyAnsweredError | None = None
    left = units if options.force else runner.not_done(workspace.ledger, units)
    parts = list(in_parts(left, workspace.settings.runs.days_a_run)) or [units]
    completed = 0
    for number, part in enumerate(parts, start=1):
        asked = [unit for unit in part if unit[0] not in given_up]
        if len(parts) > 1:
            skipped = "" if asked else f", skipped: {', '.join(sorted(given_up))} FAILED"
            out.print(f"part {number} of {len(parts)}: {part[0][1]} to {part[-1][1]}{skipped}")
        if part and not asked:
            continue
        try:
            with reporting(out) as report:
                result = runner.run(
                    workspace,
                    asked,
                    report,
                    options=options,
                    span=span,
                    backfill=backfill,
                    reconcile=reconcile,
                )
        except NobodyAnsweredError as error:
            if len(parts) == 1:
                raise
            console.show_failed(out, error.failed, force=options.force, reconcile=reconcile)
            nobody = error
            failed |= error.failed
            given_up |= error.failed.keys()
            continue
        completed += 1
        _show(out, workspace, result)
        failed |= result.failed
        given_up |= result.failed.keys() - result.answers
    if nobody is not None and not completed:
        raise nobody
    return 3 if failed else 0


def _task(
    settings: Settings, task: str, options: RunOptions, *, run_id: str | None, redo: bool, **dates: Any
) -> None:
    chosen = selected(settings, **dates)
    if redo and run_id is None:
        raise click.UsageError("--redo needs --run-id")
    if run_id is None:
        chosen.require_units()
    out = console.console()
    with Workspace(settings, Secrets()) as workspace:
        units = chosen.units
        if units is None:
            assert run_id is not None  # noqa: S101 - else the days were required
            units = _of_named(workspace, task, run_id, chosen)
        with reporting(out) as report:
            result = runner.run(
                workspace, units, report, tasks=(task,), options=options, name=run_id, redo=redo
            )
        _show(out, workspace, result)
    sys.exit(result.exit_code)


def _of_named(workspace: Workspace, task: str, name: str, chosen: Selected) -> list[RetailerDay]:
    """The named run's units; for a fetch without any yet, the oldest due units."""
    found = workspace.ledger.newest_named(name)
    if found is not None and (found.units or task != "ingest"):
        if found.units and chosen.only and set(chosen.only) != set(found.retailers):
            raise click.UsageError(
                f"--only {', '.join(chosen.only)}: run {found.run_id} is for {', '.join(found.retailers)}"
            )
        if found.units and chosen.until and chosen.until < found.dates[-1]:
            raise click.UsageError(
                f"--to {chosen.until}: run {found.run_id} ends on {found.dates[-1]}; use a new --run-id for fewer days"
            )
        return list(found.units)
    if task != "ingest":
        raise click.UsageError(f"there is no run {name}: start it with `retail ingest --run-id {name}`")
    units = due_units(workspace, chosen.retailers, until=chosen.until)
    return oldest(units, workspace.settings.runs.days_a_run)


def _show(out: Console, workspace: Workspace, result: Result) -> None:
    console.show_result(out, result, counts_of(workspace.ledger, result.run_id) if result.run_id else [])


def _plan(settings: Settings, wanted: list[RetailerDay]) -> None:
    out = console.console()
    planned = plan_ingest(settings, Secrets().with_references(settings.secrets), wanted)
    console.show_plan(out, planned)
    sys.exit(3 if any(each.failure for each in planned) else 0)


COMMANDS: Final[tuple[click.Command, ...]] = (
    run,
    backfill,
    reconcile,
    ingest,
    _command(
        "land",
        "Step 2 alone: rebuild raw files from the fetched pages, without calling the API.",
    ),
    _command("transform", "Steps 3-6: raw files to the Delta star and to PostgreSQL."),
    _command(
        "check", "Step 7: check expectations on the star, and rows and money of Delta against PostgreSQL."
    ),
    refresh,
)
