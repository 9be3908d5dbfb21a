"""The pipeline's commands: `run`, and its tasks one by one."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from retail import pipeline, terminal
from retail.cli.options import dates, reporting, units, with_settings
from retail.job import counts_of
from retail.planning import plan as plan_ingest
from retail.resources import Resources
from retail.runs.ledger import Unit
from retail.secrets import Secrets
from retail.settings import Settings

_RUN_ID = click.option("--run-id", metavar="NAME", help="The run's name; tasks that share it are one run.")
_NO_WAIT = click.option(
    "--no-wait", is_flag=True, help="Give a retailer up whose quota is used up, instead of waiting for it."
)


@click.command()
@dates
@click.option("--again", is_flag=True, help="Fetch and merge days anew that are done already.")
@_NO_WAIT
@with_settings
def run(settings: Settings, /, *, again: bool, no_wait: bool, **dates: Any) -> None:
    """The whole way for one or more days: ingest, transform, check, refresh."""
    _pipeline(settings, pipeline.ALL_TASKS, again=again, patient=not no_wait, **dates)


@click.command()
@dates
@_RUN_ID
@_NO_WAIT
@click.option("--plan", is_flag=True, help="Only tell what it will take: calls, minutes, quota per retailer.")
@with_settings
def ingest(settings: Settings, /, *, run_id: str | None, no_wait: bool, plan: bool, **dates: Any) -> None:
    """Steps 1-2: fetch the retailers' sales and land them as raw files."""
    if plan:
        _plan(settings, units(settings, **dates))
    else:
        _pipeline(settings, ("ingest",), run_id=run_id, patient=not no_wait, **dates)


@click.command()
@dates
@_RUN_ID
@click.option("--again", is_flag=True, help="All six views, though nothing that they read has changed.")
@with_settings
def refresh(settings: Settings, /, *, run_id: str | None, again: bool, **dates: Any) -> None:
    """Step 8: refresh the materialized views that have anything new."""
    _pipeline(settings, ("refresh",), run_id=run_id, again=again, **dates)


def _task(name: str, text: str) -> click.Command:
    @click.command(name, help=text)
    @dates
    @_RUN_ID
    @with_settings
    def command(settings: Settings, /, *, run_id: str | None, **dates: Any) -> None:
        _pipeline(settings, (name,), run_id=run_id, **dates)

    return command


def _pipeline(
    settings: Settings,
    tasks: tuple[str, ...],
    *,
    again: bool = False,
    patient: bool = True,
    run_id: str | None = None,
    **dates: Any,
) -> None:
    wanted = units(settings, **dates)
    out = terminal.console()
    with Resources(settings, Secrets()) as resources:
        with reporting(out) as report:
            result = pipeline.run(
                resources, wanted, report, tasks=tasks, again=again, patient=patient, name=run_id
            )
        terminal.show_result(out, result, counts_of(resources.ledger, result.run_id) if result.run_id else [])
    sys.exit(result.exit_code)


def _plan(settings: Settings, wanted: list[Unit]) -> None:
    out = terminal.console()
    planned = plan_ingest(settings, Secrets(), wanted)
    terminal.show_plan(out, planned)
    sys.exit(3 if any(each.failure for each in planned) else 0)


COMMANDS: Final[tuple[click.Command, ...]] = (
    run,
    ingest,
    _task(
        "land",
        "Step 2 alone: raw files anew from what was fetched, without a call, after a mapping was mended.",
    ),
    _task("transform", "Steps 3-6: raw files to the Delta star and to PostgreSQL."),
    _task("check", "Step 7: expectations over the star, and rows and money of Delta and PostgreSQL."),
    refresh,
)
