"""Amazon's catalogue: `searchCatalogItems` of Catalog Items 2022-04-01, by identifiers only.

Rules are from the official model catalogItems_2022-04-01.json unless a comment names another source.
"""

import base64
import hashlib
import re

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse

from retail_simulator import amazon_answers
from retail_simulator.amazon_orders import MARKETPLACE_ID, Json
from retail_simulator.amazon_search import InvalidInputError
from retail_simulator.clock import SimulatedClock
from retail_simulator.gtin import gtin_of, in_catalogue, shortest
from retail_simulator.orders import Product
from retail_simulator.sales import Book
from retail_simulator.throttle import Bucket

REQUESTS_PER_SECOND = 2.0
BURST = 2
MOST_IDENTIFIERS = 20
LARGEST_PAGE, USUAL_PAGE = 20, 10

DATASETS = frozenset(
    "attributes classifications dimensions identifiers images productTypes relationships salesRanks summaries"
    " vendorDetails".split()
)
IDENTIFIER_TYPES = frozenset("ASIN EAN GTIN ISBN JAN MINSAN SKU UPC".split())
KEYWORDS_ONLY = frozenset("keywords brandNames classificationIds keywordsLocale".split())
PARAMETERS = KEYWORDS_ONLY | frozenset(
    "identifiers identifiersType marketplaceIds includedData locale sellerId pageSize pageToken".split()
)


class AmazonCatalog:
    """The catalogue as one selling partner sees it."""

    def __init__(self, book: Book, clock: SimulatedClock, *, throttle: bool) -> None:
        self._book = book
        self._bucket = Bucket(clock, capacity=BURST, per_second=REQUESTS_PER_SECOND) if throttle else None
        self._rate = REQUESTS_PER_SECOND if throttle else amazon_answers.WITHOUT_LIMIT

    def search(self, query: QueryParams) -> JSONResponse:
        """The known ones of the products asked for. Unknown ones are left out, which is no error."""
        if self._bucket is not None and not self._bucket.take():
            return amazon_answers.quota_exceeded()
        try:
            skus, datasets = _asked(query)
            size = _page_size(query)
            start = _page_start(query)
        except InvalidInputError as error:
            return amazon_answers.error(400, "InvalidInput", str(error), rate=self._rate)
        known = [product for sku in skus if (product := self._book.product(sku)) and in_catalogue(product)]
        page = known[start : start + size]
        body: Json = {
            "numberOfResults": len(known),
            "pagination": _pagination(start, size, total=len(known)),
            "items": [_render(product, datasets) for product in page],
        }
        return JSONResponse(body, headers=amazon_answers.headers(self._rate))


def _asked(query: QueryParams) -> tuple[list[str], frozenset[str]]:
    names = [name for name, _ in query.multi_items()]
    for name in names:
        if name not in PARAMETERS or names.count(name) > 1:
            raise InvalidInputError(f"Invalid or repeated parameter: {name}")
        if name in KEYWORDS_ONLY:
            raise InvalidInputError(f"{name} cannot be used with identifiers")
    identifiers = [one for one in query.get("identifiers", "").split(",") if one]
    if not 1 <= len(identifiers) <= MOST_IDENTIFIERS:
        raise InvalidInputError(f"identifiers: 1 to {MOST_IDENTIFIERS}")
    if query.get("identifiersType") not in IDENTIFIER_TYPES:
        raise InvalidInputError("identifiersType is required with identifiers")
    if query["identifiersType"] != "SKU":
        raise InvalidInputError("identifiersType: the simulator plays SKU only")
    if not query.get("sellerId"):
        raise InvalidInputError("sellerId is required when identifiersType is SKU")
    if query.get("marketplaceIds") != MARKETPLACE_ID:
        raise InvalidInputError("marketplaceIds: exactly one, and one of the account's")
    datasets = frozenset(query.get("includedData", "summaries").split(","))
    if unknown := datasets - DATASETS:
        raise InvalidInputError(f"includedData: no such value: {min(unknown)}")
    return list(dict.fromkeys(identifiers)), datasets


def _page_size(query: QueryParams) -> int:
    text = query.get("pageSize", str(USUAL_PAGE))
    if not re.fullmatch(r"[0-9]{1,2}", text) or not 1 <= int(text) <= LARGEST_PAGE:
        raise InvalidInputError(f"pageSize must be between 1 and {LARGEST_PAGE}")
    return int(text)


def _page_start(query: QueryParams) -> int:
    try:
        return int(base64.urlsafe_b64decode(query.get("pageToken", "MA==")))
    except ValueError:
        raise InvalidInputError("pageToken is invalid") from None


def _pagination(start: int, size: int, *, total: int) -> Json:
    places = {"previousToken": start - size, "nextToken": start + size}
    return {
        name: base64.urlsafe_b64encode(str(place).encode()).decode()
        for name, place in places.items()
        if 0 <= place < total
    }


def _render(product: Product, datasets: frozenset[str]) -> Json:
    item: Json = {"asin": asin_of(product)}
    if "identifiers" in datasets:
        pairs = [shortest(gtin_of(product.sku)), ("SKU", product.sku)]
        identifiers = [{"identifierType": kind, "identifier": text} for kind, text in pairs]
        item["identifiers"] = [{"marketplaceId": MARKETPLACE_ID, "identifiers": identifiers}]
    if "summaries" in datasets:
        item["summaries"] = [_summary(product)]
    if "classifications" in datasets:
        classes = [_classification(product.category)] if product.category else []
        item["classifications"] = [{"marketplaceId": MARKETPLACE_ID, "classifications": classes}]
    return item


def _summary(product: Product) -> Json:
    summary: Json = {"marketplaceId": MARKETPLACE_ID, "itemName": product.title}
    if product.brand:
        summary["brand"] = product.brand
    if product.category:
        summary["browseClassification"] = _classification(product.category)
    return summary | {"itemClassification": "BASE_PRODUCT"}


def _classification(category: str) -> Json:
    number = int(hashlib.sha256(category.encode()).hexdigest()[:8], 16)
    return {"displayName": category, "classificationId": str(number)}


def asin_of(product: Product) -> str:
    """Amazon's own number of a product."""
    return "B0" + hashlib.sha256(product.sku.encode()).hexdigest()[:8].upper()
