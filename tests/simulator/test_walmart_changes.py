"""Walmart's orders that live on: statuses by unit, charges beside the goods, nodes, and a list that moves."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import jsonschema
import pytest

pytestmark = pytest.mark.slow

WEEK = "?lastModifiedStartDate=2017-03-13T00:00:00Z&lastModifiedEndDate=2017-03-19T23:59:59Z&limit=200"
NODES = ["SellerFulfilled", "WFSFulfilled", "3PLFulfilled"]
NOW = int(datetime(2017, 3, 20, tzinfo=UTC).timestamp())


@pytest.fixture(scope="module")
def by_node(living):
    return {node: living.walmart_orders(f"{WEEK}&shipNodeType={node}&replacementInfo=true") for node in NODES}


@pytest.fixture(scope="module")
def orders(by_node):
    return [order for orders in by_node.values() for order in orders]


@pytest.fixture(scope="module")
def lines(orders):
    return [(order, line) for order in orders for line in order["orderLines"]["orderLine"]]


@pytest.fixture(scope="module")
def truth(books):
    """The order and the line as the model has them."""
    book = books["retailer_2"]

    def found(order, line):
        known = book.order(book.position(int(order["purchaseOrderId"])), now=NOW)
        return known, known.lines[int(line["lineNumber"]) - 1]

    return found


def cents(amount):
    return int(amount["amount"] * 100)


def units_of(line, *names):
    statuses = line["orderLineStatuses"]["orderLineStatus"]
    return sum(int(each["statusQuantity"]["amount"]) for each in statuses if each["status"] in names)


def statuses(order):
    lines = order["orderLines"]["orderLine"]
    return {each["status"] for line in lines for each in line["orderLineStatuses"]["orderLineStatus"]}


def test_each_kind_of_node_is_asked_for_by_itself_and_seller_fulfilled_comes_unasked(living, by_node):
    for node, orders in by_node.items():
        assert {order["shipNode"]["type"] for order in orders} == {node}
        assert len(orders) > 50
    assert len(living.walmart_orders(WEEK)) == len(by_node["SellerFulfilled"])


def test_the_share_of_the_kept_units_is_the_net(lines, truth):
    shared = 0
    for order, line in lines:
        known, sold = truth(order, line)
        product = [each for each in line["charges"]["charge"] if each["chargeType"] == "PRODUCT"]
        taken = [each for each in product if "Discount" in each["chargeName"]]
        prices = sum(cents(each["chargeAmount"]) for each in product if each not in taken)
        net = prices - sum(abs(cents(each["chargeAmount"])) for each in taken)
        ordered = int(line["orderLineQuantity"]["amount"])
        kept = ordered - units_of(line, "Cancelled")
        if kept != ordered and known.cancelled is None:
            shared += kept > 0
            assert net * kept == sold.kept_net * ordered
        elif known.cancelled is None:
            assert net == sold.net
    assert shared > 3


def test_the_units_of_all_statuses_are_those_ordered(lines):
    names = ("Created", "Acknowledged", "Shipped", "Delivered", "Cancelled")
    seen = set()
    for _, line in lines:
        assert units_of(line, *names) == int(line["orderLineQuantity"]["amount"])
        seen |= {each["status"] for each in line["orderLineStatuses"]["orderLineStatus"]}
    assert seen == set(names)
    assert any(len(line["orderLineStatuses"]["orderLineStatus"]) == 2 for _, line in lines)


def test_charges_have_shipping_taxes_or_null_and_a_discount_of_either_sign(lines):
    charges = [charge for _, line in lines for charge in line["charges"]["charge"]]
    assert {charge["chargeType"] for charge in charges} == {"PRODUCT", "SHIPPING"}
    assert {charge["tax"] is None for charge in charges} == {True, False}
    signs = {cents(each["chargeAmount"]) > 0 for each in charges if "Discount" in each["chargeName"]}
    assert signs == {True, False}
    assert any(line["charges"]["charge"][0]["chargeType"] == "SHIPPING" for _, line in lines)


def test_a_refund_on_a_line_is_negative_money_without_units(lines, truth):
    refunded = [(order, line) for order, line in lines if line["refund"]]
    with_goods = []
    for order, line in refunded:
        [charge] = line["refund"]["refundCharges"]["refundCharge"]
        known = truth(order, line)[0]
        paid_back = sum(one.net for one in known.returns if one.line.number == int(line["lineNumber"]))
        with_goods.append(known.money_back is None)
        if known.money_back is not None:
            assert (known.money_back.line.number, paid_back) == (int(line["lineNumber"]), 0)
            paid_back = known.money_back.cents
        assert cents(charge["charge"]["chargeAmount"]) == -paid_back < 0
    assert set(with_goods) == {True, False}


def test_a_replacement_is_named_and_costs_nothing(orders):
    replacements = [order for order in orders if order["orderType"] == "REPLACEMENT"]
    assert len(replacements) > 5
    for order in replacements:
        assert order["originalCustomerOrderID"]
        for line in order["orderLines"]["orderLine"]:
            assert all(cents(charge["chargeAmount"]) == 0 for charge in line["charges"]["charge"])


def test_some_buyers_have_only_a_placeholder(orders):
    hidden = [order for order in orders if order["customerEmailId"] == "nocxemail@walmartone.com"]
    assert 0 < len(hidden) < len(orders) / 10


def test_the_status_filter_finds_orders_with_some_unit_of_it(living, by_node):
    for status in ("Cancelled", "Acknowledged", "Delivered"):
        found = living.walmart_orders(f"{WEEK}&status={status}")
        wanted = [
            order["purchaseOrderId"] for order in by_node["SellerFulfilled"] if status in statuses(order)
        ]
        assert wanted
        assert [order["purchaseOrderId"] for order in found] == wanted


def test_an_order_that_leaves_the_window_shifts_the_pages_behind_it(launch):
    moving = launch("--clock", "2017-03-07T00:00:00Z", "--changes")
    window = "?lastModifiedStartDate=2017-03-06T00:00:00Z&lastModifiedEndDate=2017-03-06T23:59:59Z&limit=20"
    whole = [order["purchaseOrderId"] for order in moving.walmart_orders(window)]
    first = moving.walmart(window).json()["list"]
    moving.advance(3 * 86400)
    second = moving.walmart(first["meta"]["nextCursor"]).json()["list"]
    left = [order["purchaseOrderId"] for order in moving.walmart_orders(window)]
    assert second["meta"]["totalCount"] < first["meta"]["totalCount"]
    read = [order["purchaseOrderId"] for page in (first, second) for order in page["elements"]["order"]]
    missed = set(left[: left.index(read[-1])]) - set(read)
    assert missed
    assert missed <= set(whole)
    assert f"soIndex={first['meta']['totalCount']}&poIndex=40" in second["meta"]["nextCursor"]


def test_a_query_over_the_limit_ends_early_while_its_total_tells(launch):
    strict = launch("--clock", "2017-03-20T00:00:00Z", "--walmart-most-orders", "50")
    day = "?lastModifiedStartDate=2017-03-06T00:00:00Z&lastModifiedEndDate=2017-03-06T23:59:59Z"
    assert len(strict.walmart_orders(day + "&limit=20")) == 50
    page = strict.walmart(day + "&limit=200").json()["list"]
    assert len(page["elements"]["order"]) == 50
    assert page["meta"]["totalCount"] > 50
    assert page["meta"]["nextCursor"] is None


def test_both_shapes_of_an_error_occur(living):
    refusals = [living.walmart("?page=1").json() for _ in range(2)]
    assert {tuple(refusal) for refusal in refusals} == {("error",), ("errors",)}
    for refusal in refusals:
        [error] = refusal.get("error") or refusal["errors"]
        assert error["code"] == "INVALID_REQUEST.GMP_ORDER_API"
        assert error["field"] == "page"


def test_an_expired_token_is_a_400_or_a_401_in_turn(launch):
    strict = launch("--clock", "2017-03-20T00:00:00Z", "--changes", "--throttle")
    token = strict.walmart_token().json()["access_token"]
    names = set()
    for _ in range(2):
        headers = strict.walmart(WEEK, token).headers
        names |= {name.lower() for name in headers if "replenish" in name.lower()}
    assert names == {"x-next-replenish-time", "x-next-replenishment-time"}
    strict.advance(900)
    refusals = [strict.walmart(WEEK, token) for _ in range(4)]
    assert {refusal.status_code for refusal in refusals} == {400, 401}
    assert all("INVALID_TOKEN.GMP_GATEWAY_API" in refusal.text for refusal in refusals)


def test_living_answers_keep_to_walmarts_own_spec(living, specs, strict_schema):
    spec = json.loads((specs / "walmart" / "orders.nullable.json").read_text())
    answer = spec["paths"]["/v3/orders"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    for node in NODES:
        page = living.walmart(f"{WEEK}&shipNodeType={node}&replacementInfo=true").json()
        jsonschema.Draft4Validator(strict_schema(answer)).validate(page)


def test_money_of_living_orders_is_whole_cents(lines):
    amounts = [charge["chargeAmount"]["amount"] for _, line in lines for charge in line["charges"]["charge"]]
    assert all(amount == round(amount, 2) for amount in amounts)
    assert {type(amount) for amount in amounts} == {Decimal}
