"""A row of each table of the star as its values make it: columns, surrogate key, and what orders it among versions."""

from __future__ import annotations

import re
from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from tests.oracle.fields import FIELDS
from tests.oracle.lines import Values
from tests.oracle.xxhash64 import Bigint, spark_hash
from tests.star.nrf_calendar import MONTH_STARTS

Key = tuple[str, ...]
Row = dict[str, Any]

ATTRIBUTES = {
    "dim_product": ("retailer_id", "product_id", "product_name", "brand", "category", "gtin"),
    "dim_customer": ("retailer_id", "customer_id"),
    "dim_store": ("retailer_id", "store_id", "store_name", "store_city", "store_region", "store_country"),
    "dim_retailer": ("retailer_id", "retailer_name", "service", "time_zone"),
}
KEYS = {
    "dim_date": "date_key", "dim_product": "product_key", "dim_customer": "customer_key",
    "dim_store": "store_key", "dim_retailer": "retailer_key", "fact_sales": "sales_key",
}  # fmt: skip
FACT_COLUMNS = tuple(field.name for field in FIELDS if field.in_fact)
_FIRST_RUN_ATTRIBUTES = {
    "dim_product": {"retailer_id": "unknown", "product_id": "unknown", "product_name": "Unknown product"},
    "dim_customer": {"retailer_id": "unknown", "customer_id": "unknown"},
    "dim_store": {"retailer_id": "unknown", "store_id": "unknown", "store_name": "Unknown store"},
    "dim_retailer": {"retailer_id": "unknown", "retailer_name": "Unknown retailer"},
}
_MONTHS = "January February March April May June July August September October November December".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def hash_of(content: Row) -> int:
    """The content's hash: name and value of what is there, by name."""
    there = sorted(name for name, value in content.items() if value is not None)
    return spark_hash(each for name in there for each in (name, content[name]))


def answer_of(source_ref: str) -> tuple[str, str, str]:
    """Run, logical date and page of the line's answer, by which answers are ordered; empty where it names none."""
    found = re.match(r"payloads/[^/]+/date=([^/]+)/run=([^/]+)/page-(\d+)[.]", source_ref)
    return (found[2], found[1], found[3]) if found else ("", "", "")


def key_of(*parts: str | None) -> int:
    """The surrogate key; the unknown member's where a part of the natural key is null."""
    return Bigint(-1 if None in parts else spark_hash(parts))


@dataclass
class Version:
    """A row of the star: its columns, and what orders it among the versions of its key.

    `mapping` and `answer` are the line's. `refs` are the source_refs that a fact may carry: of two equal lines in one
    run either may be staged.
    """

    columns: Row
    updated_at: datetime | None
    hash: int
    mapping: int = 0
    answer: tuple[str, str, str] = ("", "", "")
    run_id: str = ""
    refs: set[str] = field(default_factory=set)

    @property
    def order(self) -> tuple[datetime | None, int, tuple[str, str, str]]:
        return (self.updated_at, self.mapping, self.answer)

    def counts_over(self, other: Version) -> bool:
        """Whether it takes the place of the other, which is in the star."""
        if self.order == other.order:  # as all are of a table that knows no time: the last to come
            return self.hash != other.hash
        return self.is_newer_than(other)

    def is_newer_than(self, other: Version) -> bool:
        assert self.updated_at is not None and other.updated_at is not None
        return (*self.order, self.hash) > (*other.order, other.hash)

    def touch(self, other: Version) -> None:
        """Be as new as the other, which has the same content."""
        self.updated_at, self.mapping, self.answer = other.order
        self.columns["updated_at"] = other.updated_at

    def row(self) -> Row:
        order = {"mapping_version": self.mapping, "fetch_order": " ".join(self.answer).strip()}
        return {
            **self.columns,
            **(order if self.updated_at is not None else {}),
            "content_hash": self.hash,
            "changed_run_id": self.run_id,
        }


def natural_key(values: Values) -> Key:
    return (values["retailer_id"], values["transaction_id"], values["line_id"])


def fact(values: Values) -> Version:
    day: date = values["business_date"]
    retailer = values["retailer_id"]
    columns = {name: values[name] for name in FACT_COLUMNS} | {
        "sales_key": key_of(*natural_key(values)),
        "date_key": int(f"{day:%Y%m%d}"),
        "product_key": key_of(retailer, values["product_id"]),
        "customer_key": key_of(retailer, values["customer_id"]),
        "store_key": key_of(retailer, values["store_id"]),
        "retailer_key": key_of(retailer),
        "business_month": f"{day:%Y-%m}",
    }
    content = {name: value for name, value in columns.items() if name != "sales_key"}
    return Version(
        columns, values["updated_at"], hash_of(content), *origin_of(values), refs={values["source_ref"]}
    )


def origin_of(values: Values) -> tuple[int, tuple[str, str, str]]:
    """The line's mapping version and answer."""
    return values["mapping_version"] or 0, answer_of(values["source_ref"])


def member(
    table: str,
    values: Row,
    updated_at: datetime,
    mapping: int = 0,
    answer: tuple[str, str, str] = ("", "", ""),
) -> Version:
    row = {name: values[name] for name in ATTRIBUTES[table]}
    key = key_of(*(row[name] for name in ATTRIBUTES[table][:2]))
    columns = {KEYS[table]: key, **row, "updated_at": updated_at}
    return Version(columns, updated_at, hash_of(row), mapping, answer)


def unknown(table: str) -> Row:
    if table == "dim_date":
        row = dict.fromkeys(day_row(date(2017, 1, 1)).columns) | {
            "month_name": "Unknown",
            "day_name": "Unknown",
        }
        del row["date_key"]
    else:
        row = dict.fromkeys(ATTRIBUTES[table]) | _FIRST_RUN_ATTRIBUTES[table]
    versioned = table not in ("dim_date", "dim_retailer")
    order = {"updated_at": None, "mapping_version": 0, "fetch_order": ""} if versioned else {}
    return {**row, **order, KEYS[table]: -1, "content_hash": hash_of(row)}


def month_of(day: date) -> Iterable[date]:
    days = monthrange(day.year, day.month)[1]
    return (date(day.year, day.month, number) for number in range(1, days + 1))


def day_row(day: date) -> Version:
    iso = day.isocalendar()
    starts = [(start, year, n) for year, months in MONTH_STARTS.items() for n, start in enumerate(months, 1)]
    _, year, month = starts[bisect_right(starts, (day, 9999, 99)) - 1]
    week = (day - MONTH_STARTS[year][0]).days // 7
    week_start = MONTH_STARTS[year][0] + timedelta(weeks=week)
    attributes = {
        "calendar_date": day, "year": day.year, "quarter": (day.month + 2) // 3, "month": day.month,
        "month_name": _MONTHS[day.month - 1], "day": day.day, "day_of_week": day.weekday() + 1,
        "day_name": _DAYS[day.weekday()], "iso_year": iso[0], "iso_week": iso[1],
        "is_weekend": day.weekday() in (5, 6), "retail_year": year, "retail_quarter": (month + 2) // 3,
        "retail_month": month, "retail_week": week + 1, "retail_week_start": week_start,
        "retail_week_end": week_start + timedelta(days=6),
    }  # fmt: skip
    columns = {"date_key": int(re.sub("-", "", str(day))), **attributes}
    return Version(columns, None, hash_of(attributes))
