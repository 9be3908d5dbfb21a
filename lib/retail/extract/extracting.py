"""Step 1: ask a retailer for a window, page by page, and keep each page before asking for the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from retail.errors import ExtractError
from retail.extract import payloads
from retail.extract.instants import utc_text
from retail.extract.payloads import Payload
from retail.extract.service import Page, Service
from retail.extract.windows import Window
from retail.storage import Storage

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """A window that was read to its end. `pages` are all that the run holds, `fetched` those asked for now."""

    retailer_id: str
    run_id: str
    window: Window
    pages: int
    fetched: int


@dataclass(frozen=True, slots=True)
class PageWritten:
    """Told to `on_page` once the page is safe."""

    retailer_id: str
    number: int
    key: str


def extract(
    service: Service,
    storage: Storage,
    *,
    retailer_id: str,
    window: Window,
    run_id: str,
    on_page: Callable[[PageWritten], None] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Extracted:
    """Ask for all pages of the window and write each as a payload; at least one, proof that it was asked.

    Where the run has pages already, goes on behind the last of them. Raises ExtractError where the retailer
    cannot be read, the pages so far are kept; and for a day that is not over, of which a part would be taken
    for the whole.
    """
    if window.end > now():
        raise ExtractError(
            f"{retailer_id}: {window.logical_date} is over at {window.end:%Y-%m-%d %H:%M} UTC and not before",
            hint="run this date again then; the other days and retailers go on",
        )
    last = _last_page(storage, retailer_id=retailer_id, window=window, run_id=run_id)
    number = last.page if last else 0
    resumed_behind = number
    if last is None or last.next_cursor is not None:
        for page in service.pages(window, last.next_cursor if last else None):
            number += 1
            payload = _payload(page, number, retailer_id=retailer_id, window=window, run_id=run_id, now=now())
            key = payloads.write(storage, payload)
            if key is None:
                raise ExtractError(
                    f"{retailer_id}: page {number} of run {run_id} is there already; two processes work on it",
                    hint="let the other one end, then run the same command again",
                )
            if on_page is not None:
                on_page(PageWritten(retailer_id, number, key))
    log.info(
        "extracted",
        retailer_id=retailer_id,
        logical_date=str(window.logical_date),
        run_id=run_id,
        pages=number,
        resumed_behind=resumed_behind,
    )
    return Extracted(
        retailer_id=retailer_id,
        run_id=run_id,
        window=window,
        pages=number,
        fetched=number - resumed_behind,
    )


def _last_page(storage: Storage, *, retailer_id: str, window: Window, run_id: str) -> Payload | None:
    keys = payloads.keys(storage, retailer_id, window.logical_date, run_id)
    if not keys:
        return None
    last = payloads.read(storage, keys[-1])
    if last.page != len(keys):
        raise ExtractError(
            f"{retailer_id}: run {run_id} holds {len(keys)} pages, the last is number {last.page}",
            hint="bring the missing pages back from a backup, or extract this date in a new run",
        )
    if not last.is_of(window):
        raise ExtractError(
            f"{retailer_id}: run {run_id} asked for {last.window_start} to {last.window_end}, "
            f"now it is {utc_text(window.start)} to {utc_text(window.end)}",
            hint="the configuration changed in between: extract this date in a new run",
        )
    return last


def _payload(
    page: Page, number: int, *, retailer_id: str, window: Window, run_id: str, now: datetime
) -> Payload:
    return Payload(
        retailer_id=retailer_id,
        run_id=run_id,
        logical_date=window.logical_date.isoformat(),
        window_start=utc_text(window.start),
        window_end=utc_text(window.end),
        page=number,
        fetched_at=utc_text(now),
        next_cursor=page.next_cursor,
        answer=page.answer,
    )
