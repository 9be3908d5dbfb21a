"""How Walmart writes a purchase order. Money is a JSON number, times are milliseconds since 1970."""

from typing import Any

from retail_simulator.sales import CURRENCY, Line, Order, dollars, opaque_customer

Json = dict[str, Any]


def render(order: Order, *, with_type: bool) -> Json:
    """One order. The spec demands a buyer's name, phone and address: all of them are invented here."""
    customer = opaque_customer("retailer_2", order.household_id)
    body: Json = {
        "purchaseOrderId": order.order_id,
        "customerOrderId": order.order_id,
        "customerEmailId": f"{customer}@relay.walmart.com",
        "orderDate": order.created * 1000,
        "shippingInfo": _shipping(order, customer),
        "orderLines": {"orderLine": [_render_line(line, order) for line in order.lines]},
        "shipNode": {"type": "SellerFulfilled", "name": f"Store {order.store_id}", "id": str(order.store_id)},
    }
    if with_type:
        body |= {"orderType": "REGULAR", "originalCustomerOrderID": None}
    return body


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


def _render_line(line: Line, order: Order) -> Json:
    charges = [_charge("ItemPrice", line.gross)]
    if line.discount > 0:
        charges.append(_charge("Discount", -line.discount))
    quantity = {"unitOfMeasurement": "EACH", "amount": str(line.quantity)}
    return {
        "lineNumber": str(line.number),
        "item": {"productName": line.product.title, "sku": line.product.sku},
        "charges": {"charge": charges},
        "orderLineQuantity": quantity,
        "statusDate": order.updated * 1000,
        "orderLineStatuses": {
            "orderLineStatus": [
                {
                    "status": "Shipped",
                    "statusQuantity": quantity,
                    "cancellationReason": None,
                    "trackingInfo": None,
                }
            ]
        },
        "refund": None,
        "fulfillment": {"fulfillmentOption": "S2H", "shipMethod": "VALUE", "storeId": None},
    }


def _charge(name: str, cents: int) -> Json:
    # The double nearest to a whole number of cents prints as exactly those cents.
    amount = {"currency": CURRENCY, "amount": float(dollars(cents))}
    return {"chargeType": "PRODUCT", "chargeName": name, "chargeAmount": amount, "tax": None}
