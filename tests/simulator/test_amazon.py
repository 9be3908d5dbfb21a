"""Amazon Orders v2026-01-01 as the simulator plays it."""

import json
from datetime import date, timedelta
from decimal import Decimal

import jsonschema
import pytest

DAY = {"lastUpdatedAfter": "2017-03-06T00:00:00Z", "lastUpdatedBefore": "2017-03-06T23:59:59Z"}
ALL_DATA = "BUYER,PROCEEDS,FULFILLMENT,PACKAGES"


def cents(money):
    assert money["currencyCode"] == "USD"
    return int(Decimal(money["amount"]) * 100)


def breakdown(item, kind):
    return sum(cents(part["subtotal"]) for part in item["proceeds"]["breakdowns"] if part["type"] == kind)


@pytest.fixture(scope="module")
def orders(simulator):
    return simulator.amazon_orders(**DAY, includedData=ALL_DATA)


@pytest.fixture(scope="module")
def token(simulator):
    return simulator.amazon_token().json()["access_token"]


def test_a_token_lives_an_hour_and_looks_like_amazons(simulator):
    answer = simulator.amazon_token().json()
    assert answer["access_token"].startswith("Atza|")
    assert (answer["token_type"], answer["expires_in"]) == ("bearer", 3600)


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "wrong"}, 401, "invalid_client"),
        ({"refresh_token": "Atzr|wrong"}, 400, "invalid_grant"),
        ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "invalid_request"),
    ],
)
def test_wrong_credentials_are_refused_in_the_shape_of_oauth(simulator, changes, status, error):
    refusal = simulator.amazon_token(**changes)
    assert refusal.status_code == status
    assert refusal.json()["error"] == error
    assert refusal.json()["error_description"]


def test_a_token_request_that_is_not_a_form_is_refused(simulator):
    assert simulator.post("/auth/o2/token", json={"grant_type": "refresh_token"}).status_code == 400


def test_a_request_without_a_token_or_with_an_unknown_one_is_denied(simulator):
    missing = simulator.get("/orders/2026-01-01/orders", params=DAY)
    unknown = simulator.amazon("Atza|unknown", **DAY)
    assert (missing.status_code, unknown.status_code) == (403, 403)
    assert missing.json()["errors"][0]["code"] == unknown.json()["errors"][0]["code"] == "Unauthorized"


def test_an_expired_token_is_denied_and_told_so(throttled):
    token = throttled.amazon_token().json()["access_token"]
    throttled.advance(3600)
    refusal = throttled.amazon(token, **DAY)
    assert refusal.status_code == 403
    assert refusal.json()["errors"][0]["code"] == "Unauthorized"
    assert refusal.json()["errors"][0]["details"] == "The access token you provided has expired."


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"createdAfter": "2017-03-06T00:00:00Z", "lastUpdatedAfter": "2017-03-06T00:00:00Z"},
        {"createdAfter": "2017-03-06T00:00:00Z", "lastUpdatedBefore": "2017-03-07T00:00:00Z"},
        {"lastUpdatedAfter": "2017-03-06T00:00:00Z", "createdBefore": "2017-03-07T00:00:00Z"},
        {"lastUpdatedAfter": "2017-03-06T00:00:00Z", "lastUpdatedBefore": "2017-03-05T23:59:59Z"},
        {"lastUpdatedAfter": "2017-03-06T00:00:00Z", "lastUpdatedBefore": "2017-03-19T23:59:00Z"},
        {"lastUpdatedAfter": "2017-03-06T00:00:00+00:00"},
        {"lastUpdatedAfter": "2017-03-06T09:00:00+09:00"},
        {"lastUpdatedAfter": "2017-03-06"},
        {**DAY, "maxResultsPerPage": "0"},
        {**DAY, "maxResultsPerPage": "101"},
        {**DAY, "maxResultsPerPage": "many"},
        {**DAY, "includedData": "PROCEEDS,PRICES"},
        {**DAY, "fulfillmentStatuses": "Shipped"},
        {**DAY, "fulfilledBy": "SELLER"},
        {**DAY, "MarketplaceIds": "ATVPDKIKX0DER"},
        {**DAY, "paginationToken": "no-token-of-ours"},
        {**DAY, "includedData": ["PROCEEDS", "BUYER"]},
    ],
)
def test_a_query_outside_the_rules_is_invalid_input(simulator, token, query):
    refusal = simulator.amazon(token, **query)
    assert refusal.status_code == 400
    assert refusal.json()["errors"][0]["code"] == "InvalidInput"


def test_a_paging_token_wants_all_other_parameters_the_same(simulator, token):
    first = simulator.amazon(token, **DAY, includedData="PROCEEDS", maxResultsPerPage=10).json()
    paging = {"paginationToken": first["pagination"]["nextToken"]}
    again = simulator.amazon(token, **DAY, **paging, includedData="PROCEEDS", maxResultsPerPage=10)
    other_data = simulator.amazon(token, **DAY, **paging, includedData="BUYER", maxResultsPerPage=10)
    other_size = simulator.amazon(token, **DAY, **paging, includedData="PROCEEDS", maxResultsPerPage=20)
    assert [again.status_code, other_data.status_code, other_size.status_code] == [200, 400, 400]
    assert again.json()["orders"][0]["orderId"] not in {order["orderId"] for order in first["orders"]}


def test_pages_of_any_size_bring_every_order_once(simulator, orders):
    in_sevens = [order["orderId"] for order in simulator.amazon_orders(**DAY, maxResultsPerPage=7)]
    assert in_sevens == [order["orderId"] for order in orders]
    assert len(set(in_sevens)) == len(in_sevens)


def test_the_last_page_has_no_next_token_and_each_page_tells_its_upper_bound(simulator, token):
    whole = {"lastUpdatedAfter": "2017-03-06T00:00:00Z", "lastUpdatedBefore": "2017-03-06T01:00:00Z"}
    body = simulator.amazon(token, **whole).json()
    assert "pagination" not in body
    assert body["lastUpdatedBefore"] == "2017-03-06T01:00:00Z"
    created = simulator.amazon(token, createdAfter="2017-03-06T00:00:00Z").json()
    assert created["createdBefore"].startswith("2017-03-19T23:5")


def test_both_ends_of_a_window_belong_to_it(simulator, token, orders):
    at = orders[0]["lastUpdatedTime"]
    found = simulator.amazon(token, lastUpdatedAfter=at, lastUpdatedBefore=at).json()["orders"]
    assert orders[0]["orderId"] in [order["orderId"] for order in found]


def test_what_was_not_asked_for_is_not_in_the_answer(simulator, token):
    plain = simulator.amazon(token, **DAY, maxResultsPerPage=1).json()["orders"][0]
    assert not {"buyer", "proceeds", "fulfillment", "packages"} & plain.keys()
    assert not {"proceeds", "fulfillment"} & plain["orderItems"][0].keys()


def test_filters_that_no_order_passes_give_an_empty_page(simulator, token):
    for nothing in ({"marketplaceIds": "A2EUQ1WTGCTBG2"}, {"fulfillmentStatuses": "CANCELLED"}):
        assert simulator.amazon(token, **DAY, **nothing).json()["orders"] == []
    some = simulator.amazon(token, **DAY, marketplaceIds="A2EUQ1WTGCTBG2,ATVPDKIKX0DER", maxResultsPerPage=1)
    assert len(some.json()["orders"]) == 1


@pytest.mark.parametrize("day", [date(2017, 1, 1), date(2017, 3, 6), date(2017, 3, 18)])
def test_a_days_rows_and_money_are_those_of_the_parquet_file(simulator, sql, day):
    window = {"lastUpdatedAfter": f"{day}T00:00:00Z", "lastUpdatedBefore": f"{day}T23:59:59Z"}
    orders = simulator.amazon_orders(**window, includedData="PROCEEDS")
    items = [item for order in orders for item in order["orderItems"]]
    served = (
        len(items),
        sum(item["quantityOrdered"] for item in items),
        sum(cents(item["proceeds"]["proceedsTotal"]) for item in items),
        sum(-breakdown(item, "DISCOUNT") for item in items),
        sum(cents(order["proceeds"]["grandTotal"]) for order in orders),
    )
    true = sql(
        "SELECT count(*), sum(quantity), sum(net), sum(discount), sum(net) FROM sales"
        " WHERE retailer = 'retailer_1' AND sold_at >= $start AND sold_at < $end",
        start=day,
        end=day + timedelta(days=1),
    )
    assert [served] == true


def test_a_discount_is_a_negative_breakdown_beside_the_gross_price(orders):
    items = [item for order in orders for item in order["orderItems"]]
    reduced = [item for item in items if len(item["proceeds"]["breakdowns"]) == 2]
    assert 0 < len(reduced) < len(items)
    for item in reduced:
        assert breakdown(item, "DISCOUNT") < 0
    for item in items:
        net = breakdown(item, "ITEM") + breakdown(item, "DISCOUNT")
        assert net == cents(item["proceeds"]["proceedsTotal"])


def test_a_unit_price_is_given_only_where_it_is_exact(orders):
    items = [item for order in orders for item in order["orderItems"]]
    priced = [item for item in items if "price" in item["product"]]
    assert 0 < len(priced) < len(items)
    for item in priced:
        unit = cents(item["product"]["price"]["unitPrice"])
        assert unit * item["quantityOrdered"] == breakdown(item, "ITEM")


def test_a_line_without_quantity_is_served_without_a_unit_price(simulator, sql):
    [(order_id, product, sold_at)] = sql(
        "SELECT order_id, product_id, sold_at FROM sales WHERE retailer = 'retailer_1' AND quantity = 0"
        " AND sold_at < DATE '2017-03-19' ORDER BY sold_at DESC, product_id LIMIT 1"
    )
    at = f"{sold_at:%Y-%m-%dT%H:%M:%SZ}"
    found = simulator.amazon_orders(lastUpdatedAfter=at, lastUpdatedBefore=at, includedData="PROCEEDS")
    [order] = [order for order in found if order["orderId"] == order_id]
    [item] = [item for item in order["orderItems"] if item["product"]["sellerSku"] == str(product)]
    assert item["quantityOrdered"] == 0
    assert "price" not in item["product"]


def test_an_order_tells_customer_store_and_a_unique_id_for_each_item(orders, sql):
    for order in orders:
        [package] = order["packages"]
        assert [item["orderItemId"] for item in package["packageItems"]] == [
            item["orderItemId"] for item in order["orderItems"]
        ]
    true = sql(
        "SELECT DISTINCT order_id, 'Store ' || store_id FROM sales WHERE retailer = 'retailer_1'"
        " AND sold_at::DATE = DATE '2017-03-06'"
    )
    stores = {(order["orderId"], order["packages"][0]["shipFromAddress"]["name"]) for order in orders}
    assert stores == set(true)
    ids = [item["orderItemId"] for order in orders for item in order["orderItems"]]
    assert len(set(ids)) == len(ids)
    assert all(one.isdecimal() for one in ids)
    households = dict(sql("SELECT DISTINCT order_id, household_id FROM sales WHERE retailer = 'retailer_1'"))
    pairs = {(order["buyer"]["buyerEmail"], households[order["orderId"]]) for order in orders}
    assert len({email for email, _ in pairs}) == len({household for _, household in pairs}) == len(pairs)
    assert all(email.endswith("@marketplace.amazon.com") for email, _ in pairs)


def test_orders_of_the_future_are_not_visible(simulator, token):
    newest = simulator.amazon(token, lastUpdatedAfter="2017-03-19T23:00:00Z").json()
    assert all(order["lastUpdatedTime"] <= "2017-03-19T23:59:00Z" for order in newest["orders"])
    assert simulator.amazon(token, lastUpdatedAfter="2017-04-01T00:00:00Z").json()["orders"] == []


def test_twenty_requests_pass_at_once_and_then_one_every_three_minutes(throttled):
    token = throttled.amazon_token().json()["access_token"]
    statuses = [throttled.amazon(token, **DAY, maxResultsPerPage=1).status_code for _ in range(21)]
    assert statuses[-1] == 429
    refusal = throttled.amazon(token, **DAY)
    assert refusal.json()["errors"][0]["code"] == "QuotaExceeded"
    assert "x-amzn-RateLimit-Limit" not in refusal.headers
    throttled.advance(1 / 0.0056)
    assert throttled.amazon(token, **DAY, maxResultsPerPage=1).status_code == 200
    assert throttled.amazon(token, **DAY, maxResultsPerPage=1).status_code == 429


def test_answers_keep_to_amazons_own_model(simulator, orders, token, specs):
    model = json.loads((specs / "amazon" / "orders_2026-01-01.json").read_text())
    for definition in model["definitions"].values():
        if "properties" in definition:
            definition["additionalProperties"] = False
    refs = {name: f"#/definitions/{name}" for name in ("SearchOrdersResponse", "ErrorList")}
    page = simulator.amazon(token, **DAY, maxResultsPerPage=1).json()
    refusal = simulator.amazon(token).json()
    for answer, ref in [
        ({"orders": orders}, refs["SearchOrdersResponse"]),
        (page, refs["SearchOrdersResponse"]),
        (refusal, refs["ErrorList"]),
    ]:
        jsonschema.Draft4Validator({**model, "$ref": ref}).validate(answer)
