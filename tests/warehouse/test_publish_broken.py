"""A publish that is killed or loses PostgreSQL, in mid-COPY or mid-transaction: nothing is half done, no row twice."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from pyspark.sql import SparkSession

from retail.config.settings import home
from retail.errors import WarehouseError
from retail.lake.engine import without_session
from retail.warehouse.connection import Warehouse
from retail.warehouse.publish.transaction import published_runs
from tests.warehouse.conftest import Query
from tests.warehouse.literals import Lake, line
from tests.warehouse.test_publish import Publisher, counts

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.parametrize("engine", ["sail"], indirect=True, scope="session"),
]

MONTHS = ("2017-01", "2017-02")
EVERYTHING = (
    "SELECT * FROM star.fact_sales ORDER BY sales_key",
    "SELECT * FROM star.dim_product ORDER BY 1",
    "SELECT * FROM ops.published_day ORDER BY 1, 2, 3",
    "SELECT * FROM marts.restatement ORDER BY 1, 2, 3, 4, 5",
    "SELECT run_id FROM ops.publish ORDER BY 1",
    "SELECT relname FROM pg_class WHERE relnamespace IN ('star'::regnamespace, 'ops'::regnamespace) ORDER BY 1",
)

# Where, and at which call ("+": just behind it). COPY asks a table without rows for nothing, one with few rows twice:
# for these, and for the end. Of what run_2 changed, product and fact have rows.
PLACES = {
    "before COPY has a row": ("retail.warehouse.publish.copy:_Csv.read", "1"),
    "in mid-COPY of the fact": ("retail.warehouse.publish.copy:_Csv.read", "4"),
    "between staging and transaction": ("retail.warehouse.publish.upsert:find_replaced", "1"),
    "in mid-transaction, a month half made": ("retail.warehouse.schema.partitions:create", "1+"),
    "in mid-transaction, all written but the ledger": ("retail.warehouse.publish.transaction:_note", "1"),
    "just before the commit": ("retail.warehouse.publish.transaction:_note", "1+"),
}


@pytest.fixture
def publishing(session: SparkSession, lake: Lake, warehouse: Warehouse) -> Publisher:
    """With run_1 published, and a correction and two new lines of run_2 to publish."""
    publishing = Publisher(session, lake, warehouse)
    lake.write("fact_sales", line(1, "2017-01-05", "1"), line(2, "2017-01-05", "2"))
    publishing("run_1", months=("2017-01",))
    changed = {"changed_run_id": "run_2"}
    lake.write("dim_product", {"product_key": 77, "retailer_id": "retailer_1", **changed})
    lake.replace("fact_sales", "sales_key = 1", line(1, "2017-01-05", "10", **changed))
    lake.write("fact_sales", line(3, "2017-01-05", "3", **changed), line(4, "2017-02-01", "4", **changed))
    return publishing


def as_it_should_be(publishing: Publisher, query: Query, before: list[object]) -> None:
    assert [query(each) for each in EVERYTHING] == before
    assert counts(publishing("run_2", months=MONTHS)) == (3, 2, 1)
    assert query("SELECT sales_key, total_amount::int FROM star.fact_sales ORDER BY 1") == [
        (1, 10),
        (2, 2),
        (3, 3),
        (4, 4),
    ]
    assert published_runs(publishing.warehouse) == {"run_1", "run_2"}
    assert query("SELECT before::int, after::int FROM marts.restatement WHERE figure = 'net_amount'") == [
        (3, 15)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("where", PLACES)
def test_a_process_that_is_killed_has_published_nothing_and_the_next_run_all(
    publishing: Publisher, lake: Lake, query: Query, tmp_path: Path, where: str
) -> None:
    before: list[object] = [query(each) for each in EVERYTHING]
    warehouse = publishing.warehouse
    assert warehouse.password is not None
    names = ("host", "port", "database", "user", "sslmode")
    arguments = {
        "lake": str(tmp_path),
        "versions": lake.versions,
        "run_id": "run_2",
        "months": MONTHS,
        "warehouse": {name: getattr(warehouse, name) for name in names},
        "password": warehouse.password.reveal(),
    }
    killed = subprocess.run(
        [sys.executable, "-m", "tests.warehouse.killed_publish", *PLACES[where], json.dumps(arguments)],
        cwd=home(),
        env=without_session(os.environ),
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -9, killed.stdout + killed.stderr
    as_it_should_be(publishing, query, before)


@pytest.mark.parametrize("where", PLACES)
def test_a_lost_connection_is_told_and_has_published_nothing(
    publishing: Publisher, query: Query, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    before: list[object] = [query(each) for each in EVERYTHING]
    with monkeypatch.context() as patched:
        _at(PLACES[where], patched, lambda: _terminate(query))
        with pytest.raises(WarehouseError, match="run_2") as lost:
            publishing("run_2", months=MONTHS)
    assert isinstance(lost.value.__cause__, psycopg2.OperationalError | psycopg2.InterfaceError)
    as_it_should_be(publishing, query, before)


def _terminate(query: Query) -> None:
    """End the publishing connection, as an administrator or a failing server does, and see that it is gone."""
    assert query(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    ) == [(True,)]


def _at(place: tuple[str, str], patched: pytest.MonkeyPatch, do: Callable[[], None]) -> None:
    """`do` it at that call of that function, once."""
    (module_name, path), call = place[0].split(":"), place[1]
    owner: Any = importlib.import_module(module_name)
    *owners, name = path.split(".")
    for each in owners:
        owner = getattr(owner, each)
    real, left = getattr(owner, name), [int(call.rstrip("+"))]

    def disturbed(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] == 0 and not call.endswith("+"):
            do()
        result = real(*args, **kwargs)
        if left[0] == 0 and call.endswith("+"):
            do()
        return result

    patched.setattr(owner, name, disturbed)
