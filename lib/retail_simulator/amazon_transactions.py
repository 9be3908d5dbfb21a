"""How Amazon writes a transaction in the model finances_2024-06-19.json.

The model leaves the names of breakdowns open. Those here are from a recorded answer (Airbyte's tests) and from public
clients. What is positive stands under Sales and what is negative under Expenses, of refunds too
(amzn/selling-partner-api-models #4274).
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from retail_simulator.amazon_catalog import asin_of
from retail_simulator.amazon_ledger import Entry, group_of, identifier, is_summed_up, keeps_the_goods
from retail_simulator.amazon_orders import MARKETPLACE_ID, Json, extras_of
from retail_simulator.changes import DAY
from retail_simulator.clock import instant_text
from retail_simulator.orders import CURRENCY, Line, Order, Product, Return, dice, dollars

SELLER_ID = "A1SIMULATEDSELLER"
DESCRIPTIONS = {
    "Shipment": "Order Payment",
    "Refund": "Refund Order",
    "Retrocharge": "RetroChargeRefund",
    "ServiceFee": "Subscription",
    "FBAInventoryReimbursement": "FBA Inventory Reimbursement - Lost:Warehouse",
    "Transfer": "Transfer to bank account",
}


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A kind of money in cents, and what it is made of."""

    kind: str
    cents: int
    parts: tuple["Breakdown", ...] = ()

    @classmethod
    def of(cls, kind: str, *parts: "Breakdown") -> "Breakdown":
        """The sum of those parts that are not zero."""
        told = tuple(part for part in parts if part.cents)
        return cls(kind, sum(part.cents for part in told), told)


@dataclass(frozen=True, slots=True)
class Charges:
    """What the buyer paid for an item, or got back, in cents: positive either way."""

    price: int
    discount: int = 0
    tax: int = 0
    shipping: int = 0
    shipping_discount: int = 0
    shipping_tax: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """A product in a transaction; `units` None where there are none."""

    product: Product
    units: int | None
    number: str
    breakdowns: tuple[Breakdown, ...]

    @property
    def cents(self) -> int:
        """What the item is to the seller's balance."""
        return sum(one.cents for one in self.breakdowns)


def render(entry: Entry, *, now: float) -> Json:
    """One transaction as it stands at `now`."""
    items, told = MADE_OF[entry.kind](entry)
    return {
        "sellingPartnerMetadata": {
            "sellingPartnerId": SELLER_ID,
            "marketplaceId": MARKETPLACE_ID,
            "accountType": "Standard Orders",
        },
        "transactionType": entry.kind,
        "transactionId": entry.transaction_id,
        "transactionStatus": entry.status(now),
        "relatedIdentifiers": _related(entry, now=now),
        "totalAmount": _money(sum(one.cents for one in told)),
        "description": DESCRIPTIONS[entry.kind],
        "postedDate": instant_text(entry.posted),
        "marketplaceDetails": {"marketplaceId": MARKETPLACE_ID, "marketplaceName": "Amazon.com"},
        "items": [_render_item(item, entry) for item in items],
        "breakdowns": [_render_breakdown(one, ends=None) for one in _by_sign(told)],
        "contexts": _contexts(entry),
    }


def refunded_tax(returned: Return) -> int:
    """Cents of the tax on the goods that went back with a return."""
    return extras_of(returned.line).item_tax * returned.quantity // returned.line.quantity


def _shipment(entry: Entry) -> tuple[list[Item], list[Breakdown]]:
    order, items = _order(entry), []
    for line in order.lines:
        if not line.is_cancelled:
            parts = _breakdowns(_paid(line), order.order_id, sign=1)
            items.append(Item(line.product, line.kept_quantity, _number(line.line_id), parts))
    return items, _added_up(items)


def _refund(entry: Entry) -> tuple[list[Item], list[Breakdown]]:
    items = []
    for one in entry.returns:
        charges = _paid_back(one, with_shipping=not is_summed_up(entry))
        units = None if keeps_the_goods(one) else one.quantity
        parts = _breakdowns(charges, _order(entry).order_id, sign=-1)
        items.append(Item(one.line.product, units, _number(one.return_id), parts))
    return items, _added_up(items)


def _tax_corrected(entry: Entry) -> tuple[list[Item], list[Breakdown]]:
    line = _order(entry).lines[0]
    cents = 1 + dice(entry.name, 4)
    parts = (
        Breakdown.of("Tax", Breakdown("BaseTax", cents)),
        Breakdown.of("TaxWithholding", Breakdown("MarketplaceFacilitatorTax-Principal", -cents)),
    )
    items = [Item(line.product, None, _number(entry.name), parts)]
    return items, _added_up(items)


def _service_fee(entry: Entry) -> tuple[list[Item], list[Breakdown]]:
    cents = -100 - dice(entry.name, 4)
    return [], [Breakdown.of("AmazonFees", Breakdown.of("Subscription", Breakdown("Base", cents)))]


def _reimbursement(entry: Entry) -> tuple[list[Item], list[Breakdown]]:
    sku = f"LOST-{dice(entry.name, 5)}"
    told = [Breakdown("FBAInventoryReimbursement", 500 + dice(entry.name, 4))]
    product = Product(sku, "Lost in the warehouse", None, None)
    return [Item(product, 1, _number(entry.name), tuple(told))], told


def _transfer(entry: Entry) -> tuple[list[Item], list[Breakdown]]:
    return [], [Breakdown("FundTransfer", 100_000 + dice(entry.name, 4) * 1_000)]


MADE_OF: dict[str, Callable[[Entry], tuple[list[Item], list[Breakdown]]]] = {
    "Shipment": _shipment,
    "Refund": _refund,
    "Retrocharge": _tax_corrected,
    "ServiceFee": _service_fee,
    "FBAInventoryReimbursement": _reimbursement,
    "Transfer": _transfer,
}


def _order(entry: Entry) -> Order:
    assert entry.order is not None  # noqa: S101 - each kind has its order, or none
    return entry.order


def _paid(line: Line) -> Charges:
    extras = extras_of(line)
    return Charges(
        price=line.kept_net + line.kept_discount,
        discount=line.kept_discount,
        tax=extras.item_tax,
        shipping=extras.shipping,
        shipping_discount=extras.shipping_discount,
        shipping_tax=extras.shipping_tax,
    )


def _paid_back(returned: Return, *, with_shipping: bool) -> Charges:
    """The share of the goods; now and then the shipping too, if the whole line comes back."""
    price = returned.net + returned.discount
    goods = Charges(price, discount=returned.discount, tax=refunded_tax(returned))
    whole = returned.quantity == returned.line.quantity
    if not (with_shipping and whole and dice(returned.return_id, 4) % 2 == 0):
        return goods
    paid = _paid(returned.line)
    return Charges(
        goods.price, goods.discount, goods.tax, paid.shipping, paid.shipping_discount, paid.shipping_tax
    )


def _breakdowns(charges: Charges, order_id: str, *, sign: int) -> tuple[Breakdown, ...]:
    """What the charges are to the seller: `sign` 1 of a sale, -1 of a refund."""
    commission = -((charges.price - charges.discount) * 15 // 100) * sign
    fees = [Breakdown.of("Commission", Breakdown("Base", commission))]
    if sign < 0:
        kept = -min(500, commission // 5)
        fees.append(Breakdown.of("RefundCommission", Breakdown("Base", kept)))
    # Where Amazon pays the tax to the state itself, it takes from the seller what the buyer paid. Under which name
    # that stands in an item is not known.
    withheld = dice(order_id, 7) % 2
    parts = [
        Breakdown.of(
            "Tax",
            Breakdown("OurPriceTax", charges.tax * sign),
            Breakdown("ShippingTax", charges.shipping_tax * sign),
        ),
        Breakdown(
            "ProductCharges", charges.price * sign, (Breakdown("OurPricePrincipal", charges.price * sign),)
        ),
        Breakdown.of("Shipping", Breakdown("ShippingPrincipal", charges.shipping * sign)),
        Breakdown.of(
            _rebates_name(order_id),
            Breakdown("OurPriceDiscount", -charges.discount * sign),
            Breakdown("ShippingDiscount", -charges.shipping_discount * sign),
        ),
        Breakdown.of("AmazonFees", *fees),
        Breakdown.of(
            "TaxWithholding",
            Breakdown("MarketplaceFacilitatorTax-Principal", -charges.tax * withheld * sign),
            Breakdown("MarketplaceFacilitatorTax-Shipping", -charges.shipping_tax * withheld * sign),
        ),
    ]
    return tuple(part for part in parts if part.cents or part.kind == "ProductCharges")


def _rebates_name(order_id: str) -> str:
    """Public clients read PromoRebates; the other name is the one of Amazon's reports."""
    return "PromotionalRebates" if dice(order_id, 8) % 4 == 0 else "PromoRebates"


def _added_up(items: list[Item]) -> list[Breakdown]:
    sums: Counter[str] = Counter()
    for item in items:
        for one in item.breakdowns:
            sums[one.kind] += one.cents
    return [Breakdown(kind, cents) for kind, cents in sums.items()]


def _by_sign(told: list[Breakdown]) -> list[Breakdown]:
    sales = tuple(one for one in told if one.cents >= 0)
    expenses = tuple(one for one in told if one.cents < 0)
    sides = (("Sales", sales), ("Expenses", expenses))
    return [Breakdown(side, sum(one.cents for one in parts), parts) for side, parts in sides]


def _related(entry: Entry, *, now: float) -> list[Json]:
    named: list[tuple[str, str]] = []
    if entry.order is not None:
        named.append(("ORDER_ID", entry.order.order_id))
    if entry.kind == "Shipment":
        named.append(("SHIPMENT_ID", _number(entry.name)))
    if entry.kind == "Refund":
        named.append(("REFUND_ID", entry.returns[0].return_id))
    if entry.kind == "Transfer":
        named.append(("TRANSFER_ID", _number(entry.name)))
    if entry.release is None:
        named.append(("FINANCIAL_EVENT_GROUP_ID", group_of(entry.posted)))
    elif entry.status(now) == "DEFERRED_RELEASED":
        named.append(("RELEASE_TRANSACTION_ID", identifier(entry.release)))
    if entry.releases is not None:
        named.append(("DEFERRED_TRANSACTION_ID", identifier(entry.releases)))
    return [{"relatedIdentifierName": name, "relatedIdentifierValue": value} for name, value in named]


def _contexts(entry: Entry) -> list[Json] | None:
    if entry.release is None:
        return None
    mature = instant_text((entry.posted // DAY + 7) * DAY)
    return [{"contextType": "DeferredContext", "deferralReason": "DD7", "maturityDate": mature}]


def _render_item(item: Item, entry: Entry) -> Json:
    told_above = entry.kind == "FBAInventoryReimbursement" or is_summed_up(entry)
    context = {"contextType": "ProductContext", "asin": asin_of(item.product), "sku": item.product.sku}
    if entry.order is not None:
        context["fulfillmentNetwork"] = "MFN"
    units = {} if item.units is None else {"quantityShipped": item.units}
    number = {
        "itemRelatedIdentifierName": "ORDER_ADJUSTMENT_ITEM_ID",
        "itemRelatedIdentifierValue": item.number,
    }
    return {
        "description": item.product.title,
        "totalAmount": _money(item.cents),
        "relatedIdentifiers": [number] if entry.order is not None else None,
        "breakdowns": None if told_above else [_render_breakdown(one, ends=[]) for one in item.breakdowns],
        "contexts": [{**context, **units}],
    }


def _render_breakdown(breakdown: Breakdown, *, ends: list[Json] | None) -> Json:
    """`ends` stands where there are no further parts: the transaction has null there, its items an empty list."""
    parts = [_render_breakdown(part, ends=ends) for part in breakdown.parts]
    return {
        "breakdownType": breakdown.kind,
        "breakdownAmount": _money(breakdown.cents),
        "breakdowns": parts or ends,
    }


def _number(name: str) -> str:
    """A number of 14 digits at most, as items and shipments have."""
    return str(int(hashlib.sha256(name.encode()).hexdigest()[:11], 16))


def _money(cents: int) -> Json:
    return {"currencyAmount": float(dollars(cents)), "currencyCode": CURRENCY}
