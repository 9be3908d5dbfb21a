from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from pyspark.sql import SparkSession

from retail.warehouse.connection import Warehouse
from retail.warehouse.publish.transaction import publish
from tests.warehouse.conftest import Query
from tests.warehouse.literals import Lake, line

pytestmark = pytest.mark.postgres


def test_every_value_arrives_as_delta_holds_it_from_either_engine(
    session: SparkSession, lake: Lake, warehouse: Warehouse, query: Query
) -> None:
    moment = datetime(2017, 1, 5, 23, 59, 59, 999999, UTC)
    name = 'Ünï "quoted", \\N\nsecond line'
    product = {
        "product_key": -(2**63),
        "retailer_id": "",
        "product_id": "007",
        "product_name": name,
        "brand": "NULL",
    }
    lake.write("dim_product", product)
    # Sail 0.7.2 reads a decimal that is the same in a whole file through a float: exact up to 2**53 / 10**4 only.
    sale = line(
        2**63 - 1, "2017-01-05", "123456789012.3456", quantity="-0.001", unit_price="0.0001", sold_at=moment
    )
    lake.write("fact_sales", sale | {"discount_amount": None})
    publish(
        session,
        lake.storage,
        warehouse,
        run_id="run_1",
        pending_run_ids=["run_1"],
        months=["2017-01"],
        delta_versions=lake.versions,
    )
    assert query("SELECT * FROM star.dim_product WHERE product_key < -1") == [
        (-(2**63), "", "007", name, "NULL", None, None, "run_1")
    ]
    assert query(
        "SELECT sales_key, total_amount, quantity, unit_price, discount_amount, sold_at, business_date"
        " FROM star.fact_sales"
    ) == [
        (
            2**63 - 1,
            Decimal("123456789012.3456"),
            Decimal("-0.001"),
            Decimal("0.0001"),
            None,
            moment,
            date(2017, 1, 5),
        )
    ]
    assert query(
        "SELECT calendar_date, is_weekend FROM star.dim_date WHERE date_key IN (-1, 20170107) ORDER BY 1"
    ) == [
        (date(2017, 1, 7), True),
        (None, None),
    ]
