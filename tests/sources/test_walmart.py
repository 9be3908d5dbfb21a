from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import repeat
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from retail.errors import CursorExpiredError, ExtractError, OutOfReachError
from retail.sources.service import Skipped
from retail.sources.values.json_path import at
from retail.sources.walmart.mapping import WalmartSales
from retail.sources.walmart.refunds import RefundLookup
from retail.sources.window import Window

WINDOW = Window(date(2017, 1, 5), datetime(2017, 1, 5, 5, tzinfo=UTC), datetime(2017, 1, 6, 6, tzinfo=UTC))
NOTHING_FOUND = {"error": [{"code": "CONTENT_NOT_FOUND.GMP_ORDER_API", "description": "Orders not found"}]}


def charge(name, amount, *, kind="PRODUCT", tax=None):
    return {
        "chargeType": kind,
        "chargeName": name,
        "chargeAmount": {"currency": "USD", "amount": amount},
        "tax": tax and {"taxName": "Tax1", "taxAmount": {"currency": "USD", "amount": tax}},
    }


def status(name, units):
    return {"status": name, "statusQuantity": {"unitOfMeasurement": "EACH", "amount": units}}


LINE = {
    "lineNumber": "1",
    "item": {"productName": "Cork Coasters, 4 pack", "sku": "COASTER-4PK"},
    "charges": {
        "charge": [
            charge("ItemPrice", Decimal("37.5"), tax=Decimal("3.39")),
            charge("Shipping", Decimal("5.99"), kind="SHIPPING", tax=Decimal("0.48")),
        ]
    },
    "orderLineQuantity": {"unitOfMeasurement": "EACH", "amount": "3"},
    "statusDate": 1483691672000,
    "orderLineStatuses": {"orderLineStatus": [status("Shipped", "3")]},
    "refund": None,
    "fulfillment": {"fulfillmentOption": "S2H", "storeId": None},
}
ORDER = {
    "purchaseOrderId": "1796277083023",
    "customerOrderId": "5281956426649",
    "customerEmailId": "a-pseudonym",
    "orderDate": 1483594200123,
    "orderLines": {"orderLine": [LINE]},
    "shipNode": {"type": "SellerFulfilled", "name": "Seattle FC 01", "id": "10001064327"},
}


def normalised(order, **kwargs):
    sales = WalmartSales(retailer_id="retailer_2", zone=ZoneInfo("America/Chicago"), **kwargs)
    return list(sales.records({"list": {"elements": {"order": [order]}}}, "payloads/p.json.gz"))


def line_with(**changes):
    order = deepcopy(ORDER)
    line = order["orderLines"]["orderLine"][0]
    for name, value in changes.items():
        if value is ...:
            del line[name]
        else:
            line[name] = value
    return order


def page(*order_ids, cursor=None, total=None):
    orders = [{"purchaseOrderId": each, "orderLines": {"orderLine": []}} for each in order_ids]
    meta = {"totalCount": len(orders) if total is None else total, "limit": 200, "nextCursor": cursor}
    return {"list": {"meta": meta, "elements": {"order": orders}}}


def test_a_line_becomes_a_sale_with_exact_amounts_and_its_place_in_the_payload():
    [sale] = normalised(ORDER)

    assert (sale.retailer_id, sale.transaction_id, sale.line_id) == ("retailer_2", "1796277083023", "1")
    assert (sale.record_type, sale.status) == ("sale", "completed")
    assert (sale.sold_at, sale.updated_at) == ("2017-01-05T05:30:00.123000Z", "2017-01-06T08:34:32.000000Z")
    assert sale.business_date == "2017-01-04"
    assert (sale.product_id, sale.product_name) == ("COASTER-4PK", "Cork Coasters, 4 pack")
    assert (sale.customer_id, sale.store_id, sale.store_name) == (
        "a-pseudonym",
        "10001064327",
        "Seattle FC 01",
    )
    assert (sale.quantity, sale.unit_price, sale.currency) == ("3", "12.5", "USD")
    assert (sale.total_amount, sale.discount_amount, sale.tax_amount) == ("37.5", "0", "3.39")
    assert sale.source_ref == "payloads/p.json.gz#/answer/list/elements/order/0/orderLines/orderLine/0"


@pytest.mark.parametrize(
    "discount", [charge("Discount", Decimal("-7.5")), charge("SubscriptionDiscount", Decimal("7.5"))]
)
def test_a_discount_comes_off_whatever_its_sign(discount):
    [sale] = normalised(line_with(charges={"charge": [charge("ItemPrice", Decimal("37.5")), discount]}))

    assert (sale.total_amount, sale.discount_amount, sale.unit_price) == ("30.0", "7.5", "12.5")


def test_all_product_charges_count_not_the_first_alone():
    charges = {"charge": [charge("ItemPrice", Decimal("0.1")), charge("ItemPrice", Decimal("0.2"))]}

    [sale] = normalised(line_with(charges=charges))

    assert sale.total_amount == "0.3"


def test_shipping_and_taxes_that_are_null_are_in_no_amount_of_the_goods():
    charges = [charge("ItemPrice", Decimal("37.5")), charge("Shipping", Decimal("5.99"), kind="SHIPPING")]

    [sale] = normalised(line_with(charges={"charge": charges}))

    assert (sale.total_amount, sale.tax_amount) == ("37.5", "0")


def test_the_same_sku_on_two_lines_is_two_sales():
    order = deepcopy(ORDER)
    order["orderLines"]["orderLine"] = [LINE | {"lineNumber": "6"}, LINE | {"lineNumber": "9"}]

    sales = normalised(order)

    assert [sale.line_id for sale in sales] == ["6", "9"]
    assert len({sale.product_id for sale in sales}) == 1


def refunded(*charges, statuses=(("Shipped", "3"),), returns=(), **line):
    """An order of whose line money went back, with the returns that were looked up."""
    order = line_with(
        refund={"refundCharges": {"refundCharge": [{"charge": each} for each in charges]}},
        orderLineStatuses={"orderLineStatus": [status(*each) for each in statuses]},
        **line,
    )
    return order | {"returnOrders": list(returns)}


def returned(units, *, of="1796277083023", line=1, price="12.50", **changes):
    """A return of the order's line: that many units at 12.50."""
    charged = {"currencyAmount": Decimal(price), "currencyUnit": "USD"}
    return {
        "returnOrderId": "R1",
        "returnType": changes.pop("returnType", "REFUND"),
        "returnOrderDate": "2017-01-10T03:01:08.000Z",
        "returnOrderLines": [
            {
                "purchaseOrderId": of,
                "purchaseOrderLineNumber": line,
                "charges": [{"chargeCategory": "PRODUCT", "chargePerUnit": charged}],
                "quantity": {"measurementValue": units},
                "refundedQty": units,
                "status": "COMPLETED",
                **changes,
            }
        ],
    }


def test_money_that_went_back_without_a_return_is_a_refund_on_the_day_of_the_line_s_last_change():
    money_back = charge("ItemPrice", Decimal("-19.99"), tax=Decimal("-1.65"))

    [sale, refund] = normalised(refunded(money_back, statuses=[("Refund", "1"), ("Shipped", "2")]))

    assert [sale] == normalised(ORDER)
    assert (refund.line_id, refund.record_type, refund.status) == ("1-refund", "refund", "completed")
    assert (refund.quantity, refund.total_amount, refund.tax_amount) == ("0", "-19.99", "-1.65")
    assert (refund.sold_at, refund.updated_at) == (sale.updated_at, sale.updated_at)


def test_the_discount_of_what_is_refunded_was_never_paid():
    price, discount = charge("ItemPrice", Decimal(-10)), charge("SubscriptionDiscount", Decimal(2))

    [_, refund] = normalised(refunded(price, discount))

    assert (refund.total_amount, refund.discount_amount) == ("-8", "2")


@pytest.mark.parametrize(
    "line",
    [{"returnOrderId": "103738048909818825"}, {"statuses": [("Cancelled", "3")]}],
    ids=["of a return", "of a cancelled line"],
)
def test_a_refund_that_something_else_explains_is_worth_nothing(line):
    [_, refund] = normalised(refunded(charge("ItemPrice", Decimal("-19.99")), **line))

    assert (refund.status, refund.total_amount, refund.tax_amount) == ("cancelled", "0", "0")


@pytest.mark.parametrize(
    ("statuses", "is_walmart_s"),
    [
        ([("Acknowledged", "3")], True),
        ([("Created", "2"), ("Refund", "1")], True),
        ([("Shipped", "2"), ("Created", "1")], False),
        ([("Delivered", "3")], False),
        ([("Refund", "3")], False),
    ],
)
def test_a_refund_before_the_goods_are_shipped_is_walmart_s_own_money(statuses, is_walmart_s):
    [_, refund] = normalised(refunded(charge("ItemPrice", Decimal(-3)), statuses=statuses))

    assert (isinstance(refund, Skipped) and refund.reason == "walmart_discount") == is_walmart_s


@pytest.mark.parametrize(
    ("returns", "left"),
    [
        ([returned(1)], "-7.49"),
        ([returned(2)], "0"),
        ([returned(1), returned(1)], "0"),
        ([returned(1, refundedQty=None, status="INITIATED")], "-7.49"),
        ([returned(1, returnCancellationReason="CUSTOMER_KEPT_IT")], "-19.99"),
        ([returned(1, refundedQty=None, status="INITIATED", returnType="REPLACEMENT")], "-19.99"),
        ([returned(2, of="another")], "-19.99"),
        ([returned(2, line=2)], "-19.99"),
    ],
    ids="part whole two open called-off replacement other-order other-line".split(),
)
def test_what_returns_of_the_same_order_explain_comes_off_a_refund(returns, left):
    [_, refund] = normalised(refunded(charge("ItemPrice", Decimal("-19.99")), returns=returns))

    assert (refund.total_amount, refund.status) == (left, "cancelled" if left == "0" else "completed")


def test_a_refund_of_a_page_without_the_look_up_may_be_a_return_s_and_is_skipped():
    order = refunded(charge("ItemPrice", Decimal("-19.99")))
    del order["returnOrders"]

    [_, refund] = normalised(order)

    assert refund.reason == "refund_without_lookup"


def test_a_refund_of_shipping_alone_is_in_no_line_s_net():
    shipping = {**charge("Shipping", Decimal(-5)), "chargeType": "SHIPPING"}

    [_, refund] = normalised(refunded(shipping))

    assert refund.reason == "refund_of_no_goods"


def test_a_replacement_has_units_and_costs_nothing():
    [sale] = normalised(line_with(charges={"charge": [charge("ItemPrice", 0)]}))

    assert (sale.status, sale.quantity, sale.total_amount) == ("completed", "3", "0")


def test_units_that_were_cancelled_take_their_share_of_the_amounts_with_them():
    statuses = {"orderLineStatus": [status("Shipped", "2"), status("Cancelled", "1")]}

    [sale] = normalised(line_with(orderLineStatuses=statuses))

    assert (sale.status, sale.quantity, sale.unit_price) == ("completed", "2", "12.5")
    assert (sale.total_amount, sale.tax_amount) == ("25", "2.26")


def test_a_share_that_does_not_come_out_even_is_rounded_half_up_to_four_places():
    statuses = {"orderLineStatus": [status("Cancelled", "1")]}

    [sale] = normalised(
        line_with(orderLineStatuses=statuses, charges={"charge": [charge("ItemPrice", Decimal("10.00"))]})
    )

    assert (sale.quantity, sale.total_amount, sale.unit_price) == ("2", "6.6667", "3.3333")


@pytest.mark.parametrize(
    "statuses",
    [
        [status("Cancelled", "3")],
        [status("Cancelled", "1"), status("Cancelled", "2")],
        [{"status": "Cancelled"}],
    ],
)
def test_a_line_with_all_units_cancelled_sells_nothing_and_keeps_its_key(statuses):
    [sale] = normalised(line_with(orderLineStatuses={"orderLineStatus": statuses}))

    assert sale.status == "cancelled"
    assert (sale.quantity, sale.total_amount, sale.discount_amount, sale.tax_amount) == ("0",) * 4
    assert (sale.unit_price, sale.currency, sale.line_id) == (None, "USD", "1")


def test_a_line_that_is_partly_cancelled_in_unknown_units_is_not_cancelled():
    statuses = {"orderLineStatus": [{"status": "Cancelled"}, {"status": "Shipped"}]}

    [sale] = normalised(line_with(orderLineStatuses=statuses))

    assert (sale.status, sale.quantity, sale.total_amount) == ("completed", None, None)


def test_the_charge_can_be_set_to_be_that_of_one_unit():
    [sale] = normalised(ORDER, charges_are_per_unit=True)

    assert (sale.quantity, sale.unit_price, sale.total_amount) == ("3", "37.5", "112.5")


def test_a_line_of_quantity_0_keeps_its_amount_and_has_no_unit_price():
    zero = {"unitOfMeasurement": "EACH", "amount": "0"}

    [sale] = normalised(
        line_with(orderLineQuantity=zero, orderLineStatuses={"orderLineStatus": [status("Shipped", "0")]})
    )

    assert (sale.status, sale.quantity, sale.unit_price) == ("completed", "0", None)
    assert sale.total_amount == "37.5"


def test_nan_passes_as_text_and_stops_nothing():
    [sale] = normalised(line_with(charges={"charge": [charge("ItemPrice", "NaN")]}))

    assert (sale.total_amount, sale.quantity, sale.unit_price) == ("NaN", "3", None)


@pytest.mark.parametrize(
    ("field", "missing"),
    [
        ("lineNumber", ["line_id"]),
        ("item", ["product_id", "product_name"]),
        ("charges", ["total_amount", "discount_amount", "tax_amount", "unit_price", "currency"]),
        ("orderLineQuantity", ["quantity", "unit_price"]),
        ("statusDate", ["updated_at"]),
    ],
)
def test_a_missing_field_is_none_in_the_record_and_the_rest_is_there(field, missing):
    [sale] = normalised(line_with(**{field: ...}))

    assert [getattr(sale, name) for name in missing] == [None] * len(missing)
    assert sale.transaction_id == "1796277083023"


@pytest.mark.parametrize("broken", [None, "text", 7, [], {"purchaseOrderId": "1"}])
def test_an_order_that_is_none_is_landed_for_the_quarantine(broken):
    [record] = normalised(broken)

    assert (record.retailer_id, record.total_amount) == ("retailer_2", None)
    assert record.source_ref == "payloads/p.json.gz#/answer/list/elements/order/0"


def of_list(name, start="2017-01-05T05:00:00Z", end="2017-01-06T06:00:00Z"):
    """What the first page of a stretch of Walmart's list is asked with."""
    if name == "returns":
        return {
            "returnLastModifiedStartDate": start,
            "returnLastModifiedEndDate": end,
            "replacementInfo": "true",
            "limit": "200",
        }
    return {
        "createdStartDate": "2016-07-12T05:00:00Z",
        "createdEndDate": end,
        "lastModifiedStartDate": start,
        "lastModifiedEndDate": end,
        "shipNodeType": name,
        "limit": "200",
    }


def ids(pages):
    return [
        [order["purchaseOrderId"] for order in at(page.answer, "list", "elements", "order") or []]
        for page in pages
    ]


def test_the_three_kinds_of_ship_nodes_and_the_returns_are_asked_for_one_after_another(
    scripted, reply, open_at
):
    nothing = reply(404, NOTHING_FOUND)
    server = scripted(reply(body=page("1")), nothing, reply(body=page("3")), nothing)

    pages = list(open_at("retailer_2", server.url).pages(WINDOW, None))

    assert [(seen.path, seen.query) for seen in server.seen] == [
        ("/v3/orders", of_list("SellerFulfilled")),
        ("/v3/orders", of_list("WFSFulfilled")),
        ("/v3/orders", of_list("3PLFulfilled")),
        ("/v3/returns", of_list("returns")),
    ]
    assert ids(pages) == [["1"], ["3"], []]
    assert pages[-1].next_cursor is None


def test_the_cursor_is_asked_with_instead_of_all_parameters_and_says_which_kind_of_node(
    scripted, reply, open_at
):
    cursor = "?limit=200&hasMoreElements=true&soIndex=3&poIndex=2&lastModifiedStartDate=2017-01-05T05:00:00Z"
    server = scripted(
        reply(404, NOTHING_FOUND),
        reply(body=page("1", "2", cursor=cursor, total=3)),
        reply(body=page("3", total=3)),
        reply(404, NOTHING_FOUND),
    )

    first = next(open_at("retailer_2", server.url).pages(WINDOW, None))
    second = next(open_at("retailer_2", server.url).pages(WINDOW, first.next_cursor))

    assert ids([first, second]) == [["1", "2"], ["3"]]
    assert server.seen[2].query == {
        "limit": "200",
        "hasMoreElements": "true",
        "soIndex": "3",
        "poIndex": "2",
        "lastModifiedStartDate": "2017-01-05T05:00:00Z",
        "shipNodeType": "WFSFulfilled",
    }


def test_walmarts_default_of_orders_of_the_last_seven_days_never_holds(scripted, reply, open_at):
    server = scripted(reply(body=page("1")))

    next(open_at("retailer_2", server.url).pages(WINDOW, None))

    [asked] = [seen.query for seen in server.seen]
    assert (asked["createdStartDate"], asked["createdEndDate"]) == (
        "2016-07-12T05:00:00Z",  # 177 days before the window
        "2017-01-06T06:00:00Z",
    )


def test_returns_are_asked_for_with_what_tells_of_replacements(scripted, reply, open_at):
    nothing = reply(404, NOTHING_FOUND)
    server = scripted(*[nothing] * 4)

    list(open_at("retailer_2", server.url).pages(WINDOW, None))

    assert server.seen[3].query["replacementInfo"] == "true"


def test_a_cursor_that_is_encoded_is_not_encoded_again(scripted, reply, open_at):
    cursor = "?limit=200&poIndex=1&lastModifiedStartDate=2017-01-05T05%3A00%3A00Z&partnerId=a%2Bb"
    server = scripted(reply(body=page("1", cursor=cursor, total=2)), reply(body=page("2", total=2)))

    pages = open_at("retailer_2", server.url).pages(WINDOW, None)
    next(pages), next(pages)

    assert server.seen[1].query["lastModifiedStartDate"] == "2017-01-05T05:00:00Z"
    assert server.seen[1].query["partnerId"] == "a+b"


def test_a_stretch_with_more_than_one_query_answers_is_asked_in_halves(scripted, reply, open_at):
    nothing = reply(404, NOTHING_FOUND)
    server = scripted(
        reply(body=page("1", total=12_000)), reply(body=page("1")), reply(body=page("2")), *[nothing] * 3
    )

    pages = list(open_at("retailer_2", server.url).pages(WINDOW, None))

    middle = "2017-01-05T17:30:00Z"
    assert [seen.query for seen in server.seen[:4]] == [
        of_list("SellerFulfilled"),
        of_list("SellerFulfilled", end=middle),
        of_list("SellerFulfilled", start=middle),
        of_list("WFSFulfilled"),
    ]
    assert ids(pages) == [["1"], ["2"], []]


def test_a_second_with_more_than_one_query_answers_is_an_error_not_a_silent_loss(scripted, reply, open_at):
    server = scripted(endless=repeat(reply(body=page("1", total=10_000))))

    with pytest.raises(ExtractError, match="SellerFulfilled changed in the second 2017-01-05T05:00:00Z"):
        list(open_at("retailer_2", server.url).pages(WINDOW, None))


def test_a_list_that_loses_an_order_between_two_pages_is_walked_again_by_halves(scripted, reply, open_at):
    nothing = reply(404, NOTHING_FOUND)
    server = scripted(
        reply(body=page("1", "2", cursor="?poIndex=2", total=4)),
        reply(body=page("4", total=3)),  # 1 has left, so 3 moved up into what was page 1
        reply(body=page("2", "3")),
        reply(body=page("4")),
        *[nothing] * 3,
    )

    pages = list(open_at("retailer_2", server.url).pages(WINDOW, None))

    assert ids(pages) == [["1", "2"], ["4"], ["2", "3"], ["4"], []]
    assert server.seen[2].query == of_list("SellerFulfilled", end="2017-01-05T17:30:00Z")


def test_a_list_that_ends_short_of_what_it_counts_is_walked_again_by_halves(scripted, reply, open_at):
    nothing = reply(404, NOTHING_FOUND)
    server = scripted(
        reply(body=page("1", "2", cursor="?poIndex=2", total=4)),
        reply(body=page("3", total=4)),
        reply(body=page("1", "2")),
        reply(body=page("3", "4")),
        *[nothing] * 3,
    )

    pages = list(open_at("retailer_2", server.url).pages(WINDOW, None))

    assert ids(pages) == [["1", "2"], ["3"], ["1", "2"], ["3", "4"], []]
    assert server.seen[2].query == of_list("SellerFulfilled", end="2017-01-05T17:30:00Z")


def test_one_page_that_counts_more_than_it_holds_is_told_and_taken(scripted, reply, open_at):
    nothing = reply(404, NOTHING_FOUND)
    server = scripted(reply(body=page("1", "2", total=3)), *[nothing] * 3)

    with capture_logs() as logs:
        pages = list(open_at("retailer_2", server.url).pages(WINDOW, None))

    assert ids(pages) == [["1", "2"], []]
    assert [(each["told"], each["came"]) for each in logs if "shorter" in each["event"]] == [(3, 2)]


def test_a_half_may_begin_with_the_page_that_its_whole_ended_with(scripted, reply, open_at):
    nothing = reply(404, NOTHING_FOUND)
    server = scripted(
        reply(body=page("1", "2", cursor="?poIndex=2", total=3)),
        nothing,  # 3 has left
        reply(body=page("1", "2")),
        *[nothing] * 4,
    )

    pages = list(open_at("retailer_2", server.url).pages(WINDOW, None))

    assert ids(pages) == [["1", "2"], ["1", "2"], []]


def test_a_cursor_of_an_earlier_version_begins_the_day_again(scripted, open_at):
    with pytest.raises(CursorExpiredError):
        next(open_at("retailer_2", scripted().url).pages(WINDOW, "WFSFulfilled?limit=200"))


def test_a_404_that_is_not_walmarts_is_an_error_not_an_empty_day(scripted, reply, open_at):
    server = scripted(reply(404, b"<html>no such page</html>"))

    with pytest.raises(ExtractError, match="HTTP 404, not Walmart's CONTENT_NOT_FOUND"):
        list(open_at("retailer_2", server.url).pages(WINDOW, None))


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (401, {"error": [{"code": "UNAUTHORIZED.GMP_GATEWAY_API"}]}),
        (400, {"errors": [{"code": "INVALID_TOKEN.GMP_GATEWAY_API"}]}),
    ],
)
def test_an_expired_token_is_refreshed_once_and_the_same_page_asked_again(
    scripted, reply, open_at, code, body
):
    server = scripted(reply(code, body), reply(body=page("1")))

    next(open_at("retailer_2", server.url).pages(WINDOW, None))

    assert [seen.headers["wm_sec.access_token"] for seen in server.seen] == [
        "access-token-1",
        "access-token-2",
    ]
    assert server.seen[0].query == server.seen[1].query
    assert server.seen[0].headers["wm_qos.correlation_id"] != server.seen[1].headers["wm_qos.correlation_id"]


@pytest.mark.parametrize("header", ["X-Next-Replenishment-Time", "x-next-replenish-time"])
def test_a_429_waits_until_the_bucket_is_replenished(scripted, reply, open_at, time, header):
    instant = str(int((time.now().timestamp() + 12) * 1000))
    server = scripted(reply(429, headers={header: instant}), reply(body=page("1")))

    next(open_at("retailer_2", server.url).pages(WINDOW, None))

    assert [12 <= slept <= 13 for slept in time.slept] == [True]


def test_a_day_that_walmart_no_longer_keeps_is_an_error_not_an_empty_day(scripted, reply, open_at):
    server = scripted(reply(404, NOTHING_FOUND, headers={"Date": "Wed, 05 Jul 2017 00:00:00 GMT"}))

    with pytest.raises(ExtractError, match="2017-01-05 is out of reach; on 2017-07-05 Walmart keeps"):
        list(open_at("retailer_2", server.url).pages(WINDOW, None))


@pytest.mark.parametrize(("now", "is_shown"), [("06:00:00", True), ("06:00:01", False)])
def test_a_day_is_in_reach_by_its_own_beginning_not_the_overlaps(scripted, reply, open_at, now, is_shown):
    window = replace(WINDOW, overlap=timedelta(hours=1))
    server = scripted(*[reply(404, NOTHING_FOUND, headers={"Date": f"Tue, 04 Jul 2017 {now} GMT"})] * 4)
    with nullcontext() if is_shown else pytest.raises(OutOfReachError):
        list(open_at("retailer_2", server.url).pages(window, None))


def test_without_the_retailers_clock_a_day_is_no_more_than_an_error(scripted, reply, open_at, time):
    time.passed = 4000 * 86_400
    with pytest.raises(ExtractError, match=f"2017-01-05 .* {time.now():%Y-%m-%d} ") as caught:
        list(open_at("retailer_2", scripted(reply(404, NOTHING_FOUND)).url).pages(WINDOW, None))
    assert not isinstance(caught.value, OutOfReachError)


def test_it_is_the_retailers_clock_that_says_how_old_a_day_is(scripted, reply, open_at, time):
    time.passed = 400 * 86_400
    server = scripted(reply(body=page("1"), headers={"Date": "Mon, 03 Jul 2017 00:00:00 -0000"}))

    assert next(open_at("retailer_2", server.url).pages(WINDOW, None)).answer == page("1")


def test_a_return_that_is_over_brings_its_order_if_money_went_back_there_too():
    named = refunded(charge("ItemPrice", Decimal(-3)), returnOrderId="R1")
    lookup = RefundLookup(returns_of=lambda _: [], orders_of=lambda _: iter([named]))
    over, still_open = returned(1), returned(1, refundedQty=None, status="INITIATED")
    for each in (over, still_open):
        each["customerOrderId"] = "5281956426649"

    lookup.explain_returns([over, still_open])

    assert (over["orders"], "orders" in still_open) == ([named], False)
