"""Rows and money per retailer, business day and currency: what two hops are compared by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa

from retail.warehouse.connection import Warehouse

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection


@dataclass(frozen=True, order=True)
class Total:
    """`rows` of the fact and the sum of their `total_amount`, in `currency`."""

    retailer_id: str
    business_date: date
    currency: str
    rows: int
    money: Decimal


def star_totals(warehouse: Warehouse) -> list[Total]:
    """What star.fact_sales holds, in order. Raises WarehouseError."""
    with warehouse.connect("sum up the star") as connection:
        return _totals(
            connection,
            "SELECT retailer_id, business_date, currency, count(*), sum(total_amount) FROM star.fact_sales"
            " GROUP BY retailer_id, business_date, currency",
        )


def view_totals(connection: Connection) -> list[Total]:
    """What marts.mv_daily_sales shows, in order."""
    return _totals(
        connection,
        "SELECT retailer_id, business_date, currency, fact_rows, net_amount FROM marts.mv_daily_sales",
    )


def arrow_totals(rows: pa.Table) -> list[Total]:
    """The same of rows of the fact that are still on their way, in order."""
    grouped = rows.group_by(["retailer_id", "business_date", "currency"]).aggregate(
        [([], "count_all"), ("total_amount", "sum")]
    )
    return sorted(
        Total(
            row["retailer_id"],
            row["business_date"],
            row["currency"],
            row["count_all"],
            row["total_amount_sum"],
        )
        for row in grouped.to_pylist()
    )


def _totals(connection: Connection, statement: str) -> list[Total]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return sorted(Total(*row) for row in cursor)
