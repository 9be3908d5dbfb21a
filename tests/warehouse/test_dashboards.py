"""The login of docs/BI_TOOLS.md, as a BI tool uses it, on a server whose days begin before those of UTC."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest

from retail.warehouse.connection import Warehouse
from retail.warehouse.views import refresh
from tests import dashboards
from tests.warehouse.conftest import Query, Sold
from tests.warehouse.literals import line

pytestmark = pytest.mark.postgres


@pytest.fixture
def asked(warehouse: Warehouse, query: Query) -> Iterator[Query]:
    """Asks a statement as the documented login, with nothing of our own between."""
    query(f"ALTER DATABASE {warehouse.database} SET timezone = 'Europe/Berlin'")
    password = secrets.token_hex()
    query(dashboards.statements(password))
    connection = psycopg2.connect(
        host=warehouse.host, port=warehouse.port, dbname=warehouse.database,
        user=dashboards.LOGIN, password=password,
    )  # fmt: skip

    def run(statement: str, *values: object) -> list[tuple[Any, ...]]:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall()

    yield run
    connection.close()
    query(f"DROP ROLE {dashboards.LOGIN}")


@pytest.mark.parametrize("grain", ["day", "month"])
def test_a_day_or_month_that_a_tool_cuts_off_begins_at_midnight_of_utc(
    grain: str, warehouse: Warehouse, asked: Query, sold: Sold
) -> None:
    sold(line(1, "2017-01-01", "5"))
    refresh(warehouse)
    statement = "SELECT date_trunc(%s, business_date) FROM marts.mv_daily_sales"
    assert asked(statement, grain) == [(datetime(2017, 1, 1, tzinfo=UTC),)]


def test_the_login_finds_the_views_by_their_names_alone_and_none_may_wait_for_ever(asked: Query) -> None:
    assert asked("SELECT count(*) FROM mv_daily_sales") == [(0,)]
    assert asked("SHOW statement_timeout") == [("1min",)]


def test_counts_are_added_over_what_the_documentation_says(
    warehouse: Warehouse, asked: Query, sold: Sold
) -> None:
    """One order of retailer_1 with three products over two days, months and stores, and one of retailer_2."""
    order = {"transaction_id": "t1", "customer_key": 1}
    sold(
        line(1, "2017-01-31", "3", **order, product_key=1, store_key=1),
        line(2, "2017-01-31", "3", **order, product_key=2, store_key=1),
        line(3, "2017-02-01", "3", **order, product_key=3, store_key=2),
        line(4, "2017-01-31", "7", retailer_id="retailer_2", retailer_key=2),
    )
    refresh(warehouse)

    def added(count: str, view: str) -> list[tuple[Any, ...]]:
        return asked(f"SELECT sum({count}) FROM {view} GROUP BY retailer_id ORDER BY retailer_id")

    assert added("transactions", "mv_daily_sales") == [(2,), (1,)]
    assert added("transactions", "mv_monthly_sales") == [(2,), (1,)]
    assert added("transactions", "mv_retailer_comparison") == [(2,), (1,)]
    assert added("transactions", "mv_store_performance") == [(2,), (1,)]
    assert added("transactions", "mv_product_performance") == [(3,), (1,)]
    assert added("customers", "mv_store_performance") == [(2,), (0,)]
    assert added("active_customers", "mv_retailer_comparison") == [(2,), (0,)]
    assert added("frequency", "mv_customer_value") == [(1,)]
