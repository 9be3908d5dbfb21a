"""The whole star is sent: PostgreSQL then holds what Delta has, and only real changes are restated."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pyspark.sql import SparkSession

from retail.warehouse.connection import Warehouse
from retail.warehouse.publish.transaction import Published, publish
from retail.warehouse.views import refresh
from tests.warehouse.conftest import Query
from tests.warehouse.literals import Lake, line

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.parametrize("engine", ["sail"], indirect=True, scope="session"),
]

HARM = (
    "TRUNCATE star.fact_sales",
    "DELETE FROM star.fact_sales WHERE sales_key IN (1, 4)",
    "UPDATE star.fact_sales SET total_amount = 99 WHERE sales_key = 2",
    "UPDATE star.fact_sales SET business_date = '2017-01-04' WHERE sales_key = 3",
    "DELETE FROM ops.publish",
)


@pytest.mark.parametrize("harm", HARM)
def test_what_was_published_is_what_it_was_and_what_changed_since_is_restated(
    harm: str, session: SparkSession, lake: Lake, warehouse: Warehouse, query: Query
) -> None:
    lake.write(
        "fact_sales",
        *(line(number, f"2017-01-0{number}", "5", changed_run_id="run_1") for number in (1, 2, 3, 4)),
    )

    def send(run_id: str, *, whole: bool) -> Published:
        done = publish(
            session, lake.storage, warehouse, run_id=run_id, pending_run_ids=("run_1", run_id),
            months=("2017-01",), delta_versions=lake.versions, whole=whole,
        )  # fmt: skip
        refresh(warehouse)
        return done

    send("run_1", whole=False)
    dimensions = query("SELECT count(*) FROM star.dim_date")
    star = query("SELECT * FROM star.fact_sales ORDER BY 1")
    query(harm)
    assert send("back", whole=True).restated_days == 0
    assert query("SELECT * FROM star.fact_sales ORDER BY 1") == star
    assert query("SELECT count(*) FROM star.dim_date") == dimensions
    assert query("SELECT * FROM marts.restatement") == []

    lake.replace("fact_sales", "sales_key = 1", line(1, "2017-01-01", "7", changed_run_id="run_2"))
    lake.replace("fact_sales", "sales_key = 4", line(5, "2017-01-05", "1", changed_run_id="run_2"))
    query("DELETE FROM star.fact_sales WHERE sales_key = 2")
    query(harm)  # what was published is no longer there, and it changed too
    assert send("again", whole=True).restated_days == 2
    restated = query(
        "SELECT business_date::text, before, after FROM marts.restatement WHERE figure = 'net_amount' ORDER BY 1"
    )
    assert restated == [
        ("2017-01-01", Decimal(5), Decimal(7)),
        ("2017-01-04", Decimal(5), Decimal(0)),
    ]
    kept = query("SELECT business_date::text, rows, net_amount FROM ops.published_day ORDER BY 1")
    assert kept == [
        ("2017-01-01", 1, 7), ("2017-01-02", 1, 5), ("2017-01-03", 1, 5), ("2017-01-04", 0, 0), ("2017-01-05", 1, 1),
    ]  # fmt: skip
