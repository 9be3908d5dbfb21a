"""Walmart Marketplace US: `GET /v3/orders` and `/v3/returns` (specs orders.json and returns.json).

The specs do not say whether a date range includes its ends: a doubled order is harmless, and removed in landing.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Any, ClassVar, Final, Literal
from zoneinfo import ZoneInfo

import structlog
from pydantic import Field

from retail.config.secrets import PEPPER, Secret, Secrets
from retail.config.settings import RetailerSettings, Settings
from retail.errors import ExtractError, OutOfReachError
from retail.sources import pii
from retail.sources.cursors import SeenCursors, bad_cursor, next_cursor
from retail.sources.http.client import HttpClient
from retail.sources.http.messages import Clock, Request, Response, answered_at
from retail.sources.http.rate_limit import Quota, QuotaPolicy
from retail.sources.service import (
    Estimate,
    Options,
    Page,
    WebAddress,
    follow,
    require_kept,
    require_over_there,
)
from retail.sources.values import money
from retail.sources.values.json_path import JSON, at
from retail.sources.walmart import catalog, mapping
from retail.sources.walmart.catalog import WalmartItems
from retail.sources.walmart.errors import error_code, is_nothing_found
from retail.sources.walmart.pagination import LISTS, ORDER_LISTS, RETURNS, Place, instant_text
from retail.sources.walmart.refunds import RefundLookup
from retail.sources.window import Window

ORDERS_PATH: Final = "/v3/orders"
RETURNS_PATH: Final = "/v3/returns"
KEPT: Final = timedelta(days=180)
# The greatest age of an order that changed in a window; fetched within two days, that lies within KEPT.
OLDEST: Final = timedelta(days=177)
# "All orders", as cited by two third parties; the official table needs a login.
CALLS_A_MINUTE: Final = 5_000

# Not documented; a call is cheap here, and a weekend's orders are in again on Monday.
LOOK_BACK: Final = timedelta(hours=48)

log = structlog.get_logger(__name__)


class WalmartOptions(Options):
    """`charge_basis`: whether a charge is for the whole line or for one unit. No document says which.

    A query that matches `most_entries` or more is not answered completely, and is split.
    """

    charge_basis: Literal["line", "unit"] = "line"
    most_entries: int = Field(default=10_000, gt=1, le=10_000)
    page_size: int = Field(default=200, ge=1, le=200)
    token_url: WebAddress | None = None
    channel_type: str | None = None


class WalmartProfile:
    """Client credentials buy tokens of 15 minutes; 429 comes with the instant of the next token."""

    def __init__(
        self, token_url: str, *, client_id: Secret, client_secret: Secret, channel_type: str | None
    ) -> None:
        self._client_id, self._client_secret = client_id, client_secret
        self._token_url = token_url
        self._channel = {"WM_CONSUMER.CHANNEL.TYPE": channel_type} if channel_type else {}

    @property
    def secrets(self) -> tuple[Secret, ...]:
        pair = f"{self._client_id.reveal()}:{self._client_secret.reveal()}"
        return (self._client_id, self._client_secret, Secret(base64.b64encode(pair.encode()).decode()))

    def token_request(self) -> Request:
        headers = {"Authorization": f"Basic {self.secrets[-1].reveal()}", **self._common()}
        form = {"grant_type": "client_credentials"}
        return Request(method="POST", url=self._token_url, headers=headers, form=form)

    def headers(self, token: str) -> dict[str, str]:
        return {"WM_SEC.ACCESS_TOKEN": token, **self._common()}

    def token_refused(self, answer: Response) -> bool:
        # Reports differ: 401 in one client, 400 with this code in another.
        expired = answer.status == 400 and error_code(answer.body).startswith("INVALID_TOKEN")
        return answer.status == 401 or expired

    def throttled(self, answer: Response) -> bool:
        return answer.status == 429

    def wait(self, answer: Response, now: datetime) -> float | None:
        if answer.status != 429:
            return None
        # Milliseconds since 1970; two spellings are in use.
        for header in ("X-Next-Replenishment-Time", "x-next-replenish-time"):
            instant = money.number(answer.headers.get(header))
            if instant is not None and money.is_positive(instant):
                seconds = float(instant) / 1000 - now.timestamp()
                return seconds if seconds > 0 else None
        return None

    def learn(self, answer: Response, quota: Quota) -> None:
        left = money.number(answer.headers.get("x-current-token-count"))
        if left is not None and left.is_finite():
            quota.learn(available=float(left))

    def _common(self) -> dict[str, str]:
        return {
            "WM_QOS.CORRELATION_ID": str(uuid.uuid4()),
            "WM_SVC.NAME": "Walmart Marketplace",
            "Accept": "application/json",
            **self._channel,
        }


class Walmart:
    """One seller's orders; `mapping` interprets them."""

    Options: ClassVar[type[Options]] = WalmartOptions
    LOOK_BACK: ClassVar[timedelta] = LOOK_BACK

    def __init__(
        self,
        retailer_id: str,
        settings: Settings,
        secrets: Secrets,
        *,
        clock: Clock,
        quota_policy: QuotaPolicy,
    ) -> None:
        retailer = settings.retailers[retailer_id]
        self._retailer_id = retailer_id
        self._base_url = retailer.base_url
        self._options = WalmartOptions(**retailer.options)
        client_id, client_secret = (
            secrets.require(f"{retailer_id}_{name}") for name in self.secret_names(retailer.options)
        )
        self._pepper = secrets.require(PEPPER)
        profile = WalmartProfile(
            self._options.token_url or f"{self._base_url}/v3/token",
            client_id=client_id,
            client_secret=client_secret,
            channel_type=self._options.channel_type,
        )
        self._clock = clock
        self._http = HttpClient(
            retailer_id, profile, settings.extract, clock=clock, quota_policy=quota_policy
        )
        self._quota = quota_policy.bucket(
            "orders", burst=CALLS_A_MINUTE, per_second=CALLS_A_MINUTE / 60, monotonic=clock.monotonic
        )

    @classmethod
    def secret_names(cls, options: Mapping[str, Any]) -> tuple[str, ...]:
        """See Service."""
        del options
        return ("client_id", "client_secret")

    @classmethod
    def sales(cls, retailer_id: str, retailer: RetailerSettings) -> mapping.WalmartSales:
        """See Service."""
        return mapping.WalmartSales(
            retailer_id=retailer_id,
            zone=ZoneInfo(retailer.time_zone),
            charges_are_per_unit=WalmartOptions(**retailer.options).charge_basis == "unit",
        )

    def pages(self, window: Window, cursor: str | None) -> Iterator[Page]:
        """See Service. The cursor is a `Place` in Walmart's lists."""
        fetch = partial(self._page, window)
        return follow(fetch, orders=mapping.entries_of, cursor=cursor, retailer_id=self._retailer_id)

    def created(self, window: Window, cursor: str | None) -> Iterator[Page]:
        """See Reconcilable. Orders and returns, by the day on which they were made."""
        fetch = partial(self._page, window.day, by_creation=True)
        return follow(fetch, orders=mapping.entries_of, cursor=cursor, retailer_id=self._retailer_id)

    def require_reach(self, window: Window) -> None:
        """See Reconcilable. An order is found by its id if it was made in the last OLDEST days."""
        require_kept(window, OLDEST, now=self._clock.now(), retailer_id=self._retailer_id)

    def find(self, transaction_id: str) -> JSON:
        """See Reconcilable."""
        found = list(self._orders_of("purchaseOrderId", transaction_id))
        if not found:
            return None
        self._explain_refunds(found, ORDER_LISTS[0])
        return self._stripped({"list": {"elements": {"order": found}}})

    def check_access(self) -> None:
        """See ChecksAccess."""
        start = instant_text(self._clock.now() - OLDEST)
        params = {"purchaseOrderId": "1", "createdStartDate": start, "shipNodeType": ORDER_LISTS[0]}
        self._look_up(ORDERS_PATH, params)

    def estimate(self, windows: Sequence[Window]) -> Estimate:
        """See Service. Walmart counts the changes from the first window to the last, once for each list."""
        whole = Window(windows[0].logical_date, windows[0].start, windows[-1].end)
        counts = [self._count(replace(Place.first(whole), of=of), whole) for of in LISTS]
        calls = sum(
            len(windows) * max(1, ceil(count / len(windows) / self._options.page_size)) for count in counts
        )
        return Estimate(
            orders=sum(counts),
            calls=calls,
            quota_seconds=self._quota.seconds_for(calls),
            quota=f"{CALLS_A_MINUTE:,} calls a minute",
            asked=len(counts),
        )

    def _count(self, place: Place, window: Window) -> int:
        _, total = self._ask(place, window, limit=1, only_count=True)
        return total

    def catalog(self) -> WalmartItems:
        """The seller's items."""
        calls = catalog.CALLS_A_MINUTE
        return WalmartItems(
            retailer_id=self._retailer_id,
            http=self._http,
            quota=Quota(burst=calls, per_second=calls / 60, monotonic=self._clock.monotonic),
            base_url=self._base_url,
            clock=self._clock,
        )

    def _page(self, window: Window, cursor: str | None, *, by_creation: bool = False) -> Page:
        """The first non-empty page from the cursor on; the last one if all are empty."""
        place = Place.of_cursor(cursor) if cursor is not None else Place.first(window)
        while True:
            answer, total = self._ask(place, window, limit=self._options.page_size, by_creation=by_creation)
            if place.query is None and total >= self._options.most_entries:
                place = place.halved()
                continue
            found = mapping.entries_of(answer) or []
            query = self._next_query(answer, of_returns=place.of == RETURNS)
            counted = place.counted(total=total, entries=len(found))
            if counted.is_short and counted.query is None and query is None:
                # A single page cannot have lost an entry between pages: the count is of something else.
                log.warning(
                    "list is shorter than its total", retailer=self._retailer_id, told=total, came=len(found)
                )
            following = counted.after(query, window)
            if found or following is None:
                self._explain_refunds(found, place.of)
                cursor = following.cursor if following else None
                return Page(self._stripped(answer), cursor, begins=place.query is None)
            if query is not None:
                raise bad_cursor(self._retailer_id, "nextCursor", "leads on from a page without entries")
            place = following

    def _stripped(self, answer: JSON) -> JSON:
        return pii.strip(answer, pii.WALMART, name=partial(pii.pseudonym, self._pepper, self._retailer_id))

    def _explain_refunds(self, found: list[JSON], of: str) -> None:
        lookup = RefundLookup(self._returns_of, partial(self._orders_of, "customerOrderId"))
        if of == RETURNS:
            lookup.explain_returns(found)
        else:
            lookup.explain_orders(found)

    def _returns_of(self, customer_order: str) -> list[JSON]:
        """All returns of a customer's order."""
        return self._look_up(RETURNS_PATH, {"customerOrderId": customer_order, "replacementInfo": "true"})

    def _orders_of(self, name: str, number: str) -> Iterator[JSON]:
        """All purchase orders of that number: each list shows one kind of ship node."""
        start = instant_text(self._clock.now() - OLDEST)
        for node in ORDER_LISTS:
            params = {name: number, "createdStartDate": start, "shipNodeType": node}
            yield from self._look_up(ORDERS_PATH, params)

    def _look_up(self, path: str, params: dict[str, str]) -> list[JSON]:
        """All entries of a list that has a page, rarely more."""
        request = Request(method="GET", url=self._base_url + path, params={**params, "limit": "200"})
        seen, found = SeenCursors(self._retailer_id, f"GET {path}"), list[JSON]()
        while True:
            answer = self._http.ask(request, accept=(200, 404), quota=self._quota)
            if answer.status == 404:
                self._check_nothing_found(request, answer)
                return found
            page = mapping.entries_of(answer.body)
            if page is None:
                raise ExtractError(
                    f"{self._retailer_id}: the response to {request.asked} has no list",
                    hint="check that base_url is Walmart Marketplace's; if so, its format has changed",
                )
            found += page
            query = self._next_query(answer.body, of_returns=path == RETURNS_PATH)
            if query is None:
                return found
            request = Request(method="GET", url=_with_query(self._base_url + path, seen.new(query)))

    def _next_query(self, answer: JSON, *, of_returns: bool) -> str | None:
        if not of_returns:
            return next_cursor(answer, "list", "meta", "nextCursor", retailer_id=self._retailer_id)
        # Required text in the specification of returns, so the last page has an empty one.
        return next_cursor(answer, "meta", "nextCursor", retailer_id=self._retailer_id, empty_ends=True)

    def _ask(
        self,
        place: Place,
        window: Window,
        *,
        limit: int,
        only_count: bool = False,
        by_creation: bool = False,
    ) -> tuple[JSON, int]:
        """The page at a place, and the number of entries in its list; 404 is an empty page with 0."""
        request = self._request(place, window, limit, by_creation=by_creation)
        answer = self._http.ask(request, accept=(200, 404), quota=self._quota)
        there = answered_at(answer.headers)
        require_over_there(window.end, there, retailer_id=self._retailer_id, here=self._clock.now())
        if not only_count:
            self._check_kept(answer, window)
        if answer.status == 404:
            self._check_nothing_found(request, answer)
            return answer.body, 0
        path = ("meta",) if place.of == RETURNS else ("list", "meta")
        total = money.number(at(answer.body, *path, "totalCount"))
        if mapping.entries_of(answer.body) is None or total is None or not total.is_finite() or total < 0:
            raise ExtractError(
                f"{self._retailer_id}: the response to {request.asked} has no list with a `totalCount`",
                hint="check that base_url is Walmart Marketplace's; if so, its format has changed",
            )
        return answer.body, int(total)

    def _request(self, place: Place, window: Window, limit: int, *, by_creation: bool) -> Request:
        url = self._base_url + (RETURNS_PATH if place.of == RETURNS else ORDERS_PATH)
        if place.query is not None:
            # A ready query string: it replaces all parameters, and must not be encoded again.
            query = place.query.lstrip("?")
            if place.of in ORDER_LISTS and "shipNodeType=" not in query:
                query += f"&shipNodeType={place.of}"
            return Request(method="GET", url=_with_query(url, query))
        if place.of == RETURNS:
            by = "returnCreation" if by_creation else "returnLastModified"
            params = {
                f"{by}StartDate": place.start,
                f"{by}EndDate": place.end,
                # Required to see that a return was called off, or that goods were sent instead.
                "replacementInfo": "true",
            }
        elif by_creation:
            params = {
                "createdStartDate": place.start,
                "createdEndDate": place.end,
                "shipNodeType": place.of,
            }
        else:
            params = {
                # Defaults to seven days back; the spec does not say that the other dates disable this
                # default.
                "createdStartDate": instant_text(window.start + window.overlap - OLDEST),
                "createdEndDate": place.end,
                "lastModifiedStartDate": place.start,
                "lastModifiedEndDate": place.end,
                "shipNodeType": place.of,
            }
        return Request(method="GET", url=url, params={**params, "limit": str(limit)})

    def _check_kept(self, answer: Response, window: Window) -> None:
        """Older orders are silently left out, or give a 404 like a day without sales."""
        there = answered_at(answer.headers)
        now = there or self._clock.now()
        if window.start + window.overlap < now - KEPT:
            raise (OutOfReachError if there else ExtractError)(
                f"{self._retailer_id}: {window.logical_date} is out of reach; on {now:%Y-%m-%d} Walmart keeps only "
                f"the orders of the last {KEPT.days} days",
                hint="that day can no longer be fetched",
            )

    def _check_nothing_found(self, request: Request, answer: Response) -> None:
        if not is_nothing_found(answer.body):
            raise ExtractError(
                f"{self._retailer_id}: {request.asked}: HTTP 404, not Walmart's CONTENT_NOT_FOUND",
                hint=f"check that retailers.{self._retailer_id}.base_url is right",
            )


def _with_query(url: str, query: str) -> str:
    """The address with Walmart's own query string, which must not be encoded again."""
    return f"{url}?{query.lstrip('?')}"
