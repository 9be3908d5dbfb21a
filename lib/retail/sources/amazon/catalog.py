"""Amazon's catalogue: Catalog Items 2022-04-01, `searchCatalogItems` (models, catalogItems_2022-04-01.json)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from retail.errors import ExtractError, RefusedError
from retail.records import MasterRecord, ProductRecord
from retail.sources.catalog import MOST_REFUSALS, batches
from retail.sources.cursors import SeenCursors, next_cursor
from retail.sources.http.client import HttpClient
from retail.sources.http.messages import Clock, Request
from retail.sources.http.rate_limit import Quota
from retail.sources.values.gtin import gtin14
from retail.sources.values.json_path import JSON, at, entries, text
from retail.sources.values.timestamps import utc_text

PATH: Final = "/catalog/2022-04-01/items"
MOST_SKUS: Final = 20
# The usage plan in the model.
BURST: Final = 2
PER_SECOND: Final = 2.0
DATASETS: Final = "summaries,identifiers,classifications"
# Best first. An item may have several of each, in any order.
_NUMBERS: Final = ("GTIN", "EAN", "UPC", "JAN")


@dataclass(frozen=True, slots=True, kw_only=True)
class AmazonCatalog:
    """One seller's products; see `retail.sources.catalog.Catalog`. Amazon has no catalogue of stores.

    A SKU that is unknown in the first of `marketplace_ids` is searched for in the next.
    """

    retailer_id: str
    http: HttpClient
    quota: Quota
    base_url: str
    seller_id: str
    marketplace_ids: Sequence[str]
    clock: Clock

    def describe(self, products: Sequence[str], stores: Sequence[str]) -> Iterator[Sequence[MasterRecord]]:
        """See Catalog."""
        del stores
        refused = 0
        waiting = batches([sku for sku in products if "," not in sku], MOST_SKUS)
        # A comma separates two SKUs even if it is escaped; alone, such a SKU is found (issue 2295 of the
        # docs).
        waiting += [[sku] for sku in products if "," in sku]
        waiting.reverse()
        while waiting:
            skus = waiting.pop()
            try:
                yield from self._batch(skus)
            except RefusedError as error:
                if error.status != 400:
                    raise
                if len(skus) > 1:
                    # One SKU that Amazon rejects makes it refuse all SKUs in the same request.
                    middle = len(skus) // 2
                    waiting += [skus[middle:], skus[:middle]]
                    yield []
                    continue
                refused += 1
                if refused > MOST_REFUSALS:
                    raise ExtractError(error.message, hint=self._hint) from None
                yield [self._record(skus[0], None, "")]

    def _batch(self, skus: Sequence[str]) -> Iterator[Sequence[MasterRecord]]:
        """The records of these SKUs, one batch for each call; the last includes the SKUs that no marketplace knows."""
        missing = list(skus)
        batch: list[MasterRecord] | None = None
        for marketplace in self.marketplace_ids:
            for found in self._pages(missing, marketplace):
                if batch is not None:
                    yield batch
                missing = [sku for sku in missing if sku not in found]
                batch = [self._record(sku, item, marketplace) for sku, item in found.items()]
            if not missing:
                break
        yield [*(batch or []), *(self._record(sku, None, "") for sku in missing)]

    def _pages(self, skus: Sequence[str], marketplace: str) -> Iterator[dict[str, JSON]]:
        """The items of these SKUs, by SKU, page by page: one SKU can stand for several items."""
        params = {
            "identifiers": ",".join(skus),
            "identifiersType": "SKU",
            "sellerId": self.seller_id,
            "marketplaceIds": marketplace,  # the catalogue takes one
            "includedData": DATASETS,
            "pageSize": str(MOST_SKUS),  # default 10
        }
        left = set(skus)
        tokens = SeenCursors(self.retailer_id, f"GET {PATH}")
        while True:
            request = Request(method="GET", url=self.base_url + PATH, params=params)
            body = self.http.ask(request, quota=self.quota).body
            items = entries(body, "items")
            if items is None:
                raise ExtractError(
                    f"{self.retailer_id}: the response to GET {PATH} has no list `items`", hint=self._hint
                )
            found = {
                sku: item for item in items for sku in self._skus(item, skus, marketplace) if sku in left
            }
            left -= set(found)
            yield found
            token = next_cursor(body, "pagination", "nextToken", retailer_id=self.retailer_id)
            if token is None or not left:
                return
            params = {**params, "pageToken": tokens.new(token)}

    @property
    def _hint(self) -> str:
        return (
            f"check that retailers.{self.retailer_id}.options has the right seller_id and marketplace_ids; "
            "if so, report it with the log"
        )

    def _skus(self, item: JSON, asked: Sequence[str], marketplace: str) -> list[str]:
        """The requested SKUs that the item matches: Amazon repeats them among its identifiers."""
        named = [number for kind, number in _identifiers(item, marketplace) if kind == "SKU"]
        if not named and len(asked) == 1:
            return list(asked)
        return [sku for sku in asked if sku in named]

    def _record(self, sku: str, item: JSON, marketplace: str) -> ProductRecord:
        summary = _of(item, "summaries", marketplace)
        numbers = _identifiers(item, marketplace)
        gtins = [
            (_NUMBERS.index(kind), gtin)
            for kind, number in numbers
            if kind in _NUMBERS and (gtin := gtin14(number)) is not None
        ]
        return ProductRecord(
            retailer_id=self.retailer_id,
            product_id=sku,
            product_name=text(summary, "itemName"),
            brand=text(summary, "brand"),
            category=text(summary, "browseClassification", "displayName")
            or text(_of(item, "classifications", marketplace), "classifications", 0, "displayName"),
            gtin=min(gtins)[1] if gtins else None,
            fetched_at=utc_text(self.clock.now()),
            source_ref=f"GET {PATH}#{text(item, 'asin') or ''}",
        )


def _of(item: JSON, dataset: str, marketplace: str) -> JSON:
    """The marketplace's part of an item's data set."""
    parts = entries(item, dataset) or []
    return next((part for part in parts if at(part, "marketplaceId") == marketplace), None)


def _identifiers(item: JSON, marketplace: str) -> list[tuple[str, str]]:
    found = entries(_of(item, "identifiers", marketplace), "identifiers") or []
    return [
        (kind, number)
        for each in found
        if (kind := text(each, "identifierType")) and (number := text(each, "identifier"))
    ]
