"""The Delta table `quarantine`: refused lines of all days, with every reason, until they are worked off."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from retail.lake import delta, layout
from retail.lake.storage import Storage
from retail.runs.counts import HopCount
from retail.runs.lake_context import LakeContext
from retail.star.quarantine import acknowledged
from retail.star.quarantine.listing import EVERYTHING, Group, Refused, Selection
from retail.star.row_checks import SEPARATOR, UNREADABLE

COLUMNS: Final = (
    "logical_date", "from_retailer", "retailer_id", "transaction_id", "line_id", "business_date", "currency",
    "total_amount", "reasons", "severity", "warnings", "source_ref", "value", "run_id",
)  # fmt: skip


_GROUPED_BY: Final = ("retailer_id", "logical_date", "severity", "reasons")
# Texts that one commit changes.
_TEXTS_AT_ONCE: Final = 200
_Key = tuple[str, date, str, str, str | None]  # _GROUPED_BY and the currency
_Sums = dict[_Key, tuple[int, Decimal]]


def replace(context: LakeContext, lines: DataFrame, units: Sequence[tuple[str, date]]) -> None:
    """Replace the refused lines of these units by those among `lines`: restaging a date never doubles them."""
    if not units:
        return
    readable = F.col("reasons") != UNREADABLE
    carried = ("value", "reasons", "severity", "warnings", "from_retailer", "logical_date", "run_id")
    columns = [F.col(c) if c in carried else F.when(readable, F.col(c)).alias(c) for c in COLUMNS]
    bad = lines.where("reasons <> ''").select(*columns)
    _widen(context, bad)
    delta.replace(bad, context.storage, layout.QUARANTINE, where=_of(units))


def _of(units: Sequence[tuple[str, date]]) -> str:
    """One term per retailer, however many days: Sail 0.7.2 recurses over a chain, and crashes at some 550 terms."""
    days: dict[str, set[date]] = {}
    for retailer, day in units:
        days.setdefault(retailer, set()).add(day)
    return " OR ".join(
        f"(from_retailer = '{retailer}' AND logical_date IN ({_dates(days[retailer])}))"
        for retailer in sorted(days)
    )


def _dates(days: Iterable[date]) -> str:
    return ", ".join(f"DATE '{day}'" for day in sorted(days))


def _widen(context: LakeContext, bad: DataFrame) -> None:
    """Add the columns that rows have now to a table written by older code: replacing rows adds none."""
    if delta.version(context.storage, layout.QUARANTINE) is not None:
        there = delta.read(context.session, context.storage, layout.QUARANTINE).columns
        delta.add_columns(
            context.storage, layout.QUARANTINE, {name: kind for name, kind in bad.dtypes if name not in there}
        )


def kept(storage: Storage, run_id: str) -> list[HopCount]:
    """Rows and money that the run put into quarantine, counted in the table itself, as hop `in_quarantine`."""
    figures: dict[tuple[str, str | None, str | None], tuple[int, Decimal]] = {}
    for line in _read(storage, EVERYTHING, ("business_date", "currency", "total_amount"), run_id=run_id):
        day = line["business_date"]
        group = (line["retailer_id"], str(day) if day else None, line["currency"])
        _add(figures, group, line)
    return [
        HopCount(
            hop="in_quarantine", retailer_id=group[0], business_date=group[1], currency=group[2], rows=rows,
            money=money,
        )
        for group, (rows, money) in figures.items()
    ]  # fmt: skip


@dataclass(frozen=True)
class Texts:
    """Texts of refused lines and what they become; `rows` are the lines' names, old and new, by retailer-day."""

    changed: Mapping[str, str]
    rows: Mapping[tuple[str, date], Mapping[str, str]]

    @property
    def lines(self) -> int:
        return sum(map(len, self.rows.values()))


def texts_to_change(storage: Storage, holding: Sequence[str], change: Callable[[str, str], str]) -> Texts:
    """The lines that hold one of these texts, changed; `change` gets the retailer and the text."""
    texts, rows = dict[str, str](), dict[tuple[str, date], dict[str, str]]()
    for line in _read(storage, EVERYTHING, ("value",)):
        text = line["value"]
        if any(each in text for each in holding) and (after := change(line["retailer_id"], text)) != text:
            texts[text] = after
            unit = (line["retailer_id"], line["logical_date"])
            rows.setdefault(unit, {})[_name(line)] = _name({**line, "value": after})
    return Texts(texts, rows)


def change_texts(storage: Storage, texts: Texts) -> None:
    """Change these texts; what was accepted stays accepted. Only for the holder of the lease."""
    acknowledged.rename(storage, texts.rows)
    changed = list(texts.changed.items())
    for start in range(0, len(changed), _TEXTS_AT_ONCE):
        part = [
            (delta.literal(text), delta.literal(after))
            for text, after in changed[start : start + _TEXTS_AT_ONCE]
        ]
        cases = " ".join(f"WHEN {text} THEN {after}" for text, after in part)
        listed = ", ".join(text for text, _ in part)
        with delta.as_writer(storage), delta.failing(storage, layout.QUARANTINE, "be changed"):
            delta.table(storage, layout.QUARANTINE).update(
                updates={"value": f"CASE value {cases} ELSE value END"}, predicate=f"value IN ({listed})"
            )


def groups(storage: Storage, selection: Selection = EVERYTHING) -> list[Group]:
    """Open lines in quarantine, by retailer, logical date, reasons and currency."""
    at = delta.version(storage, layout.QUARANTINE)
    if at is None:
        return []
    sums = _summed(storage, selection, at)
    for key, (rows, money) in _accepted_sums(storage, selection, at).items():
        sums[key] = (sums[key][0] - rows, sums[key][1] - money)
    return _in_order(sums)


def accepted_groups(storage: Storage, selection: Selection = EVERYTHING) -> list[Group]:
    """Accepted lines in quarantine, grouped like the open ones."""
    return _in_order(_accepted_sums(storage, selection, delta.version(storage, layout.QUARANTINE)))


def accepted_of(storage: Storage, run_id: str) -> list[HopCount]:
    """Rows and money, by reasons, of the accepted lines among those the run put into quarantine, as hop `accepted`."""
    sums: dict[tuple[str, str | None, str | None, str], tuple[int, Decimal]] = {}
    for line in _accepted_lines(storage, EVERYTHING, ("business_date",), run_id=run_id):
        day = line["business_date"]
        key = (line["retailer_id"], str(day) if day else None, line["currency"], line["reasons"])
        _add(sums, key, line)
    return [
        HopCount(
            hop="accepted", retailer_id=key[0], business_date=key[1], currency=key[2], reason=key[3],
            rows=rows, money=money,
        )
        for key, (rows, money) in sums.items()
    ]  # fmt: skip


def no_longer_refused(storage: Storage, units: Collection[tuple[str, date]]) -> int:
    """Number of accepted lines of these retailer-days that are no longer refused: other text, or a dropped rule."""
    names = {key[:3] for key in acknowledged.load(storage).named() if key[:2] in units}
    if not names:
        return 0
    lines = _read(storage, EVERYTHING, ("value",), units={name[:2] for name in names})
    return len(names - {(line["retailer_id"], line["logical_date"], _name(line)) for line in lines})


def rows(
    storage: Storage, selection: Selection = EVERYTHING, *, named: Sequence[str] = (), most: int
) -> tuple[list[Refused], int]:
    """The first `most` refused lines, or those whose `row` starts with one of `named`, and their total number."""
    count = 0

    def counted() -> Iterator[Refused]:
        nonlocal count
        for each in each_line(storage, selection, named=named):
            count += 1
            yield each

    first = heapq.nsmallest(most, counted(), key=lambda each: (each.retailer_id, each.logical_date, each.row))
    return first, count


def each_line(
    storage: Storage,
    selection: Selection = EVERYTHING,
    *,
    named: Sequence[str] = (),
    reason: str | None = None,
    transaction_id: str | None = None,
) -> Iterator[Refused]:
    """Every refused line that matches.

    If given: `row` begins with one of `named`, the line was refused for `reason`, it belongs to the transaction.
    """
    beginnings = tuple(map(str.lower, named)) or ("",)
    is_accepted = acknowledged.load(storage).named()
    columns = ("warnings", "source_ref", "value", "run_id", "currency", "total_amount")
    for line in _read(storage, selection, columns, transaction_id=transaction_id):
        row = _name(line)
        if row.startswith(beginnings) and _is_for(reason, line["reasons"]):
            acceptance = is_accepted.get(_accepted_as(line, row))
            yield Refused(row=row, accepted=acceptance, **line)


def _is_for(reason: str | None, reasons: str) -> bool:
    return reason is None or reason == reasons or reason in reasons.split(SEPARATOR)


def _summed(storage: Storage, selection: Selection, at: int) -> _Sums:
    """Sums by column, whatever the selection: every run asks for them, and the cost grows with all lines refused."""
    has_severity = "severity" in {
        field.name for field in delta.table(storage, layout.QUARANTINE, at=at).schema().fields
    }
    severity = "coalesce(severity, 'error')" if has_severity else "'error'"  # from before severities existed
    found = delta.query(
        storage,
        layout.QUARANTINE,
        f"SELECT from_retailer, logical_date, {severity} AS severity, reasons, currency, count(*) AS rows, "
        "coalesce(sum(total_amount), 0) AS money FROM {table} GROUP BY 1, 2, 3, 4, 5",
        at=at,
    )
    return {
        (row["from_retailer"], row["logical_date"], row["severity"], row["reasons"], row["currency"]): (
            row["rows"],
            row["money"],
        )
        for row in found
        if selection.has(row["from_retailer"], row["logical_date"])
    }


def _accepted_sums(storage: Storage, selection: Selection, at: int | None) -> _Sums:
    sums: _Sums = {}
    for line in _accepted_lines(storage, selection, at=at):
        _add(sums, (*(line[name] for name in _GROUPED_BY), line["currency"]), line)
    return sums


def _accepted_lines(
    storage: Storage,
    selection: Selection,
    columns: Sequence[str] = (),
    *,
    run_id: str | None = None,
    at: int | None = None,
) -> Iterator[dict[str, Any]]:
    """The accepted lines. Their text, which identifies them, is read only for days that have any."""
    known = acknowledged.load(storage)
    names, units = known.named(), known.units()
    if units:
        wanted = ("currency", "total_amount", "value", *columns)
        for line in _read(storage, selection, wanted, run_id=run_id, units=units, at=at):
            if _accepted_as(line, _name(line)) in names:
                yield line


def _add(sums: dict[Any, tuple[int, Decimal]], key: object, line: Mapping[str, Any]) -> None:
    rows, money = sums.get(key, (0, Decimal(0)))
    sums[key] = (rows + 1, money + (line["total_amount"] or 0))


def _in_order(sums: _Sums) -> list[Group]:
    return [
        Group(*key, *sums[key]) for key in sorted(sums, key=lambda key: tuple(map(str, key))) if sums[key][0]
    ]


def _read(
    storage: Storage,
    selection: Selection,
    columns: Sequence[str],
    *,
    run_id: str | None = None,
    units: Iterable[tuple[str, date]] | None = None,
    transaction_id: str | None = None,
    at: int | None = None,
) -> Iterator[dict[str, Any]]:
    """The lines' `columns` and the ones they are grouped by; empty if nothing was ever staged.

    Reads a batch at a time: a retailer that changed its responses leaves a whole day here. `run_id`, `units` and
    `transaction_id` limit the lines to that run, those retailer-days or that transaction.
    """
    if delta.version(storage, layout.QUARANTINE) is None:
        return
    wanted = ("from_retailer", *_GROUPED_BY[1:], *columns)
    where, values = _condition(selection, run_id, units, transaction_id)
    for line in delta.rows(storage, layout.QUARANTINE, where=where, values=values, columns=wanted, at=at):
        line["retailer_id"] = line.pop("from_retailer")
        line["severity"] = line.get("severity") or "error"  # from before severities existed
        if "warnings" in columns:
            line["warnings"] = line.get("warnings") or ""
        yield line


def _condition(
    selection: Selection,
    run_id: str | None,
    units: Iterable[tuple[str, date]] | None,
    transaction_id: str | None,
) -> tuple[str, dict[str, Any]]:
    """The condition that selects the lines, and its values."""
    # A superset of the units: these retailers on any of these days. The caller picks lines by name.
    retailers, days = ({*each} for each in zip(*units, strict=True)) if units is not None else (None, None)
    chosen: dict[str, tuple[str, Any]] = {
        "run_id = :run_id": ("run_id", run_id),
        "transaction_id = :transaction_id": ("transaction_id", transaction_id),
        "from_retailer IN :selected": ("selected", selection.retailers or None),
        "logical_date >= :since": ("since", selection.since),
        "logical_date <= :until": ("until", selection.until),
        "from_retailer IN :retailers": ("retailers", retailers),
        "logical_date IN :days": ("days", days),
    }
    asked = {term: named for term, named in chosen.items() if named[1] is not None}
    return " AND ".join(["reasons IS NOT NULL", *asked]), dict(asked.values())


def _accepted_as(line: Mapping[str, Any], row: str) -> tuple[str, date, str, str]:
    accepted_for = acknowledged.what_for(line["severity"], line["reasons"])
    return line["retailer_id"], line["logical_date"], row, accepted_for


def _name(line: dict[str, Any]) -> str:
    text = f"{line['retailer_id']}\n{line['logical_date']}\n{line['value']}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
