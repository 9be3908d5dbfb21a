"""Shopify: GraphQL Admin API 2026-10, `orders` of one shop (official schema admin_2026-10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from math import ceil
from typing import Any, ClassVar, Final, Literal
from zoneinfo import ZoneInfo

import structlog
from pydantic import Field, model_validator

from retail.config.secrets import PEPPER, Secrets
from retail.config.settings import RetailerSettings, Settings
from retail.errors import CursorExpiredError, ExtractError, OutOfReachError
from retail.sources import pii
from retail.sources.http.client import HttpClient
from retail.sources.http.messages import Clock, Response, answered_at
from retail.sources.http.rate_limit import QuotaPolicy
from retail.sources.service import (
    Estimate,
    Options,
    Page,
    WebAddress,
    follow,
    require_kept,
    require_over_there,
)
from retail.sources.shopify import mapping
from retail.sources.shopify.api import ShopifyApi
from retail.sources.shopify.api_profile import ClientCredentials, ShopifyProfile, StaticToken, points
from retail.sources.shopify.bulk import BulkReader
from retail.sources.shopify.catalog import ShopifyProducts
from retail.sources.shopify.pagination import Bulk, Paged, orders_of, place_of
from retail.sources.shopify.queries import COUNT, ORDER, ORDERS, PATH, SCOPES
from retail.sources.values.json_path import JSON, at, entries, text
from retail.sources.window import Window

# The bucket of the standard plan; every response carries the shop's own.
POINTS: Final = 2_000
POINTS_A_SECOND: Final = 100
# Without this scope older orders are left out.
ALL_ORDERS: Final = "read_all_orders"
REACH: Final = timedelta(days=60)
# How far Shopify lets one query be paged through.
MOST_OBJECTS: Final = 25_000
# Where Shopify keeps the files of bulk operations, by the examples of its guide.
STORAGE: Final = "storage.googleapis.com"
# For a plan only: the share of orders that change after their sale, and the points charged for the two
# queries.
CHANGING: Final = 0.15
PAGE_POINTS, LEDGER_POINTS = 150, 40

# The search index follows the orders by minutes, and after incidents by hours.
LOOK_BACK: Final = timedelta(hours=24)

log = structlog.get_logger(__name__)


class ShopifyOptions(Options):
    """How a shop is read.

    `access` selects the static token of an older application, or client credentials that buy tokens. The two page sizes
    determine a query's cost, which Shopify limits to 1,000 points. A window of `bulk_from_orders` orders or more is
    read by a bulk operation, which may take `bulk_wait_seconds`, and so may reading its file, which is fetched from the
    shop's host or one of `bulk_hosts` alone; 0 disables bulk operations.
    """

    access: Literal["client_credentials", "token"] = "client_credentials"
    token_url: WebAddress | None = None
    page_size: int = Field(default=50, ge=1, le=250)
    lines_page_size: int = Field(default=100, ge=1, le=250)
    most_objects: int = Field(default=MOST_OBJECTS, ge=2, le=MOST_OBJECTS)
    bulk_from_orders: int = Field(default=5_000, ge=0)
    bulk_wait_seconds: float = Field(default=6 * 3600, gt=0)
    bulk_hosts: list[str] = Field(default_factory=lambda: [STORAGE])

    @model_validator(mode="after")
    def _pages_fit(self) -> ShopifyOptions:
        if self.most_objects < 2 * self.page_size:
            raise ValueError("most_objects must be at least two pages of page_size")
        return self


class Shopify:
    """One shop's orders; `mapping` interprets them.

    The application needs the scopes `read_orders` and `read_products`, and `read_all_orders` for orders older than 60
    days.
    """

    Options: ClassVar[type[Options]] = ShopifyOptions
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
        self._options = ShopifyOptions(**retailer.options)
        self._pepper = secrets.require(PEPPER)
        found = [secrets.require(f"{retailer_id}_{name}") for name in self.secret_names(retailer.options)]
        access = (
            StaticToken(found[0])
            if self._options.access == "token"
            else ClientCredentials(
                self._options.token_url or f"{self._base_url}/admin/oauth/access_token", *found
            )
        )
        profile = ShopifyProfile(access)
        self._clock = clock
        self._http = HttpClient(
            retailer_id, profile, settings.extract, clock=clock, quota_policy=quota_policy
        )
        self._quota = quota_policy.bucket(
            "points", burst=POINTS, per_second=POINTS_A_SECOND, monotonic=clock.monotonic
        )
        self._api = ShopifyApi(
            retailer_id, self._base_url, self._http, self._quota, lines=self._options.lines_page_size
        )
        self._bulk = BulkReader(
            self._api,
            settings.extract,
            clock,
            wait_seconds=self._options.bulk_wait_seconds,
            hosts=self._options.bulk_hosts,
        )
        self._scopes: frozenset[str] | None = None

    @classmethod
    def secret_names(cls, options: Mapping[str, Any]) -> tuple[str, ...]:
        """See Service."""
        return ("access_token",) if options.get("access") == "token" else ("client_id", "client_secret")

    @classmethod
    def sales(cls, retailer_id: str, retailer: RetailerSettings) -> mapping.ShopifySales:
        """See Service."""
        return mapping.ShopifySales(retailer_id=retailer_id, zone=ZoneInfo(retailer.time_zone))

    def pages(self, window: Window, cursor: str | None) -> Iterator[Page]:
        """See Service. The cursor is a `Paged` or a `Bulk` place."""
        place = Paged.of(window) if cursor is None else place_of(cursor, retailer_id=self._retailer_id)
        if isinstance(place, Bulk):
            yield from self._in_bulk(place)
            return
        first = None
        if cursor is None and self._options.bulk_from_orders:
            first = self._ask(window, place, counted=True)
            if self._is_for_bulk(first) and (bulk := self._bulk.begin(place.search(window))):
                # Stored before the operation has run, so that a killed run resumes with the same operation.
                yield Page(_page_of([]), bulk.cursor)
                yield from self._in_bulk(bulk)
                return
        yield from self._by_pages(window, place, first)

    def created(self, window: Window, cursor: str | None) -> Iterator[Page]:
        """See Reconcilable. A day with more orders than one query can be paged through is refused."""
        day = window.day
        place = Paged.created(day) if cursor is None else place_of(cursor, retailer_id=self._retailer_id)
        if isinstance(place, Bulk):
            raise CursorExpiredError(
                f"{self._retailer_id}: the cursor is that of a bulk operation",
                hint="the day is compared from its start",
            )
        return self._by_pages(day, place, None)

    def require_reach(self, window: Window) -> None:
        """See Reconcilable. With the scope for all orders there is no limit."""
        if ALL_ORDERS not in self._granted():
            require_kept(window, REACH, now=self._clock.now(), retailer_id=self._retailer_id)

    def find(self, transaction_id: str) -> JSON:
        """See Reconcilable."""
        number = f"gid://shopify/Order/{transaction_id}"
        variables: dict[str, JSON] = {"order": number, "lines": self._options.lines_page_size}
        body = self._api.ask(ORDER, variables, "data", "order", may_be_gone=True).body
        order = at(body, "data", "order")
        return None if order is None else self._completed(_page_of([order]))

    def check_access(self) -> None:
        """See ChecksAccess. The scopes cost one point."""
        path = ("data", "currentAppInstallation", "accessScopes")
        found = entries(self._api.ask(SCOPES, {}, *path).body, *path) or []
        granted = {text(each, "handle") for each in found}
        if not granted & {"read_orders", ALL_ORDERS}:
            raise ExtractError(
                f"{self._retailer_id}: the application lacks the scope read_orders",
                hint="give it the scopes of docs/RETAILERS.md, and install it again",
            )

    def estimate(self, windows: Sequence[Window]) -> Estimate:
        """See Service. Shopify counts the changes from the first window to the last in one call."""
        search = Paged.of(windows[0]).search(windows[-1])
        answer = self._api.ask(COUNT, {"query": search}, "data", "ordersCount").body
        orders = int(points(at(answer, "data", "ordersCount", "count")) or 0)
        pages = max(len(windows), ceil(orders / self._options.page_size))
        ledgers = ceil(orders * CHANGING)
        spent = pages * PAGE_POINTS + ledgers * LEDGER_POINTS
        return Estimate(
            orders=orders,
            calls=pages + ledgers,
            quota_seconds=self._quota.seconds_for(1, cost=spent),
            quota=f"{self._quota.per_second:g} points a second, a page of orders up to {PAGE_POINTS}",
            asked=1,
        )

    def catalog(self) -> ShopifyProducts:
        """The shop's products and locations, paid from the same bucket as its orders."""
        return ShopifyProducts(
            retailer_id=self._retailer_id,
            http=self._http,
            quota=self._quota,
            url=self._base_url + PATH,
            clock=self._clock,
        )

    def _by_pages(self, window: Window, place: Paged, first: Response | None) -> Iterator[Page]:
        """The pages from a place on, query after query; `first` is the response there, if it is known already."""
        following: Paged | None = place

        def fetch(after: str | None) -> Page:
            nonlocal following, first
            here = following or place
            answer, first = first or self._ask(window, replace(here, after=after)), None
            following = self._next_place(answer, here)
            return Page(self._completed(answer.body), following.after if following else None)

        while following is not None:
            # One query a turn: the next has cursors of its own, and may begin with this one's last page.
            for page in follow(
                fetch, orders=orders_of, cursor=following.after, retailer_id=self._retailer_id
            ):
                yield Page(page.answer, following.cursor if following else None)

    def _next_place(self, answer: Response, place: Paged) -> Paged | None:
        return place.after_orders(
            orders_of(answer.body),
            self._api.next_cursor(at(answer.body, "data", "orders")),
            page_size=self._options.page_size,
            most=self._options.most_objects,
            retailer_id=self._retailer_id,
        )

    def _completed(self, answer: JSON) -> JSON:
        """The response with its orders complete and without personal data."""
        for order in orders_of(answer):
            self._api.complete(order)
        name = partial(pii.pseudonym, self._pepper, self._retailer_id)
        return pii.strip(answer, pii.SHOPIFY, name=name)

    def _in_bulk(self, place: Bulk) -> Iterator[Page]:
        for orders, following in self._bulk.pages(place):
            yield Page(self._completed(_page_of(orders)), following.cursor if following else None)

    def _ask(self, window: Window, place: Paged, *, counted: bool = False) -> Response:
        variables: dict[str, JSON] = {
            "first": self._options.page_size,
            "lines": self._options.lines_page_size,
            "after": place.after,
            "query": place.search(window),
            "counted": counted,
            "limit": self._options.bulk_from_orders or None,
        }
        answer = self._api.ask(ORDERS, variables, "data", "orders", "nodes")
        there = answered_at(answer.headers)
        require_over_there(window.end, there, retailer_id=self._retailer_id, here=self._clock.now())
        self._check_reach(answer, window)
        return answer

    def _is_for_bulk(self, first: Response) -> bool:
        """Whether the first page says that the window holds enough orders for bulk. Counting stops at the limit."""
        count = points(at(first.body, "data", "ordersCount", "count")) or 0
        return 0 < self._options.bulk_from_orders <= count

    def _check_reach(self, answer: Response, window: Window) -> None:
        """Without the scope for all orders, older ones are silently missing, even if they changed recently."""
        there = answered_at(answer.headers)
        now = there or self._clock.now()
        if ALL_ORDERS in self._granted():
            return
        if window.start + window.overlap < now - REACH:
            raise (OutOfReachError if there else ExtractError)(
                f"{self._retailer_id}: {window.logical_date} is out of reach; on {now:%Y-%m-%d} Shopify shows this "
                f"application only the orders of the last {REACH.days} days",
                hint=f"give the application the scope {ALL_ORDERS}, then `retail backfill` such days",
            )

    def _granted(self) -> frozenset[str]:
        """The application's scopes, which come with its token; for a static token they are queried once."""
        if self._scopes is None:
            if self._http.scope is not None:
                granted = self._http.scope.split(",")
            else:
                path = ("data", "currentAppInstallation", "accessScopes")
                found = entries(self._api.ask(SCOPES, {}, *path).body, *path) or []
                granted = [text(each, "handle") or "" for each in found]
            self._scopes = frozenset(granted)
            if ALL_ORDERS not in self._scopes:
                log.warning(
                    "old_orders_not_shown",
                    retailer_id=self._retailer_id,
                    why=f"the application lacks the scope {ALL_ORDERS}: changes to orders older than "
                    f"{REACH.days} days, including refunds, are not seen",
                )
        return self._scopes


def _page_of(orders: list[JSON]) -> JSON:
    """Orders from another source in the form of a page's response."""
    return {"data": {"orders": {"nodes": orders}}}
