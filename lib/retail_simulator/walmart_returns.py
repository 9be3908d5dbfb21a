"""Walmart's returns: `GET /v3/returns`, one return order for each return of the sales.

Rules are from Walmart's spec returns.json unless a comment names another source.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse

from retail_simulator.clock import SimulatedClock, instant_text
from retail_simulator.orders import CURRENCY, Order, Return, dice, dollars, opaque_customer
from retail_simulator.sales import Book
from retail_simulator.walmart_answers import Refusals
from retail_simulator.walmart_orders import TAX_PERCENT, Json
from retail_simulator.walmart_search import DAY, FARTHEST, InvalidRequestError, read_date, read_whole

API = "GMP_RETURN_API"
RETENTION = 180 * DAY
STATUSES = ("INITIATED", "DELIVERED", "COMPLETED")
TYPES = ("REPLACEMENT", "REFUND")
CURSOR_ONLY = ("sellerId", "offset")
PARAMETERS = (
    "returnOrderId",
    "customerOrderId",
    "status",
    "replacementInfo",
    "returnType",
    "returnCreationStartDate",
    "returnCreationEndDate",
    "returnLastModifiedStartDate",
    "returnLastModifiedEndDate",
    "limit",
)


@dataclass(frozen=True, slots=True)
class ReturnOrder:
    """A return with its order, and when it last changed: when it was made, or when the money went back."""

    order: Order
    returned: Return
    modified: int

    @property
    def is_open(self) -> bool:
        """Whether the money is still to go back."""
        return self.modified < self.returned.refunded


class WalmartReturns:
    """One seller's returns."""

    def __init__(self, book: Book, clock: SimulatedClock, refusals: Refusals) -> None:
        self._book = book
        self._clock = clock
        self._refusals = refusals
        # The spec does not say how a search that finds nothing is answered.
        self._empty = cycle((200, 404))

    def page(self, query: QueryParams, headers: Mapping[str, str]) -> JSONResponse:
        """One page of returns, oldest change first."""
        now = int(self._clock.now())
        try:
            _check(query)
            limit = read_whole(query, "limit", default=10, least=1, most=200)
            offset = read_whole(query, "offset", default=0, least=0, most=FARTHEST)
            found = sorted(
                self._found(query, now=now), key=lambda one: (one.modified, one.returned.return_id)
            )
        except InvalidRequestError as error:
            return self._refusals.error(400, f"INVALID_REQUEST.{API}", str(error), error.field)
        page = found[offset : offset + limit]
        if not page and next(self._empty) == 404:
            return self._refusals.nothing_found(API, "No returns found for given search parameters")
        following = None
        if offset + len(page) < len(found):
            filters = "".join(
                f"&{name}={query[name]}" for name in PARAMETERS if name in query and name != "limit"
            )
            following = f"?sellerId=8&limit={limit}&offset={offset + len(page)}{filters}"
        # The spec demands a string, where orders may have null.
        meta = {"totalCount": len(found), "limit": limit, "nextCursor": following or ""}
        body = {"meta": meta, "returnOrders": [_render(one) for one in page]}
        return JSONResponse(body, headers=headers)

    def _found(self, query: QueryParams, *, now: int) -> Iterator[ReturnOrder]:
        oldest = now - RETENTION
        modified = _bounds(query, "returnLastModified", oldest, now)
        created = _bounds(query, "returnCreation", oldest, now)
        if self._book.changes is None or query.get("returnType", "REFUND") != "REFUND":
            return
        for position in self._book.changes.returned_between(modified[0] - DAY, modified[1]):
            order = self._book.order(position, now=now)
            for returned in order.returns:
                is_done = returned.refunded <= now
                modified_at = returned.refunded if is_done else returned.returned
                one = ReturnOrder(order, returned, modified_at)
                in_time = modified[0] <= one.modified <= modified[1]
                if in_time and created[0] <= returned.returned <= created[1] and _is_meant(query, one):
                    yield one


def tax_per_unit(returned: Return) -> int:
    """Cents for one unit; every other return has none."""
    taxed = dice(returned.return_id, 3) % 2 == 0
    return returned.net // returned.quantity * TAX_PERCENT // 100 if taxed else 0


def _check(query: QueryParams) -> None:
    names = [name for name, _ in query.multi_items()]
    for name in names:
        if names.count(name) > 1:
            raise InvalidRequestError(name, f"{name} is given twice")
        if name not in PARAMETERS and not ("offset" in names and name in CURSOR_ONLY):
            raise InvalidRequestError(name, f"Unknown parameter {name}")
    for name, allowed in (
        ("status", STATUSES),
        ("returnType", TYPES),
        ("replacementInfo", ("true", "false")),
    ):
        if name in query and query[name] not in allowed:
            raise InvalidRequestError(name, f"{name} must be one of {', '.join(allowed)}")


def _bounds(query: QueryParams, name: str, oldest: int, now: int) -> tuple[int, int]:
    first, last = read_date(query, f"{name}StartDate"), read_date(query, f"{name}EndDate")
    return max(oldest, first or oldest), now if last is None else min(now, last)


def _is_meant(query: QueryParams, one: ReturnOrder) -> bool:
    wanted = {
        "returnOrderId": one.returned.return_id,
        "customerOrderId": one.order.order_id,
        "status": _status(one),
    }
    return all(query.get(name, value) == value for name, value in wanted.items())


def _status(one: ReturnOrder) -> str:
    return "INITIATED" if one.is_open else "COMPLETED"


def _render(one: ReturnOrder) -> Json:
    order, returned = one.order, one.returned
    customer = opaque_customer("retailer_2", order.household_id)
    at = _time(returned.returned)
    return {
        "returnOrderId": returned.return_id,
        "customerEmailId": f"{customer}@relay.walmart.com",
        "customerName": {"firstName": "Customer", "lastName": customer},
        "customerOrderId": order.order_id,
        "returnOrderDate": at,
        "returnByDate": _time(returned.returned + 30 * DAY),
        "refundMode": "POST_DELIVERY",
        "returnType": "REFUND",
        "replacementCustomerOrderId": None,
        "totalRefundAmount": _money(returned.net + tax_per_unit(returned) * returned.quantity),
        "returnLineGroups": [],
        "returnOrderLines": [_render_line(one)],
        "returnChannel": {"channelName": "ONLINE"},
    }


def _render_line(one: ReturnOrder) -> Json:
    returned, line = one.returned, one.returned.line
    units = {"unitOfMeasure": "EACH", "measurementValue": returned.quantity}
    total = returned.net + tax_per_unit(returned) * returned.quantity
    totals = {
        "lineUnitPrice": returned.net // returned.quantity,
        "lineProductTaxes": tax_per_unit(returned) * returned.quantity,
        "lineTotalTaxes": tax_per_unit(returned) * returned.quantity,
        "lineSubTotal": returned.net,
        "lineTotal": total,
    }
    return {
        "returnOrderLineNumber": 1,
        "salesOrderLineNumber": line.number,
        "sellerOrderId": one.order.order_id,
        "returnReason": "DAMAGED",
        "purchaseOrderId": one.order.order_id,
        "purchaseOrderLineNumber": line.number,
        "isReturnForException": False,
        "item": {"sku": line.product.sku, "productName": line.product.title},
        "charges": _charges(returned),
        "unitPrice": _money(returned.net // returned.quantity),
        "chargeTotals": [{"name": name, "value": _money(cents)} for name, cents in totals.items()],
        "cancellableQty": 0,
        "quantity": units,
        "returnExpectedFlag": True,
        "isFastReplacement": False,
        "isKeepIt": False,
        "lastItem": False,
        "refundedQty": 0 if one.is_open else returned.quantity,
        "rechargeableQty": 0,
        "refundChannel": "SELLER_AUTO_REFUND",
        "returnTrackingDetail": [
            {
                "sequenceNo": 0,
                "eventTag": "RETURN_INITIATED",
                "eventDescription": "Return initiated for MARKET_PLACE",
                "eventTime": _time(returned.returned),
                "references": [],
            }
        ],
        "status": _status(one),
        "statusTime": _time(one.modified),
        "currentDeliveryStatus": "IN_TRANSIT" if one.is_open else "DELIVERED",
        "currentRefundStatus": "REFUND_INITIATED" if one.is_open else "REFUND_COMPLETED",
    }


def _charges(returned: Return) -> list[Json]:
    """What is paid back for one unit.

    The spec's example of a return has positive amounts, Walmart's page on refunds wants negative ones: every fourth
    return has those. A discount is told by its flag and comes off either way.
    """
    sign = -1 if dice(returned.return_id, 1) % 4 == 0 else 1
    gross, discount = (
        (returned.net + returned.discount) // returned.quantity,
        returned.discount // returned.quantity,
    )
    charges = [_charge("PRODUCT", "ItemPrice", gross * sign, tax_per_unit(returned) * sign)]
    if discount:
        charges.append(_charge("PRODUCT", "Discount", discount * sign, is_discount=True))
    if dice(returned.return_id, 2) % 6 == 0:
        charges.append(_charge("SHIPPING", "Shipping", 599 * sign))
    return charges


def _charge(category: str, name: str, cents: int, tax: int = 0, *, is_discount: bool = False) -> Json:
    taxes = [{"taxName": "Tax1", "excessTax": _money(0), "taxPerUnit": _money(tax)}] if tax else []
    return {
        "chargeCategory": category,
        "chargeName": name,
        "chargePerUnit": _money(cents),
        "isDiscount": is_discount,
        "isBillable": True,
        "tax": taxes,
        "excessCharge": _money(0),
        "references": [],
    }


def _money(cents: int) -> Json:
    return {"currencyAmount": float(dollars(cents)), "currencyUnit": CURRENCY}


def _time(seconds: int) -> str:
    # Milliseconds, as in the spec's example.
    return instant_text(seconds).replace("Z", ".000Z")
