"""The common schema of all three retailers: SalesRecord, and ProductRecord and StoreRecord for master data.

This is its only declaration. On disk every value is text or null, whatever the retailer sent: types are checked when a
line is staged, so that a bad value goes to quarantine with its line and never stops the lines around it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final, Literal, TypeAlias

# Type of each field in the star; "string" if nothing needs parsing.
TYPES: Final[dict[str, str]] = {
    "sold_at": "timestamp",
    "updated_at": "timestamp",
    "business_date": "date",
    "quantity": "decimal(18,3)",
    "unit_price": "decimal(18,4)",
    "discount_amount": "decimal(18,4)",
    "tax_amount": "decimal(18,4)",
    "total_amount": "decimal(18,4)",
    "mapping_version": "int",
}

# Places of each number, and the digits before them that the star holds (docs/decisions/0004-fifteen-digits.md).
_PLACES: Final = {
    name: int(kind.rpartition(",")[2].rstrip(")"))
    for name, kind in TYPES.items()
    if kind.startswith("decimal")
}
_DIGITS: Final = 15
_LONG_NUMBER: Final = re.compile(r"-?[0-9]{1,12}[.][0-9]+", re.ASCII)

REQUIRED: Final = (
    "retailer_id",
    "transaction_id",
    "line_id",
    "record_type",
    "status",
    "sold_at",
    "updated_at",
    "business_date",
    "product_id",
    "quantity",
    "total_amount",
    "currency",
    "source_ref",
)


# The status of a line whose order its retailer no longer has.
DELETED: Final = "deleted"

# Landing notes these of a line, in a field beside those of SalesRecord, joined by `; `, and staging reports them: the
# first is a reason to reject the line, the others are warnings. Nearly no line has that field.
NOTED: Final = "noted"
ONE_KEY: Final = "two lines with one key"
AHEAD: Final = "updated_at was in the future"
TAX_OPTION: Final = "the line's total contradicts the option that says whether prices include tax"


# Texts that are keys, and the bytes of UTF-8 that each may have: an index row of PostgreSQL holds 2,704 in all.
KEY_TEXTS: Final = ("transaction_id", "line_id", "product_id", "customer_id", "store_id")
LONGEST_KEY: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SalesRecord:
    """One product of one transaction, one line of `sales_data.json`.

    retailer_id, transaction_id, line_id are the natural key. Amounts are decimal text in `currency`, without tax;
    `total_amount` is the line's net total. Times are ISO 8601 in UTC with microseconds and `Z`; `business_date` is the
    date of `sold_at` in the retailer's time zone. `mapping_version` is the version of our code that made the record.
    `source_ref` names the payload object and the JSON pointer in it. It is the last field, so that a truncated line is
    always recognised.
    """

    retailer_id: str | None
    transaction_id: str | None
    line_id: str | None
    record_type: str | None
    status: str | None
    sold_at: str | None
    updated_at: str | None
    business_date: str | None
    product_id: str | None
    product_name: str | None = None
    brand: str | None = None
    category: str | None = None
    gtin: str | None = None
    customer_id: str | None = None
    store_id: str | None = None
    store_name: str | None = None
    store_city: str | None = None
    store_region: str | None = None
    store_country: str | None = None
    quantity: str | None
    unit_price: str | None = None
    discount_amount: str | None = None
    tax_amount: str | None = None
    total_amount: str | None
    currency: str | None
    mapping_version: str | None = None
    source_ref: str

    @property
    def natural_key(self) -> tuple[str | None, str | None, str | None]:
        return (self.retailer_id, self.transaction_id, self.line_id)

    def rounded(self) -> SalesRecord:
        """The record with every number rounded half even to the places that the star holds.

        A number that is not one, or is beyond the star's range even then, stays as it is, for staging to refuse.
        """
        values: dict[str, Any] = {
            name: _rounded(getattr(self, name), places) for name, places in _PLACES.items()
        }
        return (
            replace(self, **values) if any(getattr(self, name) != values[name] for name in values) else self
        )

    def to_line(self, mapping_version: str | None = None, *, noted: str = "") -> str:
        """One JSON object without a line break, fields in schema order; with a mapping version and notes if given."""
        values = {name: getattr(self, name) for name in FIELDS}
        values |= {} if mapping_version is None else {"mapping_version": mapping_version}
        return _line({**values, NOTED: noted, "source_ref": values.pop("source_ref")} if noted else values)

    @classmethod
    def from_line(cls, line: str) -> SalesRecord:
        """The record of a line that `to_line` made, without what was noted of it."""
        values: dict[str, Any] = json.loads(line)
        values.pop(NOTED, None)
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRecord:
    """A retailer's catalogue entry for a product, one line of `products-NNNNN.json`.

    Everything but the ids and `fetched_at` is null if the catalogue does not know the product. `gtin` has 14 digits.
    `source_ref` names the request that was answered. It is the last field, as in SalesRecord.
    """

    retailer_id: str
    product_id: str
    product_name: str | None = None
    brand: str | None = None
    category: str | None = None
    gtin: str | None = None
    fetched_at: str
    source_ref: str

    @property
    def id(self) -> str:
        """The natural key within the retailer."""
        return self.product_id

    def to_line(self) -> str:
        """One JSON object without a line break, fields in schema order."""
        return _line({name: getattr(self, name) for name in PRODUCT_FIELDS})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRecord:
    """A retailer's description of a store, one line of `stores-NNNNN.json`; see ProductRecord."""

    retailer_id: str
    store_id: str
    store_name: str | None = None
    store_city: str | None = None
    store_region: str | None = None
    store_country: str | None = None
    fetched_at: str
    source_ref: str

    @property
    def id(self) -> str:
        """The natural key within the retailer."""
        return self.store_id

    def to_line(self) -> str:
        """One JSON object without a line break, fields in schema order."""
        return _line({name: getattr(self, name) for name in STORE_FIELDS})


MasterRecord: TypeAlias = ProductRecord | StoreRecord

FIELDS: Final = tuple(field.name for field in fields(SalesRecord))
PRODUCT_FIELDS: Final = tuple(field.name for field in fields(ProductRecord))
STORE_FIELDS: Final = tuple(field.name for field in fields(StoreRecord))

# Created once: json.dumps with options creates one for every call.
_COMPACT: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

# All text: the engines differ in how `from_json` treats a bad number, so it never sees one.
RAW_SCHEMA: Final = ", ".join(f"{name} string" for name in FIELDS)


def _rounded(text: str | None, places: int) -> str | None:
    if text is None or len(text.partition(".")[2]) <= places or _LONG_NUMBER.fullmatch(text) is None:
        return text
    value = Decimal(text).quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN, Context(prec=200)) + 0
    return format(value, "f") if len(str(abs(int(value)))) <= _DIGITS - places else text


def _line(values: dict[str, str | None]) -> str:
    return _COMPACT.encode(values)


# Most severe first. `critical` stops the run, `error` sends the row to quarantine, `warning` keeps and
# reports it.
Severity: TypeAlias = Literal["critical", "error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRule:
    """The problem of a typed row for which the SQL condition `when` holds, and its severity."""

    reason: str
    when: str
    severity: Severity = "error"
