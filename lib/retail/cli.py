"""The command `retail`. Exit codes: 0 all well, 2 usage or configuration, 3 partial, 4 quality, 1 anything else."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import click
from rich.console import Console

from retail import logs, pipeline, terminal
from retail.demo import demo as run_demo
from retail.doctor import examine
from retail.errors import RetailError
from retail.planning import plan as plan_ingest
from retail.resources import Resources
from retail.runs.ledger import Unit, units_of
from retail.secrets import Secrets
from retail.settings import Settings, load_settings
from retail.status import show_status
from retail.warehouse import embedded

P = ParamSpec("P")


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


@click.group(cls=Failing, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--conf", type=click.Path(path_type=Path), help="TOML file [RETAIL_CONF, conf/local.toml].")
@click.option("-v", "--verbose", is_flag=True, help="Log each step to stderr.")
@click.version_option(package_name="retail-lakehouse")
@click.pass_context
def main(ctx: click.Context, conf: Path | None, verbose: bool) -> None:
    """Retailers' sales to a Delta star and PostgreSQL views, every row and cent tied out."""
    logs.configure(verbose=verbose)
    ctx.obj = functools.cache(lambda: load_settings(conf))


def _with_settings(command: Callable[Concatenate[Settings, P], None]) -> Callable[P, None]:
    """Gives the command the settings of `--conf`."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        command(click.get_current_context().obj(), *args, **kwargs)

    return wrapped


def _dates(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --date, --from, --to and --only."""
    day = click.DateTime(["%Y-%m-%d"])
    for option in (
        click.option(
            "--only", multiple=True, metavar="RETAILER", help="Only this retailer; may be repeated."
        ),
        click.option("--to", "until", type=day, help="Last logical date."),
        click.option("--from", "since", type=day, help="First logical date."),
        click.option("--date", "on", type=day, help="One logical date."),
    ):
        command = option(command)
    return command


_RUN_ID = click.option("--run-id", metavar="NAME", help="The run's name; tasks that share it are one run.")
_NO_WAIT = click.option(
    "--no-wait", is_flag=True, help="Give a retailer up whose quota is used up, instead of waiting for it."
)


@main.command()
@_dates
@click.option("--again", is_flag=True, help="Fetch and merge days anew that are done already.")
@_NO_WAIT
@_with_settings
def run(settings: Settings, /, *, again: bool, no_wait: bool, **dates: Any) -> None:
    """The whole way for one or more days: ingest, transform, check, refresh."""
    _pipeline(settings, pipeline.ALL_TASKS, again=again, patient=not no_wait, **dates)


@main.command()
@_dates
@_RUN_ID
@_NO_WAIT
@click.option("--plan", is_flag=True, help="Only tell what it will take: calls, minutes, quota per retailer.")
@_with_settings
def ingest(settings: Settings, /, *, run_id: str | None, no_wait: bool, plan: bool, **dates: Any) -> None:
    """Steps 1-2: fetch the retailers' sales and land them as raw files."""
    if plan:
        _plan(settings, _units(settings, **dates))
    else:
        _pipeline(settings, ("ingest",), run_id=run_id, patient=not no_wait, **dates)


def _task(name: str, text: str) -> None:
    @main.command(name, help=text)
    @_dates
    @_RUN_ID
    @_with_settings
    def command(settings: Settings, /, *, run_id: str | None, **dates: Any) -> None:
        _pipeline(settings, (name,), run_id=run_id, **dates)


_task(
    "land", "Step 2 alone: raw files anew from what was fetched, without a call, after a mapping was mended."
)
_task("transform", "Steps 3-6: raw files to the Delta star and to PostgreSQL.")
_task("check", "Step 7: expectations over the star, and rows and money of Delta and PostgreSQL.")
_task("refresh", "Step 8: refresh the six materialized views.")


@main.command()
@_with_settings
def status(settings: Settings, /) -> None:
    """Runs, their steps, and how far each retailer has come."""
    with Resources(settings, Secrets()) as resources:
        show_status(resources, terminal.console())


@main.command()
@_with_settings
def doctor(settings: Settings, /) -> None:
    """Is everything there: engine, storage, PostgreSQL, secrets; and what to do if not."""
    sys.exit(examine(settings, Secrets(), terminal.console()))


@main.command()
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 300), help="Days to bring in.")
@_with_settings
def demo(settings: Settings, /, days: int) -> None:
    """The whole way on real sales, with a simulator for the retailers and a PostgreSQL of our own."""
    out = terminal.console()
    with _reporting(out) as report:
        sys.exit(run_demo(settings, days, out, report))


@main.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulate(arguments: tuple[str, ...]) -> None:
    """The three retailers' APIs on this machine; `retail simulate --help` lists the options."""
    sys.exit(subprocess.call([sys.executable, "-m", "retail_simulator", *arguments]))  # noqa: S603


@main.group()
def warehouse() -> None:
    """The embedded PostgreSQL: start and stop it."""


@warehouse.command("start")
@_with_settings
def warehouse_start(settings: Settings, /) -> None:
    """Start it, and say how to reach it."""
    with embedded.running(settings.warehouse, keep_running=True):
        click.echo(embedded.psql_command(settings.warehouse))


@warehouse.command("stop")
@_with_settings
def warehouse_stop(settings: Settings, /) -> None:
    """Stop it; its data stays."""
    click.echo("stopped" if embedded.stop(settings.warehouse) else "it was not running")


def _pipeline(
    settings: Settings,
    tasks: tuple[str, ...],
    *,
    again: bool = False,
    patient: bool = True,
    run_id: str | None = None,
    **dates: Any,
) -> None:
    units = _units(settings, **dates)
    out = terminal.console()
    with Resources(settings, Secrets()) as resources:
        with _reporting(out) as report:
            result = pipeline.run(
                resources, units, report, tasks=tasks, again=again, patient=patient, name=run_id
            )
        terminal.show_result(out, result, pipeline.tie_out_of(resources, result.run_id))
    sys.exit(result.exit_code)


def _plan(settings: Settings, units: list[Unit]) -> None:
    out = terminal.console()
    planned = plan_ingest(settings, Secrets(), units)
    terminal.show_plan(out, planned)
    sys.exit(3 if any(each.failure for each in planned) else 0)


def _units(
    settings: Settings,
    *,
    on: datetime | None,
    since: datetime | None,
    until: datetime | None,
    only: tuple[str, ...],
) -> list[Unit]:
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
def _reporting(out: Console) -> Iterator[terminal.PlainReport]:
    if not out.is_terminal:
        yield terminal.PlainReport(out)
        return
    with terminal.LiveReport(out) as report:
        yield report


if __name__ == "__main__":
    main()
