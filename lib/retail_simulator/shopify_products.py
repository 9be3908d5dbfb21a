"""Shopify's master data: products with their one variant each, and the locations that sell."""

import hashlib
from collections.abc import Sequence
from typing import Any

from retail_simulator.gtin import gtin_of, in_catalogue
from retail_simulator.sales import Book, Product
from retail_simulator.shopify_paging import Asked, connection, refuse
from retail_simulator.shopify_search import attributes

Json = dict[str, Any]

PLACES = (
    ("Dayton", "Ohio", "OH"),
    ("Fresno", "California", "CA"),
    ("Salem", "Oregon", "OR"),
    ("Lansing", "Michigan", "MI"),
    ("Boulder", "Colorado", "CO"),
    ("Macon", "Georgia", "GA"),
    ("Utica", "New York", "NY"),
)


class Shelf:
    """What the shop lists.

    Where orders live on after their sale, products do too: one that the catalogue does not know was deleted, and
    only the lines of orders still name it; one of fifty never got a SKU.
    """

    def __init__(self, book: Book) -> None:
        self._book = book

    def lists(self, product: Product) -> bool:
        """Whether the product is still there."""
        return self._book.changes is None or in_catalogue(product)

    def sku(self, product: Product) -> str:
        """The SKU that the merchant gave the product, which may be none."""
        return "" if self._book.changes is not None and int(product.sku) % 50 == 0 else product.sku

    def product(self, number: str) -> Json | None:
        """The product with this number."""
        product = self._known(number)
        return None if product is None else render_product(product)

    def variant(self, number: str) -> Json | None:
        """The variant with this number, which is its product's."""
        product = self._known(number)
        return None if product is None else render_variant(product, sku=self.sku(product))

    def location(self, number: str) -> Json | None:
        """The location with this number."""
        stores = self._book.stores()
        return render_location(int(number)) if number.isdecimal() and int(number) in stores else None

    def variants(self, query: str | None, asked: Asked, *, sort_key: str) -> Json:
        """A page of the variants that the search finds; all of them without one."""
        found = self._all() if not (query or "").strip() else self._found(query or "")
        if sort_key == "SKU":
            found = sorted(found)
        return connection(
            found,
            asked,
            key=lambda number: (number, int(number)) if sort_key == "SKU" else (int(number), int(number)),
            render=lambda number: self.variant(number) or {},
        )

    def locations(self, query: str | None, asked: Asked, *, sort_key: str) -> Json:
        """A page of the locations."""
        if (query or "").strip():
            raise refuse(f"search of locations not played by the simulator: {query}")
        by_name = sort_key == "NAME"
        stores = sorted(self._book.stores(), key=lambda store: f"Store {store}" if by_name else store)
        return connection(
            stores,
            asked,
            key=lambda store: (f"Store {store}" if by_name else store, store),
            render=render_location,
        )

    def _known(self, number: str) -> Product | None:
        product = self._book.product(number) if number.isdecimal() else None
        return product if product is not None and self.lists(product) else None

    def _all(self) -> Sequence[str]:
        return [str(number) for number in self._book.product_numbers() if self._known(str(number))]

    def _found(self, query: str) -> Sequence[str]:
        numbers = set()
        for name, value in attributes(query):
            if name == "barcode":
                numbers |= {number for number in self._all() if gtin_of(number) == value}
                continue
            product = self._known(value.rsplit("/", 1)[-1])
            if product is not None and (name != "sku" or self.sku(product) == value):
                numbers.add(product.sku)
        return sorted(numbers, key=int)


def render_product(product: Product) -> Json:
    """A product, all its fields but `variants`."""
    category = None
    if product.category is not None:
        name = product.category.title()
        number = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10_000
        category = {
            "id": f"gid://shopify/TaxonomyCategory/{number}",
            "name": name,
            "fullName": f"Food, Beverages & Tobacco > {name}",
        }
    return {
        "__typename": "Product",
        "id": f"gid://shopify/Product/{product.sku}",
        "title": product.title,
        "productType": product.category or "",
        "vendor": product.brand or "",
        "category": category,
        "isGiftCard": False,
    }


def render_variant(product: Product, *, sku: str) -> Json:
    """A product's only variant."""
    return {
        "__typename": "ProductVariant",
        "id": f"gid://shopify/ProductVariant/{product.sku}",
        "sku": sku,
        "title": "Default Title",
        "displayName": f"{product.title} - Default Title",
        "barcode": gtin_of(product.sku),
        "product": render_product(product),
    }


def render_location(store: int) -> Json:
    """A store, at a place made of its number."""
    city, province, code = PLACES[store % len(PLACES)]
    address = {"city": city, "province": province, "provinceCode": code}
    return {
        "__typename": "Location",
        "id": f"gid://shopify/Location/{store}",
        "name": f"Store {store}",
        "isActive": True,
        "address": {**address, "country": "United States", "countryCode": "US"},
    }
