"""Which return explains the money that went back on an order's line.

A refund stands on the line in two situations: the seller gave money back and the goods stayed, or the goods came back.
The line names a return only if all of it was refunded (spec orders.json, `returnOrderId`). So the other side is looked
up by the customer's order and kept in the page: `returnOrders` at an order, `orders` at a return order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from retail.sources.values.json_path import JSON, at, entries, text
from retail.sources.walmart.returns import is_over

# Where the other side of a refund is kept in a page.
RETURNS_OF_ORDER = "returnOrders"
ORDERS_OF_RETURN = "orders"


@dataclass(frozen=True, slots=True)
class RefundLookup:
    """Adds the other side to every refund of a page. Both look-ups take the customer's order and return a list."""

    returns_of: Callable[[str], list[JSON]]
    orders_of: Callable[[str], Iterator[JSON]]

    def explain_orders(self, orders: list[JSON]) -> None:
        """Add its returns to each order that has a refund without a named return."""
        for order in orders:
            number = text(order, "customerOrderId")
            if isinstance(order, dict) and number is not None and any(map(is_unexplained, _lines(order))):
                order[RETURNS_OF_ORDER] = self.returns_of(number)

    def explain_returns(self, returns: list[JSON]) -> None:
        """Add its order to each return that is over, if a line of it shows a refund too, with all returns of it."""
        for returned in returns:
            number = text(returned, "customerOrderId")
            if not isinstance(returned, dict) or number is None or not is_over(returned):
                continue
            wanted = {text(line, "purchaseOrderId") for line in entries(returned, "returnOrderLines") or []}
            found = []
            for order in self.orders_of(number):
                if any(map(_has_refund, _lines(order))) and text(order, "purchaseOrderId") in wanted:
                    found.append(order)
                wanted.discard(text(order, "purchaseOrderId"))
                if not wanted:
                    break
            if found:
                self.explain_orders(found)
                returned[ORDERS_OF_RETURN] = found


def is_unexplained(line: JSON) -> bool:
    """Whether money went back on the line and no return is named for it."""
    return _has_refund(line) and text(line, "returnOrderId") is None


def _has_refund(line: JSON) -> bool:
    return at(line, "refund") is not None


def _lines(order: JSON) -> list[JSON]:
    return entries(order, "orderLines", "orderLine") or []
