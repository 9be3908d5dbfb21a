from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from retail.errors import CursorExpiredError, ExtractError, QuotaError
from retail.records import TAX_OPTION
from retail.sources.amazon.mapping import AmazonSales
from retail.sources.http.rate_limit import QuotaPolicy
from retail.sources.service import Noted, Skipped, record_of
from retail.sources.values.json_path import at
from retail.sources.window import Window

WINDOW = Window(date(2017, 1, 5), datetime(2017, 1, 5, 7, tzinfo=UTC), datetime(2017, 1, 6, 8, tzinfo=UTC))


def usd(amount):
    return {"amount": amount, "currencyCode": "USD"}


ITEM = {
    "orderItemId": "68828574383266",
    "quantityOrdered": 2,
    "product": {
        "asin": "B0C1EXAMP1",
        "title": "Stoneware Mug 12 oz, Blue",
        "sellerSku": "MUG-BLUE-12OZ",
        "price": {"unitPrice": usd("19.99")},
    },
    "proceeds": {
        "proceedsTotal": usd("45.60"),
        "breakdowns": [
            {"type": "ITEM", "subtotal": usd("39.98")},
            {"type": "SHIPPING", "subtotal": usd("5.49")},
            {
                "type": "TAX",
                "subtotal": usd("4.13"),
                "detailedBreakdowns": [
                    {"subtype": "ITEM", "value": usd("3.63")},
                    {"subtype": "SHIPPING", "value": usd("0.50")},
                ],
            },
            {
                "type": "DISCOUNT",
                "subtotal": usd("-9.49"),
                "detailedBreakdowns": [
                    {"subtype": "ITEM", "value": usd("-4.00")},
                    {"subtype": "SHIPPING", "value": usd("-5.49")},
                ],
            },
        ],
    },
    "fulfillment": {"quantityFulfilled": 2, "quantityUnfulfilled": 0},
}
ORDER = {
    "orderId": "111-2223334-4445556",
    "createdTime": "2017-01-05T07:30:00Z",
    "lastUpdatedTime": "2017-01-05T20:00:00.500Z",
    "salesChannel": {
        "channelName": "AMAZON",
        "marketplaceId": "ATVPDKIKX0DER",
        "marketplaceName": "Amazon.com",
    },
    "buyer": {"buyerEmail": "a-pseudonym"},
    "fulfillment": {"fulfillmentStatus": "SHIPPED", "fulfilledBy": "MERCHANT"},
    "packages": [
        {"packageItems": [{"orderItemId": "another", "quantity": 1}], "shipFromAddress": {"name": "Store 1"}},
        {
            "packageItems": [{"orderItemId": "68828574383266", "quantity": 2}],
            "shipFromAddress": {
                "name": "Store 367",
                "city": "Reno",
                "stateOrRegion": "NV",
                "countryCode": "US",
            },
        },
    ],
    "orderItems": [ITEM],
}


def normalised(order):
    sales = AmazonSales(retailer_id="retailer_1", zone=ZoneInfo("America/Los_Angeles"))
    return list(sales.records({"orders": [order]}, "payloads/p.json.gz"))


def changed(order, **changes):
    """A copy in which each `path__to__field` holds another value, or is gone where that is `...`."""
    copy = deepcopy(order)
    for path, value in changes.items():
        *way, last = [int(step) if step.isdecimal() else step for step in path.split("__")]
        holder = at(copy, *way)
        if value is ...:
            del holder[last]
        else:
            holder[last] = value
    return copy


def test_a_line_becomes_a_sale_with_exact_amounts_and_its_place_in_the_payload():
    [sale] = normalised(ORDER)

    assert (sale.retailer_id, sale.transaction_id, sale.line_id) == (
        "retailer_1",
        "111-2223334-4445556",
        "68828574383266",
    )
    assert (sale.record_type, sale.status) == ("sale", "completed")
    assert (sale.sold_at, sale.updated_at) == ("2017-01-05T07:30:00.000000Z", "2017-01-05T20:00:00.500000Z")
    assert sale.business_date == "2017-01-04"
    assert (sale.product_id, sale.product_name) == ("MUG-BLUE-12OZ", "Stoneware Mug 12 oz, Blue")
    assert sale.customer_id == "a-pseudonym"
    assert (sale.quantity, sale.unit_price, sale.currency) == ("2", "19.99", "USD")
    assert (sale.total_amount, sale.discount_amount, sale.tax_amount) == ("35.98", "4.00", "3.63")
    assert sale.source_ref == "payloads/p.json.gz#/answer/orders/0/orderItems/0"


def test_the_store_is_where_the_package_with_the_line_is_sent_from():
    [sale] = normalised(ORDER)

    assert (sale.store_id, sale.store_name, sale.store_city) == ("Store 367", "Store 367", "Reno")
    assert (sale.store_region, sale.store_country) == ("NV", "US")


def test_without_such_a_package_the_store_is_the_marketplace():
    [sale] = normalised(changed(ORDER, packages=...))

    assert (sale.store_id, sale.store_name, sale.store_country) == ("ATVPDKIKX0DER", "Amazon.com", None)


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_discount_comes_off_whatever_its_sign(sign):
    parts = [{"type": "ITEM", "subtotal": usd("39.98")}, {"type": "DISCOUNT", "subtotal": usd(f"{sign}4.00")}]

    [sale] = normalised(changed(ORDER, orderItems__0__proceeds__breakdowns=parts))

    assert (sale.total_amount, sale.discount_amount) == ("35.98", "4.00")


def test_where_prices_include_tax_it_comes_off_the_total_there_and_nowhere_else():
    sales = AmazonSales(
        retailer_id="retailer_1", zone=ZoneInfo("UTC"), taxed_marketplaces=frozenset({"A1PA6795UKMFR9"})
    )
    orders = [changed(ORDER, salesChannel__marketplaceId="A1PA6795UKMFR9"), ORDER]

    european, american = sales.records({"orders": orders}, "p")

    assert (european.total_amount, european.tax_amount, european.unit_price) == ("32.35", "3.63", "19.99")
    assert (american.total_amount, american.tax_amount) == ("35.98", "3.63")


def test_the_same_sku_on_two_lines_is_two_sales():
    other = changed(ITEM, orderItemId="another")

    sales = normalised(changed(ORDER, orderItems=[ITEM, other]))

    assert len({sale.natural_key for sale in sales}) == 2
    assert len({sale.product_id for sale in sales}) == 1


def test_without_a_unit_price_it_is_the_items_proceeds_over_the_quantity():
    [sale] = normalised(changed(ORDER, orderItems__0__product__price=..., orderItems__0__quantityOrdered=3))

    assert sale.unit_price == "13.3267"


def test_a_line_of_quantity_0_keeps_its_amount_and_has_no_unit_price():
    [sale] = normalised(changed(ORDER, orderItems__0__quantityOrdered=0))

    assert (sale.quantity, sale.unit_price, sale.total_amount) == ("0", None, "35.98")


@pytest.mark.parametrize("status", ["CANCELLED", "UNFULFILLABLE"])
def test_a_cancelled_order_sells_nothing_and_keeps_its_key(status):
    [sale] = normalised(changed(ORDER, fulfillment__fulfillmentStatus=status))

    assert sale.status == "cancelled"
    assert (sale.quantity, sale.total_amount, sale.discount_amount, sale.tax_amount) == ("0",) * 4
    assert (sale.unit_price, sale.currency, sale.line_id) == (None, "USD", "68828574383266")


def test_one_cancelled_line_of_an_order_sells_nothing_unless_some_of_it_was_sent():
    executed = {"cancellationExecution": {"cancelledBy": "MERCHANT"}}
    unsent = changed(
        ORDER, orderItems__0__cancellation=executed, orderItems__0__fulfillment__quantityFulfilled=0
    )
    sent = changed(ORDER, orderItems__0__cancellation=executed)

    assert [sale.status for sale in normalised(unsent)] == ["cancelled"]
    assert [sale.status for sale in normalised(sent)] == ["completed"]


def test_of_a_line_cancelled_in_part_the_units_sent_or_still_to_send_are_sold():
    left = {"quantityFulfilled": 0, "quantityUnfulfilled": 1}
    order = changed(
        ORDER,
        orderItems__0__cancellation={"cancellationExecution": {"cancelledBy": "BUYER"}},
        orderItems__0__fulfillment=left,
    )

    [sale] = normalised(order)

    assert (sale.status, sale.quantity, sale.total_amount) == ("completed", "1", "35.98")


def test_a_request_to_cancel_that_was_not_carried_out_changes_nothing():
    asked = {"cancellationRequest": {"requester": "BUYER"}}
    untold = changed(ORDER, orderItems__0__fulfillment=...)

    for order in (ORDER, untold):
        assert normalised(changed(order, orderItems__0__cancellation=asked)) == normalised(order)


@pytest.mark.parametrize("association", ["REPLACEMENT_ORIGINAL_ID", "EXCHANGE_ORIGINAL_ID"])
def test_what_is_sent_in_the_place_of_other_goods_has_units_and_costs_nothing(association):
    order = changed(
        ORDER,
        associatedOrders=[{"orderId": "1", "associationType": association}],
        orderItems__0__proceeds=...,
        orderItems__0__product__price=...,
    )

    [sale] = normalised(order)

    assert (sale.status, sale.quantity, sale.total_amount, sale.currency) == ("completed", "2", "0", "USD")


def test_a_cancelled_line_without_amounts_has_the_currency_of_its_marketplace():
    order = changed(
        ORDER,
        fulfillment__fulfillmentStatus="CANCELLED",
        salesChannel__marketplaceId="A1PA6795UKMFR9",
        orderItems__0__proceeds=...,
        orderItems__0__product__price=...,
    )

    [sale] = normalised(order)

    assert (sale.total_amount, sale.currency) == ("0", "EUR")


def test_a_cancelled_line_without_amounts_has_the_configured_currency():
    order = changed(
        ORDER,
        fulfillment__fulfillmentStatus="CANCELLED",
        salesChannel__marketplaceId="A-NEW-ONE",
        orderItems__0__proceeds=...,
        orderItems__0__product__price=...,
    )
    sales = AmazonSales(retailer_id="retailer_1", zone=ZoneInfo("UTC"), currency="USD")

    [sale] = sales.records({"orders": [order]}, "p")
    assert (sale.total_amount, sale.currency) == ("0", "USD")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fulfillment__fulfillmentStatus": "PENDING"}, "pending"),
        ({"fulfillment__fulfillmentStatus": "PENDING_AVAILABILITY"}, "pending"),
        ({"salesChannel__channelName": "NON_AMAZON"}, "non_amazon"),
    ],
)
def test_what_is_no_sale_yet_or_not_amazons_is_skipped_by_reason_with_its_money(change, reason):
    [skipped] = normalised(changed(ORDER, **change))

    assert isinstance(skipped, Skipped)
    assert (skipped.reason, skipped.record.total_amount) == (reason, "35.98")


def test_nan_passes_as_text_and_stops_nothing():
    [sale] = normalised(
        changed(
            ORDER,
            orderItems__0__proceeds__breakdowns__0__subtotal=usd("NaN"),
            orderItems__0__quantityOrdered="x",
        )
    )

    assert (sale.total_amount, sale.quantity, sale.unit_price) == ("NaN", "NaN", None)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("orderId", ["transaction_id"]),
        ("createdTime", ["sold_at", "business_date"]),
        ("lastUpdatedTime", ["updated_at"]),
        ("orderItems__0__orderItemId", ["line_id"]),
        ("orderItems__0__product__sellerSku", ["product_id"]),
        ("orderItems__0__quantityOrdered", ["quantity", "unit_price"]),
        ("orderItems__0__proceeds", ["total_amount", "discount_amount", "tax_amount", "unit_price"]),
        ("buyer", ["customer_id"]),
    ],
)
def test_a_missing_field_is_none_in_the_record_and_the_rest_is_there(path, fields):
    [sale] = normalised(changed(ORDER, **{path: ...}))

    assert [getattr(sale, field) for field in fields] == [None] * len(fields)
    assert sale.source_ref.endswith("/orders/0/orderItems/0")


@pytest.mark.parametrize(
    "broken", [None, "text", 7, [], {"orderId": "1"}, {"orderId": "1", "orderItems": None}]
)
def test_an_order_that_is_none_is_landed_for_the_quarantine(broken):
    [record] = normalised(broken)

    assert (record.retailer_id, record.total_amount) == ("retailer_1", None)
    assert record.source_ref == "payloads/p.json.gz#/answer/orders/0"


def test_two_currencies_in_one_line_are_never_added_up_under_one_of_them():
    euros = {"amount": "-1.00", "currencyCode": "EUR"}

    [sale] = normalised(changed(ORDER, orderItems__0__proceeds__breakdowns__3__subtotal=euros))

    assert sale.currency is None


def test_the_question_is_for_the_window_without_its_end_and_each_page_repeats_it(scripted, reply, open_at):
    server = scripted(
        reply(body={"orders": [{"orderId": "1"}], "pagination": {"nextToken": "next=/+1"}}),
        reply(body={"orders": [{"orderId": "2"}]}),
    )

    pages = list(open_at("retailer_1", server.url).pages(WINDOW, None))

    first, second = (seen.query for seen in server.seen)
    assert first == {
        "marketplaceIds": "ATVPDKIKX0DER",
        "lastUpdatedAfter": "2017-01-05T07:00:00Z",
        "lastUpdatedBefore": "2017-01-06T07:59:59.999Z",
        "maxResultsPerPage": "100",
        "includedData": "PROCEEDS,FULFILLMENT,PROMOTION,CANCELLATION,BUYER,PACKAGES",
    }
    assert second == first | {"paginationToken": "next=/+1"}
    assert [page.next_cursor for page in pages] == ["next=/+1", "transactions:", None]


def test_marketplaces_are_one_parameter_joined_by_commas(scripted, reply, open_at):
    server = scripted(reply(body={"orders": []}))

    list(open_at("retailer_1", server.url, options={"marketplace_ids": ["A", "B"]}).pages(WINDOW, None))

    assert [seen.query["marketplaceIds"] for seen in server.seen] == ["A,B"]


def test_a_cursor_that_amazon_no_longer_takes_has_the_day_walked_from_its_start(scripted, reply, open_at):
    refusal = {"errors": [{"code": "InvalidInput", "message": "paginationToken is expired"}]}

    with pytest.raises(CursorExpiredError, match="paginationToken is expired"):
        list(open_at("retailer_1", scripted(reply(400, refusal)).url).pages(WINDOW, "a-day-old"))


def test_a_429_without_a_hint_waits_by_the_last_rate_that_was_told(scripted, reply, open_at, time):
    more = {"orders": [{"orderId": "1"}], "pagination": {"nextToken": "t"}}
    server = scripted(
        reply(body=more, headers={"x-amzn-RateLimit-Limit": "0.0056"}), reply(429), reply(body={"orders": []})
    )

    list(open_at("retailer_1", server.url).pages(WINDOW, None))

    assert [1 / 0.0056 <= slept <= 1 / 0.0056 + 1 for slept in time.slept] == [True]


def test_a_429_before_any_rate_was_told_waits_by_the_rate_of_the_usage_plan(scripted, reply, open_at, time):
    server = scripted(reply(429), reply(body={"orders": []}))

    list(open_at("retailer_1", server.url).pages(WINDOW, None))

    assert [1 / 0.0056 <= slept <= 1 / 0.0056 + 1 for slept in time.slept] == [True]


def test_a_day_that_is_not_two_minutes_over_is_not_asked_for(open_at, time):
    window = Window(date(2017, 1, 9), time.now() - timedelta(days=1), time.now() - timedelta(seconds=119))

    with pytest.raises(ExtractError, match="two minutes") as caught:
        open_at("retailer_1", "http://127.0.0.1:9").pages(window, None)

    assert "after it has ended" in caught.value.hint


def test_an_answer_without_orders_is_an_error_not_an_empty_day(scripted, reply, open_at):
    server = scripted(reply(body={"payload": {"Orders": []}}))

    with pytest.raises(ExtractError, match="no list `orders`"):
        list(open_at("retailer_1", server.url).pages(WINDOW, None))


def test_a_page_that_comes_again_under_new_cursors_is_stopped(scripted, reply, open_at):
    endless = (
        reply(body={"orders": [{"orderId": "1"}], "pagination": {"nextToken": f"t{n}"}}) for n in range(99)
    )
    server = scripted(endless=endless)

    with pytest.raises(ExtractError, match="the retailer's cursor does not advance"):
        list(open_at("retailer_1", server.url).pages(WINDOW, None))

    assert len(server.seen) == 2


def test_a_cursor_that_was_there_before_is_stopped(scripted, reply, open_at):
    endless = (
        reply(body={"orders": [{"orderId": str(n)}], "pagination": {"nextToken": f"t{n % 3}"}})
        for n in range(99)
    )
    server = scripted(endless=endless)

    with pytest.raises(ExtractError, match=r"page 4\b"):
        list(open_at("retailer_1", server.url).pages(WINDOW, None))

    assert len(server.seen) == 4


def test_empty_pages_without_end_are_stopped(scripted, reply, open_at):
    endless = (reply(body={"orders": [], "pagination": {"nextToken": f"t{n}"}}) for n in range(99))

    with pytest.raises(ExtractError, match=r"page \d\d\b"):
        list(open_at("retailer_1", scripted(endless=endless).url).pages(WINDOW, None))


def sold_for(total, tax, *, item="100.00", discount=(), saved=None, marketplace="ATVPDKIKX0DER", taxed=()):
    """Net and tax of a line with these proceeds, and whether they contradict the option of taxed marketplaces.

    `discount` holds pairs of subtype and amount.
    """
    off = sum((Decimal(amount) for _, amount in discount), Decimal(0))
    parts = [{"subtype": "ITEM", "value": usd(tax[0])}]
    parts += [] if saved is None else [{"subtype": "DISCOUNT", "value": usd(saved)}]
    breakdowns = [
        {"type": "ITEM", "subtotal": usd(item)},
        {"type": "TAX", "subtotal": usd(tax[1]), "detailedBreakdowns": parts},
        {
            "type": "DISCOUNT",
            "subtotal": usd(str(off)),
            "detailedBreakdowns": [{"subtype": kind, "value": usd(amount)} for kind, amount in discount],
        },
    ]
    order = changed(
        ORDER,
        salesChannel__marketplaceId=marketplace,
        orderItems__0__proceeds={"proceedsTotal": total and usd(total), "breakdowns": breakdowns},
    )
    zone = ZoneInfo("America/Los_Angeles")
    sales = AmazonSales(retailer_id="retailer_1", zone=zone, taxed_marketplaces=frozenset(taxed))
    [found] = sales.records({"orders": [order]}, "payloads/p.json.gz")
    is_contradicted = isinstance(found, Noted) and found.note == TAX_OPTION
    sale = record_of(found)
    return Decimal(sale.total_amount), Decimal(sale.tax_amount), is_contradicted


@pytest.mark.parametrize(
    ("saved", "subtotal", "tax"),
    [("-0.80", "7.20", "7.20"), ("0.80", "7.20", "7.20"), ("-0.80", "8.00", "8.00"), (None, "8.00", "8.00")],
    ids=["negative", "positive", "the rest is net already", "no such part"],
)
def test_the_tax_that_a_discount_saves_comes_off_once_whatever_its_sign(saved, subtotal, tax):
    found = sold_for(None, ("8.00", subtotal), discount=[("ITEM", "-10.00")], saved=saved)

    assert found == (Decimal("90.00"), Decimal(tax), False)


def test_a_discount_on_goods_and_shipping_saves_the_goods_their_share_of_tax():
    discount = [("ITEM", "-10.00"), ("SHIPPING", "-5.00")]

    assert sold_for(None, ("8.00", "6.80"), discount=discount, saved="-1.20") == (
        Decimal(90),
        Decimal("7.20"),
        False,
    )


@pytest.mark.parametrize(
    ("total", "taxed", "net", "is_contradicted"),
    [
        ("108.00", [], "100", False),
        ("108.00", ["ATVPDKIKX0DER"], "100", True),
        ("100.00", [], "92", False),
        ("100.00", ["A1PA6795UKMFR9"], "92", True),
        ("100.00", ["ATVPDKIKX0DER"], "92", False),
    ],
)
def test_the_line_s_own_total_decides_whether_its_price_includes_tax_and_an_option_against_it_is_reported(
    total, taxed, net, is_contradicted
):
    found = sold_for(total, ("8.00", "8.00"), taxed=taxed)

    assert found == (Decimal(net), Decimal("8.00"), is_contradicted)


def test_amounts_keep_every_digit_and_trailing_zeros_beyond_the_third_place_go():
    [sale] = normalised(
        changed(
            ORDER,
            orderItems__0__proceeds__breakdowns=[
                {"type": "ITEM", "subtotal": usd("12345678901234.56780000")}
            ],
        )
    )

    assert sale.total_amount == "12345678901234.5678"
    assert Decimal(sale.unit_price) == Decimal("6172839450617.2839")


def test_after_the_burst_each_page_waits_for_its_turn_and_whoever_waits_is_told(
    scripted, reply, open_at, time
):
    more = [
        reply(body={"orders": [{"orderId": str(n)}], "pagination": {"nextToken": str(n)}}) for n in range(21)
    ]
    server = scripted(*more, reply(body={"orders": []}))
    told = []

    list(open_at("retailer_1", server.url, quota_policy=QuotaPolicy(tell=told.append)).pages(WINDOW, None))

    assert [round(slept) for slept in time.slept] == [179, 179]
    assert [(wait.retailer_id, round(wait.seconds)) for wait in told] == [("retailer_1", 179)] * 2
    assert told[0].until == datetime(2017, 1, 10, 12, tzinfo=UTC) + timedelta(seconds=told[0].seconds)


def test_the_rate_that_amazon_tells_goes_over_the_one_of_the_usage_plan(scripted, reply, open_at, time):
    more = [
        reply(
            body={"orders": [{"orderId": str(n)}], "pagination": {"nextToken": str(n)}},
            headers={"x-amzn-RateLimit-Limit": "0.5"},
        )
        for n in range(20)
    ]
    server = scripted(*more, reply(body={"orders": []}))

    list(open_at("retailer_1", server.url).pages(WINDOW, None))

    assert [round(slept, 3) for slept in time.slept] == [2.0]


def test_told_not_to_wait_it_stops_where_the_quota_is_used_up_and_keeps_what_it_has(
    scripted, reply, open_at, time
):
    more = [
        reply(body={"orders": [{"orderId": str(n)}], "pagination": {"nextToken": str(n)}}) for n in range(20)
    ]
    server = scripted(*more)
    pages = open_at("retailer_1", server.url, quota_policy=QuotaPolicy(waits=False)).pages(WINDOW, None)

    assert len([next(pages) for _ in range(20)]) == 20
    with pytest.raises(
        QuotaError, match="used up until 2017-01-10 12:02:58 UTC, and this command does not wait"
    ):
        next(pages)
    assert time.slept == []


def test_the_estimate_takes_what_a_page_covers_of_a_quarter_for_all_of_it(scripted, reply, open_at):
    def sold(count, *, until, more=None):
        changed_at = [f"2017-01-05T{until}Z"] * count
        orders = [{"orderId": str(n), "lastUpdatedTime": at} for n, at in enumerate(changed_at)]
        return reply(body={"orders": orders, "pagination": {"nextToken": more} if more else {}})

    day = Window(date(2017, 1, 5), datetime(2017, 1, 5, tzinfo=UTC), datetime(2017, 1, 6, tzinfo=UTC))
    quarters = [
        sold(4, until="05:00:00"),
        sold(100, until="09:00:00", more="t"),
        sold(0, until=""),
        sold(36, until="20:00:00"),
    ]
    server = scripted(*quarters)

    estimate = open_at("retailer_1", server.url).estimate([day] * 10)

    # Three pages of orders a day, and one of transactions.
    assert (estimate.orders, estimate.calls, estimate.asked) == (2400, 40, 5)
    assert estimate.quota == "20 calls at once, then one in 179 s"
    assert round(estimate.quota_seconds) == round((30 - 16) / 0.0056 + (10 - 9) / 0.5)
