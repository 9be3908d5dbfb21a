"""Commands for what is there: keep the lake's tables small and quick, see what they hold, take a publish back."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import click

from retail import terminal
from retail.cli.options import with_settings
from retail.maintain import NotMaintainedError
from retail.maintain import maintain as maintain_lake
from retail.maintain import show as show_maintained
from retail.resources import Resources
from retail.rollback import roll_back
from retail.rollback import show as show_rolled_back
from retail.secrets import Secrets
from retail.settings import Settings
from retail.shown_profile import show_profile


@click.command()
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and change nothing.")
@with_settings
def maintain(settings: Settings, /, *, dry_run: bool) -> None:
    """Compact the Delta tables, write checkpoints, delete what no version of the promised days has.

    Waits for nobody: while a run works it says which, and ends with 1; a run that starts meanwhile does the same.
    A table that fails is named at the end, which is then 1; the others are done.
    """
    with Resources(settings, Secrets()) as resources:
        try:
            done = maintain_lake(
                resources.storage,
                settings.maintain,
                dry_run=dry_run,
                lease_lifetime=timedelta(seconds=settings.runs.lease_seconds),
            )
        except NotMaintainedError as error:
            show_maintained(terminal.console(), error.done, settings.maintain, dry_run=dry_run)
            raise
    show_maintained(terminal.console(), done, settings.maintain, dry_run=dry_run)


@click.command()
@click.argument("table", required=False)
@click.option("--run", "run_id", metavar="RUN", help="Which run [the newest].")
@with_settings
def profile(settings: Settings, /, *, table: str | None, run_id: str | None) -> None:
    """What each column held at a run's check, and in what it has drifted from the runs before."""
    with Resources(settings, Secrets()) as resources:
        show_profile(resources, terminal.console(), table, run_id)


@click.command()
@click.option(
    "--rollback", is_flag=True, help="Bring PostgreSQL and its views back to the publish before the newest."
)
@with_settings
def publish(settings: Settings, /, *, rollback: bool) -> None:
    """Take the newest publish back. To publish is a part of `retail transform` and `retail run`."""
    if not rollback:
        raise click.UsageError("publishing is a part of `retail transform`; --rollback takes a publish back")
    with Resources(settings, Secrets()) as resources:
        done = roll_back(resources)
        show_rolled_back(terminal.console(), resources.ledger, done)


COMMANDS: Final[tuple[click.Command, ...]] = (maintain, profile, publish)
