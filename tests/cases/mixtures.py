"""Random shops: what their customers did, what each retailer's API shows of it, and what is right in the end.

Orders are changed, cancelled, given back, refunded, listed late and deleted, several of them at once. Amounts are whole
cents per unit, so that every share comes out even; the truth is a sum over what happened, and knows no API.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from tests.cases.player import AMAZON_ORDERS, AMAZON_TRANSACTIONS

Json = dict[str, Any]
Kind = Literal["cancelled", "emptied", "line_cancelled", "returned", "refunded", "deleted"]

ZONE: Final = ZoneInfo("America/New_York")
START: Final = date(2026, 11, 2)
DAYS: Final = 6
# What can happen to an order of each service, and how many hours late it may be listed. What no list shows that late
# is found by comparing at the end; nothing lists an old transaction of Amazon's again.
FATES: Final[dict[str, tuple[Kind | None, ...]]] = {
    "amazon": (None, "cancelled", "emptied", "line_cancelled", "returned", "returned", "refunded"),
    "walmart": (None, "cancelled", "line_cancelled", "returned", "returned", "refunded"),
    "shopify": (None, "cancelled", "returned", "returned", "refunded", "deleted"),
}
_LATE_HOURS: Final = (0, 0, 3, 20, 40, 90)
_MOST_LATE: Final = timedelta(hours=40)


@dataclass(frozen=True)
class Line:
    """Units of one article. Amounts are cents per unit: price before discount and tax."""

    number: str
    units: int
    price: int
    discount: int
    tax: int

    @property
    def net(self) -> int:
        return self.price - self.discount


@dataclass(frozen=True)
class Order:
    """One order, the one thing that happens to it, and when. `of_line` and `units` say to how much of it."""

    number: int
    sold: datetime
    lines: tuple[Line, ...]
    fate: Kind | None
    happened: datetime
    units: int
    is_deferred: bool
    listed_late: timedelta
    change_listed_late: timedelta

    @property
    def first(self) -> Line:
        return self.lines[0]

    def is_listed(self, now: datetime) -> bool:
        """Whether a list shows the order at all; by its id the retailer always has it."""
        return self.sold + self.listed_late <= now and not (self.fate == "deleted" and self.happened <= now)

    def has_changed(self, now: datetime) -> bool:
        """Whether a list shows what happened."""
        return self.fate is not None and self.happened + self.change_listed_late <= now


Totals = dict[tuple[str, date], tuple[int, Decimal, Decimal]]


@dataclass
class Shop:
    """One retailer's orders."""

    service: str
    orders: list[Order] = field(default_factory=list)

    def truth(self) -> Totals:
        """Units, net and tax by transaction and business date, once everything has happened, where one is not 0."""
        found: dict[tuple[str, date], list[int]] = defaultdict(lambda: [0, 0, 0])

        def add(order: Order, at: datetime, line: Line, units: int, sign: int = 1) -> None:
            total = found[str(order.number), at.astimezone(ZONE).date()]
            for place, each in enumerate((units, units * line.net, units * line.tax)):
                total[place] += sign * each

        for order in self.orders:
            if order.fate in ("cancelled", "emptied", "deleted"):
                continue
            for line in order.lines:
                add(order, order.sold, line, line.units)
            if order.fate == "line_cancelled":
                add(order, order.sold, order.first, order.units, -1)
            elif order.fate == "returned":
                add(order, order.happened, order.first, order.units, -1)
            elif order.fate == "refunded":
                found[str(order.number), order.happened.astimezone(ZONE).date()][1] -= order.first.price
        return {
            key: (units, Decimal(net) / 100, Decimal(tax) / 100)
            for key, (units, net, tax) in found.items()
            if units or net or tax
        }

    def answers(self, now: datetime) -> Json:
        """All that the retailer's API holds at `now`, as `tests.cases.player` plays it."""
        return {"amazon": _amazon, "walmart": _walmart, "shopify": _shopify}[self.service](self.orders, now)


def shop(service: str, random: Random) -> Shop:
    """A shop with a dozen orders of four days, which change until two days before the end."""
    made = Shop(service)
    first = datetime.combine(START, datetime.min.time(), ZONE).astimezone(UTC)
    for place in range(12):
        fate = random.choice(FATES[service])
        sold = first + timedelta(minutes=random.randrange(3 * 24 * 60))
        lines = tuple(
            Line(
                f"{place + 10}{number}",
                random.randint(1, 4),
                random.randint(200, 5_000),
                0 if service == "walmart" else random.choice([0, 0, random.randint(1, 150)]),
                random.choice([0, random.randint(1, 300)]),
            )
            for number in range(random.randint(1, 3))
        )
        whole_units = lines[0].units
        late = timedelta(hours=random.choice(_LATE_HOURS))
        of_change = timedelta(hours=random.choice(_LATE_HOURS))
        made.orders.append(
            Order(
                number=700_100 + place,
                sold=sold,
                lines=lines,
                fate=fate,
                happened=sold + timedelta(minutes=random.randint(5, 36 * 60)),
                units=random.randint(1, whole_units),
                is_deferred=random.random() < 0.5,
                listed_late=late,
                change_listed_late=min(of_change, _MOST_LATE) if service == "amazon" else of_change,
            )
        )
    return made


def _text(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _cents(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}" if cents >= 0 else f"-{_cents(-cents)}"


# --- Amazon: proceeds cover the units that were not cancelled; what went back is a transaction.


def _amazon(orders: list[Order], now: datetime) -> Json:
    transactions = [each for order in orders for each in _transactions(order, now)]
    shown = [_amazon_order(order, order.has_changed(now)) for order in orders if order.is_listed(now)]
    return {
        AMAZON_ORDERS: {"orders": shown},
        AMAZON_TRANSACTIONS: {"payload": {"transactions": transactions}},
    }


def _amazon_order(order: Order, has_changed: bool) -> Json:
    fate = order.fate if has_changed else None
    is_order_s = fate in ("cancelled", "emptied", "line_cancelled")  # a refund does not change an order
    items = [
        _amazon_item(line, order.units if fate == "line_cancelled" and line is order.first else 0)
        for line in order.lines
    ]
    return {
        "orderId": str(order.number),
        "createdTime": _text(order.sold),
        "lastUpdatedTime": _text(order.happened if is_order_s else order.sold),
        "salesChannel": {"channelName": "AMAZON", "marketplaceId": "ATVPDKIKX0DER"},
        "fulfillment": {"fulfillmentStatus": "CANCELLED" if fate in ("cancelled", "emptied") else "SHIPPED"},
        "orderItems": [] if fate == "emptied" else items,
    }


def _amazon_item(line: Line, cancelled: int) -> Json:
    def money(cents: int) -> Json:
        return {"amount": _cents(cents * (line.units - cancelled)), "currencyCode": "USD"}

    def part(kind: str, cents: int) -> Json:
        detail = [{"subtype": "ITEM", "value": money(cents)}]
        return {"type": kind, "subtotal": money(cents)} | (
            {} if kind == "ITEM" else {"detailedBreakdowns": detail}
        )

    item: Json = {
        "orderItemId": line.number,
        "quantityOrdered": line.units,
        "product": {"sellerSku": f"SKU-{line.number}", "title": "Thing"},
        "proceeds": {
            "breakdowns": [part("ITEM", line.price), part("DISCOUNT", -line.discount), part("TAX", line.tax)]
        },
        "fulfillment": {"quantityFulfilled": line.units - cancelled, "quantityUnfulfilled": 0},
    }
    if cancelled:
        item["cancellation"] = {"cancellationExecution": {"cancelledBy": "BUYER"}}
    return item


def _transactions(order: Order, now: datetime) -> Iterator[Json]:
    if order.fate in ("cancelled", "emptied", "deleted") or order.sold > now:
        return
    line = order.first
    yield _transaction(order, "Shipment", f"P-{order.number}", order.sold, [("ProductCharges", line.price)])
    yield _transaction(order, "ServiceFee", f"F-{order.number}", order.sold, [("AmazonFees", -99)])
    if order.fate not in ("returned", "refunded") or not order.has_changed(now):
        return
    if order.fate == "refunded":
        parts, units = [("ProductCharges", -line.price), ("Shipping", -499)], None
    else:
        units = order.units
        parts = [("ProductCharges", -line.price * units), ("Tax", -line.tax * units), ("AmazonFees", 55)]
        parts += [("PromotionalRebates", line.discount * units)] if line.discount else []
    number = f"R-{order.number}"
    released = order.happened + timedelta(hours=30)
    is_released = order.is_deferred and released <= now
    status = ("DEFERRED_RELEASED" if is_released else "DEFERRED") if order.is_deferred else "RELEASED"
    yield _transaction(order, "Refund", number, order.happened, parts, units=units, status=status)
    if is_released:
        link = {"DEFERRED_TRANSACTION_ID": number}
        yield _transaction(order, "Refund", f"{number}-2", released, parts, units=units, related=link)


def _transaction(
    order: Order,
    kind: str,
    number: str,
    posted: datetime,
    parts: list[tuple[str, int]],
    *,
    units: int | None = None,
    status: str = "RELEASED",
    related: dict[str, str] | None = None,
) -> Json:
    def breakdown(name: str, cents: int) -> Json:
        amount = {"currencyAmount": cents / 100, "currencyCode": "USD"}
        detail = [{"breakdownType": "OurPriceTax", "breakdownAmount": amount}] if name == "Tax" else None
        return {"breakdownType": name, "breakdownAmount": amount, "breakdowns": detail}

    breakdowns = [breakdown(*part) for part in parts]
    product = {"contextType": "ProductContext", "sku": f"SKU-{order.first.number}", "quantityShipped": units}
    # Every third names the money at the transaction alone.
    of_item = None if order.number % 3 == 0 else breakdowns
    return {
        "transactionType": kind,
        "transactionId": number,
        "transactionStatus": status,
        "postedDate": _text(posted),
        "totalAmount": {"currencyAmount": sum(cents for _, cents in parts) / 100, "currencyCode": "USD"},
        "relatedIdentifiers": [
            {"relatedIdentifierName": name, "relatedIdentifierValue": value}
            for name, value in {"ORDER_ID": str(order.number), **(related or {})}.items()
        ],
        "items": [{"contexts": [product], "breakdowns": of_item}],
        "breakdowns": [{"breakdownType": "Sales", "breakdowns": breakdowns}],
    }


# --- Walmart: charges stay whole, cancelled units are states; a refund stands on the line with goods or without.


def _walmart(orders: list[Order], now: datetime) -> Json:
    shown = [_walmart_order(order, order.has_changed(now)) for order in orders if order.is_listed(now)]
    returns = [_walmart_return(each) for each in orders if each.fate == "returned" and each.has_changed(now)]
    return {
        "GET /v3/orders?shipNodeType=SellerFulfilled": {"list": {"elements": {"order": shown}}},
        "GET /v3/returns": {"returnOrders": returns},
    }


def _walmart_order(order: Order, has_changed: bool) -> Json:
    fate = order.fate if has_changed else None
    lines = [_walmart_line(order, line, fate) for line in order.lines]
    return {
        "purchaseOrderId": str(order.number),
        "customerOrderId": f"9{order.number}",
        "orderDate": _milliseconds(order.sold),
        "orderLines": {"orderLine": lines},
    }


def _walmart_line(order: Order, line: Line, fate: Kind | None) -> Json:
    is_first = line is order.first
    cancelled = (
        line.units if fate == "cancelled" else order.units if fate == "line_cancelled" and is_first else 0
    )
    states = [("Shipped", line.units - cancelled), ("Cancelled", cancelled)]
    found: Json = {
        "lineNumber": line.number,
        "item": {"productName": "Thing", "sku": f"SKU-{line.number}"},
        "charges": {"charge": [_walmart_charge(line.price * line.units, line.tax * line.units)]},
        "orderLineQuantity": {"unitOfMeasurement": "EACH", "amount": str(line.units)},
        "statusDate": _milliseconds(order.happened if fate is not None else order.sold),
        "orderLineStatuses": {
            "orderLineStatus": [
                {"status": status, "statusQuantity": {"unitOfMeasurement": "EACH", "amount": str(units)}}
                for status, units in states
                if units
            ]
        },
    }
    if is_first and fate in ("returned", "refunded"):
        units = order.units if fate == "returned" else 1
        charge = _walmart_charge(-line.price * units, -line.tax * units if fate == "returned" else 0)
        found["refund"] = {"refundCharges": {"refundCharge": [{"charge": charge}]}}
    return found


def _walmart_charge(cents: int, tax: int) -> Json:
    return {
        "chargeType": "PRODUCT",
        "chargeName": "ItemPrice",
        "chargeAmount": {"currency": "USD", "amount": cents / 100},
        "tax": {"taxName": "Tax1", "taxAmount": {"currency": "USD", "amount": tax / 100}},
    }


def _walmart_return(order: Order) -> Json:
    line = order.first

    def money(cents: int) -> Json:
        return {"currencyAmount": cents / 100, "currencyUnit": "USD"}

    charge = {
        "chargeCategory": "PRODUCT",
        "chargePerUnit": money(line.price),
        "tax": [{"taxPerUnit": money(line.tax)}],
    }
    return {
        "returnOrderId": f"5{order.number}",
        "customerOrderId": f"9{order.number}",
        "returnOrderDate": _text(order.happened),
        "returnOrderLines": [
            {
                "returnOrderLineNumber": 1,
                "purchaseOrderId": str(order.number),
                "purchaseOrderLineNumber": line.number,
                "item": {"sku": f"SKU-{line.number}", "productName": "Thing"},
                "charges": [charge],
                "quantity": {"unitOfMeasure": "EACH", "measurementValue": order.units},
                "refundedQty": order.units,
                "status": "COMPLETED",
                "statusTime": _text(order.happened),
            }
        ],
    }


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp()) * 1000


# --- Shopify: an order that has changed has a ledger; one that was deleted is nowhere.


def _shopify(orders: list[Order], now: datetime) -> Json:
    listed = [_shopify_order(order, order.has_changed(now)) for order in orders if order.is_listed(now)]
    by_id = {
        f"gid://shopify/Order/{order.number}": {"data": {"order": _ledger(order, order.has_changed(now))}}
        for order in orders
        if order.is_listed(now) and order.has_changed(now)
    }
    return {
        "POST graphql.json orders": {"data": {"orders": {"nodes": listed}}},
        "POST graphql.json order": by_id,
    }


def _shopify_order(order: Order, has_changed: bool) -> Json:
    fate = order.fate if has_changed else None
    changed = _text(order.happened)
    refunds = [{"id": "gid://shopify/Refund/1", "createdAt": changed}] if fate is not None else []
    return {
        "id": f"gid://shopify/Order/{order.number}",
        "createdAt": _text(order.sold),
        "processedAt": _text(order.sold),
        "updatedAt": changed if fate is not None else _text(order.sold),
        "cancelledAt": changed if fate == "cancelled" else None,
        "test": False,
        "currencyCode": "USD",
        "taxesIncluded": False,
        "edited": False,
        "returnStatus": "RETURNED" if fate == "returned" else "NO_RETURN",
        "refunds": refunds,
        "totalTipReceivedSet": _bag(0),
        "lineItems": {"nodes": [_shopify_line(line) for line in order.lines]},
    }


def _shopify_line(line: Line) -> Json:
    return {
        "id": f"gid://shopify/LineItem/{line.number}",
        "sku": f"SKU-{line.number}",
        "title": "Thing",
        "quantity": line.units,
        "isGiftCard": False,
        "taxable": True,
        "originalUnitPriceSet": _bag(line.price),
        "originalTotalSet": _bag(line.price * line.units),
        "discountedTotalSet": _bag(line.net * line.units),
        "discountAllocations": [{"allocatedAmountSet": _bag(line.discount * line.units)}],
        "taxLines": [{"title": "Tax", "rate": 0.1, "priceSet": _bag(line.tax * line.units)}],
    }


def _ledger(order: Order, has_changed: bool) -> Json:
    placing = [_sale(order, place, "ORDER", line, line.units) for place, line in enumerate(order.lines)]
    agreements = [_agreement(order, 1, order.sold, "ORDER", placing)]
    if has_changed and order.fate in ("returned", "refunded"):
        after = (
            _sale(order, 8, "RETURN", order.first, -order.units)
            if order.fate == "returned"
            else _adjustment(order)
        )
        agreements.append(_agreement(order, 2, order.happened, "RETURN", [after]))
    found = _shopify_order(order, has_changed)
    return {"id": found["id"], "updatedAt": found["updatedAt"], "agreements": {"nodes": agreements}}


def _agreement(order: Order, place: int, happened: datetime, reason: str, sales: list[Json]) -> Json:
    return {
        "id": f"gid://shopify/SalesAgreement/{order.number}{place}",
        "happenedAt": _text(happened),
        "reason": reason,
        "sales": {"nodes": sales},
    }


def _sale(order: Order, place: int, action: str, line: Line, units: int) -> Json:
    return {
        "id": f"gid://shopify/Sale/{order.number}{place}",
        "actionType": action,
        "lineType": "PRODUCT",
        "quantity": units,
        "totalAmount": _bag((line.net + line.tax) * units),
        "totalTaxAmount": _bag(line.tax * units),
        "totalDiscountAmountBeforeTaxes": _bag(line.discount * units),
        "lineItem": {"id": f"gid://shopify/LineItem/{line.number}"},
    }


def _adjustment(order: Order) -> Json:
    sale = _sale(order, 9, "RETURN", order.first, 0)
    return sale | {"lineType": "ADJUSTMENT", "quantity": None, "totalAmount": _bag(-order.first.price)}


def _bag(cents: int) -> Json:
    money = {"amount": _cents(cents), "currencyCode": "USD"}
    return {"shopMoney": money, "presentmentMoney": money}
