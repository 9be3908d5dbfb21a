"""Amazon: Selling Partner API, Orders v2026-01-01 (amzn/selling-partner-api-models, orders_2026-01-01.json)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from pydantic import Field

from retail.errors import ExtractError
from retail.extract import amazon_sales, amounts, privacy
from retail.extract.answers import JSON, at, entries, text
from retail.extract.http import Answer, Clock, HttpClient, Request
from retail.extract.service import Options, Page, Skipped, WebAddress, follow
from retail.extract.windows import Window
from retail.records import SalesRecord
from retail.secrets import Secret, Secrets
from retail.settings import Settings

PATH: Final = "/orders/2026-01-01/orders"
# Without PROCEEDS there are no totals, without FULFILLMENT no status, without PACKAGES no store.
DATASETS: Final = "PROCEEDS,FULFILLMENT,PROMOTION,CANCELLATION,BUYER,PACKAGES"
# A younger `lastUpdatedBefore` is refused with 400 and no reason given (issue 326 of the models).
YOUNGEST: Final = timedelta(minutes=2)


class AmazonOptions(Options):
    """`currency` is that of lines without any amount, as cancelled ones can be."""

    marketplace_ids: list[str] = Field(min_length=1, max_length=50)
    token_url: WebAddress = "https://api.amazon.com/auth/o2/token"  # noqa: S105 - an address
    page_size: int = Field(default=100, ge=1, le=100)
    currency: str | None = Field(default=None, pattern="^[A-Z]{3}$")


class AmazonDialect:
    """Login with Amazon: a refresh token buys access tokens of an hour; 429 tells no wait, the answers a rate."""

    def __init__(self, token_url: str, *, client_id: Secret, client_secret: Secret, refresh: Secret) -> None:
        self.secrets = (client_id, client_secret, refresh)
        self._token_url = token_url
        # The documented rate is one page in three minutes; a minute is what the bucket may already hold.
        self._wait = 60.0

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

    def token_refused(self, answer: Answer) -> bool:
        return answer.status == 403 and at(answer.body, "errors", 0, "code") == "Unauthorized"

    def wait(self, answer: Answer, now: datetime) -> float | None:
        del now
        # Requests a second; the model declares it on 200, 400 and 404, so the last one seen counts.
        rate = amounts.number(answer.headers.get("x-amzn-RateLimit-Limit"))
        if rate is not None and amounts.is_positive(rate):
            self._wait = float(1 / rate)
        return self._wait if answer.status == 429 else None


class Amazon:
    """One selling partner's orders; what they mean is in `amazon_sales`."""

    SECRETS: ClassVar[tuple[str, ...]] = ("client_id", "client_secret", "refresh_token")
    Options: ClassVar[type[Options]] = AmazonOptions

    def __init__(
        self, retailer_id: str, settings: Settings, secrets: Secrets, *, clock: Clock | None = None
    ) -> None:
        retailer = settings.retailers[retailer_id]
        self._retailer_id = retailer_id
        self._base_url = retailer.base_url
        self._options = AmazonOptions(**retailer.options)
        self._sales = amazon_sales.AmazonSales(
            retailer_id=retailer_id, zone=ZoneInfo(retailer.time_zone), currency=self._options.currency
        )
        self._clock = clock or Clock()
        client_id, client_secret, refresh = (
            secrets.require(f"{retailer_id}_{name}") for name in self.SECRETS
        )
        self._pepper = secrets.require("customer_pepper")
        dialect = AmazonDialect(
            self._options.token_url, client_id=client_id, client_secret=client_secret, refresh=refresh
        )
        self._http = HttpClient(retailer_id, dialect, settings.extract, clock=self._clock)

    def pages(self, window: Window, cursor: str | None) -> Iterator[Page]:
        """See Service. The cursor is Amazon's `nextToken`, good for 24 hours."""
        if window.end > self._clock.now() - YOUNGEST:
            raise ExtractError(
                f"{self._retailer_id}: {window.logical_date} ends at {window.end:%Y-%m-%d %H:%M} UTC; "
                "Amazon answers only for times at least two minutes ago",
                hint="run this date again once it is over",
            )
        fetch = partial(self._page, window)
        return follow(fetch, orders=amazon_sales.orders, cursor=cursor, retailer_id=self._retailer_id)

    def records(self, answer: JSON, source: str) -> Iterator[SalesRecord | Skipped]:
        """See Service."""
        return self._sales.records(answer, source)

    def _page(self, window: Window, cursor: str | None) -> Page:
        # Both bounds are included ("at or after", "at or before"), the window's end is not.
        last = window.end - timedelta(milliseconds=1)
        params = {
            "marketplaceIds": ",".join(self._options.marketplace_ids),
            "lastUpdatedAfter": f"{window.start:%Y-%m-%dT%H:%M:%SZ}",
            "lastUpdatedBefore": f"{last:%Y-%m-%dT%H:%M:%S}.{last.microsecond // 1000:03d}Z",
            "maxResultsPerPage": str(self._options.page_size),
            "includedData": DATASETS,
        }
        if cursor is not None:
            params["paginationToken"] = cursor  # beside the same parameters, as the model demands
        body = self._http.ask(Request(method="GET", url=self._base_url + PATH, params=params)).body
        if entries(body, "orders") is None:
            raise ExtractError(
                f"{self._retailer_id}: the answer to GET {PATH} holds no list `orders`",
                hint="see that base_url is the Selling Partner API's; if it is, its format has changed",
            )
        name = partial(privacy.pseudonym, self._pepper, self._retailer_id)
        return Page(privacy.strip(body, privacy.AMAZON, name=name), text(body, "pagination", "nextToken"))
