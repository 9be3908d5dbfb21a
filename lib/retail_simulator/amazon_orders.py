"""How Amazon writes an order in the model orders_2026-01-01.json."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from retail_simulator.clock import instant_text
from retail_simulator.orders import CURRENCY, Line, Order, dice, dollars, opaque_customer

MARKETPLACE_ID = "ATVPDKIKX0DER"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Extras:
    """What is on a line beside the goods, in cents, and how Amazon writes it.

    The model says neither which sign a DISCOUNT has nor when parts are broken down further, so both occur.
    """

    shipping: int = 0
    shipping_discount: int = 0
    item_tax: int = 0
    shipping_tax: int = 0
    discount_sign: int = -1
    in_detail: bool = False


def render(order: Order, datasets: frozenset[str], *, living: bool) -> Json:
    """One order; parts that were not asked for in `includedData` are left out.

    Orders that live on have shipping, tax and the rest of it; those that stay as sold have goods only.
    """
    body: Json = {
        "orderId": order.order_id,
        "createdTime": instant_text(order.created),
        "lastUpdatedTime": instant_text(order.updated),
        "salesChannel": _channel(order),
        "orderItems": [_render_item(line, order, datasets, living=living) for line in order.lines],
    }
    if order.kind == "replacement":
        original = {"orderId": f"{order.order_id}0", "associationType": "REPLACEMENT_ORIGINAL_ID"}
        body["associatedOrders"] = [original]
    if "BUYER" in datasets:
        alias = opaque_customer("retailer_1", order.household_id)
        body["buyer"] = {"buyerEmail": f"{alias}@marketplace.amazon.com"}
    if "PROCEEDS" in datasets and order.kind != "pending":
        body["proceeds"] = _order_proceeds(order, living=living)
    if "FULFILLMENT" in datasets:
        body["fulfillment"] = {"fulfillmentStatus": status_of(order), "fulfilledBy": "MERCHANT"}
    if "PACKAGES" in datasets and order.kind != "pending":
        body["packages"] = [_render_package(order)]
    return body


def status_of(order: Order) -> str:
    """The order's fulfilment status."""
    if order.cancelled is not None:
        return "CANCELLED"
    if order.kind == "pending":
        return "PENDING"
    return "SHIPPED" if order.shipped else "UNSHIPPED"


def _channel(order: Order) -> Json:
    if order.kind == "elsewhere":
        return {"channelName": "NON_AMAZON"}
    return {"channelName": "AMAZON", "marketplaceId": MARKETPLACE_ID, "marketplaceName": "Amazon.com"}


def _render_item(line: Line, order: Order, datasets: frozenset[str], *, living: bool) -> Json:
    product: Json = {"title": line.product.title, "sellerSku": line.product.sku}
    priced = order.kind != "pending" and _keeps_its_price(line)
    if priced and line.quantity > 0 and line.gross % line.quantity == 0:
        product["price"] = {"unitPrice": _money(line.gross // line.quantity)}
    item: Json = {"orderItemId": line.line_id, "quantityOrdered": line.quantity, "product": product}
    if "PROCEEDS" in datasets and priced:
        breakdowns = _breakdowns(line, living=living)
        total = sum(_counts(part) for part in breakdowns)
        parts = [_part(kind, cents, details) for kind, cents, details in breakdowns]
        item["proceeds"] = {"proceedsTotal": _money(total), "breakdowns": parts}
    if "CANCELLATION" in datasets and (order.cancelled is not None or line.cancelled_quantity > 0):
        execution = {"cancelledBy": "BUYER", "cancelReason": "Changed mind"}
        item["cancellation"] = {"cancellationExecution": execution}
    if "FULFILLMENT" in datasets:
        fulfilled = line.kept_quantity if order.shipped else 0
        left = line.kept_quantity - fulfilled
        item["fulfillment"] = {"quantityFulfilled": fulfilled, "quantityUnfulfilled": left}
    return item


def _keeps_its_price(line: Line) -> bool:
    """Nothing is documented on prices of cancelled lines: every other one has none."""
    return not line.is_cancelled or dice(line.line_id, 0) % 2 == 0


# Kind, cents as written, details by subtype.
Breakdown = tuple[str, int, dict[str, int]]


def _breakdowns(line: Line, *, living: bool) -> list[Breakdown]:
    extras = extras_of(line) if living else Extras()
    # What is left to the seller: of a line cancelled in part the money of the units kept.
    gross, discount = line.kept_net + line.kept_discount, line.kept_discount
    if line.is_cancelled:
        gross, discount = line.gross, line.discount
    parts: list[Breakdown] = [("ITEM", gross, {})]
    if extras.shipping:
        parts.append(("SHIPPING", extras.shipping, {}))
    if extras.item_tax or extras.shipping_tax:
        taxes = {"ITEM": extras.item_tax, "SHIPPING": extras.shipping_tax}
        parts.append(("TAX", sum(taxes.values()), taxes if extras.in_detail or extras.shipping_tax else {}))
    if discount > 0 or extras.shipping_discount:
        sign = extras.discount_sign
        taken = {"ITEM": discount * sign, "SHIPPING": extras.shipping_discount * sign}
        detailed = extras.in_detail or extras.shipping_discount > 0
        parts.append(("DISCOUNT", sum(taken.values()), taken if detailed else {}))
    return parts


def extras_of(line: Line) -> Extras:
    """What is on the line beside the goods."""
    if line.net == 0 and line.discount == 0:
        return Extras()
    shipping = 199 + dice(line.line_id, 1) * 2 if dice(line.line_id, 2) % 5 == 0 else 0
    taxed = dice(line.line_id, 3) % 3 == 0
    return Extras(
        shipping=shipping,
        shipping_discount=100 if shipping and dice(line.line_id, 4) % 3 == 0 else 0,
        item_tax=line.kept_net * 8 // 100 if taxed else 0,
        shipping_tax=shipping * 8 // 100 if taxed else 0,
        discount_sign=1 if dice(line.line_id, 5) % 4 == 0 else -1,
        in_detail=dice(line.line_id, 6) % 2 == 0,
    )


def _counts(part: Breakdown) -> int:
    """What a part adds to the proceeds, however its sign is written."""
    kind, cents, _ = part
    return -abs(cents) if kind == "DISCOUNT" else cents


def _order_proceeds(order: Order, *, living: bool) -> Json:
    if not living:
        parts = [_part("ITEM", order.net + order.discount, {})]
        if order.discount > 0:
            parts.append(_part("DISCOUNT", -order.discount, {}))
        return {"grandTotal": _money(order.net), "breakdowns": parts}
    totals: Counter[str] = Counter()
    for line in order.lines:
        if not line.is_cancelled:
            for part in _breakdowns(line, living=True):
                totals[part[0]] += _counts(part)
    parts = [_part(kind, cents, {}) for kind, cents in totals.items()]
    return {"grandTotal": _money(sum(totals.values())), "breakdowns": parts}


def _part(kind: str, cents: int, details: dict[str, int]) -> Json:
    part: Json = {"type": kind, "subtotal": _money(cents)}
    if details:
        part["detailedBreakdowns"] = [
            {"subtype": subtype, "value": _money(value)} for subtype, value in details.items()
        ]
    return part


def _render_package(order: Order) -> Json:
    held = [line for line in order.lines if not line.is_cancelled]
    if order.cancelled is not None:
        status, held = "CANCELLED", list(order.lines)
    else:
        status = "SHIPPED" if order.shipped else "PENDING"
    return {
        "packageReferenceId": "1",
        "packageStatus": {"status": status},
        "shipFromAddress": {"name": f"Store {order.store_id}", "countryCode": "US"},
        "packageItems": [{"orderItemId": line.line_id, "quantity": line.kept_quantity} for line in held],
    }


def _money(cents: int) -> Json:
    return {"amount": str(dollars(cents)), "currencyCode": CURRENCY}
