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
