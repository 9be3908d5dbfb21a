"""Amazon's catalogue: Catalog Items 2022-04-01, `searchCatalogItems` (models, catalogItems_2022-04-01.json)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from retail.errors import ExtractError
from retail.extract.answers import JSON, at, entries, text
from retail.extract.gtin import gtin14
from retail.extract.http import Clock, HttpClient, Request
from retail.extract.instants import utc_text
from retail.extract.master import MOST_REFUSALS, batches
from retail.records import MasterRecord, ProductRecord

PATH: Final = "/catalog/2022-04-01/items"
MOST_SKUS: Final = 20
DATASETS: Final = "summaries,identifiers,classifications"
# Best first. What an item has of each may be several, in any order.
_NUMBERS: Final = ("GTIN", "EAN", "UPC", "JAN")


@dataclass(frozen=True, slots=True, kw_only=True)
class AmazonCatalog:
    """One seller's products; see `master.Catalog`. Amazon has no catalogue of stores.

    A SKU that is unknown in the first of `marketplace_ids` is looked for in the next.
    """

    retailer_id: str
    http: HttpClient
    base_url: str
    seller_id: str
    marketplace_ids: Sequence[str]
    clock: Clock

    def describe(self, products: Sequence[str], stores: Sequence[str]) -> Iterator[Sequence[MasterRecord]]:
        """See Catalog."""
        del stores
        refused = 0
        waiting = [*batches([sku for sku in products if "," not in sku], MOST_SKUS)]
        # A comma parts two SKUs even where it is escaped; alone, such a SKU is found (issue 2295 of the docs).
        waiting += [[sku] for sku in products if "," in sku]
        waiting.reverse()
        while waiting:
            skus = waiting.pop()
            try:
                yield from self._batch(skus)
            except _RefusedError as error:
                # One SKU that Amazon does not take refuses all that are asked for with it.
                if len(skus) > 1:
                    middle = len(skus) // 2
                    waiting += [skus[middle:], skus[:middle]]
                    yield []
                    continue
                refused += 1
                if refused > MOST_REFUSALS:
                    raise error.reason from None
                yield [self._record(skus[0], None, "")]

    def _batch(self, skus: Sequence[str]) -> Iterator[Sequence[MasterRecord]]:
        """The records of these SKUs, an item for each call; the last has what no marketplace knows."""
        missing, told = list(skus), None
        for marketplace in self.marketplace_ids:
            for found in self._pages(missing, marketplace):
                if told is not None:
                    yield told
                missing = [sku for sku in missing if sku not in found]
                told = [self._record(sku, item, marketplace) for sku, item in found.items()]
            if not missing:
                break
        yield [*(told or []), *(self._record(sku, None, "") for sku in missing)]

    def _pages(self, skus: Sequence[str], marketplace: str) -> Iterator[dict[str, JSON]]:
        """The items of these SKUs, by SKU, page by page: one SKU can stand for several items."""
        params = {
            "identifiers": ",".join(skus),
            "identifiersType": "SKU",
            "sellerId": self.seller_id,
            "marketplaceIds": marketplace,  # the catalogue takes one
            "includedData": DATASETS,
            "pageSize": str(MOST_SKUS),  # 10 unless told
        }
        left, tokens = set(skus), set[str]()
        while True:
            request = Request(method="GET", url=self.base_url + PATH, params=params)
            answer = self.http.ask(request, accept=(200, 400))
            items = entries(answer.body, "items")
            if answer.status == 400 or items is None:
                said = text(answer.body, "errors", 0, "message") or "the answer holds no list `items`"
                reason = ExtractError(
                    f"{self.retailer_id}: GET {PATH}: HTTP {answer.status} {said[:200]}",
                    hint=f"see that retailers.{self.retailer_id}.options has the right seller_id and marketplace_ids, "
                    "and the application the role Product Listing",
                )
                raise _RefusedError(reason) if answer.status == 400 else reason
            found: dict[str, JSON] = {}
            for item in items:
                for sku in self._skus(item, skus, marketplace):
                    if sku in left:
                        found[sku] = item
            left -= set(found)
            yield found
            token = text(answer.body, "pagination", "nextToken")
            if token is None or token in tokens or not left:
                return
            tokens.add(token)
            params = {**params, "pageToken": token}

    def _skus(self, item: JSON, asked: Sequence[str], marketplace: str) -> list[str]:
        """Which of the SKUs that were asked for the item is: Amazon repeats them among its identifiers."""
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


class _RefusedError(Exception):
    """HTTP 400: something in the question is not taken."""

    def __init__(self, reason: ExtractError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _of(item: JSON, dataset: str, marketplace: str) -> JSON:
    """The part of an item's data set that is for the marketplace."""
    parts = entries(item, dataset) or []
    return next((part for part in parts if at(part, "marketplaceId") == marketplace), None)


def _identifiers(item: JSON, marketplace: str) -> list[tuple[str, str]]:
    found = entries(_of(item, "identifiers", marketplace), "identifiers") or []
    return [
        (kind, number)
        for each in found
        if (kind := text(each, "identifierType")) and (number := text(each, "identifier"))
    ]
