"""The retailers' own lines from a handful of rows; `tests/end_to_end/test_reports.py` compares a month of them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from retail.warehouse.connection import Warehouse
from tests import psql
from tests.warehouse.conftest import Sold
from tests.warehouse.literals import line

pytestmark = pytest.mark.postgres

FIRST, LAST = date(2017, 1, 5), date(2017, 1, 31)
CANCELLED = {"status": "cancelled", "quantity": 0}
RETURN = {"record_type": "return", "quantity": -1}


@pytest.fixture
def shop(sold: Sold) -> None:
    """Two days of one retailer; the days before and after, and another retailer, are in no report of it."""
    sold(
        line(1, "2017-01-05", "19", quantity=2, discount_amount=1, tax_amount="1.5"),
        line(2, "2017-01-05", "5", transaction_id="t1"),
        line(3, "2017-01-05", "0", **CANCELLED),
        line(4, "2017-01-31", "-9.5", discount_amount="0.5", tax_amount="-0.75", **RETURN),
        line(5, "2017-01-31", "-2", record_type="refund", quantity=0),
        line(6, "2017-01-05", "7", currency="EUR"),
        line(7, "2017-01-04", "100"),
        line(8, "2017-02-01", "100"),
        line(9, "2017-01-05", "100", retailer_id="retailer_2", retailer_key=2),
    )


def figures(rows: list[dict[str, str]], *names: str) -> dict[tuple[str, ...], tuple[Any, ...]]:
    """The rows by their first `names`; all other columns are amounts."""
    return {
        tuple(row.pop(name) for name in names): tuple(Decimal(amount) for amount in row.values())
        for row in rows
    }


@pytest.mark.usefixtures("shop")
def test_amazons_lines_are_the_price_before_rebates_the_rebates_and_the_tax(warehouse: Warehouse) -> None:
    rows = psql.report("amazon", warehouse, retailer="retailer_1", first=FIRST, last=LAST)
    names = ("business_date", "currency", "transaction-type", "amount-type", "amount-description")
    assert figures(rows, *names) == {
        ("2017-01-05", "EUR", "Order", "ItemPrice", "Principal"): (7,),
        ("2017-01-05", "USD", "Order", "ItemPrice", "Principal"): (25,),
        ("2017-01-05", "USD", "Order", "ItemPrice", "Tax"): (Decimal("1.5"),),
        ("2017-01-05", "USD", "Order", "Promotion", "Principal"): (-1,),
        ("2017-01-31", "USD", "Refund", "ItemPrice", "Principal"): (-12,),
        ("2017-01-31", "USD", "Refund", "ItemPrice", "Tax"): (Decimal("-0.75"),),
        ("2017-01-31", "USD", "Refund", "Promotion", "Principal"): (Decimal("0.5"),),
    }


@pytest.mark.usefixtures("shop")
def test_walmarts_lines_are_the_price_after_discounts_and_the_tax(warehouse: Warehouse) -> None:
    rows = psql.report("walmart", warehouse, retailer="retailer_1", first=FIRST, last=LAST)
    assert figures(rows, "business_date", "Currency", "Transaction Type", "Amount Type") == {
        ("2017-01-05", "EUR", "Sale", "Product Price"): (7,),
        ("2017-01-05", "USD", "Sale", "Product Price"): (24,),
        ("2017-01-05", "USD", "Sale", "Product tax"): (Decimal("1.5"),),
        ("2017-01-31", "USD", "Refund", "Product Price"): (Decimal("-11.5"),),
        ("2017-01-31", "USD", "Refund", "Product tax"): (Decimal("-0.75"),),
    }


@pytest.mark.usefixtures("shop")
def test_shopifys_columns_are_gross_discounts_and_returns_which_add_up_to_net(warehouse: Warehouse) -> None:
    rows = psql.report("shopify", warehouse, retailer="retailer_1", first=FIRST, last=LAST)
    assert list(rows[0])[2:] == [
        "gross_sales", "discounts", "returns", "net_sales", "taxes", "total_sales_without_shipping",
    ]  # fmt: skip
    assert figures(rows, "day", "currency") == {
        ("2017-01-05", "EUR"): (7, 0, 0, 7, 0, 7),
        ("2017-01-05", "USD"): (25, -1, 0, 24, Decimal("1.5"), Decimal("25.5")),
        ("2017-01-31", "USD"): (
            0, 0, Decimal("-11.5"), Decimal("-11.5"), Decimal("-0.75"), Decimal("-12.25"),
        ),
    }  # fmt: skip
