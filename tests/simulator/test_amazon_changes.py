"""Amazon's orders that live on: what is hidden, cancelled, corrected, and how money beside the goods is written."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import jsonschema
import pytest

pytestmark = pytest.mark.slow

DAY = {"lastUpdatedAfter": "2017-03-06T00:00:00Z", "lastUpdatedBefore": "2017-03-12T23:59:59Z"}
FRESH = {"lastUpdatedAfter": "2017-03-19T00:00:00Z", "lastUpdatedBefore": "2017-03-19T23:57:00Z"}
ALL_DATA = "BUYER,PROCEEDS,FULFILLMENT,PACKAGES,CANCELLATION"


def cents(money):
    return int(Decimal(money["amount"]) * 100)


def written(item, kind):
    """The cents of a kind of proceeds that belong to the goods, as written."""
    total = 0
    for part in item["proceeds"]["breakdowns"]:
        if part["type"] == kind:
            details = part.get("detailedBreakdowns")
            goods = [cents(each["value"]) for each in details or [] if each["subtype"] == "ITEM"]
            total += sum(goods) if details else cents(part["subtotal"])
    return total


@pytest.fixture(scope="module")
def token(living):
    return living.amazon_token().json()["access_token"]


@pytest.fixture(scope="module")
def orders(living):
    return living.amazon_orders(**DAY, includedData=ALL_DATA)


@pytest.fixture(scope="module")
def items(orders):
    return [(order, item) for order in orders for item in order["orderItems"]]


@pytest.fixture(scope="module")
def truth(books):
    """The order as the model has it."""
    book = books["retailer_1"]
    now = int(datetime(2017, 3, 20, tzinfo=UTC).timestamp())
    return lambda order: book.order(book.position(int(order["orderId"])), now=now)


def test_goods_less_discount_is_the_net_of_what_was_kept(items, truth):
    priced = [(order, item) for order, item in items if "proceeds" in item and truth(order).cancelled is None]
    for order, item in priced:
        [line] = [line for line in truth(order).lines if line.line_id == item["orderItemId"]]
        if not line.is_cancelled:
            assert written(item, "ITEM") - abs(written(item, "DISCOUNT")) == line.kept_net
    assert len(priced) > 1_000


def test_a_discount_is_written_with_either_sign(items):
    discounts = [written(item, "DISCOUNT") for _, item in items if "proceeds" in item]
    assert min(discounts) < 0 < max(discounts)


def test_tax_and_shipping_come_beside_the_goods_and_are_in_the_total(items):
    kinds = set()
    for _, item in items:
        if "proceeds" in item:
            parts = {part["type"]: cents(part["subtotal"]) for part in item["proceeds"]["breakdowns"]}
            kinds |= parts.keys()
            discount = abs(parts.pop("DISCOUNT", 0))
            assert cents(item["proceeds"]["proceedsTotal"]) == sum(parts.values()) - discount
            for part in item["proceeds"]["breakdowns"]:
                details = part.get("detailedBreakdowns", [])
                assert sum(cents(each["value"]) for each in details) in (0, cents(part["subtotal"]))
    assert kinds == {"ITEM", "DISCOUNT", "TAX", "SHIPPING"}


def test_a_pending_order_has_no_money_at_all(living):
    orders = living.amazon_orders(**FRESH, includedData=ALL_DATA)
    pending = [order for order in orders if order["fulfillment"]["fulfillmentStatus"] == "PENDING"]
    assert pending
    for order in pending:
        assert not {"proceeds", "packages"} & order.keys()
        assert all("proceeds" not in item and "price" not in item["product"] for item in order["orderItems"])


def test_a_cancelled_order_says_so_and_has_units_but_none_to_ship(orders):
    cancelled = [order for order in orders if order["fulfillment"]["fulfillmentStatus"] == "CANCELLED"]
    assert len(cancelled) > 10
    items = [item for order in cancelled for item in order["orderItems"]]
    assert any(item["quantityOrdered"] > 0 for item in items)
    assert {"proceeds" in item for item in items} == {True, False}
    for item in items:
        assert item["cancellation"]["cancellationExecution"]["cancelledBy"]
        assert item["fulfillment"] == {"quantityFulfilled": 0, "quantityUnfulfilled": 0}


def test_a_line_cancelled_in_part_keeps_the_rest(items, truth):
    parts = [
        (order, item) for order, item in items if "cancellation" in item and truth(order).cancelled is None
    ]
    kept = {sum(item["fulfillment"].values()) for _, item in parts}
    assert 0 in kept
    assert max(kept) > 0
    assert all(sum(item["fulfillment"].values()) < item["quantityOrdered"] for _, item in parts)


def test_an_order_of_another_channel_has_no_marketplace_and_passes_every_filter(living, orders):
    elsewhere = [order for order in orders if order["salesChannel"]["channelName"] == "NON_AMAZON"]
    assert len(elsewhere) > 5
    assert all("marketplaceId" not in order["salesChannel"] for order in elsewhere)
    filtered = living.amazon_orders(**DAY, marketplaceIds="ATVPDKIKX0DER")
    assert len(filtered) == len(orders)


def test_a_replacement_names_its_original_and_costs_nothing(orders):
    replacements = [order for order in orders if "associatedOrders" in order]
    assert len(replacements) > 5
    for order in replacements:
        [original] = order["associatedOrders"]
        assert original["associationType"] == "REPLACEMENT_ORIGINAL_ID"
        assert original["orderId"] != order["orderId"]
        for item in order["orderItems"]:
            assert cents(item["proceeds"]["proceedsTotal"]) == 0


def test_the_status_filter_knows_each_status(living, orders):
    for status in ("SHIPPED", "UNSHIPPED", "CANCELLED"):
        found = living.amazon_orders(**DAY, fulfillmentStatuses=status, includedData="FULFILLMENT")
        wanted = [order for order in orders if order["fulfillment"]["fulfillmentStatus"] == status]
        assert [order["orderId"] for order in found] == [order["orderId"] for order in wanted]


def test_orders_that_move_while_pages_are_read_push_no_other_off_its_page(launch):
    moving = launch("--clock", "2017-03-14T00:00:00Z", "--changes")
    window = {**DAY, "maxResultsPerPage": 40}
    whole = [order["orderId"] for order in moving.amazon_orders(**DAY)]
    token, read = moving.amazon_token().json()["access_token"], []
    while True:
        body = moving.amazon(token, **window).json()
        read += [order["orderId"] for order in body["orders"]]
        if "pagination" not in body:
            break
        window["paginationToken"] = body["pagination"]["nextToken"]
        moving.advance(120)
    still = {order["orderId"] for order in moving.amazon_orders(**DAY)}
    assert len(still) < len(whole)
    assert len(set(read)) == len(read)
    assert still <= set(read) <= set(whole)


def test_a_paging_token_outlives_the_move_of_the_order_it_names(launch):
    moving = launch("--clock", "2017-03-07T00:00:00Z", "--changes")
    window = {"lastUpdatedAfter": "2017-03-06T00:00:00Z", "lastUpdatedBefore": "2017-03-06T23:00:00Z"}
    pages, query = [], {**window, "maxResultsPerPage": 1}
    token = moving.amazon_token().json()["access_token"]
    for _ in range(40):
        body = moving.amazon(token, **query).json()
        pages.append((body["orders"][0]["orderId"], body["pagination"]["nextToken"]))
        query["paginationToken"] = body["pagination"]["nextToken"]
    moving.advance(20 * 3600)
    left = [order["orderId"] for order in moving.amazon_orders(**window)]
    shown, next_token = next(page for page in pages if page[0] not in left)
    token = moving.amazon_token().json()["access_token"]
    after = moving.amazon(token, **window, maxResultsPerPage=1, paginationToken=next_token).json()
    assert after["orders"][0]["orderId"] in left
    assert shown not in left


def test_a_paging_token_is_good_for_a_day(launch):
    moving = launch("--clock", "2017-03-20T00:00:00Z")
    token = moving.amazon_token().json()["access_token"]
    first = moving.amazon(token, **DAY, maxResultsPerPage=1).json()
    moving.advance(24 * 3600 + 1)
    refusal = moving.amazon(**DAY, maxResultsPerPage=1, paginationToken=first["pagination"]["nextToken"])
    assert refusal.status_code == 400
    assert "expired" in refusal.json()["errors"][0]["message"]


def test_living_answers_keep_to_amazons_own_model(living, orders, specs):
    model = json.loads((specs / "amazon" / "orders_2026-01-01.json").read_text())
    for definition in model["definitions"].values():
        if "properties" in definition:
            definition["additionalProperties"] = False
    fresh = living.amazon_orders(**FRESH, includedData=ALL_DATA)
    schema = {**model, "$ref": "#/definitions/SearchOrdersResponse"}
    jsonschema.Draft4Validator(schema).validate({"orders": orders[:300] + fresh})
