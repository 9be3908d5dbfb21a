"""What each field of the schema answers with: the resolvers over the shop's orders, products and locations.

The schema beside this file is a part of the official one; a test holds the two together.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, cast

from graphql import GraphQLObjectType, GraphQLSchema, build_schema

from retail_simulator.clock import SimulatedClock
from retail_simulator.sales import Book
from retail_simulator.shopify_ledger import Traits
from retail_simulator.shopify_orders import (
    AGREEMENTS,
    LINES,
    SALES,
    Json,
    render,
    render_agreement,
    render_line,
    render_sale,
    state_of,
)
from retail_simulator.shopify_paging import MOST_NODES, MOST_OBJECTS, Asked, connection, refuse
from retail_simulator.shopify_products import Shelf
from retail_simulator.shopify_search import found, listed, oldest

ALL_ORDERS = "read_all_orders"


@dataclass(frozen=True, slots=True)
class Shop:
    """How the shop and the application in it are set up; `access_token` is one that never expires."""

    all_orders: bool = True
    most_objects: int = MOST_OBJECTS
    access_token: str | None = None

    @property
    def scopes(self) -> list[str]:
        """What the application may read."""
        scopes = ["read_locations", "read_orders", "read_products"]
        return [ALL_ORDERS, *scopes] if self.all_orders else scopes


class Resolvers:
    """The root fields, and the connections below them."""

    def __init__(self, book: Book, clock: SimulatedClock, shop: Shop) -> None:
        self._book = book
        self._clock = clock
        self._shop = shop
        self._shelf = Shelf(book)

    def schema(
        self, bulk_run: Callable[..., Json], bulk_operation: Callable[..., Json | None]
    ) -> GraphQLSchema:
        """The schema with its resolvers; those of bulk operations are given."""
        self._bulk_operation = bulk_operation
        schema = build_schema(Path(__file__).with_name("shopify.graphql").read_text(encoding="utf-8"))
        for type_name, field, resolve in (
            ("Mutation", "bulkOperationRunQuery", bulk_run),
            ("QueryRoot", "bulkOperation", bulk_operation),
            ("QueryRoot", "orders", self._orders),
            ("QueryRoot", "ordersCount", self._orders_count),
            ("QueryRoot", "productVariants", self._variants),
            ("QueryRoot", "locations", self._locations),
            ("QueryRoot", "node", self._node),
            ("QueryRoot", "nodes", self._nodes),
            *(("QueryRoot", name, self._node) for name in ("order", "product", "productVariant", "location")),
            ("Order", "lineItems", _line_items),
            ("Order", "agreements", _agreements),
            ("Order", "refunds", lambda source, _info, first=None: source["refunds"][:first]),
            ("Product", "variants", self._variants_of),
            *((kind, "sales", _sales) for kind in _AGREEMENT_TYPES),
        ):
            cast(GraphQLObjectType, schema.type_map[type_name]).fields[field].resolve = resolve
        return schema

    def positions(self, query: str | None, now: float) -> list[int]:
        """Positions of the orders that a search finds."""
        return list(found(self._book, query, now=now, all_orders=self._shop.all_orders))

    def render_all(self, positions: list[int], now: float) -> Iterator[Json]:
        """The orders as they stood at `now`."""
        for position in positions:
            yield render(state_of(self._book, self._shelf, position, now=now))

    def count_lines(self, positions: list[int], now: float) -> int:
        """How many line items the orders had at `now`."""
        tips = 0
        if self._book.changes is not None:
            tips = sum(Traits.of(str(self._book.number(position))).tip for position in positions)
        return tips + sum(len(self._book.order(position, now=now).lines) for position in positions)

    def _orders(
        self,
        _source: Any,
        _info: Any,
        *,
        sortKey: str,  # noqa: N803 - the argument's name in the schema
        query: str | None = None,
        **paging: Any,
    ) -> Json:
        now = self._clock.now()
        matching = found(self._book, query, now=now, all_orders=self._shop.all_orders)
        ordered = listed(self._book, matching, sort_key=sortKey, now=now)
        return connection(
            ordered.positions,
            _asked(paging, most=self._shop.most_objects),
            key=ordered.key,
            render=lambda position: render(state_of(self._book, self._shelf, position, now=now)),
        )

    def _orders_count(
        self, _source: Any, _info: Any, *, limit: int | None = None, query: str | None = None
    ) -> Json:
        count = len(self.positions(query, self._clock.now()))
        most = inf if limit is None else limit
        if count > most:
            return {"count": int(most), "precision": "AT_LEAST"}
        return {"count": count, "precision": "EXACT"}

    def _variants(
        self,
        _source: Any,
        _info: Any,
        *,
        sortKey: str,  # noqa: N803
        query: str | None = None,
        **paging: Any,
    ) -> Json:
        asked = _asked(paging, most=self._shop.most_objects)
        return self._shelf.variants(query, asked, sort_key=sortKey)

    def _variants_of(self, source: Json, _info: Any, **paging: Any) -> Json:
        return self._shelf.variants(f"id:{number_of(source['id'])}", _asked(paging), sort_key="ID")

    def _locations(
        self,
        _source: Any,
        _info: Any,
        *,
        sortKey: str,  # noqa: N803
        query: str | None = None,
        **paging: Any,
    ) -> Json:
        return self._shelf.locations(query, _asked(paging), sort_key=sortKey)

    def _nodes(self, source: Any, info: Any, *, ids: list[str]) -> list[Json | None]:
        if len(ids) > MOST_NODES:
            raise refuse(
                f"The input array size of {len(ids)} is greater than the maximum allowed of {MOST_NODES}."
            )
        return [self._node(source, info, id=each) for each in ids]

    def _node(self, source: Any, info: Any, *, id: str | None = None) -> Json | None:
        if id is None:
            raise refuse("the primary location is not played by the simulator")
        kind, number = kind_of(id), number_of(id)
        asked_for = info.field_name[0].upper() + info.field_name[1:]
        if asked_for not in ("Node", "Nodes", kind) or not number.isdecimal():
            raise refuse(f"Invalid global id '{id}'")
        if kind == "Order":
            return self._order(int(number))
        if kind == "BulkOperation":
            return self._bulk_operation(source, info, id=id)
        find = {
            "Product": self._shelf.product,
            "ProductVariant": self._shelf.variant,
            "Location": self._shelf.location,
        }.get(kind)
        return None if find is None else find(number)

    def _order(self, number: int) -> Json | None:
        now = self._clock.now()
        position = self._book.position(number)
        if position is None:
            return None
        created = self._book.created(position)
        if not oldest(now, all_orders=self._shop.all_orders) <= created <= now:
            return None
        return render(state_of(self._book, self._shelf, position, now=now))


_AGREEMENT_TYPES = ("OrderAgreement", "OrderEditAgreement", "RefundAgreement", "ReturnAgreement")


def kind_of(gid: str) -> str:
    """The type in a global id; "" where it is none."""
    parts = gid.split("/")
    return parts[3] if len(parts) == 5 and gid.startswith("gid://shopify/") else ""


def number_of(gid: str) -> str:
    """The number in a global id."""
    return gid.rsplit("/", 1)[-1]


def lines_of(order: Json) -> Iterator[Json]:
    """All line items of a rendered order."""
    for line, state in order[LINES]:
        yield render_line(line, state)


def _line_items(source: Json, _info: Any, **paging: Any) -> Json:
    return connection(
        source[LINES],
        _asked(paging),
        key=lambda each: (int(each[0].line_id), int(each[0].line_id)),
        render=lambda each: render_line(*each),
    )


def _agreements(source: Json, _info: Any, **paging: Any) -> Json:
    return connection(
        source[AGREEMENTS],
        _asked(paging),
        key=lambda each: (int(each[0].agreement_id), int(each[0].agreement_id)),
        render=lambda each: render_agreement(*each),
    )


def _sales(source: Json, _info: Any, **paging: Any) -> Json:
    return connection(
        source[SALES],
        _asked(paging),
        key=lambda each: (int(each[1]), int(each[1])),
        render=lambda each: render_sale(*each),
    )


def _asked(paging: dict[str, Any], *, most: int = MOST_OBJECTS) -> Asked:
    return Asked(paging.get("first"), paging.get("after"), bool(paging.get("reverse")), most)
