"""What the star must hold after any runs: plain dictionaries and Decimals, no DataFrame.

Written from docs/DATA_MODEL.md and decisions 0002 and 0007, and importing nothing of `retail.star`. A run is given to
the model as the raw lines of its units; it answers with the actions and the figures that the run must report.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from calendar import monthrange
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.oracle.lines import Values, content_values, is_critical, parsed, unknown_fields, warnings
from tests.oracle.xxhash64 import spark_hash
from tests.star.nrf_calendar import MONTH_STARTS

Unit = tuple[str, date]
Key = tuple[str, ...]
Row = dict[str, Any]
# (hop or reason, retailer, business date, currency) → (rows, money)
Figures = dict[tuple[str, str, str | None, str | None], tuple[int, Decimal]]

CONTENT_BITS = 52
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
FACT_COLUMNS = (
    "retailer_id", "transaction_id", "line_id", "record_type", "status", "business_date", "sold_at",
    "updated_at", "quantity", "unit_price", "discount_amount", "tax_amount", "total_amount", "currency",
)  # fmt: skip
_FIRST_RUN_ATTRIBUTES = {
    "dim_product": {"retailer_id": "unknown", "product_id": "unknown", "product_name": "Unknown product"},
    "dim_customer": {"retailer_id": "unknown", "customer_id": "unknown"},
    "dim_store": {"retailer_id": "unknown", "store_id": "unknown", "store_name": "Unknown store"},
    "dim_retailer": {"retailer_id": "unknown", "retailer_name": "Unknown retailer"},
}
_MONTHS = "January February March April May June July August September October November December".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def hash_of(values: Sequence[object], mapping: int = 0) -> int:
    """The content's hash: 52 bits of the values' and of which are null, below the version of the mapping."""
    nulls = "".join("0" if value is None else "1" for value in values)
    return (mapping << CONTENT_BITS) + (spark_hash([*values, nulls]) & (2**CONTENT_BITS - 1))


def key_of(*natural_key: str | None) -> int:
    """The surrogate key; the unknown member's where a part of the natural key is null."""
    return -1 if None in natural_key else spark_hash(natural_key)


@dataclass
class Version:
    """A row of the star: its columns, and what orders it among the versions of its key.

    `refs` are the source_refs that a fact may carry: of two equal lines in one run either may be staged.
    """

    columns: Row
    updated_at: datetime | None
    hash: int
    run_id: str = ""
    refs: set[str] = field(default_factory=set)

    def is_newer_than(self, other: Version) -> bool:
        if (
            self.updated_at is None or other.updated_at is None
        ):  # a table that does not know: the last to come
            return self.hash != other.hash
        return (self.updated_at, self.hash) > (other.updated_at, other.hash)

    def row(self) -> Row:
        return {**self.columns, "content_hash": self.hash, "changed_run_id": self.run_id}


@dataclass(frozen=True)
class Outcome:
    """What a run must report: rows per action of each table, and rows and money at each hop.

    Beside them the staged rows of each warning, the lines of each set of reasons with a critical one among them, and
    how many lines hold which field that is not known. Where a line is critical nothing is merged: `actions` is empty.
    """

    figures: Figures
    warned: Figures
    critical: Figures
    unknown_fields: dict[str, int]
    actions: dict[str, dict[str, int]] = field(default_factory=dict)


class Model:
    """The star and the quarantine, run by run."""

    def __init__(self, retailers: Iterable[tuple[str, str, str, str]]) -> None:
        self._retailers = list(retailers)
        self._tables: dict[str, dict[Key, Version]] = {name: {} for name in KEYS}
        self._quarantine: dict[Unit, list[Row]] = {}
        self._described: dict[str, dict[Key, Version]] = {"dim_product": {}, "dim_store": {}}
        self._created_by = ""

    def describe(self, table: str, attributes: Row, fetched_at: datetime) -> None:
        """A catalogue's description; the newest with a name counts."""
        name, *key = "product_name" if table == "dim_product" else "store_name", *ATTRIBUTES[table][:2]
        if attributes[name] is None:
            return
        version = _member(table, attributes, fetched_at, mapping=0)
        _keep_newest(self._described[table], tuple(attributes[part] for part in key), version)

    def run(self, run_id: str, raw: Mapping[Unit, Sequence[str]]) -> Outcome:
        """Stage and merge these units' raw lines."""
        figures: Figures = {}
        critical: Figures = {}
        fields: Counter[str] = Counter()
        good: list[Values] = []
        for (retailer, day), lines in raw.items():
            self._quarantine[retailer, day] = []
            for text in lines:
                values, reasons = parsed(text, retailer)
                fields.update(unknown_fields(text))
                if reasons:
                    self._quarantine[retailer, day].append(
                        _refused(values, reasons, text, retailer, day) | {"run_id": run_id}
                    )
                    if is_critical(values):
                        _add(critical, "; ".join(reasons), retailer, values)
                else:
                    good.append(values)
                for hop in ("read", *(["quarantined", "in_quarantine"] if reasons else [])):
                    _add(figures, hop, retailer, values)
        staged: dict[Key, Version] = {}
        for values in good:
            _keep_newest(staged, _natural_key(values), _fact(values))
        _count_duplicates(figures, good, staged)
        warned: Figures = {}
        for version in staged.values():
            for hop, sums in (("staged", figures), *((each, warned) for each in warnings(version.columns))):
                _add(sums, hop, version.columns["retailer_id"], version.columns)
        outcome = Outcome(figures, warned, critical, dict(fields))
        return outcome if critical else replace(outcome, actions=self._build(run_id, good, staged, figures))

    def _build(
        self, run_id: str, good: Sequence[Values], staged: Mapping[Key, Version], figures: Figures
    ) -> dict[str, dict[str, int]]:
        """Merge into every table. Gives the rows per action; the fact's are added to the figures."""
        self._created_by = self._created_by or run_id
        actions = {name: self._merge(name, rows, run_id) for name, rows in self._members(good).items()}
        return actions | {"fact_sales": self._merge("fact_sales", staged, run_id, figures)}

    def rows(self, table: str) -> dict[int, Row]:
        """Every row of a table by its surrogate key, the unknown member among them once a run has merged."""
        found = {version.columns[KEYS[table]]: version.row() for version in self._tables[table].values()}
        if table != "fact_sales" and self._created_by:
            found[-1] = _unknown(table) | {"changed_run_id": self._created_by}
        return found

    def learn_source_refs(self, seen: Mapping[int, str]) -> None:
        """Take over which of several allowed source_refs a fact carries, by surrogate key; no other is taken."""
        for version in self._tables["fact_sales"].values():
            ref = seen.get(version.columns["sales_key"])
            if ref in version.refs:
                version.refs = {ref}
            version.columns["source_ref"] = min(version.refs)

    def quarantine(self) -> list[Row]:
        return [row for rows in self._quarantine.values() for row in rows]

    def _members(self, good: Sequence[Values]) -> dict[str, dict[Key, Version]]:
        """What the good lines, and the catalogues, say of each dimension."""
        found: dict[str, dict[Key, Version]] = {name: {} for name in KEYS if name != "fact_sales"}
        for values in good:
            for table, key in (
                ("dim_product", "product_id"), ("dim_customer", "customer_id"), ("dim_store", "store_id"),
            ):  # fmt: skip
                if values[key] is not None:
                    version = _member(table, values, values["updated_at"], values["mapping_version"] or 0)
                    _keep_newest(found[table], (values["retailer_id"], values[key]), version)
            for day in _month_of(values["business_date"]):
                found["dim_date"][str(day),] = _day(day)
        for table, described in self._described.items():
            for key in found[table].keys() & described.keys():
                told = described[key]
                found[table][key] = Version(dict(told.columns), told.updated_at, told.hash)
        for values in self._retailers:
            row = dict(zip(ATTRIBUTES["dim_retailer"], values, strict=True))
            found["dim_retailer"][values[0],] = Version(
                {"retailer_key": key_of(values[0]), **row}, None, hash_of(values)
            )
        return found

    def _merge(
        self, table: str, rows: Mapping[Key, Version], run_id: str, figures: Figures | None = None
    ) -> dict[str, int]:
        counted = Counter(dict.fromkeys(("inserted", "updated", "touched", "unchanged", "stale"), 0))
        for key, new in rows.items():
            old = self._tables[table].get(key)
            action = _action(table, old, new)
            counted[action] += 1
            if figures is not None:
                hop = "updated_in" if action == "updated" else action
                _add(figures, hop, new.columns["retailer_id"], new.columns)
                if action == "updated" and old is not None:
                    _add(figures, "updated_out", old.columns["retailer_id"], old.columns)
            if action in ("inserted", "updated"):
                new.run_id = run_id
                self._tables[table][key] = new
            elif action == "touched" and old is not None:
                old.updated_at = new.updated_at
                old.columns["updated_at"] = new.updated_at
        return dict(counted)


def _action(table: str, old: Version | None, new: Version) -> str:
    if old is None:
        return "inserted"
    if new.is_newer_than(old):
        return "touched" if new.hash == old.hash and table != "fact_sales" else "updated"
    return "unchanged" if new.hash == old.hash else "stale"


def _keep_newest(rows: dict[Key, Version], key: Key, new: Version) -> None:
    old = rows.get(key)
    if old is None or new.is_newer_than(old):
        rows[key] = new
    elif (new.updated_at, new.hash) == (old.updated_at, old.hash):
        old.refs |= new.refs


def _natural_key(values: Values) -> Key:
    return (values["retailer_id"], values["transaction_id"], values["line_id"])


def _fact(values: Values) -> Version:
    day: date = values["business_date"]
    retailer = values["retailer_id"]
    columns = {name: values[name] for name in FACT_COLUMNS} | {
        "sales_key": key_of(*_natural_key(values)),
        "date_key": int(f"{day:%Y%m%d}"),
        "product_key": key_of(retailer, values["product_id"]),
        "customer_key": key_of(retailer, values["customer_id"]),
        "store_key": key_of(retailer, values["store_id"]),
        "retailer_key": key_of(retailer),
        "business_month": f"{day:%Y-%m}",
    }
    hashed = hash_of(content_values(values), values["mapping_version"] or 0)
    return Version(columns, values["updated_at"], hashed, refs={values["source_ref"]})


def _member(table: str, values: Row, updated_at: datetime, mapping: int) -> Version:
    row = {name: values[name] for name in ATTRIBUTES[table]}
    natural_key = [row[name] for name in ATTRIBUTES[table][:2]]
    columns = {KEYS[table]: key_of(*natural_key), **row, "updated_at": updated_at}
    return Version(columns, updated_at, hash_of(list(row.values()), mapping))


def _unknown(table: str) -> Row:
    if table == "dim_date":
        row = dict.fromkeys(_day(date(2017, 1, 1)).columns) | {"month_name": "Unknown", "day_name": "Unknown"}
        del row["date_key"]
    else:
        row = dict.fromkeys(ATTRIBUTES[table]) | _FIRST_RUN_ATTRIBUTES[table]
    hashed = hash_of(list(row.values()))
    stamp = {} if table in ("dim_date", "dim_retailer") else {"updated_at": None}
    return {**row, **stamp, KEYS[table]: -1, "content_hash": hashed}


def _month_of(day: date) -> Iterable[date]:
    days = monthrange(day.year, day.month)[1]
    return (date(day.year, day.month, number) for number in range(1, days + 1))


def _day(day: date) -> Version:
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
    return Version(columns, None, hash_of(list(attributes.values())))


def _refused(values: Values, reasons: Sequence[str], text: str, retailer: str, day: date) -> Row:
    shown = (
        "retailer_id", "transaction_id", "line_id", "business_date", "currency", "total_amount", "source_ref",
    )  # fmt: skip
    return {
        "from_retailer": retailer, "logical_date": day, "reasons": "; ".join(reasons), "value": text,
        "severity": "critical" if is_critical(values) else "error", "warnings": "; ".join(warnings(values)),
        **{name: values.get(name) for name in shown},
    }  # fmt: skip


def _add(figures: Figures, hop: str, retailer: str, values: Row, sign: int = 1) -> None:
    day = values.get("business_date")
    group = (hop, retailer, str(day) if day else None, values.get("currency"))
    rows, money = figures.get(group, (0, Decimal(0)))
    figures[group] = (rows + sign, money + sign * (values.get("total_amount") or Decimal(0)))


def _count_duplicates(figures: Figures, good: Sequence[Values], staged: Mapping[Key, Version]) -> None:
    """Every good line that is not the one of its key that was staged."""
    for values in good:
        _add(figures, "duplicate", values["retailer_id"], values)
    for version in staged.values():
        _add(figures, "duplicate", version.columns["retailer_id"], version.columns, sign=-1)
    for group in [group for group, (rows, _) in figures.items() if group[0] == "duplicate" and not rows]:
        del figures[group]
