"""Shopify's ledger of an order: sales agreements, each with the sales that it changed the order by.

An order's sales add up to what it is worth now. What was sold stays as it was; what changes is a sale of its own:
removed or returned units with the action RETURN and negative, a changed price with the action UPDATE and no units.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from retail_simulator.orders import Line, Order, Product, Return

TIP, SHIPPING = 200, 499
TAX_PERCENT = 7
Taxed = Literal["no", "on_top", "included"]


@dataclass(frozen=True, slots=True)
class Sale:
    """One entry; amounts in cents and signed, `net` without tax."""

    kind: str
    action: str
    line_type: str
    quantity: int | None
    net: int
    discount: int
    tax: int = 0
    line: Line | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """The sales of one event; `kind` is the type in the schema."""

    agreement_id: str
    kind: str
    reason: str
    happened: int
    sales: tuple[Sale, ...]

    def sale_id(self, place: int) -> str:
        """The id of the sale at `place`, which never changes."""
        return f"{self.agreement_id}{place:03d}"


@dataclass(frozen=True, slots=True)
class Traits:
    """What a hash of an order's id decides about it; an order that does not live has none of them."""

    taxed: Taxed = "no"
    tip: bool = False
    shipping: bool = False
    refunded_when_cancelled: bool = True

    @classmethod
    def of(cls, order_id: str) -> "Traits":
        """The traits of an order that lives."""
        one, two, three, four = hashlib.sha256(f"traits/{order_id}".encode()).digest()[:4]
        taxed: Taxed = "included" if one % 10 < 2 else "on_top" if one % 10 < 5 else "no"
        return cls(
            taxed=taxed, tip=two % 25 == 0, shipping=three % 10 == 0, refunded_when_cancelled=four % 3 > 0
        )

    def tax(self, net: int) -> int:
        """The tax on so many cents, of either sign."""
        if self.taxed == "no":
            return 0
        size = (abs(net) * TAX_PERCENT + 50) // 100
        return size if net >= 0 else -size


def tip_line(order: Order) -> Line:
    """The line item that a tip is; it has no product."""
    nothing = Product(sku="", title="Tip", brand=None, category=None)
    return Line(f"{order.order_id}900", 900, nothing, 1, TIP, 0)


def ledger(order: Order, traits: Traits, *, before: Mapping[str, Line]) -> list[Agreement]:
    """The order's agreements up to the time it is told of, oldest first; `before` holds the lines as first sold."""
    events = [
        (order.created, "OrderAgreement", "ORDER", _placed(order, traits, before)),
        *_edits(order, traits, before),
        *(_returned(each, traits) for each in order.returns),
    ]
    if order.cancelled is not None and traits.refunded_when_cancelled:
        everything = [sale for event in events for sale in event[3] if sale.action != "UPDATE"]
        taken_back = tuple(_negative(sale) for sale in everything)
        events.append((order.cancelled, "RefundAgreement", "REFUND", taken_back))
    events = [event for event in events if event[3]]
    events.sort(key=lambda event: event[0])
    return [
        Agreement(f"{order.order_id}{at:02d}", kind, reason, happened, sales)
        for at, (happened, kind, reason, sales) in enumerate(events)
    ]


_Event = tuple[int, str, str, tuple[Sale, ...]]


def _placed(order: Order, traits: Traits, before: Mapping[str, Line]) -> tuple[Sale, ...]:
    lines = [before.get(line.line_id, line) for line in order.lines if line.added is None]
    sales = [_sold(line, traits) for line in lines]
    if traits.tip:
        sales.append(Sale("TipSale", "ORDER", "TIP", 1, TIP, 0, line=tip_line(order)))
    if traits.shipping:
        sales.append(Sale("ShippingLineSale", "ORDER", "SHIPPING", None, SHIPPING, 0))
    return tuple(sales)


def _edits(order: Order, traits: Traits, before: Mapping[str, Line]) -> Iterable[_Event]:
    if order.corrected is not None:
        repriced = (_repriced(line, before.get(line.line_id), traits) for line in order.lines)
        yield order.corrected, "OrderEditAgreement", "ORDER_EDIT", tuple(each for each in repriced if each)
    if order.reduced is not None:
        removed = (_removed(line, traits) for line in order.lines if line.cancelled_quantity)
        yield order.reduced, "OrderEditAgreement", "ORDER_EDIT", tuple(removed)
    for line in order.lines:
        if line.added is not None:
            yield line.added, "OrderEditAgreement", "ORDER_EDIT", (_sold(line, traits),)


def _sold(line: Line, traits: Traits) -> Sale:
    kind, line_type = ("GiftCardSale", "GIFT_CARD") if line.gift_card else ("ProductSale", "PRODUCT")
    tax = traits.tax(line.net)
    return Sale(kind, "ORDER", line_type, line.quantity, line.net, line.discount, tax, line)


def _repriced(line: Line, before: Line | None, traits: Traits) -> Sale | None:
    if before is None or before.net == line.net:
        return None
    net, discount = line.net - before.net, line.discount - before.discount
    tax = traits.tax(line.net) - traits.tax(before.net)
    return Sale("ProductSale", "UPDATE", "PRODUCT", None, net, discount, tax, line)


def _removed(line: Line, traits: Traits) -> Sale:
    net, discount = line.kept_net - line.net, line.kept_discount - line.discount
    return Sale(
        "ProductSale", "RETURN", "PRODUCT", -line.cancelled_quantity, net, discount, traits.tax(net), line
    )


def _returned(back: Return, traits: Traits) -> _Event:
    """Half of the returns are agreed on as such and not refunded yet; of some refunds a part is an adjustment."""
    turn = int(hashlib.sha256(back.return_id.encode()).hexdigest(), 16)
    adjusted = back.net // 4 if turn // 2 % 4 == 0 else 0
    sale = Sale(
        "ProductSale",
        "RETURN",
        "PRODUCT",
        -back.quantity,
        adjusted - back.net,
        -back.discount,
        traits.tax(-back.net),
        back.line,
    )
    sales = (
        (sale, Sale("AdjustmentSale", "RETURN", "ADJUSTMENT", None, -adjusted, 0)) if adjusted else (sale,)
    )
    kind, reason = ("ReturnAgreement", "RETURN") if turn % 2 else ("RefundAgreement", "REFUND")
    return back.returned, kind, reason, sales


def _negative(sale: Sale) -> Sale:
    quantity = None if sale.quantity is None else -sale.quantity
    return replace(
        sale, action="RETURN", quantity=quantity, net=-sale.net, discount=-sale.discount, tax=-sale.tax
    )
