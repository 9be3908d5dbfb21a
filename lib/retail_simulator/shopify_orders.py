"""How Shopify shows an order: plain dictionaries, from which graphql-core picks the fields asked for."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from retail_simulator.clock import instant_text
from retail_simulator.sales import CURRENCY, Line, Order, Product, dollars

Json = dict[str, Any]

# Under this key a rendered order keeps its lines for the resolver of `lineItems`.
LINES = "_lines"
SHOP = {
    "id": "gid://shopify/Shop/1",
    "name": "retailer_3",
    "currencyCode": CURRENCY,
    # Times of sale are taken as UTC, so the shop's day is the UTC day.
    "ianaTimezone": "Etc/UTC",
}


def render(order: Order) -> Json:
    """One order, all its fields but `lineItems`."""
    sold, total = instant_text(order.created), money_bag(dollars(order.net))
    return {
        "id": f"gid://shopify/Order/{order.order_id}",
        "legacyResourceId": order.order_id,
        "name": f"#{order.order_id}",
        "createdAt": sold,
        "processedAt": sold,
        "updatedAt": instant_text(order.updated),
        "cancelledAt": None,
        "test": False,
        "currencyCode": CURRENCY,
        "taxesIncluded": False,
        "sourceName": "pos",
        "displayFinancialStatus": "PAID",
        "displayFulfillmentStatus": "FULFILLED",
        "customer": {"id": f"gid://shopify/Customer/{order.household_id}"},
        "retailLocation": {
            "id": f"gid://shopify/Location/{order.store_id}",
            "name": f"Store {order.store_id}",
        },
        "currentTotalPriceSet": total,
        "subtotalPriceSet": total,
        "totalPriceSet": total,
        "totalDiscountsSet": money_bag(dollars(order.discount)),
        "totalTaxSet": money_bag(Decimal(0)),
        LINES: order.lines,
    }


def render_line(line: Line) -> Json:
    """One line item."""
    gross, product = dollars(line.gross), line.product
    allocations = [{"allocatedAmountSet": money_bag(dollars(line.discount))}] if line.discount > 0 else []
    return {
        "id": f"gid://shopify/LineItem/{line.line_id}",
        "name": product.title,
        "title": product.title,
        "sku": product.sku,
        "vendor": product.brand,
        "quantity": line.quantity,
        "currentQuantity": line.quantity,
        "product": _render_product(product),
        "variant": {"id": f"gid://shopify/ProductVariant/{product.sku}", "sku": product.sku},
        "originalTotalSet": money_bag(gross),
        "originalUnitPriceSet": money_bag(_unit_price(gross, line.quantity)),
        "discountedTotalSet": money_bag(dollars(line.net)),
        "discountAllocations": allocations,
        "isGiftCard": False,
        "taxLines": [],
    }


def _render_product(product: Product) -> Json:
    return {
        "id": f"gid://shopify/Product/{product.sku}",
        "title": product.title,
        "productType": product.category or "",
        "vendor": product.brand or "",
    }


def _unit_price(gross: Decimal, quantity: int) -> Decimal:
    """Rounded to cents, so only approximate for fuel; of a line without quantity it is the line's price."""
    return (gross / (quantity or 1)).quantize(Decimal("0.01"), ROUND_HALF_UP)


def money_bag(amount: Decimal) -> Json:
    """The amount in the shop's currency, which is also the customer's."""
    money = {"amount": _amount_text(amount), "currencyCode": CURRENCY}
    return {"shopMoney": money, "presentmentMoney": money}


def _amount_text(amount: Decimal) -> str:
    # Shopify writes at least one decimal and no further trailing zero: 25.98, 25.5, 10.0, 0.0.
    text = f"{amount:.2f}"
    return text.removesuffix("0")
