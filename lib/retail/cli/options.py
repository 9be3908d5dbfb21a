"""Shared by the commands: error handling, the settings of `--conf`, days and retailers, and the report."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Concatenate, Final, ParamSpec

import click
from rich.console import Console

from retail.cli.output.progress import LiveReport, PlainReport
from retail.config.settings import Settings
from retail.errors import RetailError
from retail.outgoing_text import printable
from retail.runs.days import RetailerDay, units_of

P = ParamSpec("P")

DAY = click.DateTime(["%Y-%m-%d"])


# The commands grouped by purpose, in the order of `--help`.
COMMAND_GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "Run": ("run", "backfill"),
    "Steps": ("ingest", "land", "transform", "check", "refresh"),
    "Inspect": ("status", "explain", "profile", "data-docs", "sql", "doctor"),
    "Repair": ("reconcile", "quarantine", "publish", "rebuild", "maintain"),
    "Customers": ("erase", "pepper"),
    "Local": ("init", "demo", "simulate", "warehouse"),
}


class Commands(click.Group):
    """Turns every error into its message, its next step and its exit code; shows its commands in groups."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in COMMAND_GROUPS.items():
            with formatter.section(title):
                commands = ((name, self.get_command(ctx, name)) for name in names)
                formatter.write_dl(
                    [
                        (name, each.get_short_help_str(limit=200))
                        for name, each in commands
                        if each is not None
                    ]
                )

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RetailError as error:
            click.echo(f"retail: [{error.code}] {printable(str(error))}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("retail: interrupted; the same command resumes where it stopped", err=True)
            ctx.exit(1)


def with_settings(command: Callable[Concatenate[Settings, P], None]) -> Callable[P, None]:
    """Passes the settings of `--conf` to the command."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        command(click.get_current_context().obj(), *args, **kwargs)

    return wrapped


def dates(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --date, --from, --to and --only."""
    for option in (
        click.option(
            "--only", multiple=True, metavar="RETAILER", help="Only this retailer. Repeat it for more."
        ),
        click.option("--to", "until", type=DAY, metavar="DATE", help="Last logical date."),
        click.option("--from", "since", type=DAY, metavar="DATE", help="First logical date."),
        click.option("--date", "on", type=DAY, metavar="DATE", help="One logical date."),
    ):
        command = option(command)
    return command


@dataclass(frozen=True)
class Selected:
    """The retailers and days that the options of `dates` name. `units` is None if only an end of the range is named.

    `only` are the named retailers; empty means all.
    """

    retailers: tuple[str, ...]
    only: tuple[str, ...]
    units: list[RetailerDay] | None
    until: date | None

    def require_units(self) -> list[RetailerDay]:
        """The units. Raises UsageError if no days are named."""
        if self.units is None:
            raise click.UsageError("name the days: --date D, or --from D --to D")
        return self.units


def selected(
    settings: Settings,
    *,
    on: datetime | None,
    since: datetime | None,
    until: datetime | None,
    only: tuple[str, ...],
) -> Selected:
    """The retailers and days that the options of `dates` name. Raises UsageError."""
    unknown = sorted(set(only) - set(settings.retailers))
    if unknown:
        known = ", ".join(settings.retailers)
        raise click.UsageError(f"--only {', '.join(unknown)}: the configuration has {known}")
    retailers = only or tuple(settings.retailers)
    last = until.date() if until else None
    if on is None and since is None:
        return Selected(retailers, only, None, last)
    if (on is not None and (since is not None or until is not None)) or (since is not None and until is None):
        raise click.UsageError("name the days: --date D, or --from D --to D")
    begin, end = (on or since, on or until)
    assert begin is not None and end is not None  # noqa: S101
    return Selected(
        retailers, only, list(units_of(retailers, _days(settings, begin.date(), end.date()))), None
    )


def _days(settings: Settings, first: date, last: date) -> Iterator[date]:
    if first > last:
        raise click.UsageError(f"--from {first} is later than --to {last}")
    if first < settings.start_date:
        raise click.UsageError(f"{first} is before start_date {settings.start_date} of the configuration")
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


@contextmanager
def reporting(out: Console) -> Iterator[PlainReport]:
    """Where a command reports progress: live on a terminal, else in lines."""
    with LiveReport(out) if out.is_terminal else PlainReport(out) as report:
        yield report
