"""How Shopify shows an order: plain dictionaries, from which graphql-core picks the fields asked for."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from retail_simulator.clock import instant_text
from retail_simulator.orders import CURRENCY, Line, Order, dollars
from retail_simulator.sales import Book
from retail_simulator.shopify_ledger import TIP, Agreement, Sale, Traits, ledger, tip_line
from retail_simulator.shopify_products import Shelf, render_product

Json = dict[str, Any]

# Under these keys a rendered object keeps what the resolvers of its connections need.
LINES, AGREEMENTS, SALES = "_lines", "_agreements", "_sales"
SHOP = {
    "id": "gid://shopify/Shop/1",
    "name": "retailer_3",
    "currencyCode": CURRENCY,
    # Times of sale are taken as UTC, so the shop's day is the UTC day.
    "ianaTimezone": "Etc/UTC",
}


@dataclass(frozen=True, slots=True)
class OrderState:
    """An order, what its hash and its ledger say, and the shelf that its products stand on."""

    order: Order
    traits: Traits
    agreements: tuple[Agreement, ...]
    shelf: Shelf

    @property
    def edited(self) -> bool:
        return any(each.kind == "OrderEditAgreement" for each in self.agreements)

    @property
    def refunds(self) -> list[Agreement]:
        return [each for each in self.agreements if each.kind == "RefundAgreement"]

    @property
    def returned(self) -> bool:
        return any(each.kind == "ReturnAgreement" for each in self.agreements)

    def current(self, line: Line) -> int:
        """The line's units less those removed and returned."""
        if self.order.cancelled is not None:
            return 0
        back = sum(each.quantity for each in self.order.returns if each.line.line_id == line.line_id)
        return line.kept_quantity - back


def state_of(book: Book, shelf: Shelf, position: int, *, now: float) -> OrderState:
    """The order at `position` as it stands at `now`."""
    order = book.order(position, now=now)
    traits = Traits() if book.changes is None else Traits.of(order.order_id)
    return OrderState(order, traits, tuple(agreements_of(book, position, order, traits)), shelf)


def agreements_of(book: Book, position: int, order: Order, traits: Traits) -> list[Agreement]:
    """The ledger of the order at `position`, up to the time that `order` shows."""
    first = order if order.corrected is None else book.order(position, now=order.created)
    return ledger(order, traits, before={line.line_id: line for line in first.lines})


def render(state: OrderState) -> Json:
    """One order, all its fields but the connections."""
    order, traits = state.order, state.traits
    sold = instant_text(order.created)
    current = sum(sale.net + sale.tax for each in state.agreements for sale in each.sales)
    tax = sum(traits.tax(line.net) for line in order.lines)
    subtotal = money_bag(dollars(order.net))
    refunds = [render_refund(each) for each in state.refunds]
    return {
        "__typename": "Order",
        "id": f"gid://shopify/Order/{order.order_id}",
        "legacyResourceId": order.order_id,
        "name": f"#{order.order_id}",
        "createdAt": sold,
        "processedAt": sold,
        "updatedAt": instant_text(order.updated),
        "cancelledAt": None if order.cancelled is None else instant_text(order.cancelled),
        "test": order.kind == "test",
        "edited": state.edited,
        "returnStatus": "RETURNED" if state.returned else "NO_RETURN",
        "refunds": refunds,
        "currencyCode": CURRENCY,
        "dutiesIncluded": False,
        "taxesIncluded": traits.taxed == "included",
        "sourceName": "pos",
        "displayFinancialStatus": "PARTIALLY_REFUNDED" if refunds else "PAID",
        "displayFulfillmentStatus": "FULFILLED" if order.shipped else "UNFULFILLED",
        "customer": {
            "__typename": "Customer",
            "id": f"gid://shopify/Customer/{order.household_id}",
        },
        "retailLocation": {
            "__typename": "Location",
            "id": f"gid://shopify/Location/{order.store_id}",
            "name": f"Store {order.store_id}",
        },
        "currentTotalPriceSet": money_bag(dollars(current)),
        "subtotalPriceSet": subtotal,
        "totalPriceSet": money_bag(dollars(order.net + tax)),
        "totalDiscountsSet": money_bag(dollars(order.discount)),
        "totalTaxSet": money_bag(dollars(tax)),
        "totalTipReceivedSet": money_bag(dollars(TIP if traits.tip else 0)),
        LINES: [(line, state) for line in (*order.lines, *([tip_line(order)] if traits.tip else []))],
        AGREEMENTS: [(agreement, state) for agreement in state.agreements],
    }


def render_line(line: Line, state: OrderState) -> Json:
    """One line item. With tax in the price, its original total holds it."""
    tax = state.traits.tax(line.net) if line.product.sku else 0
    in_price = tax if state.traits.taxed == "included" else 0
    gross, product = dollars(line.gross + in_price), line.product
    allocations = [{"allocatedAmountSet": money_bag(dollars(line.discount))}] if line.discount > 0 else []
    sku = state.shelf.sku(product) if product.sku else None
    listed = sku is not None and state.shelf.lists(product)
    tax_line = {"title": "State tax", "rate": 0.07, "priceSet": money_bag(dollars(tax))}
    return {
        "__typename": "LineItem",
        "id": f"gid://shopify/LineItem/{line.line_id}",
        "name": product.title,
        "title": product.title,
        "sku": sku,
        "vendor": product.brand,
        "quantity": line.quantity,
        "currentQuantity": state.current(line),
        "product": render_product(product) if listed else None,
        "variant": {
            "__typename": "ProductVariant",
            "id": f"gid://shopify/ProductVariant/{product.sku}",
            "sku": sku,
        }
        if listed
        else None,
        "originalTotalSet": money_bag(gross),
        "originalUnitPriceSet": money_bag(_unit_price(gross, line.quantity)),
        "discountedTotalSet": money_bag(dollars(line.net + in_price)),
        "discountAllocations": allocations,
        "isGiftCard": line.gift_card,
        "taxable": not line.gift_card,
        "taxLines": [tax_line] if tax else [],
    }


def render_agreement(agreement: Agreement, state: OrderState) -> Json:
    """One sales agreement, all its fields but `sales`."""
    rendered = {
        "__typename": agreement.kind,
        "id": f"gid://shopify/{agreement.kind}/{agreement.agreement_id}",
        "happenedAt": instant_text(agreement.happened),
        "reason": agreement.reason,
        SALES: [(sale, agreement.sale_id(place), state) for place, sale in enumerate(agreement.sales)],
    }
    return rendered | ({"refund": render_refund(agreement)} if agreement.kind == "RefundAgreement" else {})


def render_sale(sale: Sale, sale_id: str, state: OrderState) -> Json:
    """One entry of the ledger."""
    discount = money_bag(dollars(sale.discount))
    rendered = {
        "__typename": sale.kind,
        "id": f"gid://shopify/{sale.kind}/{sale_id}",
        "actionType": sale.action,
        "lineType": sale.line_type,
        "quantity": sale.quantity,
        "totalAmount": money_bag(dollars(sale.net + sale.tax)),
        "totalTaxAmount": money_bag(dollars(sale.tax)),
        "totalDiscountAmountBeforeTaxes": discount,
        "totalDiscountAmountAfterTaxes": discount,
    }
    return rendered if sale.line is None else rendered | {"lineItem": render_line(sale.line, state)}


def render_refund(agreement: Agreement) -> Json:
    """The refund that an agreement is about."""
    at, paid_back = instant_text(agreement.happened), -sum(sale.net + sale.tax for sale in agreement.sales)
    return {
        "__typename": "Refund",
        "id": f"gid://shopify/Refund/{agreement.agreement_id}",
        "createdAt": at,
        "processedAt": at,
        "totalRefundedSet": money_bag(dollars(paid_back)),
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
