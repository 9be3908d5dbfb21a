"""Maintenance commands: keep the lake's tables small and fast, show what they hold, take a publish back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from retail.cli.options import with_settings
from retail.cli.output import console
from retail.cli.status import next_commands
from retail.cli.status.profile import show_profile
from retail.config.secrets import Secrets
from retail.config.settings import MaintainSettings, Settings
from retail.pipeline.maintain import Maintained, NotMaintainedError
from retail.pipeline.maintain import maintain as maintain_lake
from retail.pipeline.rollback import roll_back
from retail.pipeline.workspace import Workspace
from retail.runs.ledger import Ledger
from retail.warehouse.rollback import InEffect, RolledBack


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@with_settings
def maintain(settings: Settings, /, *, dry_run: bool) -> None:
    """Compact the Delta tables, write checkpoints, and delete files past the retention period.

    Does not wait: if a run is working, it names that run and exits with 1, as a run does that starts meanwhile.
    If a table fails, the others are still maintained; the command names it and exits with 1.
    """
    with Workspace(settings, Secrets()) as workspace:
        try:
            done = maintain_lake(
                workspace.storage,
                settings.maintain,
                dry_run=dry_run,
                lease_lifetime=timedelta(seconds=settings.runs.lease_seconds),
            )
        except NotMaintainedError as error:
            _show_maintained(console.console(), error.done, settings.maintain, dry_run=dry_run)
            raise
    _show_maintained(console.console(), done, settings.maintain, dry_run=dry_run)


@click.command()
@click.argument("table", required=False)
@click.option("--run", "run_id", metavar="RUN", help="The run to show [the newest].")
@with_settings
def profile(settings: Settings, /, *, table: str | None, run_id: str | None) -> None:
    """Show each column's profile at a run's check, and how it has drifted."""
    with Workspace(settings, Secrets()) as workspace:
        show_profile(workspace, console.console(), table, run_id)


@click.command()
@click.option(
    "--rollback", is_flag=True, help="Restore PostgreSQL and its views to the publish before the newest."
)
@click.option(
    "--run",
    "of_run",
    metavar="RUN",
    help="The run whose publish to take back: given again, it is found done.",
)
@with_settings
def publish(settings: Settings, /, *, rollback: bool, of_run: str | None) -> None:
    """Take back the newest publish. (`retail transform` and `retail run` publish.)

    Given again without --run, before anything is published, it finds that done; --run takes a further publish back.
    """
    if not rollback:
        raise click.UsageError(
            "to publish, run `retail transform`; this command only takes a publish back, with --rollback"
        )
    with Workspace(settings, Secrets()) as workspace:
        done = roll_back(workspace, of_run)
        if isinstance(done, InEffect):
            _show_done_before(console.console(), done)
        else:
            _show_rolled_back(console.console(), workspace.ledger, done)


def _show_done_before(out: Console, done: InEffect) -> None:
    """Print that the publish is rolled back already, and how to take the one before it back."""
    out.print(
        f"rolled back   {', '.join(done.taken_back)}, on {done.rolled_back_at:%Y-%m-%d %H:%M:%S}Z by {done.run_id};"
        " nothing to do",
        soft_wrap=True,
    )
    out.print(f"shown now     {done.shown_run_id}")
    out.print(
        f"next: to take that publish back too: retail publish --rollback --run {done.shown_run_id}",
        soft_wrap=True,
    )


def _show_rolled_back(out: Console, ledger: Ledger, done: RolledBack) -> None:
    """Print what was taken back, what is shown now, and how to continue."""
    back, shown = done.taken_back, done.shown
    out.print(f"rolled back   {', '.join(back.run_ids)}, published {back.published_at:%Y-%m-%d %H:%M:%S}Z")
    out.print(f"shown now     {shown.run_ids[-1]}, published {shown.published_at:%Y-%m-%d %H:%M:%S}Z")
    for each in done.tables:
        if each.restored or each.removed:
            out.print(f"{each.table:<13} {each.restored:,} rows restored, {each.removed:,} rows removed")
    out.print(
        f"{done.restated_days:,} published days restated (retail status --restated --run {done.run_id});"
        " PostgreSQL = Delta at that publish"
    )
    out.print(
        "views = PostgreSQL"
        if done.views_renewed
        else "the views did not show that publish yet and are unchanged"
    )
    again = next_commands.again(ledger, back.run_ids)
    out.print(f"next: fix the cause; to publish, check and show them again: {again}", soft_wrap=True)


def _show_maintained(
    out: Console, done: Iterable[Maintained], settings: MaintainSettings, *, dry_run: bool
) -> None:
    """Print what was done to each table, or would be done."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    headings = ("files", "small", "after", "deleted", "MiB freed", "log entries deleted", "versions kept")
    shown.add_column("table", no_wrap=True)
    for heading in headings:
        shown.add_column(heading, justify="right", no_wrap=True)
    for each in done:
        after = "" if each.files_after is None else f"{each.files_after:,}"
        counts = (each.files_before, each.to_compact)
        deleted = (
            each.deleted,
            f"{each.freed_bytes / 2**20:,.1f}",
            each.log_entries_deleted,
            each.versions_kept,
        )
        shown.add_row(each.table, *map(str, counts), after, *map(str, deleted))
    out.print(shown)
    tense = "would be deleted" if dry_run else "were deleted"
    out.print(
        f"\nFiles that no version of the last {settings.retention_days} days uses {tense} (maintain.retention_days)."
        + (" Nothing was changed: this was a dry run." if dry_run else ""),
        markup=False,
    )


COMMANDS: Final[tuple[click.Command, ...]] = (maintain, profile, publish)
