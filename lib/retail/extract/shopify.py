"""Shopify: GraphQL Admin API 2026-10, `orders` of one shop (official schema admin_2026-10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from pydantic import Field

from retail.errors import ExtractError
from retail.extract import amounts, privacy, shopify_sales
from retail.extract.answers import JSON, at, dump, entries, text
from retail.extract.exchange import Answer, Clock, Request, answered_at
from retail.extract.http import AGAIN, HttpClient
from retail.extract.quota import Patience, Quota
from retail.extract.service import Estimate, Options, Page, WebAddress, follow
from retail.extract.windows import Window
from retail.secrets import Secret, Secrets
from retail.settings import RetailerSettings, Settings

VERSION: Final = "2026-10"
PATH: Final = f"/admin/api/{VERSION}/graphql.json"
# Without this scope older orders are left out.
# The bucket of the standard plan; every answer tells the shop's own.
POINTS: Final = 2_000
POINTS_A_SECOND: Final = 100
ALL_ORDERS: Final = "read_all_orders"
REACH: Final = timedelta(days=60)

_LINES: Final = """
  pageInfo { hasNextPage endCursor }
  nodes {
    id sku title vendor quantity currentQuantity isGiftCard
    product { id productType }
    variant { id }
    originalTotalSet { shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }
    originalUnitPriceSet { shopMoney { amount currencyCode } }
    discountedTotalSet { shopMoney { amount currencyCode } }
    discountAllocations { allocatedAmountSet { shopMoney { amount currencyCode } } }
    taxLines { title rate priceSet { shopMoney { amount currencyCode } } }
  }"""
ORDERS: Final = f"""query Orders($first: Int!, $lines: Int!, $after: String, $query: String!) {{
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {{
    pageInfo {{ hasNextPage endCursor }}
    nodes {{
      id name createdAt processedAt updatedAt cancelledAt test currencyCode taxesIncluded sourceName
      customer {{ id }}
      retailLocation {{ id name }}
      lineItems(first: $lines) {{ {_LINES} }}
    }}
  }}
}}"""
MORE_LINES: Final = f"""query MoreLines($order: ID!, $lines: Int!, $after: String) {{
  order(id: $order) {{ lineItems(first: $lines, after: $after) {{ {_LINES} }} }}
}}"""


class ShopifyOptions(Options):
    """Both page sizes make a query's cost, which Shopify limits to 1,000 points."""

    token_url: WebAddress | None = None
    page_size: int = Field(default=50, ge=1, le=250)
    lines_page_size: int = Field(default=100, ge=1, le=250)


class ShopifyDialect:
    """Client credentials buy tokens of a day; "later" is a GraphQL error in an answer with status 200."""

    def __init__(self, token_url: str, *, client_id: Secret, client_secret: Secret) -> None:
        self.secrets = (client_id, client_secret)
        self._token_url = token_url

    def token_request(self) -> Request:
        client_id, client_secret = (secret.reveal() for secret in self.secrets)
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }
        return Request(method="POST", url=self._token_url, form=form)

    def headers(self, token: str) -> dict[str, str]:
        return {
            "X-Shopify-Access-Token": token,
            "Content-Type": "application/json",
            "Accept": "application/json",
        }

    def token_refused(self, answer: Answer) -> bool:
        return answer.status == 401

    def throttled(self, answer: Answer) -> bool:
        messages = {text(each, "message") for each in entries(answer.body, "errors") or []}
        return answer.status == 429 or "THROTTLED" in _codes(answer) or "Throttled" in messages

    def wait(self, answer: Answer, now: datetime) -> float | None:
        del now
        if self.throttled(answer):
            return _until_affordable(at(answer.body, "extensions", "cost"))
        return 1.0 if "INTERNAL_SERVER_ERROR" in _codes(answer) else None

    def learn(self, answer: Answer, quota: Quota) -> None:
        status = at(answer.body, "extensions", "cost", "throttleStatus")
        available, burst, rate = (
            amounts.number(at(status, name))
            for name in ("currentlyAvailable", "maximumAvailable", "restoreRate")
        )
        quota.learn(available=_finite(available), burst=_finite(burst), per_second=_finite(rate))


class Shopify:
    """One shop's orders; what they mean is in `shopify_sales`.

    The application needs the scopes `read_orders` and `read_products`, and `read_all_orders` for orders older
    than 60 days.
    """

    Options: ClassVar[type[Options]] = ShopifyOptions

    def __init__(
        self, retailer_id: str, settings: Settings, secrets: Secrets, *, clock: Clock, patience: Patience
    ) -> None:
        retailer = settings.retailers[retailer_id]
        self._retailer_id = retailer_id
        self._base_url = retailer.base_url
        self._options = ShopifyOptions(**retailer.options)
        client_id, client_secret = (
            secrets.require(f"{retailer_id}_{name}") for name in self.secret_names(retailer.options)
        )
        self._pepper = secrets.require("customer_pepper")
        dialect = ShopifyDialect(
            self._options.token_url or f"{self._base_url}/admin/oauth/access_token",
            client_id=client_id,
            client_secret=client_secret,
        )
        self._clock = clock
        self._http = HttpClient(retailer_id, dialect, settings.extract, clock=clock, patience=patience)
        self._quota = Quota(burst=POINTS, per_second=POINTS_A_SECOND, monotonic=clock.monotonic)

    @classmethod
    def secret_names(cls, options: Mapping[str, Any]) -> tuple[str, ...]:
        """See Service."""
        del options
        return ("client_id", "client_secret")

    @classmethod
    def sales(cls, retailer_id: str, retailer: RetailerSettings) -> shopify_sales.ShopifySales:
        """See Service."""
        return shopify_sales.ShopifySales(retailer_id=retailer_id, zone=ZoneInfo(retailer.time_zone))

    def pages(self, window: Window, cursor: str | None) -> Iterator[Page]:
        """See Service. The cursor is the `endCursor` of the page before, which does not expire."""
        fetch = partial(self._page, window)
        return follow(fetch, orders=shopify_sales.orders, cursor=cursor, retailer_id=self._retailer_id)

    def estimate(self, windows: Sequence[Window]) -> Estimate:
        """See Service."""
        raise NotImplementedError

    def _page(self, window: Window, cursor: str | None) -> Page:
        start, end = (f"{instant:%Y-%m-%dT%H:%M:%SZ}" for instant in (window.start, window.end))
        variables: dict[str, JSON] = {
            "first": self._options.page_size,
            "lines": self._options.lines_page_size,
            "after": cursor,
            # Without the quotes Shopify takes the time apart at its colons, and does not say so.
            "query": f"updated_at:>='{start}' AND updated_at:<'{end}'",
        }
        answer = self._ask(ORDERS, variables, "data", "orders", "nodes")
        self._check_reach(answer, window)
        body = answer.body
        for order in shopify_sales.orders(body):
            self._complete(order)
        name = partial(privacy.pseudonym, self._pepper, self._retailer_id)
        following = self._next_cursor(at(body, "data", "orders"))
        return Page(privacy.strip(body, privacy.SHOPIFY, name=name), following)

    def _complete(self, order: JSON) -> None:
        """Put the line items behind the first page of them into the order."""
        lines = at(order, "lineItems")
        nodes = entries(lines, "nodes")
        if not isinstance(lines, dict) or nodes is None:
            return
        seen: set[str] = set()
        while (cursor := self._next_cursor(lines)) is not None:
            if cursor in seen:
                raise ExtractError(
                    f"{self._retailer_id}: order {text(order, 'id')}: the cursor of its lines does not advance",
                    hint=AGAIN,
                )
            seen.add(cursor)
            variables: dict[str, JSON] = {
                "order": at(order, "id"),
                "lines": self._options.lines_page_size,
                "after": cursor,
            }
            path = ("data", "order", "lineItems")
            body = self._ask(MORE_LINES, variables, *path, "nodes").body
            nodes += entries(body, *path, "nodes") or []
            lines["pageInfo"] = at(body, *path, "pageInfo")

    def _next_cursor(self, connection: JSON) -> str | None:
        more, cursor = at(connection, "pageInfo", "hasNextPage"), text(connection, "pageInfo", "endCursor")
        if not isinstance(more, bool) or (more and cursor is None):
            raise ExtractError(
                f"{self._retailer_id}: a page of POST {PATH} does not tell whether and where it goes on",
                hint=AGAIN,
            )
        return cursor if more else None

    def _check_reach(self, answer: Answer, window: Window) -> None:
        now, scope = answered_at(answer.headers) or self._clock.now(), self._http.scope
        if scope is not None and ALL_ORDERS not in scope.split(",") and window.start < now - REACH:
            raise ExtractError(
                f"{self._retailer_id}: {window.logical_date} is out of reach; at {now:%Y-%m-%d} Shopify shows this "
                f"application the orders of {REACH.days} days only, and does not say so",
                hint=f"give the application the scope {ALL_ORDERS}",
            )

    def _ask(self, query: str, variables: dict[str, JSON], *path: str) -> Answer:
        """The answer to a query, whole and with a list at `path`: half an answer is none."""
        json: JSON = {"query": query, "variables": dict(variables)}
        answer = self._http.ask(
            Request(method="POST", url=self._base_url + PATH, json=json), quota=self._quota
        )
        errors = at(answer.body, "errors")
        if errors or entries(answer.body, *path) is None:
            said = privacy.without_e_mail(dump(errors))[:300]
            raise ExtractError(
                f"{self._retailer_id}: Shopify refuses the query: {said}",
                hint="too costly: lower options.page_size or options.lines_page_size; "
                "access denied: give the application read_orders and read_products",
            )
        return answer


def _until_affordable(cost: JSON) -> float:
    """Seconds until the bucket has refilled to what the query was priced at."""
    wanted, held, rate = (
        amounts.number(at(cost, *path))
        for path in (
            ("requestedQueryCost",),
            ("throttleStatus", "currentlyAvailable"),
            ("throttleStatus", "restoreRate"),
        )
    )
    missing = amounts.less(wanted, held)
    if missing is None or rate is None or not amounts.is_positive(missing) or not amounts.is_positive(rate):
        return 1.0
    return float(missing / rate)


def _codes(answer: Answer) -> set[str | None]:
    return {text(each, "extensions", "code") for each in entries(answer.body, "errors") or []}


def _finite(value: Decimal | None) -> float | None:
    return float(value) if value is not None and value.is_finite() else None
