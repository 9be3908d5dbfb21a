"""The fields of a sale as the model knows them: how each is read, and which values of it histories have.

The model's own reading, written from docs/DATA_MODEL.md and the rules' texts: nothing of `retail.records` is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Final


def _time(text: str) -> datetime | None:
    if not re.fullmatch(r"[-0-9]{10}T[:0-9]{8}([.]\d+)?Z", text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,4}", text) else None


def _decimal(text: str, *, places: int) -> Decimal | None:
    if not re.fullmatch(rf"-?\d{{1,{15 - places}}}([.]\d{{1,{places}}})?", text):
        return None
    return Decimal(text).quantize(Decimal(1).scaleb(-places))


_quantity = partial(_decimal, places=3)
_money = partial(_decimal, places=4)


@dataclass(frozen=True)
class Field:
    """One field of a sale.

    `read` returns its typed value, and None if the text is bad, as each text of `bad` is. `is_key`: more than 1,000
    bytes are refused. `in_fact`: it is a column of fact_sales. `drawn` are the values that histories draw from; empty
    if the value depends on others (histories.py).
    """

    name: str
    read: Callable[[str], object] = str
    required: bool = False
    in_fact: bool = False
    is_key: bool = False
    drawn: tuple[str | None, ...] = ()
    bad: tuple[str, ...] = ()

    @property
    def is_typed(self) -> bool:
        return self.read is not str


FIELDS: Final = (
    Field("retailer_id", required=True, in_fact=True),
    Field("transaction_id", required=True, in_fact=True, is_key=True, drawn=("t1", "t2")),
    Field("line_id", required=True, in_fact=True, is_key=True, drawn=("1", "2")),
    Field("record_type", required=True, in_fact=True),
    Field("status", required=True, in_fact=True),
    Field(
        "sold_at",
        _time,
        required=True,
        in_fact=True,
        bad=("2017-02-30T20:00:00.000000Z", "2017-01-05T20:00:00.000000Z\n"),
    ),
    Field(
        "updated_at", _time, required=True, in_fact=True, bad=("2017-01-06", "0000-12-31T20:00:00.000000Z")
    ),
    Field("business_date", _date, required=True, in_fact=True, bad=("2017-13-01",)),
    Field("product_id", required=True, is_key=True),
    Field("product_name"),
    Field("brand"),
    Field("category"),
    Field("gtin"),
    Field("customer_id", is_key=True, drawn=(None, "c1", "c2")),
    Field("store_id", is_key=True),
    Field("store_name"),
    Field("store_city"),
    Field("store_region"),
    Field("store_country"),
    Field("quantity", _quantity, required=True, in_fact=True, bad=("1.0000", "1\n")),
    Field("unit_price", _money, in_fact=True, drawn=(None, "5.00"), bad=("5,00",)),
    Field("discount_amount", _money, in_fact=True, drawn=(None, "0", "1.5"), bad=("1.00001",)),
    Field("tax_amount", _money, in_fact=True, drawn=(None, "0", "0.8250"), bad=("",)),
    Field("total_amount", _money, required=True, in_fact=True, bad=("NaN", "123456789012")),
    Field("currency", required=True, in_fact=True, drawn=("USD", "USD", "EUR", "JPY")),
    Field("source_ref", required=True),
    Field("mapping_version", _whole, drawn=(None, "1", "1", "2"), bad=("x", "12345")),
)
