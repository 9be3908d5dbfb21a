"""How a raw line is to be read: its typed values and, where it is refused, every reason.

The model's own reading, value by value, written from docs/DATA_MODEL.md and the rules' texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from tests.oracle.fields import FIELDS

Values = dict[str, Any]

# What landing notes of a line, beside the fields of a sale.
_NOTED = "noted"
_ONE_KEY, _AHEAD = "two lines with one key", "updated_at was in the future"
_TAX_OPTION = "the line's total contradicts the option that says whether prices include tax"
_KNOWN = {*(field.name for field in FIELDS), _NOTED}
REQUIRED = tuple(field.name for field in FIELDS if field.required)
TYPED = tuple(field.name for field in FIELDS if field.is_typed)


def parsed(text: str, retailer: str) -> tuple[Values, list[str]]:
    """The typed values of a line in that retailer's file, and the reasons to refuse it; none for a good line."""
    try:
        raw = json.loads(text)
    except ValueError:
        return {}, ["unreadable JSON"]
    values = {each.name: None if raw.get(each.name) is None else each.read(raw[each.name]) for each in FIELDS}
    noted = str(raw.get(_NOTED) or "")
    values[_NOTED] = noted
    reasons = [_ONE_KEY] if _ONE_KEY in noted else []
    reasons += [f"missing {name}" for name in REQUIRED if raw.get(name) in (None, "")]
    reasons += [f"bad {name}" for name in TYPED if raw.get(name) is not None and values[name] is None]
    keys = [
        field.name for field in FIELDS if field.is_key and len((raw.get(field.name) or "").encode()) > 1000
    ]
    reasons += [f"{name} is longer than 1,000 bytes" for name in keys]
    nul = [field.name for field in FIELDS if field.is_key and "\x00" in (raw.get(field.name) or "")]
    reasons += [f"{name} has a NUL character" for name in nul]
    if values["retailer_id"] not in (None, retailer):
        reasons.append("retailer_id is not the folder's")
    return values, reasons + [reason for reason, refuses in _RULES if refuses(values)]


def warnings(values: Values) -> list[str]:
    """What is strange about a line and no reason to refuse it."""
    return [reason for reason, holds in _WARNINGS if values and holds(values)]


def is_critical(values: Values) -> bool:
    """Whether the line is so bad that its run stops before the star; one that could not be read is not."""
    return bool(values) and "@" in (values["customer_id"] or "")


def unknown_fields(text: str) -> set[str]:
    """The fields of the line that a sale has not, as they are told: what is no plain name, as `*`."""
    try:
        names = json.loads(text).keys()
    except ValueError:
        return set()
    return {
        name if re.fullmatch("[A-Za-z0-9_.-]{1,60}", name) else "*" for name in names if name not in _KNOWN
    }


def _below(value: Decimal | None, limit: int = 0) -> bool:
    return value is not None and value < limit


def _above(value: Decimal | None) -> bool:
    return value is not None and value > 0


def _strays(values: Values) -> bool:
    day, at = values["business_date"], values["sold_at"]
    return day is not None and at is not None and abs((day - at.date()).days) > 1


_RULES: Sequence[tuple[str, Callable[[Values], bool]]] = (
    ("unknown record_type", lambda v: v["record_type"] not in (None, "sale", "return", "refund")),
    ("unknown status", lambda v: v["status"] not in (None, "completed", "cancelled", "deleted")),
    ("negative quantity on a sale", lambda v: v["record_type"] == "sale" and _below(v["quantity"])),
    ("negative amount on a sale", lambda v: v["record_type"] == "sale" and _below(v["total_amount"])),
    ("positive quantity on a return", lambda v: v["record_type"] == "return" and _above(v["quantity"])),
    (
        "positive amount on a return or refund",
        lambda v: v["record_type"] in ("return", "refund") and _above(v["total_amount"]),
    ),
    ("quantity on a refund", lambda v: v["record_type"] == "refund" and bool(v["quantity"])),
    (
        "amount or quantity on a cancelled or deleted line",
        lambda v: v["status"] in ("cancelled", "deleted") and bool(v["quantity"] or v["total_amount"]),
    ),
    (
        "negative discount or tax",
        lambda v: _below(v["discount_amount"]) or (v["record_type"] == "sale" and _below(v["tax_amount"])),
    ),
    (
        "currency is not an ISO 4217 code",
        lambda v: v["currency"] is not None and not re.fullmatch("[A-Z]{3}", v["currency"]),
    ),
    (
        "business_date is implausible",
        lambda v: v["business_date"] is not None and not 1990 <= v["business_date"].year <= 2099,
    ),
    ("business_date is not the date of sold_at", _strays),
    ("customer_id is an e-mail address", is_critical),
)


def _sold(values: Values) -> bool:
    return (values["record_type"], values["status"]) == ("sale", "completed")


def _off(values: Values) -> bool:
    quantity, price, total = values["quantity"], values["unit_price"], values["total_amount"]
    if None in (quantity, price, total):
        return False
    if total == 0 and values["record_type"] in (None, "return"):
        return False
    difference = abs(quantity) * price - (values["discount_amount"] or 0) - abs(total)
    least = min(abs(difference), abs(difference - abs(values["tax_amount"] or 0)))
    return bool(least > Decimal("0.01") * (1 + abs(quantity)))


_WARNINGS: Sequence[tuple[str, Callable[[Values], bool]]] = (
    (_AHEAD, lambda v: _AHEAD in v.get(_NOTED, "")),
    (_TAX_OPTION, lambda v: _TAX_OPTION in v.get(_NOTED, "")),
    (
        "business_date is after the last change",
        lambda v: (
            None not in (v["business_date"], v["updated_at"])
            and (v["business_date"] - v["updated_at"].date()).days > 1
        ),
    ),
    ("a sale of nothing", lambda v: _sold(v) and v["quantity"] == 0),
    ("goods for nothing", lambda v: _sold(v) and _above(v["quantity"]) and v["total_amount"] == 0),
    ("quantity times unit_price less discount_amount is not total_amount", _off),
)
