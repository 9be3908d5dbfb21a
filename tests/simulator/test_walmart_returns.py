"""Walmart's returns and items as the simulator plays them."""

import json
from datetime import UTC, datetime

import jsonschema
import pytest

from retail_simulator.gtin import check_digit

WINDOW = "?returnLastModifiedStartDate=2017-03-01T00:00:00Z&returnLastModifiedEndDate=2017-03-19T23:00:00Z"
NOW = int(datetime(2017, 3, 20, tzinfo=UTC).timestamp())


@pytest.fixture(scope="module")
def token(living):
    return living.walmart_token().json()["access_token"]


@pytest.fixture(scope="module")
def returns(living):
    return living.walmart_returns(WINDOW + "&limit=200")


def cents(money):
    return int(money["currencyAmount"] * 100)


def refunded(line):
    """What is paid back for the goods of a line, whichever sign it is written with."""
    total = 0
    for charge in line["charges"]:
        if charge["chargeCategory"] == "PRODUCT":
            total += abs(cents(charge["chargePerUnit"])) * (-1 if charge["isDiscount"] else 1)
    return total * int(line["quantity"]["measurementValue"])


def test_each_return_of_the_sales_is_served_with_its_money_and_time(returns, books):
    book, true = books["retailer_2"], {}
    for position in book.created_between(0, NOW):
        for one in book.order(position, now=NOW).returns:
            true[one.return_id] = (one.line.number, one.quantity, one.net, one.returned)
    served = {}
    for one in returns:
        [line] = one["returnOrderLines"]
        at = datetime.fromisoformat(one["returnOrderDate"]).timestamp()
        units = int(line["quantity"]["measurementValue"])
        served[one["returnOrderId"]] = (line["purchaseOrderLineNumber"], units, refunded(line), int(at))
    assert len(served) > 100
    assert served.items() <= true.items()
    late = {name for name, values in true.items() if values[3] >= 1488326400 and values[3] <= 1489964400}
    assert late <= served.keys() | {name for name in late if true[name][3] > NOW - 3600}


def test_totals_of_a_line_are_told_beside_the_charges_of_a_unit(returns):
    signs, parts = set(), set()
    for one in returns:
        [line] = one["returnOrderLines"]
        [total] = [each["value"] for each in line["chargeTotals"] if each["name"] == "lineSubTotal"]
        assert cents(total) == refunded(line)
        parts |= {charge["chargeCategory"] for charge in line["charges"]}
        signs |= {cents(charge["chargePerUnit"]) > 0 for charge in line["charges"]}
    assert signs == {True, False}
    assert parts == {"PRODUCT", "SHIPPING"}


def test_pages_bring_every_return_once_and_the_cursor_keeps_the_filters(living, token, returns):
    first = living.walmart(WINDOW, token, path="/v3/returns").json()
    assert (first["meta"]["limit"], len(first["returnOrders"])) == (10, 10)
    assert first["meta"]["totalCount"] == len(returns)
    assert first["meta"]["nextCursor"].startswith("?sellerId=8&limit=10&offset=10")
    in_sevens = [one["returnOrderId"] for one in living.walmart_returns(WINDOW + "&limit=7")]
    assert in_sevens == [one["returnOrderId"] for one in returns]
    assert len(set(in_sevens)) == len(in_sevens)


def test_an_open_return_comes_again_once_the_money_has_gone_back(launch):
    moving = launch("--clock", "2017-03-10T00:00:00Z", "--changes", "--speed", "0")
    query = "?returnLastModifiedStartDate=2017-03-09T00:00:00Z"
    before = {one["returnOrderId"]: one["returnOrderLines"][0] for one in moving.walmart_returns(query)}
    open_ones = {name for name, line in before.items() if line["refundedQty"] == 0}
    assert 0 < len(open_ones) < len(before)
    by_status = moving.walmart_returns(query + "&status=INITIATED")
    assert {one["returnOrderId"] for one in by_status} == open_ones
    moving.advance(86400)
    later = "?returnLastModifiedStartDate=2017-03-10T00:00:01Z"
    again = {one["returnOrderId"]: one["returnOrderLines"][0] for one in moving.walmart_returns(later)}
    assert open_ones <= again.keys()
    for name in open_ones:
        assert (before[name]["status"], again[name]["status"]) == ("INITIATED", "COMPLETED")
        assert again[name]["refundedQty"] == again[name]["quantity"]["measurementValue"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?limit=201", "limit"),
        ("?returnLastModifiedStartDate=yesterday", "returnLastModifiedStartDate"),
        ("?lastModifiedStartDate=2017-03-01", "lastModifiedStartDate"),
        ("?status=DONE", "status"),
        ("?sellerId=8", "sellerId"),
    ],
)
def test_a_query_outside_the_rules_names_the_field_at_fault(simulator, query, field):
    refusal = simulator.walmart(query, path="/v3/returns")
    assert refusal.status_code == 400
    assert refusal.json()["error"][0]["field"] == field


def test_nothing_found_is_an_empty_page_or_a_404_in_turn(simulator):
    statuses = [simulator.walmart(WINDOW, path="/v3/returns").status_code for _ in range(2)]
    assert set(statuses) == {200, 404}


def test_returns_keep_to_walmarts_own_spec(living, token, specs, strict_schema):
    spec = json.loads((specs / "walmart" / "us_mp_returns.json").read_text())
    answer = spec["paths"]["/v3/returns"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    page = living.walmart(WINDOW + "&limit=200", token, path="/v3/returns").json()
    page["meta"]["nextCursor"] = page["meta"]["nextCursor"] or ""
    for one in page["returnOrders"]:
        one["replacementCustomerOrderId"] = ""
    resolved = {**strict_schema(answer), "components": strict_schema(spec["components"])}
    jsonschema.Draft4Validator(resolved).validate(page)


def test_an_item_is_found_by_its_sku_with_its_numbers(simulator, sql):
    found = sql("SELECT DISTINCT product_id FROM sales WHERE retailer = 'retailer_2' ORDER BY 1 LIMIT 60")
    answers = [simulator.walmart("?productIdType=SKU", path=f"/v3/items/{sku}") for (sku,) in found]
    items = [answer.json()["ItemResponse"][0] for answer in answers if answer.status_code == 200]
    assert len(answers) * 0.8 < len(items) < len(answers)
    for item in items:
        assert len(item["gtin"]) == 14
        assert check_digit(item["gtin"][:-1]) == item["gtin"][-1]
        assert item["upc"] is None or item["gtin"] == item["upc"].rjust(14, "0")
        assert item["productName"]
    assert {item["upc"] is None for item in items} == {True, False}


@pytest.mark.parametrize("sku", ["no-such-sku", "00821867", "a/b"])
def test_an_unknown_item_is_a_404(simulator, sku):
    answer = simulator.walmart("?productIdType=SKU", path=f"/v3/items/{sku}")
    assert answer.status_code == 404
    assert answer.json()["error"][0]["code"].startswith("CONTENT_NOT_FOUND")


def test_returns_and_items_want_token_and_headers(simulator):
    for path in ("/v3/returns", "/v3/items/821867"):
        assert simulator.walmart("", "unknown", path=path).status_code == 401
        assert simulator.walmart("", path=path, **{"WM_SVC.NAME": None}).status_code == 400
