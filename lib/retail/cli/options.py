"""What the commands share: how an error ends one, the settings of `--conf`, days and retailers, and the report."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any, Concatenate, ParamSpec

import click
from rich.console import Console

from retail import terminal
from retail.errors import RetailError
from retail.runs.ledger import Unit, units_of
from retail.settings import Settings

P = ParamSpec("P")

DAY = click.DateTime(["%Y-%m-%d"])


class Failing(click.Group):
    """Turns every error into its message, its next step and its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RetailError as error:
            click.echo(f"retail: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("retail: interrupted; the same command goes on where it stopped", err=True)
            ctx.exit(1)


def with_settings(command: Callable[Concatenate[Settings, P], None]) -> Callable[P, None]:
    """Gives the command the settings of `--conf`."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        command(click.get_current_context().obj(), *args, **kwargs)

    return wrapped


def dates(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --date, --from, --to and --only."""
    for option in (
        click.option(
            "--only", multiple=True, metavar="RETAILER", help="Only this retailer; may be repeated."
        ),
        click.option("--to", "until", type=DAY, help="Last logical date."),
        click.option("--from", "since", type=DAY, help="First logical date."),
        click.option("--date", "on", type=DAY, help="One logical date."),
    ):
        command = option(command)
    return command


def units(
    settings: Settings,
    *,
    on: datetime | None,
    since: datetime | None,
    until: datetime | None,
    only: tuple[str, ...],
) -> list[Unit]:
    """The retailers and days that the options of `dates` name. Raises UsageError."""
    days = list(_days(settings, on, since, until))
    unknown = sorted(set(only) - set(settings.retailers))
    if unknown:
        known = ", ".join(settings.retailers)
        raise click.UsageError(f"--only {', '.join(unknown)}: the configuration has {known}")
    return list(units_of(only or settings.retailers, days))


def _days(
    settings: Settings, on: datetime | None, since: datetime | None, until: datetime | None
) -> Iterator[date]:
    if (on is None) == (since is None and until is None) or (since is None) != (until is None):
        raise click.UsageError("name the days: --date D, or --from D --to D")
    first, last = (on or since, on or until)
    assert first is not None and last is not None  # noqa: S101
    if first > last:
        raise click.UsageError(f"--from {first:%Y-%m-%d} is later than --to {last:%Y-%m-%d}")
    if first.date() < settings.start_date:
        raise click.UsageError(
            f"{first:%Y-%m-%d} lies before start_date {settings.start_date} of the configuration"
        )
    for offset in range((last - first).days + 1):
        yield first.date() + timedelta(days=offset)


@contextmanager
def reporting(out: Console) -> Iterator[terminal.PlainReport]:
    """Where a command tells how it goes: live on a terminal, else a line a step."""
    if not out.is_terminal:
        yield terminal.PlainReport(out)
        return
    with terminal.LiveReport(out) as report:
        yield report
