"""Amazon: Selling Partner API, Orders v2026-01-01 for sales and Finances v2024-06-19 for refunds.

Rules are from the models orders_2026-01-01.json and finances_2024-06-19.json (amzn/selling-partner-api-models) unless a
comment names another source.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Any, ClassVar, Final, Literal, TypeAlias
from urllib.parse import quote
from zoneinfo import ZoneInfo

from pydantic import Field

from retail.config.secrets import PEPPER, Secret, Secrets
from retail.config.settings import RetailerSettings, Settings
from retail.errors import ExtractError, RefusedError
from retail.sources import pii
from retail.sources.amazon import catalog, finances, mapping
from retail.sources.amazon.catalog import AmazonCatalog
from retail.sources.cursors import bad_cursor, next_cursor
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
from retail.sources.values import money, timestamps
from retail.sources.values.json_path import JSON, at, entries, text
from retail.sources.window import Window

PATH: Final = "/orders/2026-01-01/orders"
TRANSACTIONS_PATH: Final = "/finances/2024-06-19/transactions"
# Without PROCEEDS there are no totals, without FULFILLMENT no status, without PACKAGES no store.
DATASETS: Final = "PROCEEDS,FULFILLMENT,PROMOTION,CANCELLATION,BUYER,PACKAGES"
# The usage plans of searchOrders and listTransactions: pages that may be requested at once, and pages refilled
# a second.
BURST: Final = 20
PER_SECOND: Final = 0.0056
TRANSACTIONS_BURST: Final = 10
TRANSACTIONS_PER_SECOND: Final = 0.5
# Those of getOrder.
ORDER_BURST: Final = 30
ORDER_PER_SECOND: Final = 0.5
# A younger end is refused, by Orders with 400 and no reason given (issue 326 of the models).
YOUNGEST: Final = timedelta(minutes=2)
# How much earlier than asked for `lastUpdatedBefore` may be answered: it may be rounded to the second.
_ROUNDED: Final = timedelta(seconds=1)

# Transactions can come into their list 48 hours after they were posted.
LOOK_BACK: Final = timedelta(hours=48)
# Orders came into theirs up to more than twelve hours after their change (issue 763 of jlevers/selling-partner-api);
# their pages are scarce.
ORDERS_LOOK_BACK: Final = timedelta(hours=24)
# How long Amazon shows orders; those of some marketplaces for longer.
KEPT: Final = timedelta(days=730)
# Begins the cursor of a page of transactions, before Amazon's own token.
_OF_TRANSACTIONS: Final = "transactions:"
_MOST_EMPTY_PAGES: Final = 100

_By: TypeAlias = Literal["lastUpdated", "created"]


class AmazonOptions(Options):
    """`currency` applies to lines without any amount, as cancelled ones can be. `seller_id` enables the catalogue.

    `taxed_marketplace_ids` are those whose prices include tax, as Europe's do: the tax is then subtracted from the
    total, as far as Amazon reports it. Without `refunds` nothing is asked of Finances, which needs a role of its own.
    """

    marketplace_ids: list[str] = Field(min_length=1, max_length=50)
    token_url: WebAddress = "https://api.amazon.com/auth/o2/token"  # noqa: S105 - an address
    page_size: int = Field(default=100, ge=1, le=100)
    currency: str | None = Field(default=None, pattern="^[A-Z]{3}$")
    seller_id: str | None = Field(default=None, min_length=1)
    taxed_marketplace_ids: list[str] = Field(default_factory=list)
    refunds: bool = True


class AmazonProfile:
    """Login with Amazon: a refresh token buys access tokens of an hour; 429 carries no wait, other responses a rate."""

    def __init__(self, token_url: str, *, client_id: Secret, client_secret: Secret, refresh: Secret) -> None:
        self.secrets = (client_id, client_secret, refresh)
        self._token_url = token_url

    def token_request(self) -> Request:
        client_id, client_secret, refresh = (secret.reveal() for secret in self.secrets)
        form = {
            "grant_type": "refresh_token",
            "refresh_token": refresh,
            "client_id": client_id,
            "client_secret": client_secret,
        }
        return Request(method="POST", url=self._token_url, form=form)

    def headers(self, token: str) -> dict[str, str]:
        return {"x-amz-access-token": token, "Accept": "application/json"}

    def token_refused(self, answer: Response) -> bool:
        return answer.status == 403 and at(answer.body, "errors", 0, "code") == "Unauthorized"

    def throttled(self, answer: Response) -> bool:
        return answer.status == 429

    def wait(self, answer: Response, now: datetime) -> float | None:
        del answer, now
        return None  # the quota knows

    def learn(self, answer: Response, quota: Quota) -> None:
        # Requests a second; the model declares the header on 200, 400 and 404, not on 429.
        rate = money.number(answer.headers.get("x-amzn-RateLimit-Limit"))
        if rate is not None and money.is_positive(rate):
            quota.learn(per_second=float(rate))


class Amazon:
    """One selling partner's orders and refunds; `mapping` interprets them."""

    Options: ClassVar[type[Options]] = AmazonOptions
    LOOK_BACK: ClassVar[timedelta] = LOOK_BACK
    # A setting moves the orders only: a transaction that is listed late is listed nowhere else.
    LEAST_LOOK_BACK: ClassVar[timedelta] = LOOK_BACK

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
        self._options = AmazonOptions(**retailer.options)
        self._clock = clock
        client_id, client_secret, refresh = (
            secrets.require(f"{retailer_id}_{name}") for name in self.secret_names(retailer.options)
        )
        self._pepper = secrets.require(PEPPER)
        profile = AmazonProfile(
            self._options.token_url, client_id=client_id, client_secret=client_secret, refresh=refresh
        )
        self._http = HttpClient(
            retailer_id, profile, settings.extract, clock=clock, quota_policy=quota_policy
        )
        self._quota = quota_policy.bucket(
            "orders", burst=BURST, per_second=PER_SECOND, monotonic=clock.monotonic
        )
        self._transactions_quota = quota_policy.bucket(
            "transactions",
            burst=TRANSACTIONS_BURST,
            per_second=TRANSACTIONS_PER_SECOND,
            monotonic=clock.monotonic,
        )
        self._order_quota = quota_policy.bucket(
            "order", burst=ORDER_BURST, per_second=ORDER_PER_SECOND, monotonic=clock.monotonic
        )
        hours = retailer.look_back_hours
        self._orders_look_back = ORDERS_LOOK_BACK if hours is None else timedelta(hours=hours)

    @classmethod
    def secret_names(cls, options: Mapping[str, Any]) -> tuple[str, ...]:
        """See Service."""
        del options
        return ("client_id", "client_secret", "refresh_token")

    @classmethod
    def sales(cls, retailer_id: str, retailer: RetailerSettings) -> mapping.AmazonSales:
        """See Service."""
        options = AmazonOptions(**retailer.options)
        return mapping.AmazonSales(
            retailer_id=retailer_id,
            zone=ZoneInfo(retailer.time_zone),
            currency=options.currency,
            taxed_marketplaces=frozenset(options.taxed_marketplace_ids),
            marketplaces=frozenset(options.marketplace_ids),
        )

    def pages(self, window: Window, cursor: str | None) -> Iterator[Page]:
        """See Service. All orders come first, then all transactions.

        The cursor is Amazon's `nextToken`, good for 24 hours; that of a transaction says so.
        """
        if window.end > self._clock.now() - YOUNGEST:
            raise ExtractError(
                f"{self._retailer_id}: {window.logical_date} ends at {window.end:%Y-%m-%d %H:%M} UTC; "
                "Amazon serves only times at least two minutes ago",
                hint="run this date again after it has ended",
            )
        fetch = partial(self._page, window)
        return follow(fetch, orders=mapping.entries_of, cursor=cursor, retailer_id=self._retailer_id)

    def created(self, window: Window, cursor: str | None) -> Iterator[Page]:
        """See Reconcilable. What was given back is found by the day on which it was posted."""
        day = window.day

        def fetch(cursor: str | None) -> Page:
            if cursor is not None and cursor.startswith(_OF_TRANSACTIONS):
                return self._page_of_transactions(day, cursor.removeprefix(_OF_TRANSACTIONS) or None)
            return self._page_of_orders(day.start, day.end, cursor, by="created")

        return follow(fetch, orders=mapping.entries_of, cursor=cursor, retailer_id=self._retailer_id)

    def require_reach(self, window: Window) -> None:
        """See Reconcilable."""
        require_kept(window, KEPT, now=self._clock.now(), retailer_id=self._retailer_id)

    def find(self, transaction_id: str) -> JSON:
        """See Reconcilable."""
        address = f"{self._base_url}{PATH}/{quote(transaction_id, safe='')}"
        request = Request(method="GET", url=address, params={"includedData": DATASETS})
        answer = self._http.ask(request, accept=(200, 404), quota=self._order_quota)
        order = at(answer.body, "order")
        if answer.status == 404 and entries(answer.body, "errors"):
            return None
        if text(order, "orderId") != transaction_id:
            raise ExtractError(
                f"{self._retailer_id}: the response to GET {PATH}/{transaction_id} is not that order",
                hint="check that base_url is the Selling Partner API's; if so, its format has changed",
            )
        return self._stripped({"orders": [order]})

    def check_access(self) -> None:
        """See ChecksAccess. The plan of single orders has room, that of lists does not. Finances is a right of its own.

        That Finances dislikes the times, as under a wrong clock, is no matter of access.
        """
        self.find("000-0000000-0000000")
        if self._options.refunds:
            end = self._clock.now() - timedelta(hours=1)
            self._list_transactions(end - timedelta(hours=1), end, None, accept=(200, 400))

    def estimate(self, windows: Sequence[Window]) -> Estimate:
        """See Service. Amazon counts no orders, so the day in the middle is sampled in each of its quarters.

        The number of transactions is assumed to be that of the orders, on pages as long as that day's first.
        """
        day = windows[len(windows) // 2]
        first = self._orders_start(day)
        quarter = (day.end - first) / 4
        starts = [first + quarter * number for number in range(4)]
        a_day = sum(self._changed_between(start, start + quarter) for start in starts)
        calls = len(windows) * max(1, ceil(a_day / self._options.page_size))
        posted = a_day * ((day.end - day.start) / (day.end - first))
        pages, asked = self._transaction_pages(day, posted) if self._options.refunds else (0, 0)
        of_transactions = len(windows) * pages
        waits = (
            self._quota.seconds_for(calls),
            self._transactions_quota.seconds_for(of_transactions),
        )
        return Estimate(
            orders=round(a_day * len(windows)),
            calls=calls + of_transactions,
            quota_seconds=sum(waits),
            quota=f"{self._quota.burst:.0f} calls at once, then one in {1 / self._quota.per_second:.0f} s",
            asked=len(starts) + asked,
        )

    def _transaction_pages(self, day: Window, posted: float) -> tuple[int, int]:
        """The pages that this number of transactions of a day takes, and the calls made to find out."""
        body, asked = self._next_transactions(day, None)
        found = finances.transactions(body)
        is_last = finances.next_token(body, retailer_id=self._retailer_id) is None
        return (1 if is_last else ceil(posted / max(1, len(found)))), asked

    def _changed_between(self, start: datetime, end: datetime) -> float:
        """The number of orders that changed, extrapolated from the time that one page covers."""
        body = self._ask(start, end, None)
        found = mapping.orders(body)
        last = timestamps.from_iso(at(found[-1], "lastUpdatedTime")) if found else None
        if self._next_of_orders(body) is None or not timestamps.is_normal(last):
            return len(found)
        covered = datetime.fromisoformat(str(last)) - start
        return len(found) * max(1.0, (end - start) / max(covered, timedelta(seconds=1)))

    def catalog(self) -> AmazonCatalog | None:
        """Amazon finds products by SKU only for a named seller."""
        if self._options.seller_id is None:
            return None
        return AmazonCatalog(
            retailer_id=self._retailer_id,
            http=self._http,
            quota=Quota(
                burst=catalog.BURST,
                per_second=catalog.PER_SECOND,
                monotonic=self._clock.monotonic,
            ),
            base_url=self._base_url,
            seller_id=self._options.seller_id,
            marketplace_ids=self._options.marketplace_ids,
            clock=self._clock,
        )

    def _page(self, window: Window, cursor: str | None) -> Page:
        if cursor is not None and cursor.startswith(_OF_TRANSACTIONS):
            return self._page_of_transactions(window, cursor.removeprefix(_OF_TRANSACTIONS) or None)
        return self._page_of_orders(self._orders_start(window), window.end, cursor)

    def _orders_start(self, window: Window) -> datetime:
        """Orders look back less far than the window does, which is made for transactions."""
        least = (window.shorter or window).overlap
        return max(window.start, window.day.start - max(self._orders_look_back, least))

    def _page_of_orders(
        self, start: datetime, end: datetime, cursor: str | None, *, by: _By = "lastUpdated"
    ) -> Page:
        body = self._ask(start, end, cursor, by=by)
        following = self._next_of_orders(body)
        if following is None and self._options.refunds:
            following = _OF_TRANSACTIONS
        return Page(self._stripped(body), following)

    def _next_of_orders(self, body: JSON) -> str | None:
        token = next_cursor(body, "pagination", "nextToken", retailer_id=self._retailer_id)
        if token is not None and token.startswith(_OF_TRANSACTIONS):
            # It would end the orders and begin the transactions.
            raise bad_cursor(self._retailer_id, "pagination.nextToken", f"begins with {_OF_TRANSACTIONS}")
        return token

    def _page_of_transactions(self, window: Window, token: str | None) -> Page:
        body, _ = self._next_transactions(window, token)
        following = finances.next_token(body, retailer_id=self._retailer_id)
        cursor = None if following is None else _OF_TRANSACTIONS + following
        return Page(self._stripped(body), cursor, begins=token is None)

    def _next_transactions(self, window: Window, token: str | None) -> tuple[JSON, int]:
        """The first page with a transaction from the token on, as pages can be empty, else the last; and the calls."""
        seen = {token}
        while True:
            body = self._ask_transactions(window, token)
            token = finances.next_token(body, retailer_id=self._retailer_id)
            if finances.transactions(body) or token is None:
                return body, len(seen)
            if token in seen or len(seen) > _MOST_EMPTY_PAGES:
                raise bad_cursor(
                    self._retailer_id, f"nextToken of GET {TRANSACTIONS_PATH}", "does not advance"
                )
            seen.add(token)

    def _stripped(self, body: JSON) -> JSON:
        return pii.strip(body, pii.AMAZON, name=partial(pii.pseudonym, self._pepper, self._retailer_id))

    def _ask_transactions(self, window: Window, token: str | None) -> JSON:
        try:
            answer = self._list_transactions(window.start, window.end, token)
        except RefusedError as error:
            if error.status == 400:
                self._require_over(window.end, error.answered_at)
            raise
        self._require_over(window.end, answered_at(answer.headers))
        return answer.body

    def _list_transactions(
        self, start: datetime, end: datetime, token: str | None, *, accept: Collection[int] = (200,)
    ) -> Response:
        # Without `marketplaceId`: with it, orders that a merchant ships in the United States are left out.
        params = {"postedAfter": f"{start:%Y-%m-%dT%H:%M:%SZ}", "postedBefore": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
        if token is not None:
            params["nextToken"] = token
        request = Request(method="GET", url=self._base_url + TRANSACTIONS_PATH, params=params)
        try:
            return self._http.ask(request, accept=accept, quota=self._transactions_quota)
        except RefusedError as error:
            if error.status == 403:
                raise ExtractError(
                    error.message,
                    hint="give the application the role Finance and Accounting; or set "
                    f"retailers.{self._retailer_id}.options.refunds = false, and sales stay before refunds",
                ) from None
            raise

    def _ask(
        self,
        start: datetime,
        end: datetime,
        cursor: str | None,
        *,
        by: _By = "lastUpdated",
    ) -> JSON:
        # Both bounds are inclusive ("at or after", "at or before"), but the window's end is exclusive.
        last = end - timedelta(milliseconds=1)
        params = {
            "marketplaceIds": ",".join(self._options.marketplace_ids),
            f"{by}After": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            f"{by}Before": f"{last:%Y-%m-%dT%H:%M:%S}.{last.microsecond // 1000:03d}Z",
            "maxResultsPerPage": str(self._options.page_size),
            "includedData": DATASETS,
        }
        if cursor is not None:
            params["paginationToken"] = cursor  # sent with the same parameters, as the model demands
        request = Request(method="GET", url=self._base_url + PATH, params=params)
        try:
            answer = self._http.ask(request, quota=self._quota)
        except RefusedError as error:
            if error.status == 400:  # the response for a time still to come, without a reason
                self._require_over(end, error.answered_at)
            raise
        self._require_over(end, answered_at(answer.headers))
        body = answer.body
        whole = timestamps.from_iso(at(body, f"{by}Before"))
        if timestamps.is_normal(whole) and datetime.fromisoformat(str(whole)) < last - _ROUNDED:
            raise ExtractError(
                f"{self._retailer_id}: Amazon's answer is whole only up to {whole}, and the day ends at "
                f"{end:%Y-%m-%d %H:%M} UTC",
                hint="run this date again later; nothing of it was loaded",
            )
        if entries(body, "orders") is None:
            raise ExtractError(
                f"{self._retailer_id}: the response to GET {PATH} has no list `orders`",
                hint="check that base_url is the Selling Partner API's; if so, its format has changed",
            )
        return body

    def _require_over(self, end: datetime, there: datetime | None) -> None:
        require_over_there(end, there, retailer_id=self._retailer_id, here=self._clock.now())
