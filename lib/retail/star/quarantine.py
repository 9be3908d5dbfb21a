"""The Delta table `quarantine`: lines that were refused, of all days, with every reason, until they are worked off."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from retail import delta
from retail.records import HopCount
from retail.runs.context import Context
from retail.star.judging import UNREADABLE
from retail.storage import Storage

PATH: Final = "quarantine"

COLUMNS: Final = (
    "logical_date", "from_retailer", "retailer_id", "transaction_id", "line_id", "business_date", "currency",
    "total_amount", "reasons", "severity", "warnings", "source_ref", "value", "run_id",
)  # fmt: skip


@dataclass(frozen=True)
class Selection:
    """Retailers (none: all) and the first and last logical date (None: no bound)."""

    retailers: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None


EVERYTHING: Final = Selection()
_GROUPED_BY: Final = ("retailer_id", "logical_date", "severity", "reasons")


@dataclass(frozen=True)
class Group:
    """Refused lines of one retailer's logical date that have the same reasons and currency; money is Σ total_amount.

    Lines whose amount cannot be read count no money; `currency` is None where it cannot be read.
    """

    retailer_id: str
    logical_date: date
    severity: str
    reasons: str
    currency: str | None
    rows: int
    money: Decimal


@dataclass(frozen=True)
class Refused:
    """A refused line. `row` names it: 12 hexadecimal digits of retailer, date and text, the same at every look."""

    row: str
    retailer_id: str
    logical_date: date
    severity: str
    reasons: str
    warnings: str
    source_ref: str | None
    value: str
    run_id: str


def replace(context: Context, lines: DataFrame, units: Sequence[tuple[str, date]]) -> None:
    """Replace the refused lines of these units by those among `lines`: staging a date again never doubles them."""
    if not units:
        return
    readable = F.col("reasons") != UNREADABLE
    carried = ("value", "reasons", "severity", "warnings", "from_retailer", "logical_date", "run_id")
    columns = [F.col(c) if c in carried else F.when(readable, F.col(c)).alias(c) for c in COLUMNS]
    bad = lines.where("reasons <> ''").select(*columns)
    _widen(context, bad)
    delta.replace(bad, context.storage, PATH, where=_of(units))


def _of(units: Sequence[tuple[str, date]]) -> str:
    """One term a retailer, however many days: of some 550 terms Sail 0.7.2 dies, for it takes a chain by recursion."""
    days: dict[str, set[date]] = {}
    for retailer, day in units:
        days.setdefault(retailer, set()).add(day)
    return " OR ".join(
        f"(from_retailer = '{retailer}' AND logical_date IN ({_dates(days[retailer])}))"
        for retailer in sorted(days)
    )


def _dates(days: Iterable[date]) -> str:
    return ", ".join(f"DATE '{day}'" for day in sorted(days))


def _widen(context: Context, bad: DataFrame) -> None:
    """Give the table of older code the columns that rows have now: replacing rows of it adds none."""
    if delta.version(context.storage, PATH) is not None:
        there = delta.read(context.session, context.storage, PATH).columns
        delta.add_columns(
            context.storage, PATH, {name: kind for name, kind in bad.dtypes if name not in there}
        )


def kept(storage: Storage, run_id: str) -> list[HopCount]:
    """Rows and money that the run put into quarantine, counted where they lie, as hop `in_quarantine`."""
    figures: dict[tuple[str, str | None, str | None], tuple[int, Decimal]] = {}
    for line in _read(storage, EVERYTHING, ("business_date", "currency", "total_amount"), run_id=run_id):
        day = line["business_date"]
        group = (line["retailer_id"], str(day) if day else None, line["currency"])
        rows, money = figures.get(group, (0, Decimal(0)))
        figures[group] = (rows + 1, money + (line["total_amount"] or 0))
    return [
        HopCount(
            hop="in_quarantine", retailer_id=group[0], business_date=group[1], currency=group[2], rows=rows,
            money=money,
        )
        for group, (rows, money) in figures.items()
    ]  # fmt: skip


def groups(storage: Storage, selection: Selection = EVERYTHING) -> list[Group]:
    """What lies in quarantine, by retailer, logical date, reasons and currency."""
    found: dict[tuple[str, date, str, str, str | None], tuple[int, Decimal]] = {}
    for line in _read(storage, selection, ("currency", "total_amount")):
        retailer_id, day, severity, reasons = (line[name] for name in _GROUPED_BY)
        key = (retailer_id, day, severity, reasons, line["currency"])
        rows, money = found.get(key, (0, Decimal(0)))
        found[key] = (rows + 1, money + (line["total_amount"] or 0))
    return [Group(*key, *found[key]) for key in sorted(found, key=lambda key: tuple(map(str, key)))]


def rows(
    storage: Storage, selection: Selection = EVERYTHING, *, named: Sequence[str] = (), most: int
) -> tuple[list[Refused], int]:
    """The first `most` of the refused lines, or of those whose `row` begins with one of `named`, and their number."""
    beginnings = tuple(map(str.lower, named)) or ("",)
    count = 0

    def chosen() -> Iterator[Refused]:
        nonlocal count
        for line in _read(storage, selection, ("warnings", "source_ref", "value", "run_id")):
            refused = Refused(row=_name(line), **line)
            if refused.row.startswith(beginnings):
                count += 1
                yield refused

    first = heapq.nsmallest(most, chosen(), key=lambda each: (each.retailer_id, each.logical_date, each.row))
    return first, count


def _read(
    storage: Storage, selection: Selection, columns: Sequence[str], *, run_id: str | None = None
) -> Iterator[dict[str, Any]]:
    """The lines' `columns` and those that they are grouped by; none where nothing was ever staged.

    A batch at a time: a retailer that changed its answers leaves a whole day here. `run_id`: those of that run only.
    """
    if delta.version(storage, PATH) is None:
        return
    wanted = ("from_retailer", *_GROUPED_BY[1:], *columns)
    for line in delta.rows(storage, PATH, where=_condition(selection, run_id), columns=wanted):
        line["retailer_id"] = line.pop("from_retailer")
        line["severity"] = line.get("severity") or "error"  # as it was before severities
        if "warnings" in columns:
            line["warnings"] = line.get("warnings") or ""
        yield line


def _condition(selection: Selection, run_id: str | None) -> Any:
    from pyarrow import dataset

    chosen = dataset.field("reasons").is_valid()
    if run_id is not None:
        chosen = chosen & (dataset.field("run_id") == run_id)
    if selection.retailers:
        chosen = chosen & dataset.field("from_retailer").isin(list(selection.retailers))
    if selection.since is not None:
        chosen = chosen & (dataset.field("logical_date") >= selection.since)
    if selection.until is not None:
        chosen = chosen & (dataset.field("logical_date") <= selection.until)
    return chosen


def _name(line: dict[str, Any]) -> str:
    text = f"{line['retailer_id']}\n{line['logical_date']}\n{line['value']}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def totals(groups: Iterable[Group]) -> tuple[int, dict[str, Decimal]]:
    """Rows in all, and money by currency where it is known."""
    rows, money = 0, dict[str, Decimal]()
    for group in groups:
        rows += group.rows
        if group.currency is not None and group.money:
            money[group.currency] = money.get(group.currency, Decimal(0)) + group.money
    return rows, money


def in_words(groups: Iterable[Group]) -> str:
    """Such as `3 rows, 12.50 USD`."""
    rows, money = totals(groups)
    return ", ".join(
        [f"{rows:,} rows", *(f"{amount:,.2f} {currency}" for currency, amount in sorted(money.items()))]
    )
