"""How Amazon writes an order in the model orders_2026-01-01.json."""

from typing import Any

from retail_simulator.clock import instant_text
from retail_simulator.sales import CURRENCY, Line, Order, dollars, opaque_customer

MARKETPLACE_ID = "ATVPDKIKX0DER"

Json = dict[str, Any]


def render(order: Order, datasets: frozenset[str]) -> Json:
    """One order; parts that were not asked for in `includedData` are left out."""
    body: Json = {
        "orderId": order.order_id,
        "createdTime": instant_text(order.created),
        "lastUpdatedTime": instant_text(order.updated),
        "salesChannel": {
            "channelName": "AMAZON",
            "marketplaceId": MARKETPLACE_ID,
            "marketplaceName": "Amazon.com",
        },
        "orderItems": [_render_item(line, datasets) for line in order.lines],
    }
    if "BUYER" in datasets:
        alias = opaque_customer("retailer_1", order.household_id)
        body["buyer"] = {"buyerEmail": f"{alias}@marketplace.amazon.com"}
    if "PROCEEDS" in datasets:
        gross = order.net + order.discount
        body["proceeds"] = {"grandTotal": _money(order.net), "breakdowns": _breakdowns(gross, order.discount)}
    if "FULFILLMENT" in datasets:
        body["fulfillment"] = {"fulfillmentStatus": "SHIPPED", "fulfilledBy": "MERCHANT"}
    if "PACKAGES" in datasets:
        body["packages"] = [_render_package(order)]
    return body


def _render_item(line: Line, datasets: frozenset[str]) -> Json:
    product: Json = {"title": line.product.title, "sellerSku": line.product.sku}
    if line.quantity > 0 and line.gross % line.quantity == 0:
        product["price"] = {"unitPrice": _money(line.gross // line.quantity)}
    item: Json = {"orderItemId": line.line_id, "quantityOrdered": line.quantity, "product": product}
    if "PROCEEDS" in datasets:
        breakdowns = _breakdowns(line.gross, line.discount)
        item["proceeds"] = {"proceedsTotal": _money(line.net), "breakdowns": breakdowns}
    if "FULFILLMENT" in datasets:
        item["fulfillment"] = {"quantityFulfilled": line.quantity, "quantityUnfulfilled": 0}
    return item


def _breakdowns(gross: int, discount: int) -> list[Json]:
    parts: list[Json] = [{"type": "ITEM", "subtotal": _money(gross)}]
    if discount > 0:
        parts.append({"type": "DISCOUNT", "subtotal": _money(-discount)})
    return parts


def _render_package(order: Order) -> Json:
    return {
        "packageReferenceId": "1",
        "packageStatus": {"status": "SHIPPED"},
        "shipFromAddress": {"name": f"Store {order.store_id}", "countryCode": "US"},
        "packageItems": [{"orderItemId": line.line_id, "quantity": line.quantity} for line in order.lines],
    }


def _money(cents: int) -> Json:
    return {"amount": str(dollars(cents)), "currencyCode": CURRENCY}
