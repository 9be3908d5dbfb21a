"""Step 1: fetch a window from a retailer page by page, and store each page before requesting the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import structlog

from retail.errors import CursorExpiredError, ExtractError
from retail.lake.storage import Storage
from retail.landing import payloads
from retail.landing.payloads import Payload
from retail.sources.service import ListsEntries, Page, Sales, Service
from retail.sources.values.json_path import JSON
from retail.sources.values.timestamps import utc_text
from retail.sources.window import Window

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """A window that was read to its end. `pages` counts all pages of the run, `fetched` those fetched now."""

    retailer_id: str
    run_id: str
    window: Window
    pages: int
    fetched: int


@dataclass(frozen=True, slots=True)
class PageWritten:
    """Passed to `on_page` once the page is stored."""

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
    force: bool = False,
    sales: Sales | None = None,
    look: Callable[[JSON, date], None] | None = None,
    on_page: Callable[[PageWritten], None] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Extracted:
    """Fetch all pages of the window and write each as a payload; at least one, as proof of the request.

    Resumes after the last page of this run or, unless `force`, of the newest run that did not reach the window's end. A
    day whose walk was begun without its look-back is continued without it. If the retailer no longer accepts that
    page's cursor, or a changed configuration means the page is of another window, the window is walked from its start.
    A page in which `sales` finds no list of its own is refused before it is stored, as landing would refuse the day.
    `look` is shown each response once it is stored, and first the stored ones, because the run that stored them may
    have been killed. Raises ExtractError if the retailer cannot be read (the pages so far are kept), and for a day that
    is not over, since part of it would be taken for the whole.
    """
    _require_over(window, retailer_id, now())
    left = payloads.last(storage, retailer_id, window.logical_date, run_id)
    number = resumed_after = left.page if left else 0
    if left is None and not force:
        left = _left_by_another(storage, retailer_id, window)
    if left is not None and window.shorter is not None and left.is_of(window.shorter):
        window = window.shorter  # a cursor is good for its own window only
    if left is not None and look is not None:
        for payload in payloads.since_walk_began(storage, left):
            look(payload.answer, window.logical_date)
    new_walk = ""
    for page, walk, walk_page in _pages(service, window, left, retailer_id=retailer_id):
        _require_own(sales, page, window, retailer_id)
        number += 1
        if walk_page == 1:
            new_walk = payloads.walk_of(run_id, number)
        place = _Place(run_id, number, walk or new_walk, walk_page)
        key = _keep(storage, _payload(page, place, window, retailer_id=retailer_id, fetched_at=now()))
        if look is not None:
            look(page.answer, window.logical_date)
        if on_page is not None:
            on_page(PageWritten(retailer_id, number, key))
    log.info(
        "extracted",
        retailer_id=retailer_id,
        logical_date=str(window.logical_date),
        run_id=run_id,
        pages=number,
        resumed_behind=resumed_after,
    )
    fetched = number - resumed_after
    return Extracted(retailer_id=retailer_id, run_id=run_id, window=window, pages=number, fetched=fetched)


@dataclass(frozen=True)
class _Place:
    """The position of a page: its number in the run, and in the walk through the window that it belongs to."""

    run_id: str
    page: int
    walk: str
    walk_page: int


def _payload(page: Page, place: _Place, window: Window, *, retailer_id: str, fetched_at: datetime) -> Payload:
    return Payload(
        retailer_id=retailer_id,
        run_id=place.run_id,
        walk=place.walk,
        walk_page=place.walk_page,
        logical_date=window.logical_date.isoformat(),
        window_start=utc_text(window.start),
        window_end=utc_text(window.end),
        page=place.page,
        fetched_at=utc_text(fetched_at),
        next_cursor=page.next_cursor,
        answer=page.answer,
    )


def _require_over(window: Window, retailer_id: str, now: datetime) -> None:
    if window.end > now:
        raise ExtractError(
            f"{retailer_id}: {window.logical_date} does not end before {window.end:%Y-%m-%d %H:%M} UTC",
            hint="run this date again after that; other days and retailers are not affected",
        )


def _require_own(sales: Sales | None, page: Page, window: Window, retailer_id: str) -> None:
    if isinstance(sales, ListsEntries) and sales.entries(page.answer) is None:
        raise ExtractError(
            f"{retailer_id}: an answer for {window.logical_date} has no list of what was asked for; it was not kept",
            hint="run the same command again; if it happens again, the retailer's format has changed: report it with "
            "the log",
        )


def _keep(storage: Storage, payload: Payload) -> str:
    key = payloads.write(storage, payload)
    if key is None:
        raise ExtractError(
            f"{payload.retailer_id}: page {payload.page} of run {payload.run_id} already exists; "
            "two processes are fetching that day",
            hint="wait for the other process to end, then run the same command again",
        )
    return key


def _pages(
    service: Service, window: Window, left: Payload | None, *, retailer_id: str
) -> Iterator[tuple[Page, str | None, int]]:
    """The pages after `left`, with its walk; if nothing was left, all pages of the window, with no walk yet.

    The last element counts the walk's pages; it restarts if a cursor has expired or is of another window.
    """
    if left is not None:
        try:
            _require_window(left, window)
            if left.next_cursor is None:
                return
            following = _after(left, service.pages(window, left.next_cursor))
            yield from (
                (page, left.walk, place) for place, page in enumerate(following, start=left.walk_page + 1)
            )
        except CursorExpiredError as error:
            log.warning("walk restarted", retailer_id=retailer_id, page=left.page, reason=error.message)
        else:
            return
    yield from ((page, None, place) for place, page in enumerate(service.pages(window, None), start=1))


def _after(left: Payload, pages: Iterator[Page]) -> Iterator[Page]:
    """The pages, provided they advance: a cursor that led in circles when the walk was left still does."""
    for number, page in enumerate(pages):
        if number == 0 and _content(page.answer) == _content(left.answer):
            raise CursorExpiredError(
                f"the cursor of page {left.page} of run {left.run_id} leads to that page again",
                hint="the day is fetched from its start",
            )
        yield page


def _content(answer: JSON) -> JSON:
    """The response without GraphQL's metadata about the exchange."""
    if isinstance(answer, dict):
        return {key: value for key, value in answer.items() if key != "extensions"}
    return answer


def _left_by_another(storage: Storage, retailer_id: str, window: Window) -> Payload | None:
    """The last page of the newest run, if that run was for this window and did not complete it."""
    left = payloads.last(storage, retailer_id, window.logical_date)
    if left is None or left.next_cursor is None:
        return None
    windows = [window] if window.shorter is None else [window, window.shorter]
    return left if any(map(left.is_of, windows)) else None


def _require_window(last: Payload, window: Window) -> None:
    """Raises CursorExpiredError if the configuration has changed since: the cursor belongs to another window."""
    if not last.is_of(window):
        raise CursorExpiredError(
            f"run {last.run_id} fetched {last.window_start} to {last.window_end}, "
            f"the window is now {utc_text(window.start)} to {utc_text(window.end)}",
            hint="the day is fetched from its start",
        )
