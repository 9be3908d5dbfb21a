"""Rows and money per retailer, business day and currency: of the star, of the views, and of all hops of a run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from psycopg2.extras import execute_values

from retail.runs.counts import HopCount
from retail.warehouse.connection import Warehouse

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


def star_totals(warehouse: Warehouse) -> list[HopCount]:
    """The totals of star.fact_sales, as hop `postgresql`, in order. Raises WarehouseError."""
    with warehouse.connect("sum up the star") as connection:
        return of_star(connection)


def of_star(connection: Connection) -> list[HopCount]:
    """The same over a connection, within its transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT retailer_id, business_date, currency, count(*), sum(total_amount) FROM star.fact_sales"
            " GROUP BY retailer_id, business_date, currency"
        )
        return [_count("postgresql", row) for row in sorted(cursor)]


def view_totals(connection: Connection) -> list[HopCount]:
    """The totals of the view of days, as hop `views`; sql/views/tie_out.sql compares the other views with it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT retailer_id, business_date, currency, fact_rows, net_amount FROM marts.mv_daily_sales"
        )
        return [_count("views", row) for row in sorted(cursor)]


def keep(connection: Connection, run_id: str, counts: Iterable[HopCount]) -> None:
    """Write the run's rows and money at each hop to marts.tie_out, replacing what the run wrote before."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM marts.tie_out WHERE run_id = %s", (run_id,))
        execute_values(
            cursor,
            "INSERT INTO marts.tie_out (run_id, hop, reason, retailer_id, business_date, currency, rows, money)"
            " VALUES %s",
            [(run_id, c.hop, c.reason, c.retailer_id, c.day, c.currency, c.rows, c.money) for c in counts],
        )


def _count(hop: str, row: tuple[str, date, str, int, Decimal]) -> HopCount:
    retailer_id, day, currency, rows, money = row
    return HopCount(
        hop=hop, retailer_id=retailer_id, business_date=str(day), currency=currency, rows=rows, money=money
    )
