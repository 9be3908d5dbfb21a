"""Shopify's catalogue: products by the SKU or id of their variants, and locations (schema admin_2026-10).

The application needs the scopes `read_products` and `read_locations`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from retail.errors import ExtractError
from retail.records import MasterRecord, ProductRecord, StoreRecord
from retail.sources.catalog import batches
from retail.sources.cursors import SeenCursors
from retail.sources.http.client import AGAIN, HttpClient
from retail.sources.http.messages import Clock, Request, quoted
from retail.sources.http.rate_limit import Quota
from retail.sources.shopify.mapping import number_of
from retail.sources.shopify.pagination import page_cursor
from retail.sources.values.gtin import gtin14
from retail.sources.values.json_path import JSON, at, entries, text
from retail.sources.values.timestamps import utc_text

# SKUs per search, and nodes per page; with product and category that costs no more than this many points.
PAGE: Final = 50
COST: Final = 50
# The id that `mapping` gives a line without SKU.
_BY_ID: Final = re.compile(r"(variant|product|line)-([0-9]+)", re.ASCII)

_PRODUCT: Final = "title vendor productType category { name }"
VARIANTS: Final = f"""query Variants($first: Int!, $after: String, $query: String!) {{
  productVariants(first: $first, after: $after, query: $query) {{
    pageInfo {{ hasNextPage endCursor }}
    nodes {{ id sku barcode product {{ {_PRODUCT} }} }}
  }}
}}"""
NODES: Final = f"""query Nodes($ids: [ID!]!) {{
  nodes(ids: $ids) {{
    id
    ... on ProductVariant {{ barcode product {{ {_PRODUCT} }} }}
    ... on Product {{ {_PRODUCT} }}
  }}
}}"""
LOCATIONS: Final = """query Locations($first: Int!, $after: String) {
  locations(first: $first, after: $after, includeInactive: true, includeLegacy: true) {
    pageInfo { hasNextPage endCursor }
    nodes { id name address { city provinceCode countryCode } }
  }
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopifyProducts:
    """One shop's products and locations; see `retail.sources.catalog.Catalog`."""

    retailer_id: str
    http: HttpClient
    quota: Quota
    url: str
    clock: Clock

    def describe(self, products: Sequence[str], stores: Sequence[str]) -> Iterator[Sequence[MasterRecord]]:
        """See Catalog."""
        if stores:
            yield from self._stores(stores)
        by_id = {product: match for product in products if (match := _BY_ID.fullmatch(product))}
        for skus in batches([product for product in products if product not in by_id], PAGE):
            yield from self._by_sku(skus)
        nodes = {
            product: f"gid://shopify/{'ProductVariant' if match[1] == 'variant' else 'Product'}/{match[2]}"
            for product, match in by_id.items()
            if match[1] != "line"
        }
        for ids in batches(list(nodes), PAGE):
            yield self._by_id(ids, nodes)
        # A custom item is its own product, which is in no catalogue.
        custom = [
            self._product(product, None, None) for product, match in by_id.items() if match[1] == "line"
        ]
        if custom:
            yield custom

    def _by_sku(self, skus: Sequence[str]) -> Iterator[Sequence[MasterRecord]]:
        """Shopify searches case-insensitively, and several variants can have one SKU: the oldest is taken."""
        search = " OR ".join(f"sku:{_quoted(sku)}" for sku in skus)
        variants: dict[str, JSON] = {}
        for page in self._pages(VARIANTS, "productVariants", {"query": search}):
            for variant in page.nodes:
                sku = text(variant, "sku") or ""
                if sku not in variants or _age(variant) < _age(variants[sku]):
                    variants[sku] = variant
            if page.has_next:
                yield []
        yield [self._product(sku, variants.get(sku), at(variants.get(sku), "product")) for sku in skus]

    def _by_id(self, products: Sequence[str], nodes: dict[str, str]) -> Sequence[MasterRecord]:
        ids: list[JSON] = [nodes[product] for product in products]
        found = {
            text(node, "id"): node for node in entries(self._ask(NODES, {"ids": ids}, "nodes"), "nodes") or []
        }
        records = []
        for product in products:
            node = found.get(nodes[product])
            records.append(self._product(product, node, at(node, "product") or node))
        return records

    def _product(self, product_id: str, variant: JSON, product: JSON) -> ProductRecord:
        return ProductRecord(
            retailer_id=self.retailer_id,
            product_id=product_id,
            product_name=text(product, "title"),
            brand=text(product, "vendor"),
            category=text(product, "category", "name") or text(product, "productType"),
            gtin=gtin14(text(variant, "barcode")),
            fetched_at=utc_text(self.clock.now()),
            source_ref=f"GraphQL productVariants#{text(variant, 'id') or ''}",
        )

    def _stores(self, stores: Sequence[str]) -> Iterator[Sequence[MasterRecord]]:
        left = dict.fromkeys(stores)
        for page in self._pages(LOCATIONS, "locations", {}):
            found = [
                self._store(number, node)
                for node in page.nodes
                if (number := number_of(node)) is not None and number in left
            ]
            for record in found:
                left.pop(record.store_id, None)  # two can have one number
            yield found if page.has_next else [*found, *(self._store(store, None) for store in left)]

    def _store(self, store_id: str, location: JSON) -> StoreRecord:
        return StoreRecord(
            retailer_id=self.retailer_id,
            store_id=store_id,
            store_name=text(location, "name"),
            store_city=text(location, "address", "city"),
            store_region=text(location, "address", "provinceCode"),
            store_country=text(location, "address", "countryCode"),
            fetched_at=utc_text(self.clock.now()),
            source_ref=f"GraphQL locations#{text(location, 'id') or ''}",
        )

    def _pages(self, query: str, name: str, variables: dict[str, JSON]) -> Iterator[_Nodes]:
        after: str | None = None
        seen = SeenCursors(self.retailer_id, f"Shopify's {name}")
        while True:
            data = self._ask(query, {**variables, "first": PAGE, "after": after}, name)
            nodes = entries(data, name, "nodes")
            if nodes is None:
                # Otherwise everything requested would be taken for unknown.
                raise ExtractError(
                    f"{self.retailer_id}: a response with Shopify's {name} has no list", hint=AGAIN
                )
            cursor = page_cursor(at(data, name), retailer_id=self.retailer_id)
            yield _Nodes(nodes, cursor is not None)
            if cursor is None:
                return
            after = seen.new(cursor)

    def _ask(self, query: str, variables: dict[str, JSON], name: str) -> JSON:
        """The `data` of the response, if it is complete."""
        json: JSON = {"query": query, "variables": variables}
        request = Request(method="POST", url=self.url, json=json)
        body = self.http.ask(request, quota=self.quota, cost=COST).body
        data, errors = at(body, "data"), at(body, "errors")
        if errors or at(data, name) is None:
            raise ExtractError(
                f"{self.retailer_id}: Shopify refuses the query of {name}: {quoted(errors)}",
                hint="access denied: give the application the scopes read_products and read_locations",
            )
        return data


@dataclass(frozen=True, slots=True)
class _Nodes:
    nodes: list[JSON]
    has_next: bool


def _quoted(sku: str) -> str:
    """A value in Shopify's search syntax; quotes and backslashes remove any special meaning."""
    return "'" + sku.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _age(variant: JSON) -> tuple[int, str]:
    """Ids are assigned in order."""
    number = number_of(variant) or ""
    return (len(number), number)
