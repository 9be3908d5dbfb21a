"""Step 2: the raw file of a date, with the newest version of every line in all payload pages of that date.

    raw/<retailer_id>/year=YYYY/month=MM/day=DD/sales_data.json     one SalesRecord a line

The file depends on the payloads alone: landing again gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from tempfile import TemporaryFile
from typing import Final, NamedTuple

import structlog

from retail.errors import DamagedError, NotFetchedError, TieOutError
from retail.lake.layout import raw_file
from retail.lake.storage import Storage
from retail.landing import erased, payloads, withdrawn
from retail.landing.latest_versions import Fetched, LatestVersions
from retail.landing.payloads import CHANGES, ORDERS, WITHDRAWN, Payload
from retail.records import AHEAD, SalesRecord
from retail.runs.counts import FETCHED, HopCount
from retail.sources.service import NO_LINES, ListsEntries, Noted, Sales, Skipped, record_of
from retail.sources.values.timestamps import is_normal, utc_text

# As staging reads an amount (a test keeps the two in step): an amount it cannot read counts no money here
# either.
_AMOUNT: Final = re.compile(r"-?[0-9]{1,11}([.][0-9]{1,4})?", re.ASCII)
_LONGEST_AMOUNT: Final = 17
# Places to which amounts are counted before they are rounded: a day's sum of them stays exact in 28 digits.
_COUNTED: Final = Decimal("1e-8")
_WIDE: Final = Context(prec=200)
# How far a retailer's clock may be ahead of ours.
_AHEAD: Final = timedelta(hours=1)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """The raw file that was written, and rows and money of the hops of `counts.FETCHED`.

    `emptied` are the orders that came cancelled and without lines, with the time of that change.
    """

    retailer_id: str
    logical_date: date
    key: str
    rows: int
    counts: list[HopCount]
    emptied: dict[str, str]


class _Group(NamedTuple):
    hop: str
    reason: str | None
    business_date: str | None
    currency: str | None


class _Tally:
    """Rows and money per hop, reason, business date and currency; and the orders of `Landed.emptied`."""

    def __init__(self) -> None:
        self._figures: dict[_Group, tuple[int, Decimal]] = {}
        self.emptied: dict[str, str] = {}

    def add(self, hop: str, record: SalesRecord, *, reason: str | None = None) -> None:
        self._add(_Group(hop, reason, record.business_date, record.currency), 1, money_of(record))

    def add_skipped(self, record: SalesRecord, *, reason: str) -> None:
        self.add("skipped", record, reason=reason)
        changed_at = record.updated_at if is_normal(record.updated_at) else None
        is_emptied = reason == NO_LINES and record.status == "cancelled"
        if is_emptied and record.transaction_id is not None and changed_at is not None:
            self.emptied[record.transaction_id] = changed_at

    def add_fetched(self, record: SalesRecord, rounded: SalesRecord) -> None:
        """Count the record with its own amount, to eight places, and what rounding takes off it as `rounding`."""
        self.add("fetched", rounded)
        if record.total_amount != rounded.total_amount:
            exact = Decimal(record.total_amount or 0).quantize(_COUNTED, ROUND_HALF_EVEN, _WIDE)
            taken_off = exact - money_of(rounded)
            if taken_off:
                group = _Group("fetched", None, record.business_date, record.currency)
                self._add(group, 0, taken_off)
                self._add(group._replace(hop="rounding"), 0, taken_off)

    def _add(self, group: _Group, more: int, amount: Decimal) -> None:
        rows, money = self._figures.get(group, (0, Decimal(0)))
        self._figures[group] = (rows + more, money + amount)

    def counts(self, retailer_id: str) -> list[HopCount]:
        """The counts in a fixed order. Money that was landed has at most four places, as in the star."""
        return [
            HopCount(
                hop=group.hop,
                reason=group.reason,
                retailer_id=retailer_id,
                business_date=group.business_date,
                currency=group.currency,
                rows=rows,
                money=money,
            )
            for group, (rows, money) in sorted(self._figures.items(), key=lambda each: str(each[0]))
        ]


def money_of(record: SalesRecord) -> Decimal:
    """The line's total if it is an amount that the star can hold, else 0."""
    amount = record.total_amount or ""
    return _money(amount) if len(amount) <= _LONGEST_AMOUNT else Decimal(0)


@lru_cache(maxsize=4096)
def _money(text: str) -> Decimal:
    return Decimal(text) if _AMOUNT.fullmatch(text) else Decimal(0)


def land(
    sales: Sales, storage: Storage, *, retailer_id: str, logical_date: date, mapping_revision: int = 0
) -> Landed:
    """Write the raw file of a date, in one piece, from all payload pages of the date.

    `mapping_revision` comes from the configuration and is added to the mapping's version. Raises NotFetchedError or
    DamagedError if there are no pages, they do not cover the whole day, or one is another service's; and TieOutError
    with the figures if rows or money do not reconcile, or an entry of a page came to nothing. Any existing file then
    stays.
    """
    tally = _Tally()
    key = raw_file(retailer_id, logical_date)
    with LatestVersions(sales.MAPPING_VERSION + mapping_revision) as newest, TemporaryFile() as file:
        walks: dict[str, list[Payload]] = {}
        for payload, records in _fetched(sales, storage, retailer_id, logical_date, tally):
            walks.setdefault(payload.walk, []).append(replace(payload, answer=None))
            for superseded in newest.add(records, walk=payload.walk):
                tally.add("superseded", superseded)
        for superseded in newest.keep_keyless_of(_counting_walks(walks, retailer_id, logical_date)):
            tally.add("superseded", superseded)
        rows = 0
        for line in newest.lines():
            rows += 1
            file.write(line.encode() + b"\n")
            # Read the line back, so that the counts prove what is written.
            tally.add("landed", SalesRecord.from_line(line))
        counts = tally.counts(retailer_id)
        _require_tie_out(counts, logical_date)
        file.seek(0)
        storage.write_from(key, file)
    log.info("landed", retailer_id=retailer_id, logical_date=str(logical_date), rows=rows, key=key)
    return Landed(
        retailer_id=retailer_id,
        logical_date=logical_date,
        key=key,
        rows=rows,
        counts=counts,
        emptied=tally.emptied,
    )


class _Entries:
    """The orders, or other entries, of a page, found apart from the mapping; and those that came to a record."""

    def __init__(self, key: str, pointers: Iterable[str] | None) -> None:
        self._prefix = f"{key}#/answer"
        self._pointers = None if pointers is None else frozenset(pointers)
        self._seen: set[str] = set()

    @classmethod
    def of(cls, sales: Sales, payload: Payload, key: str) -> _Entries:
        """Raises DamagedError for a page that is none of the service's."""
        if payload.kind == WITHDRAWN or not isinstance(
            sales, ListsEntries
        ):  # no answer, or a class that does without
            return cls(key, None)
        pointers = sales.entries(payload.answer)
        if pointers is None:
            raise DamagedError(
                f"{payload.retailer_id}: page {payload.page} of {payload.logical_date}, {key}, is no answer of the "
                "retailer's service",
                hint=f"if `service` of retailers.{payload.retailer_id} was changed, give the new service a retailer_id "
                "of its own; else restore the page from a backup",
            )
        return cls(key, pointers)

    def of_record(self, record: SalesRecord) -> str:
        """The pointer of the entry that the record is from, which is now accounted for."""
        pointer = record.source_ref.removeprefix(self._prefix)
        while self._pointers is not None and pointer and pointer not in self._pointers:
            pointer = pointer.rpartition("/")[0]
        self._seen.add(pointer)
        return pointer

    def require_all(self, logical_date: date) -> None:
        """Raises TieOutError if an entry came to no record, skipped ones included."""
        lost = sorted((self._pointers or frozenset()) - self._seen)
        if lost:
            raise TieOutError(
                f"landing {logical_date}: {len(lost)} of {len(self._pointers or ())} entries of a page came to no "
                f"record, the first is {self._prefix}{lost[0]}",
                hint="nothing was landed; this is a bug in retail-lakehouse: please report it with the payloads",
            )


@dataclass(frozen=True, slots=True)
class _Times:
    """The latest `updated_at` that a page's lines can have, and when its day began; None if the page does not say.

    A line with a later one would be the newest for ever, whatever the retailer says of it afterwards.
    """

    latest: str | None
    day_began: str

    @classmethod
    def of(cls, payload: Payload) -> _Times:
        # Orders that are compared later show what they are now, not what they were on their day.
        end = payload.window_end if payload.kind == CHANGES else payload.fetched_at
        times = (payload.fetched_at, payload.window_start, end)
        if payload.kind == WITHDRAWN or not all(map(is_normal, times)):
            return cls(None, "")
        fetched_at, start, end_at = map(datetime.fromisoformat, times)
        return cls(utc_text(fetched_at + _AHEAD), utc_text(max(start, end_at - timedelta(days=1))))

    def dated(self, record: SalesRecord) -> tuple[SalesRecord, bool]:
        """The record, as of the beginning of the page's day if its time of change is in the future; and whether it is.

        So it wins over what earlier days say of the line, and later answers win over it.
        """
        time = record.updated_at
        if self.latest is None or time is None or not is_normal(time) or time <= self.latest:
            return record, False
        return replace(record, updated_at=self.day_began), True


def require_whole(storage: Storage, retailer_id: str, logical_date: date) -> None:
    """Read every page of the date, as `land` will.

    Raises DamagedError for a page that is missing or cannot be read, NotFetchedError if no walk is complete.
    """
    walks: dict[str, list[Payload]] = {}
    for _, payload in payloads.read_all(storage, retailer_id, logical_date):
        walks.setdefault(payload.walk, []).append(replace(payload, answer=None))
    _newest_whole(walks, retailer_id, logical_date)


def _fetched(
    sales: Sales, storage: Storage, retailer_id: str, logical_date: date, tally: _Tally
) -> Iterator[tuple[Payload, list[Fetched]]]:
    """Every page with its lines that are not skipped, in the order in which they were fetched."""
    gone = erased.of(storage, retailer_id)  # a page may have been restored from a backup
    for key, payload in payloads.read_all(storage, retailer_id, logical_date):
        records = []
        entries, times = _Entries.of(sales, payload, key), _Times.of(payload)
        made = withdrawn.records if payload.kind == WITHDRAWN else sales.records
        for each in made(payload.answer, key):
            exact = record_of(each)
            if exact.customer_id in gone:
                exact = replace(exact, customer_id=None)
            record, is_ahead = times.dated(exact.rounded())
            tally.add_fetched(exact, record)
            entry = entries.of_record(record)
            if isinstance(each, Skipped):
                tally.add_skipped(record, reason=each.reason)
            else:
                notes = [AHEAD] * is_ahead + ([each.note] if isinstance(each, Noted) else [])
                records.append(Fetched(record, entry, tuple(notes)))
        entries.require_all(logical_date)
        yield payload, records


def _counting_walks(walks: dict[str, list[Payload]], retailer_id: str, logical_date: date) -> set[str]:
    """The walks whose lines without a complete key count: such lines cannot supersede each other.

    They are the newest complete walk through the day's changes, and the newest comparison of the day.
    """
    compared = [walk for walk, pages in walks.items() if pages[0].kind == ORDERS]
    return {_newest_whole(walks, retailer_id, logical_date), *compared[-1:]}


def _newest_whole(walks: dict[str, list[Payload]], retailer_id: str, logical_date: date) -> str:
    """The newest complete walk with no page missing; without this check, part of a day would pass for the whole."""
    fetch = f"fetch it: retail run --date {logical_date} --only {retailer_id}"
    if not walks:
        raise NotFetchedError(f"{retailer_id}: nothing was ever fetched for {logical_date}", hint=fetch)
    for walk, pages in reversed(walks.items()):
        if pages[0].kind != CHANGES:
            continue
        ends = [page.walk_page for page in pages if page.next_cursor is None]
        if not ends:
            continue
        missing = set(range(1, max(ends) + 1)) - {page.walk_page for page in pages}
        if missing:
            raise DamagedError(
                f"{retailer_id}: page {min(missing)} of the {max(ends)} pages of {logical_date}, fetched from "
                f"{walk} on, is missing",
                hint=f"restore it from a backup, or {fetch} --again",
            )
        return walk
    raise NotFetchedError(f"{retailer_id}: {logical_date} was never fetched completely", hint=fetch)


def _require_tie_out(counts: Iterable[HopCount], logical_date: date) -> None:
    """Check that what was fetched is all accounted for, in rows and money, per business date and currency."""
    left: dict[tuple[str, str | None, str | None], tuple[int, Decimal]] = {}
    for count in counts:
        group = (count.retailer_id, count.business_date, count.currency)
        sign = 1 if count.hop == "fetched" else -1
        rows, money = left.get(group, (0, Decimal(0)))
        left[group] = (rows + sign * count.rows, money + sign * count.money)
    wrong = [
        f"{retailer}, {day or 'no date'}, {currency or 'no currency'}: {rows:+d} rows, {money:+f} in money"
        for (retailer, day, currency), (rows, money) in sorted(left.items(), key=str)
        if rows or money
    ]
    if wrong:
        raise TieOutError(
            f"landing {logical_date}: {FETCHED} does not hold:\n  - " + "\n  - ".join(wrong),
            hint="nothing was landed; this is a bug in retail-lakehouse: please report it with the payloads",
        )
