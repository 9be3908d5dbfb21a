"""The interface of every retailer's service class, and the shared code that walks pages and makes records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, Protocol, TypeAlias, runtime_checkable

from pydantic import AfterValidator, BaseModel, ConfigDict

from retail.config.secrets import Secrets
from retail.config.settings import RetailerSettings, Settings, web_address
from retail.errors import (
    BadCursorError,
    CursorExpiredError,
    ExtractError,
    OutOfReachError,
    RefusedError,
)
from retail.records import SalesRecord
from retail.sources.http.client import AGAIN
from retail.sources.http.messages import Clock
from retail.sources.http.rate_limit import QuotaPolicy
from retail.sources.values.json_path import JSON, entries
from retail.sources.window import Window

# A filter applied after paging can leave pages empty; an endless series of them means a faulty cursor.
_MOST_EMPTY_PAGES: Final = 10
# Two million orders of one day, where a page has a hundred.
_MOST_PAGES: Final = 20_000

# The reason of `without_lines`.
NO_LINES: Final = "no_lines"

WebAddress: TypeAlias = Annotated[str, AfterValidator(web_address)]


class Options(BaseModel):
    """The allowed keys of `[retailers.x] options`; each service adds its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Page:
    """One response without personal data, and the cursor to continue with; `next_cursor` is None on the last page.

    `begins` says that the page starts a list of its own, which may repeat the end of the previous one.
    """

    answer: JSON
    next_cursor: str | None
    begins: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line that is no sale of this retailer, and why. Counted with its money, never landed."""

    reason: str
    record: SalesRecord


@dataclass(frozen=True, slots=True)
class Noted:
    """A line that is landed with a note, such as `retail.records.TAX_OPTION`, for staging to report."""

    note: str
    record: SalesRecord


# What a Sales makes of a line.
Mapped: TypeAlias = SalesRecord | Noted | Skipped


def record_of(mapped: Mapped) -> SalesRecord:
    """The record, whether it is skipped, noted or neither."""
    return mapped if isinstance(mapped, SalesRecord) else mapped.record


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The cost of fetching some windows from a retailer.

    `quota_seconds` is the time spent waiting for its quota, which `quota` describes in words; `asked` is the number of
    calls made to find out.
    """

    orders: int
    calls: int
    quota_seconds: float
    quota: str
    asked: int


class Sales(Protocol):
    """Interprets a retailer's responses. Pure: no network, no secret, no clock.

    MAPPING_VERSION, from 1 to 1,000, is raised with every change in what `records` makes of a response: days that are
    then landed again replace what the previous version made of them.
    """

    MAPPING_VERSION: ClassVar[int]

    def records(self, answer: JSON, source: str) -> Iterator[Mapped]:
        """One record per line of a page; `source` is the payload object that holds the page. Never raises."""


@runtime_checkable
class ListsEntries(Protocol):
    """What a Sales offers so that landing can count its answers apart from `records`; it can do without."""

    def entries(self, answer: JSON) -> list[str] | None:
        """The JSON pointer of every order, or other entry, that a page lists; None if the page is not this service's.

        `source_ref` of a record begins with its entry's pointer. Landing refuses a page of which an entry came to no
        record.
        """


class Service(Protocol):
    """One retailer's API, and the interpretation of its responses."""

    Options: ClassVar[type[Options]]
    # How late the retailer may list a change: so much before a run's first day is fetched again with it.
    LOOK_BACK: ClassVar[timedelta]

    def __init__(
        self,
        retailer_id: str,
        settings: Settings,
        secrets: Secrets,
        *,
        clock: Clock,
        quota_policy: QuotaPolicy,
    ) -> None: ...

    @classmethod
    def secret_names(cls, options: Mapping[str, Any]) -> tuple[str, ...]:
        """The secrets needed with these options of the configuration, each named `<retailer_id>_<name>`."""

    @classmethod
    def sales(cls, retailer_id: str, retailer: RetailerSettings) -> Sales:
        """The Sales of this retailer, which need no secret."""

    def pages(self, window: Window, cursor: str | None) -> Iterator[Page]:
        """The pages of changes in the window, from the page that `cursor` names.

        Raises CursorExpiredError if the retailer no longer accepts that cursor, OutOfReachError if by its own clock it
        no longer shows that day, ExtractError otherwise.
        """

    def estimate(self, windows: Sequence[Window]) -> Estimate:
        """The cost of fetching these windows, found with few calls. Raises ExtractError."""


@runtime_checkable
class Reconcilable(Protocol):
    """What a service offers so that days can be compared with the retailer again; a service can do without."""

    def created(self, window: Window, cursor: str | None) -> Iterator[Page]:
        """Like `Service.pages`, of everything that was created in the window, as it stands now."""

    def find(self, transaction_id: str) -> JSON:
        """A page with this one order as it stands now; None if the retailer says that it has no such order."""

    def require_reach(self, window: Window) -> None:
        """Raises OutOfReachError unless the retailer still shows every order of the day, however it is asked for."""


@runtime_checkable
class ChecksAccess(Protocol):
    """What a service offers to `retail doctor`; without it, one day is estimated."""

    def check_access(self) -> None:
        """Log in, and make one cheap call for each right that reading sales needs. Raises ExtractError."""


def pointers(answer: JSON, *lists: tuple[str, ...]) -> list[str] | None:
    """The JSON pointer of each entry of the lists at these paths; None for an answer with none of the lists.

    >>> pointers({"orders": [{}, {}]}, ("orders",), ("list", "order"))
    ['/orders/0', '/orders/1']
    """
    found = {path: entries(answer, *path) for path in lists}
    if all(each is None for each in found.values()):
        return None
    return [f"/{'/'.join(path)}/{place}" for path, each in found.items() for place in range(len(each or []))]


def follow(
    fetch: Callable[[str | None], Page],
    *,
    orders: Callable[[JSON], JSON],
    cursor: str | None,
    retailer_id: str,
) -> Iterator[Page]:
    """Yields pages until one names no next cursor.

    Raises CursorExpiredError if the initial `cursor` is refused, BadCursorError for a cursor or a page that repeats.
    """
    first = cursor
    seen = {cursor}
    last: JSON = None
    empty = 0
    while True:
        try:
            page = fetch(cursor)
        except RefusedError as error:
            if cursor is not None and cursor == first and error.status == 400:
                raise CursorExpiredError(error.message, hint=error.hint) from None
            raise
        found = orders(page.answer)
        empty = 0 if found else empty + 1
        repeats = found and found == last and not page.begins
        is_known = page.next_cursor is not None and page.next_cursor in seen
        if repeats or is_known or empty > _MOST_EMPTY_PAGES or len(seen) > _MOST_PAGES:
            raise BadCursorError(
                f"{retailer_id}: page {len(seen)} of this query repeats; the retailer's cursor does not advance",
                hint=AGAIN,
            )
        yield page
        if page.next_cursor is None:
            return
        cursor, last = page.next_cursor, found
        seen.add(cursor)


def require_kept(window: Window, kept: timedelta, *, now: datetime, retailer_id: str) -> None:
    """Raises OutOfReachError if the window's day began longer ago than the retailer keeps its orders."""
    if window.day.start < now - kept:
        raise OutOfReachError(
            f"{retailer_id}: {window.logical_date} cannot be compared; on {now:%Y-%m-%d} the retailer shows only the "
            f"orders of the last {kept.days} days",
            hint="compare later days; the star keeps what it has of this one",
        )


def require_over_there(end: datetime, there: datetime | None, *, retailer_id: str, here: datetime) -> None:
    """Raises ExtractError if the retailer's own time, where known, has not reached the `end` of the requested window.

    The retailer answers such a request with the data it has so far, and a clock that runs ahead here would take that
    for the whole day.
    """
    if there is not None and there < end:
        raise ExtractError(
            f"{retailer_id}: the day that ends at {end:%Y-%m-%d %H:%M} UTC is not over; "
            f"the retailer's clock says {there:%Y-%m-%d %H:%M:%S}, this machine's {here:%Y-%m-%d %H:%M:%S}",
            hint="correct this machine's clock, then run the same command again; nothing of that day was loaded",
        )


def unreadable(
    retailer_id: str, source_ref: str, *, transaction_id: str | None = None, line_id: str | None = None
) -> SalesRecord:
    """The record of something that is neither an order nor a line: it ends up in quarantine instead of vanishing."""
    return SalesRecord(
        retailer_id=retailer_id,
        transaction_id=transaction_id,
        line_id=line_id,
        record_type=None,
        status=None,
        sold_at=None,
        updated_at=None,
        business_date=None,
        product_id=None,
        quantity=None,
        total_amount=None,
        currency=None,
        source_ref=source_ref,
    )


def without_lines(head: SalesRecord, *, is_cancelled: bool) -> Skipped:
    """An order that came without any line. If it is cancelled, so are the lines that the star has of it."""
    return Skipped(NO_LINES, replace(head, status="cancelled" if is_cancelled else head.status))


def cancelled(record: SalesRecord, *, status: str = "cancelled") -> SalesRecord:
    """The same line with nothing sold, so that it overwrites the sale."""
    return replace(
        record,
        status=status,
        quantity="0",
        unit_price=None,
        discount_amount="0",
        tax_amount="0",
        total_amount="0",
    )
