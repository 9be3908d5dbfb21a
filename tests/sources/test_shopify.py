import json
from copy import deepcopy
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from retail.config.secrets import Secrets
from retail.errors import (
    BadCursorError,
    ConfigurationError,
    CursorExpiredError,
    ExtractError,
    OutOfReachError,
    RefusedError,
)
from retail.sources.registry import open_service
from retail.sources.service import Skipped
from retail.sources.shopify.mapping import ShopifySales
from retail.sources.values.json_path import at
from retail.sources.window import Window

WINDOW = Window(date(2017, 1, 5), datetime(2017, 1, 5, 4, tzinfo=UTC), datetime(2017, 1, 6, 5, tzinfo=UTC))


def money(amount, presentment="0.00"):
    return {
        "shopMoney": {"amount": amount, "currencyCode": "USD"},
        "presentmentMoney": {"amount": presentment, "currencyCode": "EUR"},
    }


LINE = {
    "id": "gid://shopify/LineItem/12204214845629",
    "sku": "MUG-BLUE-12OZ",
    "title": "Stoneware Mug 12 oz, Blue",
    "vendor": "Clayworks",
    "quantity": 2,
    "currentQuantity": 1,
    "isGiftCard": False,
    "product": {"id": "gid://shopify/Product/6796229509309", "productType": "Mugs"},
    "variant": {"id": "gid://shopify/ProductVariant/40090604011709"},
    "originalTotalSet": money("39.98", "37.00"),
    "originalUnitPriceSet": money("19.99"),
    "discountedTotalSet": money("39.98"),
    "discountAllocations": [{"allocatedAmountSet": money("3.00")}, {"allocatedAmountSet": money("1.00")}],
    "taxLines": [{"title": "WA", "rate": Decimal("0.1"), "priceSet": money("3.60")}],
}
ORDER = {
    "id": "gid://shopify/Order/820982911946154508",
    "name": "#1001",
    "createdAt": "2017-01-06T12:00:00Z",
    "processedAt": "2017-01-05T04:30:00Z",
    "updatedAt": "2017-01-06T13:00:00Z",
    "cancelledAt": None,
    "test": False,
    "currencyCode": "USD",
    "taxesIncluded": False,
    "customer": {"id": "a-pseudonym"},
    "retailLocation": {"id": "gid://shopify/Location/367", "name": "Store 367"},
    "sourceName": "pos",
    "lineItems": {"pageInfo": {"hasNextPage": False, "endCursor": None}, "nodes": [LINE]},
}


def normalised(order):
    sales = ShopifySales(retailer_id="retailer_3", zone=ZoneInfo("America/New_York"))
    return list(sales.records({"data": {"orders": {"nodes": [order]}}}, "payloads/p.json.gz"))


def order_with(**changes):
    return deepcopy(ORDER) | changes


def line_with(**changes):
    order = deepcopy(ORDER)
    line = order["lineItems"]["nodes"][0] | changes
    order["lineItems"]["nodes"] = [{name: value for name, value in line.items() if value is not ...}]  # type: ignore[assignment]
    return order


@pytest.fixture
def open_with(settings_of, time):
    """The service with these secrets and options."""

    def build(secrets, url, **options):
        settings = settings_of(url, options={"retailer_3": options})
        found = Secrets({"RETAIL_CUSTOMER_PEPPER": "pepper" * 6, **secrets})
        return open_service("retailer_3", settings, found, clock=time.clock())

    return build


def page_of(*orders, cursor=None):
    info = {"hasNextPage": cursor is not None, "endCursor": cursor}
    return {"data": {"orders": {"pageInfo": info, "nodes": [*orders]}}}


def test_a_line_becomes_a_sale_with_exact_amounts_and_its_place_in_the_payload():
    [sale] = normalised(ORDER)

    assert (sale.retailer_id, sale.transaction_id, sale.line_id) == (
        "retailer_3",
        "820982911946154508",
        "12204214845629",
    )
    assert (sale.record_type, sale.status) == ("sale", "completed")
    assert (sale.sold_at, sale.updated_at) == ("2017-01-05T04:30:00.000000Z", "2017-01-06T13:00:00.000000Z")
    assert sale.business_date == "2017-01-04"
    assert (sale.product_id, sale.product_name) == ("MUG-BLUE-12OZ", "Stoneware Mug 12 oz, Blue")
    assert (sale.brand, sale.category) == ("Clayworks", "Mugs")
    assert (sale.customer_id, sale.store_id, sale.store_name) == ("a-pseudonym", "367", "Store 367")
    assert (sale.quantity, sale.unit_price, sale.currency) == ("2", "19.99", "USD")
    assert (sale.total_amount, sale.discount_amount, sale.tax_amount) == ("35.98", "4.00", "3.60")
    assert sale.source_ref == "payloads/p.json.gz#/answer/data/orders/nodes/0/lineItems/nodes/0"


def test_an_imported_order_was_sold_when_it_was_processed_and_without_that_when_it_was_made():
    [imported], [sale] = normalised(ORDER), normalised(order_with(processedAt=None))

    assert imported.sold_at == "2017-01-05T04:30:00.000000Z"
    assert sale.sold_at == "2017-01-06T12:00:00.000000Z"


def test_tax_that_is_in_the_price_is_not_in_the_total():
    [sale] = normalised(order_with(taxesIncluded=True))

    assert (sale.total_amount, sale.tax_amount) == ("32.38", "3.60")


def test_an_order_without_a_location_or_a_customer_has_none():
    [sale] = normalised(order_with(retailLocation=None, customer=None))

    assert (sale.store_id, sale.store_name, sale.customer_id) == (None, None, None)


@pytest.mark.parametrize(
    ("line", "product_id"),
    [
        ({"sku": ""}, "variant-40090604011709"),
        ({"sku": None, "variant": {"id": "gid://shopify/ProductVariant/9"}}, "variant-9"),
        ({"sku": None, "variant": None}, "product-6796229509309"),
        ({"sku": None, "variant": None, "product": None}, "line-12204214845629"),
    ],
)
def test_a_line_without_sku_is_known_by_variant_product_or_itself(line, product_id):
    [sale] = normalised(line_with(**line))

    assert sale.product_id == product_id


def test_a_discount_comes_off_whatever_its_sign():
    [sale] = normalised(line_with(discountAllocations=[{"allocatedAmountSet": money("-4.00")}]))

    assert (sale.total_amount, sale.discount_amount) == ("35.98", "4.00")


def test_a_unit_price_that_is_only_approximate_gives_way_to_the_exact_one():
    [sale] = normalised(
        line_with(quantity=3, originalTotalSet=money("10.00"), originalUnitPriceSet=money("3.33"))
    )

    assert sale.unit_price == "3.3333"


def test_a_line_of_quantity_0_keeps_its_amount_and_has_no_unit_price():
    [sale] = normalised(line_with(quantity=0))

    assert (sale.quantity, sale.unit_price, sale.total_amount) == ("0", None, "35.98")


def test_a_cancelled_order_sells_nothing_and_keeps_its_key():
    [sale] = normalised(order_with(cancelledAt="2017-01-06T13:00:00Z"))

    assert sale.status == "cancelled"
    assert (sale.quantity, sale.total_amount, sale.discount_amount, sale.tax_amount) == ("0",) * 4
    assert (sale.unit_price, sale.currency, sale.line_id) == (None, "USD", "12204214845629")


@pytest.mark.parametrize(
    ("order", "reason"),
    [(order_with(test=True), "test_order"), (line_with(isGiftCard=True), "gift_card")],
)
def test_what_is_no_sale_is_skipped_by_reason_with_its_money(order, reason):
    [skipped] = normalised(order)

    assert isinstance(skipped, Skipped)
    assert (skipped.reason, skipped.record.total_amount) == (reason, "35.98")


def test_nan_passes_as_text_and_stops_nothing():
    [sale] = normalised(line_with(originalTotalSet=money("NaN")))

    assert (sale.total_amount, sale.unit_price) == ("NaN", None)


@pytest.mark.parametrize(
    ("field", "missing"),
    [
        ("quantity", ["quantity", "unit_price"]),
        ("originalTotalSet", ["total_amount", "unit_price"]),
        ("discountAllocations", ["total_amount", "discount_amount"]),
        ("taxLines", ["tax_amount"]),
        ("id", ["line_id"]),
    ],
)
def test_a_missing_field_is_none_in_the_record_and_the_rest_is_there(field, missing):
    [sale] = normalised(line_with(**{field: ...}))

    assert [getattr(sale, name) for name in missing] == [None] * len(missing)
    assert (sale.transaction_id, sale.currency) == ("820982911946154508", "USD")


@pytest.mark.parametrize("broken", [None, "text", 7, [], {"id": "gid://shopify/Order/1", "lineItems": None}])
def test_an_order_that_is_none_is_landed_for_the_quarantine(broken):
    [record] = normalised(broken)

    assert (record.retailer_id, record.total_amount) == ("retailer_3", None)
    assert record.source_ref == "payloads/p.json.gz#/answer/data/orders/nodes/0"


def test_the_question_is_for_the_half_open_window_in_quotes_oldest_change_first(scripted, reply, open_at):
    server = scripted(reply(body=page_of({"id": "1"}, cursor="c1")), reply(body=page_of({"id": "2"})))

    pages = list(open_at("retailer_3", server.url).pages(WINDOW, None))

    first, second = (json.loads(seen.body) for seen in server.seen)
    window = "updated_at:>='2017-01-05T04:00:00Z' AND updated_at:<'2017-01-06T05:00:00Z'"
    asked = {"first": 50, "lines": 100, "query": window, "limit": 5000}
    assert first["variables"] == asked | {"after": None, "counted": True}
    assert second["variables"] == asked | {"after": "c1", "counted": False}
    assert "sortKey: UPDATED_AT" in first["query"]
    assert server.seen[0].path == "/admin/api/2026-10/graphql.json"
    places = [page.next_cursor and json.loads(page.next_cursor) for page in pages]
    assert places == [{"since": "2017-01-05T04:00:00Z", "after": "c1", "seen": 1}, None]


def test_line_items_behind_the_first_page_of_them_are_fetched_into_their_order(scripted, reply, open_at):
    def lines(*ids, cursor=None):
        return {
            "pageInfo": {"hasNextPage": cursor is not None, "endCursor": cursor},
            "nodes": [{"id": each} for each in ids],
        }

    server = scripted(
        reply(body=page_of({"id": "gid://shopify/Order/7", "lineItems": lines("a", "b", cursor="l2")})),
        reply(
            body={
                "data": {"order": {"id": "gid://shopify/Order/7", "lineItems": lines("c", "d", cursor="l4")}}
            }
        ),
        reply(body={"data": {"order": {"id": "gid://shopify/Order/7", "lineItems": lines("e")}}}),
    )

    [page] = open_at("retailer_3", server.url).pages(WINDOW, None)

    nodes = at(page.answer, "data", "orders", "nodes", 0, "lineItems", "nodes")
    assert [node["id"] for node in nodes] == ["a", "b", "c", "d", "e"]
    asked = [json.loads(seen.body)["variables"] for seen in server.seen[1:]]
    assert asked == [
        {"order": "gid://shopify/Order/7", "lines": 100, "after": after} for after in ("l2", "l4")
    ]


def test_a_cursor_of_line_items_that_comes_again_is_stopped(scripted, reply, open_at):
    stuck = {"pageInfo": {"hasNextPage": True, "endCursor": "l1"}, "nodes": [{"id": "a"}]}
    endless = (
        reply(body={**page_of({"id": "7", "lineItems": stuck}), "n": n})
        if n == 0
        else reply(body={"data": {"order": {"id": "7", "lineItems": stuck}}})
        for n in range(99)
    )
    server = scripted(endless=endless)

    with pytest.raises(ExtractError, match="the cursor of the lines of order 7 does not advance"):
        list(open_at("retailer_3", server.url).pages(WINDOW, None))

    assert len(server.seen) == 2


def test_throttled_in_an_answer_with_status_200_waits_until_the_query_is_affordable(
    scripted, reply, open_at, time
):
    status = {"maximumAvailable": 2000.0, "currentlyAvailable": 89, "restoreRate": 50.0}
    throttled = {
        "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
        "extensions": {"cost": {"requestedQueryCost": 289, "throttleStatus": status}},
    }
    server = scripted(reply(body=throttled), reply(body=page_of()))

    list(open_at("retailer_3", server.url).pages(WINDOW, None))

    assert [4 <= slept <= 5 for slept in time.slept] == [True]


def test_an_expired_token_is_refreshed_once_and_the_same_page_asked_again(scripted, reply, open_at):
    server = scripted(reply(401, {"errors": "[API] Invalid API key or access token"}), reply(body=page_of()))

    list(open_at("retailer_3", server.url).pages(WINDOW, None))

    assert [seen.headers["x-shopify-access-token"] for seen in server.seen] == [
        "access-token-1",
        "access-token-2",
    ]
    assert server.seen[0].body == server.seen[1].body


@pytest.mark.parametrize(
    "body",
    [
        {"errors": [{"message": "Query cost is 1200", "extensions": {"code": "MAX_COST_EXCEEDED"}}]},
        {**page_of({"id": "1"}), "errors": [{"message": "access denied for customer"}]},
        {"data": {"orders": None}},
    ],
)
def test_half_an_answer_is_none(scripted, reply, open_at, body):
    with pytest.raises(ExtractError, match="Shopify refuses the query"):
        list(open_at("retailer_3", scripted(reply(body=body)).url).pages(WINDOW, None))


@pytest.mark.parametrize("info", [None, {"hasNextPage": True, "endCursor": None}, {"endCursor": "c"}])
def test_a_page_that_does_not_tell_where_it_goes_on_is_an_error_not_the_end(scripted, reply, open_at, info):
    body = {"data": {"orders": {"pageInfo": info, "nodes": []}}}

    with pytest.raises(BadCursorError):
        list(open_at("retailer_3", scripted(reply(body=body)).url).pages(WINDOW, None))


def test_a_day_that_the_scope_does_not_reach_is_an_error_not_an_empty_day(scripted, reply, open_at):
    server = scripted(reply(body=page_of(), headers={"Date": "Mon, 06 Mar 2017 05:00:00 GMT"}))

    with pytest.raises(OutOfReachError, match="out of reach; on 2017-03-06 Shopify shows") as caught:
        list(open_at("retailer_3", server.url).pages(WINDOW, None))

    assert "read_all_orders" in caught.value.hint


def test_with_the_scope_for_all_orders_every_day_is_in_reach(scripted, reply, open_at):
    token = {"access_token": "t", "expires_in": 86399, "scope": "read_all_orders,read_orders"}
    server = scripted(
        reply(body=page_of(), headers={"Date": "Mon, 05 Mar 2018 05:00:00 GMT"}), tokens=[reply(body=token)]
    )

    assert len(list(open_at("retailer_3", server.url).pages(WINDOW, None))) == 1


def test_a_static_token_is_sent_as_it_is_and_its_scopes_are_asked_for_once(
    scripted, reply, settings_of, time, open_with
):
    scopes = {"data": {"currentAppInstallation": {"accessScopes": [{"handle": "read_all_orders"}]}}}
    server = scripted(
        reply(body=page_of({"id": "1"}, cursor="c1")), reply(body=scopes), reply(body=page_of())
    )
    service = open_with({"RETAIL_RETAILER_3_ACCESS_TOKEN": "shpat-lasting"}, server.url, access="token")

    list(service.pages(WINDOW, None))

    assert {seen.headers["x-shopify-access-token"] for seen in server.seen} == {"shpat-lasting"}
    assert [("accessScopes" in seen.body) for seen in server.seen] == [False, True, False]
    assert server.tokens == 0


def test_a_static_token_without_the_scope_for_all_orders_reaches_sixty_days(scripted, reply, open_with):
    late = {"Date": "Mon, 06 Mar 2017 05:00:00 GMT"}
    scopes = {"data": {"currentAppInstallation": {"accessScopes": [{"handle": "read_orders"}]}}}
    server = scripted(reply(body=page_of(), headers=late), reply(body=scopes, headers=late))
    service = open_with({"RETAIL_RETAILER_3_ACCESS_TOKEN": "shpat-lasting"}, server.url, access="token")

    with pytest.raises(OutOfReachError, match="2017-01-05"):
        list(service.pages(WINDOW, None))


def test_a_static_token_that_is_refused_is_told_without_showing_it(scripted, reply, open_with):
    refusal = {"errors": "[API] Invalid API key or access token shpat-lasting"}
    server = scripted(reply(401, refusal), reply(401, refusal))
    service = open_with({"RETAIL_RETAILER_3_ACCESS_TOKEN": "shpat-lasting"}, server.url, access="token")

    with pytest.raises(RefusedError) as caught:
        list(service.pages(WINDOW, None))

    assert caught.value.status == 401
    assert "shpat-lasting" not in str(caught.value)
    assert "RETAIL_RETAILER_3_" in caught.value.hint


def test_with_a_static_token_no_other_secret_is_asked_for(open_with):
    with pytest.raises(ConfigurationError) as caught:
        open_with({}, "http://127.0.0.1:9", access="token")

    [problem] = caught.value.problems
    assert "RETAIL_RETAILER_3_ACCESS_TOKEN" in problem


def cost(requested, available):
    status = {"maximumAvailable": 2000.0, "currentlyAvailable": available, "restoreRate": 100.0}
    return {"extensions": {"cost": {"requestedQueryCost": requested, "throttleStatus": status}}}


def test_a_query_waits_until_the_bucket_holds_what_the_last_answer_said_it_costs(
    scripted, reply, open_at, time
):
    server = scripted(
        reply(body=page_of({"id": "1"}, cursor="c1") | cost(300, 1700)),
        reply(body=page_of({"id": "2"}, cursor="c2") | cost(300, 50)),
        reply(body=page_of({"id": "3"}) | cost(300, 1000)),
    )

    list(open_at("retailer_3", server.url).pages(WINDOW, None))

    assert time.slept == [pytest.approx(2.5)]


def orders_at(*changes, cursor=None):
    """A page of orders that changed at these times."""
    return page_of(*({"id": f"o-{at}", "updatedAt": at} for at in changes), cursor=cursor)


def test_before_the_limit_of_objects_a_new_query_begins_at_the_last_orders_change(scripted, reply, open_at):
    server = scripted(
        reply(body=orders_at("2017-01-05T05:00:00Z", "2017-01-05T06:00:00Z", cursor="c2")),
        reply(body=orders_at("2017-01-05T07:00:00Z", "2017-01-05T08:00:00Z", cursor="c4")),
        reply(body=orders_at("2017-01-05T08:00:00Z", "2017-01-05T09:00:00Z")),
    )
    service = open_at("retailer_3", server.url, options={"page_size": 2, "most_objects": 4})

    pages = list(service.pages(WINDOW, None))

    asked = [json.loads(seen.body)["variables"] for seen in server.seen]
    assert [each["after"] for each in asked] == [None, "c2", None]
    assert asked[2]["query"] == "updated_at:>='2017-01-05T08:00:00Z' AND updated_at:<'2017-01-06T05:00:00Z'"
    assert json.loads(pages[1].next_cursor) == {"since": "2017-01-05T08:00:00Z", "after": None, "seen": 0}


def test_a_new_query_may_begin_with_the_page_that_the_last_one_ended_with(scripted, reply, open_at):
    """Of orders that changed in the same second, as by a change of many at once."""
    same = ["2017-01-05T08:00:00Z"] * 2
    server = scripted(
        reply(body=orders_at("2017-01-05T05:00:00Z", "2017-01-05T06:00:00Z", cursor="c2")),
        reply(body=orders_at(*same, cursor="c4")),
        reply(body=orders_at(*same, cursor="c2")),
        reply(body=orders_at("2017-01-05T09:00:00Z")),
    )
    service = open_at("retailer_3", server.url, options={"page_size": 2, "most_objects": 4})

    assert len(list(service.pages(WINDOW, None))) == 4


def test_a_cursor_that_comes_again_is_stopped_whatever_the_pages_hold(scripted, reply, open_at):
    pages = ({"id": f"o{number}"} for number in range(99))
    server = scripted(endless=(reply(body=page_of(each, cursor=f"c{n % 2}")) for n, each in enumerate(pages)))

    with pytest.raises(ExtractError, match=r"page 3\b"):
        list(open_at("retailer_3", server.url).pages(WINDOW, None))

    assert len(server.seen) == 3


def test_a_run_that_was_killed_before_a_new_query_begins_it(scripted, reply, open_at):
    server = scripted(reply(body=orders_at("2017-01-05T08:00:00Z")))
    place = json.dumps({"since": "2017-01-05T08:00:00Z", "after": None, "seen": 0})

    list(open_at("retailer_3", server.url).pages(WINDOW, place))

    [asked] = [json.loads(seen.body)["variables"] for seen in server.seen]
    assert (asked["after"], asked["query"][:35]) == (None, "updated_at:>='2017-01-05T08:00:00Z'")


def test_more_orders_in_one_second_than_the_limit_are_an_error_not_a_loop(scripted, reply, open_at):
    second = ["2017-01-05T08:00:00Z"] * 2
    server = scripted(
        reply(body=orders_at(*second, cursor="c2")),
        reply(body=orders_at("2017-01-05T07:59:59Z", "2017-01-05T08:00:00Z", cursor="c4")),
        reply(body=orders_at(*second, cursor="c2")),
        reply(body=orders_at("2017-01-05T08:00:01Z", "2017-01-05T08:00:00Z", cursor="c4")),
    )
    service = open_at("retailer_3", server.url, options={"page_size": 2, "most_objects": 4})

    with pytest.raises(ExtractError, match=r"in the one second 2017-01-05T08:00:00Z") as caught:
        list(service.pages(WINDOW, None))

    assert "bulk_from_orders" in caught.value.hint
    assert len(server.seen) == 4


def test_a_limit_below_two_pages_is_a_problem_of_the_configuration(open_at):
    with pytest.raises(ConfigurationError, match="most_objects must be at least two pages"):
        open_at("retailer_3", "http://127.0.0.1:9", options={"page_size": 50, "most_objects": 99})


@pytest.mark.parametrize("cursor", ["eyJsYXN0X2lkIjo3fQ==", "{}", "[]", "7", '{"since": "x", "after": null}'])
def test_a_cursor_of_an_earlier_version_has_the_day_walked_from_its_start(open_at, cursor):
    with pytest.raises(CursorExpiredError, match="not one of this version's"):
        list(open_at("retailer_3", "http://127.0.0.1:9").pages(WINDOW, cursor))


def test_a_cursor_that_shopify_refuses_has_the_day_walked_from_its_start(scripted, reply, open_at):
    error = {"message": "Invalid cursor for current pagination sort."}
    server = scripted(reply(body={"data": None, "errors": [error]}))
    place = json.dumps({"since": "2017-01-05T04:00:00Z", "after": "c1", "seen": 50})

    with pytest.raises(CursorExpiredError, match="Invalid cursor"):
        list(open_at("retailer_3", server.url).pages(WINDOW, place))


def test_a_plan_asks_shopify_once_for_a_count(scripted, reply, open_at):
    server = scripted(reply(body={"data": {"ordersCount": {"count": 1000, "precision": "EXACT"}}}))
    other = Window(date(2017, 1, 6), datetime(2017, 1, 6, 4, tzinfo=UTC), datetime(2017, 1, 7, 5, tzinfo=UTC))

    estimate = open_at("retailer_3", server.url).estimate([WINDOW, other])

    [seen] = server.seen
    assert "updated_at:>='2017-01-05T04:00:00Z' AND updated_at:<'2017-01-07T05:00:00Z'" in seen.body
    assert (estimate.orders, estimate.asked) == (1000, 1)
    assert estimate.calls == 20 + 150  # pages of 50, and the ledgers of 15 in 100 orders
    assert estimate.quota_seconds == pytest.approx((20 * 150 + 150 * 40 - 1900) / 100)
    assert "100 points a second" in estimate.quota
