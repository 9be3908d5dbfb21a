"""How the fact lies in PostgreSQL, and what its planner knows of it."""

from __future__ import annotations

import random

import pytest
import structlog
from pyspark.sql import SparkSession

from retail.warehouse.connection import Warehouse
from tests.warehouse.conftest import Query
from tests.warehouse.literals import DIMENSIONS, Lake, line
from tests.warehouse.test_publish import Publisher, counts

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.parametrize("engine", ["sail"], indirect=True, scope="session"),
]

KNOWN = "SELECT reltuples::int FROM pg_class WHERE oid = 'star.fact_sales'::regclass"


@pytest.fixture
def publishing(session: SparkSession, lake: Lake, warehouse: Warehouse) -> Publisher:
    return Publisher(session, lake, warehouse)


def test_a_new_month_lies_by_day_retailer_and_transaction(
    publishing: Publisher, lake: Lake, query: Query
) -> None:
    lines = [
        line(
            key,
            f"2017-01-{1 + key % 28:02}",
            "1",
            transaction_id=f"t{key % 7}",
            retailer_id=f"retailer_{1 + key % 2}",
        )
        for key in range(300)
    ]
    random.Random(7).shuffle(lines)  # noqa: S311
    lake.write("fact_sales", *lines)
    publishing("run_1")
    order = "business_date, retailer_id, transaction_id"
    assert query(f"SELECT {order} FROM star.fact_sales_2017_01 ORDER BY ctid") == query(
        f"SELECT {order} FROM star.fact_sales_2017_01 ORDER BY {order}"
    )
    assert query(
        "SELECT correlation FROM pg_stats WHERE tablename = 'fact_sales_2017_01' AND attname = 'business_date'"
    ) == [(1.0,)]


def test_a_correction_finds_room_beside_the_row_that_it_corrects(
    publishing: Publisher, lake: Lake, query: Query
) -> None:
    lake.write("fact_sales", *(line(key, "2017-01-05", "1") for key in range(300)))
    publishing("run_1")
    page = "SELECT (ctid::text::point)[0]::int FROM star.fact_sales WHERE sales_key = 7"
    before = query(page)
    assert query("SELECT count(DISTINCT (ctid::text::point)[0]) > 3 FROM star.fact_sales") == [(True,)]
    lake.replace("fact_sales", "sales_key = 7", line(7, "2017-01-05", "2", changed_run_id="run_2"))
    assert counts(publishing("run_2")) == (1, 0, 1)
    assert query(page) == before


def test_a_large_load_is_analyzed_the_fact_as_a_whole_too_and_a_small_one_is_not(
    publishing: Publisher, lake: Lake, query: Query
) -> None:
    lake.write("fact_sales", *(line(key, "2017-01-05", "1") for key in range(100)))
    publishing("run_1")
    assert query(KNOWN) == [(100,)]
    assert query(
        "SELECT count(*) FROM pg_stats WHERE schemaname = 'star' AND tablename = 'fact_sales' AND inherited"
        " AND attname = 'product_key'"
    ) == [(1,)]
    dates = "SELECT reltuples::int FROM pg_class WHERE oid = 'star.dim_date'::regclass"
    assert query(dates) == [(len(DIMENSIONS["dim_date"]),)]

    lake.write(
        "fact_sales", *(line(key, "2017-01-05", "1", changed_run_id="run_2") for key in range(100, 110))
    )
    publishing("run_2")
    assert query(KNOWN) == [(100,)]
    lake.write(
        "fact_sales", *(line(key, "2017-01-05", "1", changed_run_id="run_3") for key in range(110, 130))
    )
    publishing("run_3")
    assert query(KNOWN) == [(130,)]


def test_many_small_loads_are_one_large_load_together(
    publishing: Publisher, lake: Lake, query: Query
) -> None:
    lake.write("fact_sales", *(line(key, "2017-01-05", "1") for key in range(100)))
    publishing("run_1")
    for run, keys in ("run_2", range(100, 110)), ("run_3", range(110, 120)):
        lake.write("fact_sales", *(line(key, "2017-01-05", "1", changed_run_id=run) for key in keys))
        publishing(run)
        query("ANALYZE star.fact_sales_2017_01")  # as autovacuum does, in its own time
    assert query(KNOWN) == [(100,)]
    publishing("run_3")
    assert query(KNOWN) == [(120,)]


def test_a_table_that_somebody_holds_is_analyzed_the_next_time(
    publishing: Publisher, lake: Lake, warehouse: Warehouse, query: Query
) -> None:
    lake.write("fact_sales", line(1, "2017-01-05", "1"))
    publishing("run_1")
    lake.write("fact_sales", line(2, "2017-01-05", "1", changed_run_id="run_2"))
    with warehouse.connect("hold it") as other, other, structlog.testing.capture_logs() as told:
        other.cursor().execute("LOCK TABLE star.fact_sales IN SHARE UPDATE EXCLUSIVE MODE")
        publishing("run_2")
    assert [each["table"] for each in told if "statistics" in each["event"]] == ["fact_sales"]
    assert query(KNOWN) == [(1,)]
    publishing("run_2")
    assert query("SELECT count(*) FROM star.fact_sales") == [(2,)]
