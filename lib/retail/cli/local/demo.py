"""`retail demo`: the main job on real sales, with nothing to set up.

A simulator plays the three retailers in a process of its own; everything else is what runs in production. Only the
retailers' base addresses are overridden, because the simulator listens on a free port.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rich.console import Console

from retail.cli.output import console
from retail.cli.output.progress import PlainReport
from retail.config.environment import for_server
from retail.config.secrets import Secrets
from retail.config.settings import Settings, home
from retail.errors import ConfigurationError, RetailError
from retail.pipeline import runner
from retail.pipeline.step_results import counts_of
from retail.pipeline.workspace import Workspace
from retail.runs.days import units_of
from retail.warehouse.embedded import server
from retail.warehouse.sample import first_rows

SHOWN_ROWS: Final = 3
# The retailers' clocks are this far ahead of the last requested day.
CLOCK_AHEAD: Final = timedelta(days=2)
SECONDS_TO_START: Final = 120
_SECONDS_TO_END: Final = 15


def demo(settings: Settings, days: int, out: Console, report: PlainReport) -> int:
    """Run `days` days from the simulator to the views, show the result, and suggest what to do next.

    Raises ConfigurationError for a configuration of real retailers, or one whose lake or server others may share.
    """
    if found := real_parts(settings):
        raise ConfigurationError(
            found, hint="the demo is for conf/local.toml: unset RETAIL_CONF and the RETAIL_… variables"
        )
    started = time.monotonic()
    environment = demo_environment()
    dates = [settings.start_date + timedelta(days=n) for n in range(days)]
    units = list(units_of(settings.retailers, dates))
    with (
        simulator(environment, clock=_noon_of(dates[-1]) + CLOCK_AHEAD) as address,
        Workspace(pointed_at(settings, address), Secrets(environment)) as work,
    ):
        span = f"{days} days of real sales, {dates[0]} to {dates[-1]}"
        out.print(f"{span}, from three simulated retailers at {address}\n")
        result = runner.run(work, units, report)
        shown = result.run_id or work.ledger.run_ids()[-1]
        console.show_result(out, result, counts_of(work.ledger, result.run_id) if result.run_id else [])
        out.print(f"total time: {time.monotonic() - started:.1f} s\n")
        for name, columns, rows in first_rows(work.warehouse, SHOWN_ROWS):
            out.print(f"marts.{name}", style="bold")
            out.print(console.rows_table(columns, rows))
            out.print()
        with server.running(settings.warehouse, keep_running=True):
            _show_next_steps(out, work, shown)
    return result.exit_code


def _noon_of(day: date) -> datetime:
    return datetime.combine(day, time_of_day(12), UTC)


def real_parts(settings: Settings) -> list[str]:
    """What in a configuration may be real, each by its key: simulated sales must never get there."""
    found = []
    if "://" in settings.lake.url:
        found.append(f"lake.url: {settings.lake.url} is not a local folder")
    if not settings.warehouse.embedded:
        found.append(
            "warehouse.embedded: the demo needs the embedded PostgreSQL, and this configuration names a server"
        )
    for name, retailer in settings.retailers.items():
        if urlsplit(retailer.base_url).scheme == "https":
            found.append(f"retailers.{name}.base_url: {retailer.base_url} may be a real retailer")
    return found


def demo_environment() -> dict[str, str]:
    """The process's environment, with the keys of `conf/demo.env` for both sides as defaults."""
    lines = (home() / "conf" / "demo.env").read_text(encoding="utf-8").splitlines()
    keys = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return keys | dict(os.environ)


@contextmanager
def simulator(environment: dict[str, str], *, clock: datetime, options: Sequence[str] = ()) -> Iterator[str]:
    """The simulator's address while it runs; it ends with the block, or with this process however that ends.

    Raises RetailError if it does not start.
    """
    command = [sys.executable, "-m", "retail_simulator", "--port", "0", "--exit-with-parent"]
    command += ["--clock", f"{clock:%Y-%m-%dT%H:%M:%SZ}", *options]
    process = subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=for_server(environment), text=True
    )
    try:
        yield _address_of(process)
    finally:
        process.terminate()
        try:
            process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address_of(process: subprocess.Popen[str]) -> str:
    """The address where it listens, the only line that it prints. Raises RetailError if the line does not come."""
    assert process.stdout is not None  # noqa: S101
    if not select.select([process.stdout], [], [], SECONDS_TO_START)[0]:
        raise RetailError(
            f"the retailer simulator did not report its address within {SECONDS_TO_START} s",
            hint="run the same command again; `retail simulate --clock 2017-01-20T12:00:00Z` starts it alone",
        )
    line = process.stdout.readline()
    if not line:
        raise RetailError(
            "the retailer simulator did not start; its error is shown above",
            hint="install it with `pip install 'retail-lakehouse[simulator]'`, or `make setup` in a checkout",
        )
    return str(json.loads(line)["listening"])


def pointed_at(settings: Settings, address: str) -> Settings:
    """The same settings, with every retailer at the simulator's address."""
    retailers = {}
    for name, retailer in settings.retailers.items():
        options = dict(retailer.options)
        if "token_url" in options:
            options["token_url"] = f"{address}/auth/o2/token"
        retailers[name] = retailer.model_copy(update={"base_url": address, "options": options})
    return settings.model_copy(update={"retailers": retailers})


def _show_next_steps(out: Console, work: Workspace, run_id: str) -> None:
    here = Path.cwd()
    lake = Path(work.storage.url)
    shown = lake.relative_to(here) if lake.is_relative_to(here) else lake
    for line in (
        "Next steps:",
        f"  PostgreSQL   {work.warehouse.dsn()}",
        f"  psql         {server.psql_command(work.settings.warehouse)}",
        f"  raw files    {shown}/raw/retailer_1/year=2017/month=01/",
        f"  Delta star   {shown}/star/fact_sales",
        f"  this run     {shown}/ops/runs/{run_id}/",
        "  status       retail status",
        "  more days    retail demo --days 14",
        "  your own     retail init my-shops   (retail.toml for your own retailers)",
        "  stop         retail warehouse stop   (PostgreSQL keeps running until then)",
    ):
        out.print(line, markup=False, soft_wrap=True)
