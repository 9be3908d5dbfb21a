"""Rows and money per retailer, business day and currency: what the star is compared by with the lake."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from retail.warehouse.connection import Warehouse


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
    with warehouse.connect("sum up the star") as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT retailer_id, business_date, currency, count(*), sum(total_amount) FROM star.fact_sales"
            " GROUP BY retailer_id, business_date, currency"
        )
        return sorted(Total(*row) for row in cursor)
