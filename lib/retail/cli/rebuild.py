"""`retail rebuild`: damaged tables of the lake from raw files, PostgreSQL from Delta."""

from __future__ import annotations

import sys
from datetime import date, datetime
from typing import Final

import click
from rich.console import Console

from retail.cli.options import DAY, reporting, with_settings
from retail.cli.output import console
from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.pipeline.published import require_own
from retail.pipeline.rebuild import FROM_RAW, STARTED_OVER, Rebuilt, rebuild_postgresql, rebuild_tables
from retail.pipeline.step_results import PublishResult, counts_of
from retail.pipeline.workspace import Workspace
from retail.runs import customers_note
from retail.runs.table_states import are_equal, in_words


@click.command()
@click.option(
    "--table",
    "tables",
    multiple=True,
    type=click.Choice((*FROM_RAW, *STARTED_OVER)),
    help="Make this table of the lake again, from the raw files. Repeat it for more.",
)
@click.option("--postgresql", is_flag=True, help="Bring PostgreSQL to what Delta has, whatever it holds.")
@click.option("--replace", is_flag=True, help="With --postgresql: also what another lake published may go.")
@click.option(
    "--from",
    "since",
    type=DAY,
    metavar="DATE",
    help="If data files of some days are missing: first logical date to rebuild.",
)
@click.option("--to", "until", type=DAY, metavar="DATE", help="Last logical date to rebuild [all dates].")
@with_settings
def rebuild(
    settings: Settings,
    /,
    *,
    tables: tuple[str, ...],
    postgresql: bool,
    replace: bool,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Make damaged tables again: Delta's from raw files, PostgreSQL's from Delta. Asks no retailer.

    The result is published, checked against Delta and shown; days whose figures changed are restated, others not. A
    killed rebuild is resumed by the same command. Until it has ended, no run works. The tables staged and profile are
    only emptied: the next run fills them.
    """
    if bool(tables) == postgresql:
        raise click.UsageError("name what to rebuild: --table NAME, or --postgresql")
    if replace and not postgresql:
        raise click.UsageError("--replace needs --postgresql")
    if (since is None) != (until is None) or (postgresql and since):
        raise click.UsageError("name the days of --table: --from D --to D, or none for all days")
    first, last = since.date() if since else None, until.date() if until else None
    if first and last and first > last:
        raise click.UsageError(f"--from {first} is later than --to {last}")
    out = console.console()
    with Workspace(settings, Secrets()) as workspace:
        customers_note.require_none(workspace.storage)
        with reporting(out) as report:
            if postgresql:
                result = rebuild_postgresql(workspace, report, with_others=replace)
            else:
                require_own(workspace.ledger, workspace.warehouse)
                rebuilt = rebuild_tables(
                    workspace, tables, report, first=first, last=last, command=_command(tables, first, last)
                )
        if not postgresql:
            _show(out, rebuilt)
            return
        assert result.run_id is not None  # noqa: S101 - a rebuild always has a day
        console.show_result(out, result, counts_of(workspace.ledger, result.run_id))
        published = PublishResult.of(workspace.ledger, result.run_id)
        _show_restated(out, 0 if published is None else published.restated_days, result.run_id)
    sys.exit(result.exit_code)


def _command(tables: tuple[str, ...], first: date | None, last: date | None) -> str:
    named = " ".join(f"--table {table}" for table in tables)
    return f"retail rebuild {named}" + (f" --from {first} --to {last}" if first else "")


def _show(out: Console, rebuilt: Rebuilt) -> None:
    """Print what the fact holds now and, if it is known, held before."""
    out.print(f"rebuilt       {', '.join(rebuilt.tables)}")
    if rebuilt.run_id is None:
        out.print("emptied; the next run fills them")
        return
    rows, money = rebuilt.now
    now = f"fact_sales    {rows:,} rows, {in_words(money)}"
    if rebuilt.before is None:
        out.print(now, soft_wrap=True)
    elif rebuilt.before[0] == rows and are_equal(rebuilt.before[1], money):
        out.print(f"{now}: what the last run left", soft_wrap=True)
    else:
        was = f"{rebuilt.before[0]:,} rows, {in_words(rebuilt.before[1])}"
        out.print(f"{now}; the last run left {was}", soft_wrap=True)
    _show_restated(out, rebuilt.restated_days, rebuilt.run_id)


def _show_restated(out: Console, days: int, run_id: str) -> None:
    how = f" (retail status --restated --run {run_id})" if days else ""
    out.print(
        f"{days:,} published days restated{how}; PostgreSQL = Delta, views = PostgreSQL", soft_wrap=True
    )


COMMANDS: Final[tuple[click.Command, ...]] = (rebuild,)
