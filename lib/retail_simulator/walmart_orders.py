"""How Walmart writes a purchase order. Money is a JSON number, times are milliseconds since 1970."""

from typing import Any

from retail_simulator.orders import CURRENCY, Line, Order, dice, dollars, opaque_customer

Json = dict[str, Any]

# What Walmart shows where it keeps even the relay address to itself.
NO_ADDRESS = "nocxemail@walmartone.com"
TAX_PERCENT = 7


def render(order: Order, *, with_type: bool, living: bool) -> Json:
    """One order. The spec demands a buyer's name, phone and address: all of them are invented here.

    Orders that live on have taxes, shipping and several kinds of node; those that stay as sold have none of it.
    """
    customer = opaque_customer("retailer_2", order.household_id)
    hidden = living and dice(order.order_id, 0) % 30 == 0
    node_type = node_type_of(int(order.order_id)) if living else "SellerFulfilled"
    body: Json = {
        "purchaseOrderId": order.order_id,
        "customerOrderId": order.order_id,
        "customerEmailId": NO_ADDRESS if hidden else f"{customer}@relay.walmart.com",
        "orderDate": order.created * 1000,
        "shippingInfo": _shipping(order, customer),
        "orderLines": {"orderLine": [_render_line(line, order, living=living) for line in order.lines]},
        "shipNode": {"type": node_type, "name": f"Store {order.store_id}", "id": str(order.store_id)},
    }
    if with_type and order.kind == "replacement":
        body |= {"orderType": "REPLACEMENT", "originalCustomerOrderID": f"{order.order_id}0"}
    elif with_type:
        body |= {"orderType": "REGULAR", "originalCustomerOrderID": None}
    return body


def node_type_of(number: int) -> str:
    """Who ships the order with this number: the seller, Walmart, or a third."""
    place = dice(str(number), 1) % 20
    if place < 9:
        return "WFSFulfilled"
    return "3PLFulfilled" if place < 11 else "SellerFulfilled"


def statuses_of(order: Order) -> set[str]:
    """Every status that some units of the order have."""
    return {status for line in order.lines for status, _ in _parts(line, order)}


def tax_of(line: Line) -> int | None:
    """Cents of tax on all units ordered; None for a line without tax."""
    return line.net * TAX_PERCENT // 100 if dice(line.line_id, 0) % 2 else None


def _shipping(order: Order, customer: str) -> Json:
    return {
        "phone": "0000000000",
        "estimatedDeliveryDate": order.created * 1000,
        "estimatedShipDate": order.created * 1000,
        "methodCode": "Standard",
        "postalAddress": {
            "name": f"Customer {customer}",
            "address1": "1 Example Street",
            "address2": None,
            "city": "Exampleville",
            "state": "OH",
            "postalCode": "00000",
            "country": "USA",
            "addressType": "RESIDENTIAL",
        },
    }


def _render_line(line: Line, order: Order, *, living: bool) -> Json:
    return {
        "lineNumber": str(line.number),
        "item": {"productName": line.product.title, "sku": line.product.sku},
        "charges": {"charge": _living_charges(line) if living else _charges(line)},
        "orderLineQuantity": _units(line.quantity),
        "statusDate": order.updated * 1000,
        "orderLineStatuses": {
            "orderLineStatus": [_status(name, units) for name, units in _parts(line, order)]
        },
        "refund": _refund(line, order),
        "fulfillment": {"fulfillmentOption": "S2H", "shipMethod": "VALUE", "storeId": None},
    }


def _parts(line: Line, order: Order) -> list[tuple[str, int]]:
    """The line's units by status."""
    if order.cancelled is not None:
        return [("Cancelled", line.quantity)]
    if not order.shipped:
        status = "Created" if dice(order.order_id, 2) % 2 else "Acknowledged"
    else:
        status = "Delivered" if order.returns else "Shipped"
    kept = [(status, line.kept_quantity)] if not line.is_cancelled else []
    return kept + ([("Cancelled", line.cancelled_quantity)] if line.cancelled_quantity else [])


def _status(name: str, units: int) -> Json:
    cancelled = name == "Cancelled"
    return {
        "status": name,
        "statusQuantity": _units(units),
        "cancellationReason": "SELLER_CANCEL_OUT_OF_STOCK" if cancelled else None,
        "trackingInfo": None,
    }


def _units(number: int) -> Json:
    return {"unitOfMeasurement": "EACH", "amount": str(number)}


def _charges(line: Line) -> list[Json]:
    charges = [_charge("PRODUCT", "ItemPrice", line.gross)]
    if line.discount > 0:
        charges.append(_charge("PRODUCT", "Discount", -line.discount))
    return charges


def _living_charges(line: Line) -> list[Json]:
    """The charges for all units ordered, cancelled ones too. A subscription's discount has no documented sign."""
    charges = [_charge("PRODUCT", "ItemPrice", line.gross, tax_of(line))]
    if line.discount > 0 and dice(line.line_id, 1) % 4 == 0:
        charges.append(_charge("PRODUCT", "SubscriptionDiscount", line.discount))
    elif line.discount > 0:
        charges.append(_charge("PRODUCT", "Discount", -line.discount))
    if line.net > 0 and dice(line.line_id, 2) % 5 == 0:
        charges.insert(dice(line.line_id, 3) % 2, _charge("SHIPPING", "Shipping", 599, 42))
    return charges


def _refund(line: Line, order: Order) -> Json | None:
    """Money only: the returns API alone shows what came back and when, and nothing says whether goods did."""
    paid_back = sum(one.net for one in order.returns if one.line.line_id == line.line_id)
    if order.money_back is not None and order.money_back.line.line_id == line.line_id:
        paid_back += order.money_back.cents
    if not paid_back:
        return None
    charge = {"refundReason": "DamagedItem", "charge": _charge("PRODUCT", "ItemPrice", -paid_back)}
    return {
        "refundId": line.line_id,
        "refundComments": None,
        "refundCharges": {"refundCharge": [charge]},
    }


def _charge(kind: str, name: str, cents: int, tax: int | None = None) -> Json:
    taxed = None if tax is None else {"taxName": "Tax1", "taxAmount": _amount(tax)}
    return {"chargeType": kind, "chargeName": name, "chargeAmount": _amount(cents), "tax": taxed}


def _amount(cents: int) -> Json:
    # The double nearest to a whole number of cents prints as exactly those cents.
    return {"currency": CURRENCY, "amount": float(dollars(cents))}
