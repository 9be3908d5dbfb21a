"""Compare a day with its retailer again: every order created on it, and every order that the star has of it.

The pages are kept beside those of the day's changes. What was missing lands from them like any other sale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import structlog

from retail.errors import CursorExpiredError, ExtractError
from retail.lake.storage import Storage
from retail.landing import payloads, withdrawn
from retail.landing.payloads import ORDERS, WITHDRAWN, Payload
from retail.records import SalesRecord
from retail.sources.service import Page, Reconcilable, Sales, Skipped, record_of
from retail.sources.values.json_path import JSON
from retail.sources.values.timestamps import utc_text
from retail.sources.window import Window

# As many orders of a day may be deleted at once, whatever share of it they are; and beyond that, this share.
_FEW: Final = 5
_SHARE: Final = 0.02

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What comparing a day has shown, by transaction id. `missing` orders have landed, `deleted` ones are yet to be."""

    listed: frozenset[str]
    missing: frozenset[str]
    deleted: frozenset[str]


@dataclass(kw_only=True)
class Comparison:
    """The pages of one retailer-day that one run compares; a run that was killed continues after its last page."""

    storage: Storage
    retailer_id: str
    window: Window
    run_id: str
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def compare(
        self,
        service: Reconcilable,
        sales: Sales,
        known: Mapping[str, bool],
        *,
        accept_deletions: bool = False,
    ) -> Compared:
        """Fetch the day's orders, and one by one those of `known` that were not among them.

        `known` are the orders that the star has of the day, and whether they count in it. An order is `deleted` only if
        the retailer says that it has none of that id. Raises ExtractError if the retailer cannot be read, or has so few
        of the known orders that something else must be wrong, unless these are to be accepted; OutOfReachError if it no
        longer shows every order of the day.
        """
        if not any(page.next_cursor is None for page in self._pages()):
            self._walk(service)
        listed, sold = self._listed(sales)
        unlisted = sorted(known.keys() - listed)
        if unlisted:
            service.require_reach(self.window)
        deleted = {each for each in unlisted if self._is_gone(service, each)}
        if not accept_deletions:
            self._require_few({each for each in deleted if known[each]}, len(known))
        missing = sold - known.keys()
        log.info(
            "compared",
            retailer_id=self.retailer_id,
            logical_date=str(self.window.logical_date),
            listed=len(listed),
            missing=len(missing),
            deleted=len(deleted),
        )
        return Compared(listed=frozenset(listed), missing=frozenset(missing), deleted=frozenset(deleted))

    def records_of(self, sales: Sales, transactions: frozenset[str]) -> Iterator[SalesRecord]:
        """The lines of these transactions on the pages of this run."""
        for page in self._pages():
            for each in sales.records(page.answer, ""):
                record = record_of(each)
                if not isinstance(each, Skipped) and record.transaction_id in transactions:
                    yield record

    def withdraw(self, lines: list[SalesRecord], *, status: str) -> None:
        """Keep these lines of the star as a page that overwrites them; nothing if there are none."""
        if lines:
            self._keep(withdrawn.page(lines, status=status), kind=WITHDRAWN)

    def _walk(self, service: Reconcilable) -> None:
        left = max(self._pages(), key=lambda page: page.page, default=None)
        cursor = None if left is None else left.next_cursor
        try:
            self._keep_all(service.created(self.window, cursor))
        except CursorExpiredError:
            self._keep_all(service.created(self.window, None))

    def _is_gone(self, service: Reconcilable, transaction_id: str) -> bool:
        answer = service.find(transaction_id)
        if answer is not None:
            self._keep(answer, kind=ORDERS)
        return answer is None

    def _require_few(self, deleted: set[str], known: int) -> None:
        if len(deleted) > max(_FEW, _SHARE * known):
            raise ExtractError(
                f"{self.retailer_id}: {len(deleted):,} of the {known:,} orders that the star has of "
                f"{self.window.logical_date} are in no list, and the retailer has none of their ids",
                hint="check that the credentials and base_url are those of the same seller; if the orders really were "
                "deleted, run the same command with --accept-deletions",
            )

    def _keep_all(self, pages: Iterator[Page]) -> None:
        for page in pages:
            self._keep(page.answer, kind=ORDERS, next_cursor=page.next_cursor)

    def _keep(self, answer: JSON, *, kind: str, next_cursor: str | None = None) -> None:
        last = payloads.last(self.storage, self.retailer_id, self.window.logical_date, self.run_id)
        number = 1 if last is None else last.page + 1
        payload = Payload(
            retailer_id=self.retailer_id,
            run_id=self.run_id,
            walk=payloads.walk_of(self.run_id, number if kind == WITHDRAWN else 1),
            walk_page=1 if kind == WITHDRAWN else number,
            logical_date=self.window.logical_date.isoformat(),
            window_start=utc_text(self.window.start),
            window_end=utc_text(self.window.end),
            page=number,
            fetched_at=utc_text(self.now()),
            next_cursor=next_cursor,
            answer=answer,
            kind=kind,
        )
        if payloads.write(self.storage, payload) is None:
            raise ExtractError(
                f"{self.retailer_id}: page {number} of run {self.run_id} already exists; "
                "two processes are comparing that day",
                hint="wait for the other process to end, then run the same command again",
            )

    def _listed(self, sales: Sales) -> tuple[set[str], set[str]]:
        """The orders on the pages of this run, whether they are sales or not, and those that are."""
        listed, sold = set(), set()
        for page in self._pages():
            for each in sales.records(page.answer, ""):
                record = record_of(each)
                if record.transaction_id is None or record.record_type in ("return", "refund"):
                    continue
                listed.add(record.transaction_id)
                if not isinstance(each, Skipped) and record.status == "completed":
                    sold.add(record.transaction_id)
        return listed, sold

    def _pages(self) -> Iterator[Payload]:
        """The orders' pages that this run has kept of the day."""
        day = self.window.logical_date
        for key in payloads.keys(self.storage, self.retailer_id, day, self.run_id):
            page = payloads.read(self.storage, key)
            if page.kind == ORDERS:
                yield page
