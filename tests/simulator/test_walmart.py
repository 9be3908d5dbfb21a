"""Walmart Marketplace orders as the simulator plays them."""

import json
from datetime import date, timedelta
from decimal import Decimal

import jsonschema
import pytest

DAY = "?lastModifiedStartDate=2017-03-06T00:00:00Z&lastModifiedEndDate=2017-03-06T23:59:59Z"


def lines_of(orders):
    return [line for order in orders for line in order["orderLines"]["orderLine"]]


def charged(line, name=None):
    charges = [charge for charge in line["charges"]["charge"] if name in (None, charge["chargeName"])]
    return sum(int(charge["chargeAmount"]["amount"] * 100) for charge in charges)


@pytest.fixture(scope="module")
def orders(simulator):
    return simulator.walmart_orders(DAY + "&limit=200")


@pytest.fixture(scope="module")
def token(simulator):
    return simulator.walmart_token().json()["access_token"]


def test_a_token_lives_a_quarter_of_an_hour(simulator):
    answer = simulator.walmart_token().json()
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 900)


@pytest.mark.parametrize("auth", [("walmart-id", "wrong"), ("wrong", "walmart-secret")])
def test_wrong_credentials_are_refused_as_the_gateway_does(simulator, auth):
    refusal = simulator.walmart_token(auth)
    assert refusal.status_code == 401
    assert refusal.json()["error"][0]["code"] == "UNAUTHORIZED.GMP_GATEWAY_API"


@pytest.mark.parametrize("name", ["WM_SVC.NAME", "WM_QOS.CORRELATION_ID", "Accept"])
def test_a_missing_header_is_named(simulator, token, name):
    for refusal in (simulator.walmart(DAY, token, **{name: None}), simulator.walmart_token(**{name: None})):
        assert refusal.status_code == 400
        assert refusal.json()["error"][0]["field"] == name


def test_an_unknown_or_missing_token_is_unauthorized(simulator, token):
    for refusal in (
        simulator.walmart(DAY, "unknown"),
        simulator.walmart(DAY, token, **{"WM_SEC.ACCESS_TOKEN": None}),
    ):
        assert refusal.status_code == 401
        assert refusal.json()["error"][0]["code"] == "UNAUTHORIZED.GMP_GATEWAY_API"


def test_an_expired_token_is_a_bad_request(throttled):
    token = throttled.walmart_token().json()["access_token"]
    throttled.advance(900)
    refusal = throttled.walmart(DAY, token)
    assert refusal.status_code == 400
    assert refusal.json()["error"][0]["code"] == "INVALID_TOKEN.GMP_GATEWAY_API"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?lastModifiedStartDate=06.03.2017", "lastModifiedStartDate"),
        ("?lastModifiedStartDate=2017-03-06T00:00:00.000Z", "lastModifiedStartDate"),
        ("?createdStartDate=2017-02-30", "createdStartDate"),
        (DAY + "&limit=201", "limit"),
        (DAY + "&limit=0", "limit"),
        (DAY + "&shipNodeType=Seller", "shipNodeType"),
        (DAY + "&status=SHIPPED", "status"),
        (DAY + "&lastModifiedStartDate=2017-03-01", "lastModifiedStartDate"),
        (DAY + "&page=2", "page"),
        ("?hasMoreElements=true&poIndex=100&limit=100", "nextCursor"),
        ("?%3Flimit=100&hasMoreElements=true", "?limit"),
    ],
)
def test_a_query_outside_the_rules_names_the_field_at_fault(simulator, token, query, field):
    refusal = simulator.walmart(query, token)
    assert refusal.status_code == 400
    assert refusal.json()["error"][0]["field"] == field


@pytest.mark.parametrize(
    "query",
    [
        DAY + "&shipNodeType=WFSFulfilled",
        DAY + "&shipNodeType=3PLFulfilled",
        DAY + "&status=Cancelled",
        "?createdStartDate=2017-03-25",
        "?createdStartDate=2017-03-06T00:00:00Z&createdEndDate=2017-03-06T00:00:00Z",
    ],
)
def test_no_order_in_range_is_a_404(simulator, token, query):
    answer = simulator.walmart(query, token)
    assert answer.status_code == 404
    assert answer.json()["error"][0]["code"].startswith("CONTENT_NOT_FOUND")
    assert answer.json()["error"][0]["severity"] == "INFO"


def test_the_cursor_is_a_query_string_that_begins_with_a_question_mark(simulator, token, orders):
    meta = simulator.walmart(DAY + "&limit=50", token).json()["list"]["meta"]
    assert (meta["totalCount"], meta["limit"]) == (len(orders), 50)
    assert meta["nextCursor"].startswith("?limit=50&hasMoreElements=true&soIndex=")
    last = simulator.walmart("?createdStartDate=2017-03-19T23:00:00Z", token).json()["list"]
    assert last["meta"]["nextCursor"] is None


def test_pages_of_any_size_bring_every_order_once(simulator, orders):
    in_elevens = [order["purchaseOrderId"] for order in simulator.walmart_orders(DAY + "&limit=11")]
    assert in_elevens == [order["purchaseOrderId"] for order in orders]
    assert len(set(in_elevens)) == len(in_elevens)


def test_without_dates_the_last_seven_days_are_served_whole_over_all_pages(simulator, sql):
    served = simulator.walmart_orders("?limit=200")
    [(true,)] = sql(
        "SELECT count(DISTINCT order_id) FROM sales WHERE retailer = 'retailer_2'"
        " AND sold_at >= TIMESTAMP '2017-03-13 00:01:00' AND sold_at <= TIMESTAMP '2017-03-20 00:00:00'"
    )
    # The clock runs: in the first minute some orders appear and others grow too old.
    assert abs(len(served) - true) <= 3


def test_more_than_ten_thousand_orders_in_one_query_are_refused(simulator, token):
    refusal = simulator.walmart("?createdStartDate=2017-01-01", token)
    assert refusal.status_code == 400
    assert refusal.json()["error"][0]["code"] == "INVALID_REQUEST.GMP_ORDER_API"


def test_orders_older_than_180_days_are_gone(throttled):
    gone = throttled.walmart("?createdStartDate=2017-06-01&createdEndDate=2017-06-08")
    kept = throttled.walmart("?createdStartDate=2017-08-01&createdEndDate=2017-08-08")
    assert (gone.status_code, kept.status_code) == (404, 200)


@pytest.mark.parametrize("day", [date(2017, 1, 1), date(2017, 3, 6), date(2017, 3, 18)])
def test_a_days_rows_and_money_are_those_of_the_parquet_file(simulator, sql, day):
    window = f"?lastModifiedStartDate={day}T00:00:00Z&lastModifiedEndDate={day}T23:59:59Z&limit=200"
    lines = lines_of(simulator.walmart_orders(window))
    served = (
        len(lines),
        sum(int(line["orderLineQuantity"]["amount"]) for line in lines),
        sum(charged(line) for line in lines),
        sum(-charged(line, "Discount") for line in lines),
    )
    true = sql(
        "SELECT count(*), sum(quantity), sum(net), sum(discount) FROM sales"
        " WHERE retailer = 'retailer_2' AND sold_at >= $start AND sold_at < $end",
        start=day,
        end=day + timedelta(days=1),
    )
    assert [served] == true


def test_a_discount_is_a_second_and_negative_product_charge(orders, sql):
    served = {
        (order["purchaseOrderId"], line["item"]["sku"]): [
            (charge["chargeType"], charge["chargeName"], int(charge["chargeAmount"]["amount"] * 100))
            for charge in line["charges"]["charge"]
        ]
        for order in orders
        for line in order["orderLines"]["orderLine"]
    }
    rows = sql(
        "SELECT order_id, product_id::VARCHAR, net, discount FROM sales WHERE retailer = 'retailer_2'"
        " AND sold_at::DATE = DATE '2017-03-06'"
    )
    true = {}
    for order_id, sku, net, discount in rows:
        true[order_id, sku] = [("PRODUCT", "ItemPrice", net + discount)]
        if discount > 0:
            true[order_id, sku].append(("PRODUCT", "Discount", -discount))
    assert served == true
    assert {len(charges) for charges in served.values()} == {1, 2}


def test_money_is_a_json_number_of_whole_cents(simulator, token):
    page = json.loads(simulator.walmart(DAY + "&limit=200", token).text, parse_float=Decimal)
    lines = lines_of(page["list"]["elements"]["order"])
    amounts = [charge["chargeAmount"]["amount"] for line in lines for charge in line["charges"]["charge"]]
    assert {type(amount) for amount in amounts} == {Decimal}
    assert all(amount == round(amount, 2) for amount in amounts)


def test_a_line_without_quantity_is_served(simulator, sql):
    [(order_id, product)] = sql(
        "SELECT order_id, product_id FROM sales WHERE retailer = 'retailer_2' AND quantity = 0"
        " AND sold_at < DATE '2017-03-19' ORDER BY sold_at DESC, product_id LIMIT 1"
    )
    [order] = simulator.walmart_orders(f"?purchaseOrderId={order_id}")
    [line] = [line for line in lines_of([order]) if line["item"]["sku"] == str(product)]
    assert line["orderLineQuantity"] == {"unitOfMeasurement": "EACH", "amount": "0"}


def test_an_order_tells_time_customer_and_store(orders, sql):
    true = sql(
        "SELECT DISTINCT order_id, epoch_ms(sold_at), store_id::VARCHAR FROM sales"
        " WHERE retailer = 'retailer_2' AND sold_at::DATE = DATE '2017-03-06'"
    )
    served = {(order["purchaseOrderId"], order["orderDate"], order["shipNode"]["id"]) for order in orders}
    assert served == set(true)
    for order in orders:
        numbers = [line["lineNumber"] for line in order["orderLines"]["orderLine"]]
        assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
        assert order["customerEmailId"].endswith("@relay.walmart.com")


def test_five_thousand_requests_a_minute_are_the_budget(throttled):
    answer = throttled.walmart("?createdStartDate=2017-12-01&limit=1")
    assert 4_000 < int(answer.headers["x-current-token-count"]) < 5_000
    assert int(answer.headers["x-next-replenish-time"]) > 1_500_000_000_000


def test_answers_keep_to_walmarts_own_spec(simulator, token, specs, strict_schema):
    spec = json.loads((specs / "walmart" / "orders.nullable.json").read_text())
    answer = spec["paths"]["/v3/orders"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]

    page = simulator.walmart(DAY + "&limit=200&replacementInfo=true", token).json()
    jsonschema.Draft4Validator(strict_schema(answer)).validate(page)
