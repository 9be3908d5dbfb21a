"""Walmart's catalogue: `GET /v3/items/{id}` of Marketplace US (spec items.json 0.6.3), one SKU a call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from retail.errors import ExtractError
from retail.extract.answers import JSON, entries, text
from retail.extract.gtin import gtin14
from retail.extract.http import Answer, Clock, HttpClient, Request
from retail.extract.instants import utc_text
from retail.extract.master import MOST_REFUSALS
from retail.extract.walmart import error_code
from retail.records import MasterRecord, ProductRecord

PATH: Final = "/v3/items"


@dataclass(frozen=True, slots=True, kw_only=True)
class WalmartItems:
    """One seller's items; see `master.Catalog`. Walmart has no catalogue of ship nodes for sellers to ask."""

    retailer_id: str
    http: HttpClient
    base_url: str
    clock: Clock

    def describe(self, products: Sequence[str], stores: Sequence[str]) -> Iterator[Sequence[MasterRecord]]:
        """See Catalog."""
        del stores
        refused = 0
        for sku in products:
            answer = self._ask(sku)
            if answer.status == 400:
                refused += 1
            if refused > MOST_REFUSALS:
                raise self._failure(answer, hint="Walmart takes none of these SKUs; report it with the log")
            yield [self._record(sku, answer.body)]

    def _ask(self, sku: str) -> Answer:
        request = Request(
            method="GET",
            url=f"{self.base_url}{PATH}/{quote(sku, safe='')}",
            params={"productIdType": "SKU"},
        )
        answer = self.http.ask(request, accept=(200, 400, 404))
        if answer.status == 404 and not error_code(answer.body).startswith("CONTENT_NOT_FOUND"):
            # A wrong address answers 404 as well.
            raise self._failure(answer, hint=f"see that retailers.{self.retailer_id}.base_url is right")
        if answer.status == 200 and entries(answer.body, "ItemResponse") is None:
            raise self._failure(
                answer, hint="the answer holds no list `ItemResponse`: its format has changed"
            )
        return answer

    def _record(self, sku: str, body: JSON) -> ProductRecord:
        found = [each for each in entries(body, "ItemResponse") or [] if text(each, "sku") == sku]
        item = found[0] if found else None
        return ProductRecord(
            retailer_id=self.retailer_id,
            product_id=sku,
            product_name=text(item, "productName"),
            brand=text(item, "brand") or _attribute(item, "brand"),
            category=text(item, "productType"),
            gtin=gtin14(text(item, "gtin")) or gtin14(text(item, "upc")),
            fetched_at=utc_text(self.clock.now()),
            source_ref=f"GET {PATH}/{quote(sku, safe='')}",
        )

    def _failure(self, answer: Answer, *, hint: str) -> ExtractError:
        return ExtractError(
            f"{self.retailer_id}: GET {self.base_url}{PATH}/…: HTTP {answer.status} {error_code(answer.body)[:100]}",
            hint=hint,
        )


def _attribute(item: JSON, name: str) -> str | None:
    """A value of `additionalAttributes`, where Walmart puts what is not for every item."""
    for each in entries(item, "additionalAttributes", "nameValueAttribute") or []:
        if (text(each, "name") or "").lower() == name:
            return text(each, "value", 0, "value") or text(each, "value", 0)
    return None
