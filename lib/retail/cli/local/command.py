"""Commands for a laptop: the demo, the simulator, the embedded PostgreSQL."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Final

import click

from retail.cli.local.demo import demo as run_demo
from retail.cli.local.init import init
from retail.cli.options import reporting, with_settings
from retail.cli.output import console
from retail.config.settings import Settings
from retail.warehouse.embedded import server


@click.command()
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 300), help="Days to load.")
@with_settings
def demo(settings: Settings, /, days: int) -> None:
    """Run all steps on real sales, with a retailer simulator and an embedded PostgreSQL."""
    out = console.console()
    with reporting(out) as report:
        sys.exit(run_demo(settings, days, out, report))


@click.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulate(arguments: tuple[str, ...]) -> None:
    """Serve the three retailers' APIs on this machine. See `retail simulate --help`."""
    # Ends with this process, however that ends, because the pipe that is its standard input then closes.
    command = [sys.executable, "-m", "retail_simulator", "--exit-with-parent", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: process.send_signal(number))
    code = process.wait()
    sys.exit(code if code >= 0 else 128 - code)


@click.group()
def warehouse() -> None:
    """Start and stop the embedded PostgreSQL."""


@warehouse.command("start")
@with_settings
def warehouse_start(settings: Settings, /) -> None:
    """Start it and print how to connect."""
    with server.running(settings.warehouse, keep_running=True):
        click.echo(server.psql_command(settings.warehouse))


@warehouse.command("stop")
@with_settings
def warehouse_stop(settings: Settings, /) -> None:
    """Stop it. Its data stays."""
    click.echo("stopped" if server.stop(settings.warehouse) else "it was not running")


COMMANDS: Final[tuple[click.Command, ...]] = (demo, init, simulate, warehouse)
