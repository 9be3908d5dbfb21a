"""Amazon: Selling Partner API, Orders v2026-01-01 (amzn/selling-partner-api-models, orders_2026-01-01.json)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from pydantic import Field

from retail.config.secrets import Secret, Secrets
from retail.config.settings import RetailerSettings, Settings
from retail.errors import ExtractError, RefusedError
from retail.sources import pii
from retail.sources.amazon import catalog, mapping
from retail.sources.amazon.catalog import AmazonCatalog
from retail.sources.http.client import HttpClient
from retail.sources.http.messages import Clock, Request, Response, answered_at
from retail.sources.http.rate_limit import Quota, QuotaPolicy
from retail.sources.service import Estimate, Options, Page, WebAddress, follow, require_over_there
from retail.sources.values import money, timestamps
from retail.sources.values.json_path import JSON, at, entries, text
from retail.sources.window import Window

PATH: Final = "/orders/2026-01-01/orders"
# Without PROCEEDS there are no totals, without FULFILLMENT no status, without PACKAGES no store.
DATASETS: Final = "PROCEEDS,FULFILLMENT,PROMOTION,CANCELLATION,BUYER,PACKAGES"
# The usage plan of searchOrders in the model: pages that may be requested at once, and pages refilled a
# second.
BURST: Final = 20
PER_SECOND: Final = 0.0056
# A younger `lastUpdatedBefore` is refused with 400 and no reason given (issue 326 of the models).
YOUNGEST: Final = timedelta(minutes=2)
# How much earlier than asked for `lastUpdatedBefore` may be answered: it may be rounded to the second.
_ROUNDED: Final = timedelta(seconds=1)


# Orders came into the list up to more than twelve hours after their change (issue 763 of jlevers/selling-partner-api).
LOOK_BACK: Final = timedelta(hours=24)


class AmazonOptions(Options):
    """`currency` applies to lines without any amount, as cancelled ones can be. `seller_id` enables the catalogue.

    `taxed_marketplace_ids` are those whose prices include tax, as Europe's do: the tax is then subtracted from the
    total, as far as Amazon reports it.
    """

    marketplace_ids: list[str] = Field(min_length=1, max_length=50)
    token_url: WebAddress = "https://api.amazon.com/auth/o2/token"  # noqa: S105 - an address
    page_size: int = Field(default=100, ge=1, le=100)
    currency: str | None = Field(default=None, pattern="^[A-Z]{3}$")
    seller_id: str | None = Field(default=None, min_length=1)
    taxed_marketplace_ids: list[str] = Field(default_factory=list)


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
    """One selling partner's orders; `mapping` interprets them."""

    Options: ClassVar[type[Options]] = AmazonOptions
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
        self._options = AmazonOptions(**retailer.options)
        self._clock = clock
        client_id, client_secret, refresh = (
            secrets.require(f"{retailer_id}_{name}") for name in self.secret_names(retailer.options)
        )
        self._pepper = secrets.require("customer_pepper")
        profile = AmazonProfile(
            self._options.token_url, client_id=client_id, client_secret=client_secret, refresh=refresh
        )
        self._http = HttpClient(
            retailer_id, profile, settings.extract, clock=clock, quota_policy=quota_policy
        )
        self._quota = quota_policy.bucket(
            "orders", burst=BURST, per_second=PER_SECOND, monotonic=clock.monotonic
        )

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
        )

    def pages(self, window: Window, cursor: str | None) -> Iterator[Page]:
        """See Service. The cursor is Amazon's `nextToken`, good for 24 hours."""
        if window.end > self._clock.now() - YOUNGEST:
            raise ExtractError(
                f"{self._retailer_id}: {window.logical_date} ends at {window.end:%Y-%m-%d %H:%M} UTC; "
                "Amazon serves only times at least two minutes ago",
                hint="run this date again after it has ended",
            )
        fetch = partial(self._page, window)
        return follow(fetch, orders=mapping.orders, cursor=cursor, retailer_id=self._retailer_id)

    def estimate(self, windows: Sequence[Window]) -> Estimate:
        """See Service. Amazon counts no orders, so the day in the middle is sampled in each of its quarters."""
        day = windows[len(windows) // 2]
        quarter = (day.end - day.start) / 4
        starts = [day.start + quarter * number for number in range(4)]
        a_day = sum(self._changed_between(start, start + quarter) for start in starts)
        calls = len(windows) * max(1, ceil(a_day / self._options.page_size))
        return Estimate(
            orders=round(a_day * len(windows)),
            calls=calls,
            quota_seconds=self._quota.seconds_for(calls),
            quota=f"{self._quota.burst:.0f} calls at once, then one in {1 / self._quota.per_second:.0f} s",
            asked=len(starts),
        )

    def _changed_between(self, start: datetime, end: datetime) -> float:
        """The number of orders that changed, extrapolated from the time that one page covers."""
        body = self._ask(start, end, None)
        found = mapping.orders(body)
        last = timestamps.from_iso(at(found[-1], "lastUpdatedTime")) if found else None
        if text(body, "pagination", "nextToken") is None or not timestamps.is_normal(last):
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
        body = self._ask(window.start, window.end, cursor)
        name = partial(pii.pseudonym, self._pepper, self._retailer_id)
        return Page(pii.strip(body, pii.AMAZON, name=name), text(body, "pagination", "nextToken"))

    def _ask(self, start: datetime, end: datetime, cursor: str | None) -> JSON:
        # Both bounds are inclusive ("at or after", "at or before"), but the window's end is exclusive.
        last = end - timedelta(milliseconds=1)
        params = {
            "marketplaceIds": ",".join(self._options.marketplace_ids),
            "lastUpdatedAfter": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "lastUpdatedBefore": f"{last:%Y-%m-%dT%H:%M:%S}.{last.microsecond // 1000:03d}Z",
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
        whole = timestamps.from_iso(at(body, "lastUpdatedBefore"))
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
