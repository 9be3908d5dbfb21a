"""Walmart Marketplace US: `GET /v3/orders` (spec orders.json; inclusivity of its dates is not stated there)."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Final, Literal
from zoneinfo import ZoneInfo

from retail.errors import ExtractError
from retail.extract import amounts, privacy, walmart_sales
from retail.extract.answers import JSON, at, entries, text
from retail.extract.exchange import Answer, Clock, Request, answered_at
from retail.extract.http import HttpClient
from retail.extract.quota import Patience, Quota
from retail.extract.service import Estimate, Options, Page, WebAddress, follow
from retail.extract.windows import Window
from retail.secrets import Secret, Secrets
from retail.settings import RetailerSettings, Settings

PATH: Final = "/v3/orders"
# One call shows one kind only, SellerFulfilled where none is named; often most sales are WFS.
NODE_TYPES: Final = ("SellerFulfilled", "WFSFulfilled", "3PLFulfilled")
# A query that matches more is not answered whole.
MOST_ORDERS: Final = 10_000
KEPT: Final = timedelta(days=180)
PAGE_SIZE: Final = 200
# "All orders", as cited by two third parties; the official table needs a login.
CALLS_A_MINUTE: Final = 5_000


class WalmartOptions(Options):
    """`charge_basis`: whether a charge is for the whole line or for one unit. No document says which."""

    charge_basis: Literal["line", "unit"] = "line"
    token_url: WebAddress | None = None
    channel_type: str | None = None


class WalmartDialect:
    """Client credentials buy tokens of 15 minutes; 429 comes with the instant of the next token."""

    def __init__(
        self, token_url: str, *, client_id: Secret, client_secret: Secret, channel_type: str | None
    ) -> None:
        pair = f"{client_id.reveal()}:{client_secret.reveal()}"
        self._basic = Secret(base64.b64encode(pair.encode()).decode())
        self.secrets = (client_id, client_secret, self._basic)
        self._token_url = token_url
        self._channel = {"WM_CONSUMER.CHANNEL.TYPE": channel_type} if channel_type else {}

    def token_request(self) -> Request:
        headers = {"Authorization": f"Basic {self._basic.reveal()}", **self._common()}
        form = {"grant_type": "client_credentials"}
        return Request(method="POST", url=self._token_url, headers=headers, form=form)

    def headers(self, token: str) -> dict[str, str]:
        return {"WM_SEC.ACCESS_TOKEN": token, **self._common()}

    def token_refused(self, answer: Answer) -> bool:
        # Reports differ: 401 in one client, 400 with this code in another.
        expired = answer.status == 400 and error_code(answer.body).startswith("INVALID_TOKEN")
        return answer.status == 401 or expired

    def throttled(self, answer: Answer) -> bool:
        return answer.status == 429

    def wait(self, answer: Answer, now: datetime) -> float | None:
        if answer.status != 429:
            return None
        # Milliseconds since 1970; two spellings are in use.
        for header in ("X-Next-Replenishment-Time", "x-next-replenish-time"):
            instant = amounts.number(answer.headers.get(header))
            if instant is not None and amounts.is_positive(instant):
                seconds = float(instant) / 1000 - now.timestamp()
                return seconds if seconds > 0 else None
        return None

    def learn(self, answer: Answer, quota: Quota) -> None:
        left = amounts.number(answer.headers.get("x-current-token-count"))
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
    """One seller's orders; what they mean is in `walmart_sales`."""

    Options: ClassVar[type[Options]] = WalmartOptions

    def __init__(
        self, retailer_id: str, settings: Settings, secrets: Secrets, *, clock: Clock, patience: Patience
    ) -> None:
        retailer = settings.retailers[retailer_id]
        self._retailer_id = retailer_id
        self._base_url = retailer.base_url
        self._options = WalmartOptions(**retailer.options)
        client_id, client_secret = (
            secrets.require(f"{retailer_id}_{name}") for name in self.secret_names(retailer.options)
        )
        self._pepper = secrets.require("customer_pepper")
        dialect = WalmartDialect(
            self._options.token_url or f"{self._base_url}/v3/token",
            client_id=client_id,
            client_secret=client_secret,
            channel_type=self._options.channel_type,
        )
        self._clock = clock
        self._http = HttpClient(retailer_id, dialect, settings.extract, clock=clock, patience=patience)
        self._quota = Quota(burst=CALLS_A_MINUTE, per_second=CALLS_A_MINUTE / 60, monotonic=clock.monotonic)

    @classmethod
    def secret_names(cls, options: Mapping[str, Any]) -> tuple[str, ...]:
        """See Service."""
        del options
        return ("client_id", "client_secret")

    @classmethod
    def sales(cls, retailer_id: str, retailer: RetailerSettings) -> walmart_sales.WalmartSales:
        """See Service."""
        return walmart_sales.WalmartSales(
            retailer_id=retailer_id,
            zone=ZoneInfo(retailer.time_zone),
            charges_are_per_unit=WalmartOptions(**retailer.options).charge_basis == "unit",
        )

    def pages(self, window: Window, cursor: str | None) -> Iterator[Page]:
        """See Service. The cursor is a node type and, within it, Walmart's own query string behind `?`."""
        first = NODE_TYPES.index(cursor.partition("?")[0]) if cursor else 0
        for place, node_type in enumerate(NODE_TYPES[first:], start=first):
            fetch = partial(self._page, window, node_type)
            within = cursor if cursor and "?" in cursor and place == first else None
            following = NODE_TYPES[place + 1] if place + 1 < len(NODE_TYPES) else None
            for page in follow(
                fetch, orders=walmart_sales.orders, cursor=within, retailer_id=self._retailer_id
            ):
                yield Page(page.answer, page.next_cursor or following)

    def estimate(self, windows: Sequence[Window]) -> Estimate:
        """See Service."""
        raise NotImplementedError

    def _page(self, window: Window, node_type: str, cursor: str | None) -> Page:
        answer = self._http.ask(
            self._request(window, node_type, cursor), accept=(200, 404), quota=self._quota
        )
        self._check_kept(answer, window)
        if answer.status == 404:
            self._check_nothing_found(answer)
        else:
            self._check_whole(answer.body, window, node_type)
        name = partial(privacy.pseudonym, self._pepper, self._retailer_id)
        following = text(answer.body, "list", "meta", "nextCursor")
        return Page(
            privacy.strip(answer.body, privacy.WALMART, name=name),
            f"{node_type}?{following.lstrip('?')}" if following else None,
        )

    def _request(self, window: Window, node_type: str, cursor: str | None) -> Request:
        if cursor is not None:
            # A ready query string: it stands for all parameters, and is not to be encoded again.
            query = cursor.partition("?")[2]
            if "shipNodeType=" not in query:
                query += f"&shipNodeType={node_type}"
            return Request(method="GET", url=f"{self._base_url}{PATH}?{query}")
        params = {
            "lastModifiedStartDate": f"{window.start:%Y-%m-%dT%H:%M:%SZ}",
            "lastModifiedEndDate": f"{window.end:%Y-%m-%dT%H:%M:%SZ}",
            "shipNodeType": node_type,
            "limit": str(PAGE_SIZE),
        }
        return Request(method="GET", url=self._base_url + PATH, params=params)

    def _check_kept(self, answer: Answer, window: Window) -> None:
        """Older orders are silently left out, or are a 404 like a day without sales."""
        now = answered_at(answer.headers) or self._clock.now()
        if window.start < now - KEPT:
            raise ExtractError(
                f"{self._retailer_id}: {window.logical_date} is out of reach; at {now:%Y-%m-%d} Walmart keeps orders "
                f"of {KEPT.days} days only",
                hint="leave this retailer out with --only for days that far back",
            )

    def _check_nothing_found(self, answer: Answer) -> None:
        """404 is Walmart's empty page, but only with this code: a wrong address answers 404 as well."""
        if not error_code(answer.body).startswith("CONTENT_NOT_FOUND"):
            raise ExtractError(
                f"{self._retailer_id}: GET {self._base_url}{PATH}: HTTP 404, not Walmart's CONTENT_NOT_FOUND",
                hint=f"see that retailers.{self._retailer_id}.base_url is right",
            )

    def _check_whole(self, body: JSON, window: Window, node_type: str) -> None:
        if entries(body, "list", "elements", "order") is None:
            raise ExtractError(
                f"{self._retailer_id}: the answer to GET {PATH} holds no list `list.elements.order`",
                hint="see that base_url is Walmart Marketplace's; if it is, its format has changed",
            )
        count = amounts.number(at(body, "list", "meta", "totalCount"))
        if count is not None and count.is_finite() and count >= MOST_ORDERS:
            raise ExtractError(
                f"{self._retailer_id}: {window.logical_date} has {count} {node_type} orders; Walmart gives at "
                f"most {MOST_ORDERS:,} a query, so some would be missing",
                hint="narrow the window: lower extract.overlap_minutes",
            )


def error_code(body: JSON) -> str:
    """The code of the first error in an answer; the gateway and the newer pages name the list differently."""
    return text(body, "error", 0, "code") or text(body, "errors", 0, "code") or ""
