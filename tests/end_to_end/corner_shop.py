"""A corner shop, the example of docs/ADD_A_RETAILER.md: an API key buys its receipts as pages of JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from pydantic import Field

from retail.config.secrets import Secret, Secrets
from retail.config.settings import RetailerSettings, Settings
from retail.errors import ExtractError
from retail.records import SalesRecord
from retail.sources import pii
from retail.sources.http.client import HttpClient
from retail.sources.http.messages import Clock, Request, Response
from retail.sources.http.rate_limit import Quota, QuotaPolicy
from retail.sources.service import (
    NO_LINES,
    Estimate,
    Options,
    Page,
    Skipped,
    cancelled,
    follow,
    pointers,
    unreadable,
)
from retail.sources.values import money, timestamps
from retail.sources.values.json_path import JSON, at, entries, text
from retail.sources.window import Window

RECEIPT: Final = "number member sold_at changed_at void training till currency"
LINE: Final = "line article title units amount discount tax"
PERSONAL_DATA: Final = pii.Rules(
    removed=frozenset({"member_name"}),
    customer=("member",),
    kept=(
        *("receipts", "next", *(f"receipts[].{name}" for name in RECEIPT.split())),
        *(f"receipts[].lines[].{name}" for name in LINE.split()),
    ),
)
CALLS_A_MINUTE: Final = 120


class CornerShopOptions(Options):
    page_size: int = Field(default=100, ge=1, le=500)


@dataclass(frozen=True, slots=True)
class CornerShopProfile:
    """A key that lasts. "Too many" is a 429 with Retry-After, which the client reads by itself."""

    key: Secret

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return (self.key,)

    def token_request(self) -> Secret:
        return self.key

    def headers(self, token: str) -> dict[str, str]:
        return {"X-Api-Key": token}

    def token_refused(self, answer: Response) -> bool:
        return answer.status == 401

    def throttled(self, answer: Response) -> bool:
        return answer.status == 429

    def wait(self, answer: Response, now: datetime) -> float | None:
        del answer, now
        return None

    def learn(self, answer: Response, quota: Quota) -> None:
        """The shop tells nothing of its quota."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CornerShopSales:
    """One record a line of a receipt. `amount` is net; units that come back are negative, and so is their amount."""

    MAPPING_VERSION: ClassVar[int] = 1

    retailer_id: str
    zone: ZoneInfo

    def records(self, answer: JSON, source: str) -> Iterator[SalesRecord | Skipped]:
        for place, receipt in enumerate(entries(answer, "receipts") or []):
            source_ref = f"{source}#/answer/receipts/{place}"
            lines = entries(receipt, "lines")
            if not lines:
                nothing = unreadable(self.retailer_id, source_ref, transaction_id=text(receipt, "number"))
                yield nothing if lines is None else Skipped(NO_LINES, nothing)
            for number, line in enumerate(lines or []):
                record = self._line(receipt, line, f"{source_ref}/lines/{number}")
                ended = cancelled(record) if at(receipt, "void") is True else record
                yield Skipped("training", ended) if at(receipt, "training") is True else ended

    def entries(self, answer: JSON) -> list[str] | None:
        return pointers(answer, ("receipts",))

    def _line(self, receipt: JSON, line: JSON, source_ref: str) -> SalesRecord:
        sold_at = timestamps.from_iso(at(receipt, "sold_at"))
        units, amount, discount, tax = (
            money.number(at(line, name)) for name in ("units", "amount", "discount", "tax")
        )
        comes_back = money.is_positive(money.less(money.ZERO, units))
        return SalesRecord(
            retailer_id=self.retailer_id,
            transaction_id=text(receipt, "number"),
            line_id=text(line, "line"),
            record_type="return" if comes_back else "sale",
            status="completed",
            sold_at=sold_at,
            updated_at=timestamps.from_iso(at(receipt, "changed_at")),
            business_date=timestamps.business_date(sold_at, self.zone),
            product_id=text(line, "article"),
            product_name=text(line, "title"),
            customer_id=text(receipt, "member"),
            store_id=text(receipt, "till"),
            quantity=money.plain(units),
            discount_amount=money.plain(discount),
            tax_amount=money.plain(tax),
            total_amount=money.plain(amount),
            currency=text(receipt, "currency"),
            source_ref=source_ref,
        )


class CornerShop:
    """One shop's receipts, asked for by the time of their last change; see service.Service."""

    Options: ClassVar[type[Options]] = CornerShopOptions
    LOOK_BACK: ClassVar[timedelta] = timedelta(0)  # the shop lists every receipt at once

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
        self._retailer_id, self._url = retailer_id, f"{retailer.base_url}/v1/receipts"
        self._page_size = CornerShopOptions(**retailer.options).page_size
        pepper, key = secrets.require("customer_pepper"), secrets.require(f"{retailer_id}_api_key")
        self._name = partial(pii.pseudonym, pepper, retailer_id)
        profile = CornerShopProfile(key)
        self._http = HttpClient(
            retailer_id, profile, settings.extract, clock=clock, quota_policy=quota_policy
        )
        self._quota = quota_policy.bucket(
            "orders", burst=CALLS_A_MINUTE, per_second=CALLS_A_MINUTE / 60, monotonic=clock.monotonic
        )

    @classmethod
    def secret_names(cls, options: Mapping[str, Any]) -> tuple[str, ...]:
        del options
        return ("api_key",)

    @classmethod
    def sales(cls, retailer_id: str, retailer: RetailerSettings) -> CornerShopSales:
        return CornerShopSales(retailer_id=retailer_id, zone=ZoneInfo(retailer.time_zone))

    def pages(self, window: Window, cursor: str | None) -> Iterator[Page]:
        def receipts(answer: JSON) -> JSON:
            return at(answer, "receipts")

        return follow(
            partial(self._page, window), orders=receipts, cursor=cursor, retailer_id=self._retailer_id
        )

    def estimate(self, windows: Sequence[Window]) -> Estimate:
        whole = Window(windows[0].logical_date, windows[0].start, windows[-1].end)
        count = int(money.number(at(self._ask(whole, None, limit=1), "count")) or 0)
        calls = max(len(windows), ceil(count / self._page_size))
        seconds = self._quota.seconds_for(calls)
        quota = f"{CALLS_A_MINUTE} calls a minute"
        return Estimate(orders=count, calls=calls, quota_seconds=seconds, quota=quota, asked=1)

    def _page(self, window: Window, cursor: str | None) -> Page:
        answer = self._ask(window, cursor, limit=self._page_size)
        return Page(pii.strip(answer, PERSONAL_DATA, name=self._name), text(answer, "next"))

    def _ask(self, window: Window, cursor: str | None, *, limit: int) -> JSON:
        span = {"changed_from": window.start.isoformat(), "changed_before": window.end.isoformat()}
        params = {**span, "limit": str(limit), **({"cursor": cursor} if cursor is not None else {})}
        request = Request(method="GET", url=self._url, params=params)
        answer = self._http.ask(request, quota=self._quota).body
        if entries(answer, "receipts") is None:
            raise ExtractError(
                f"{self._retailer_id}: the response to {request.asked} has no list `receipts`",
                hint=f"check that retailers.{self._retailer_id}.base_url is the shop's",
            )
        return answer
