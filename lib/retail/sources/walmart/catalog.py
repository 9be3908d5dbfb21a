"""Walmart's catalogue: `GET /v3/items/{id}` of Marketplace US (spec items.json 0.6.3), one SKU a call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from retail.errors import ExtractError, RefusedError
from retail.records import MasterRecord, ProductRecord
from retail.sources.catalog import MOST_REFUSALS
from retail.sources.http.client import HttpClient
from retail.sources.http.messages import Clock, Request
from retail.sources.http.rate_limit import Quota
from retail.sources.values.gtin import gtin14
from retail.sources.values.json_path import JSON, entries, text
from retail.sources.values.timestamps import utc_text
from retail.sources.walmart.errors import error_code

PATH: Final = "/v3/items"
# Our own limit, as there is no official figure.
CALLS_A_MINUTE: Final = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class WalmartItems:
    """One seller's items; see `retail.sources.catalog.Catalog`. Walmart has no catalogue of ship nodes for sellers."""

    retailer_id: str
    http: HttpClient
    quota: Quota
    base_url: str
    clock: Clock

    def describe(self, products: Sequence[str], stores: Sequence[str]) -> Iterator[Sequence[MasterRecord]]:
        """See Catalog."""
        del stores
        refused = 0
        for sku in products:
            try:
                body = self._ask(sku)
            except RefusedError as error:
                refused += 1
                if error.status != 400 or refused > MOST_REFUSALS:
                    raise
                body = None
            yield [self._record(sku, body)]

    def _ask(self, sku: str) -> JSON:
        """The response for an existing item, or None."""
        request = Request(
            method="GET",
            url=f"{self.base_url}{PATH}/{quote(sku, safe='')}",
            params={"productIdType": "SKU"},
        )
        answer = self.http.ask(request, accept=(200, 404), quota=self.quota)
        if answer.status == 200 and entries(answer.body, "ItemResponse") is not None:
            return answer.body
        code = error_code(answer.body)
        if answer.status == 404 and code.startswith("CONTENT_NOT_FOUND"):
            return None  # a wrong address answers 404 as well
        raise ExtractError(
            f"{self.retailer_id}: GET {self.base_url}{PATH}/…: HTTP {answer.status} {code[:100]} is not an item",
            hint=f"check that retailers.{self.retailer_id}.base_url is right; if so, the format has changed",
        )

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


def _attribute(item: JSON, name: str) -> str | None:
    """A value of `additionalAttributes`, where Walmart puts what does not apply to every item."""
    for each in entries(item, "additionalAttributes", "nameValueAttribute") or []:
        if (text(each, "name") or "").lower() == name:
            return text(each, "value", 0, "value") or text(each, "value", 0)
    return None
