"""Amazon's Finances v2024-06-19 as the simulator plays it: the list, and what became of the money."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import jsonschema
import pytest

pytestmark = pytest.mark.slow

WEEK = {"postedAfter": "2017-03-06T00:00:00Z", "postedBefore": "2017-03-13T00:00:00Z"}
DAY = {"postedAfter": "2017-03-06T00:00:00Z", "postedBefore": "2017-03-07T00:00:00Z"}
NOW = int(datetime(2017, 3, 20, tzinfo=UTC).timestamp())


@pytest.fixture(scope="module")
def token(living):
    return living.amazon_token().json()["access_token"]


@pytest.fixture(scope="module")
def transactions(living):
    return living.amazon_transactions(**WEEK)


@pytest.fixture(scope="module")
def refunds(transactions):
    return [one for one in transactions if one["transactionType"] == "Refund"]


@pytest.fixture(scope="module")
def truth(books):
    """The order of a transaction as the model has it."""
    book = books["retailer_1"]
    return lambda one: book.order(book.position(int(related(one)["ORDER_ID"])), now=NOW)


def related(one):
    return {
        each["relatedIdentifierName"]: each["relatedIdentifierValue"] for each in one["relatedIdentifiers"]
    }


def ids(found):
    return [one["transactionId"] for one in found]


def cents(money):
    assert money["currencyCode"] == "USD"
    return int(money["currencyAmount"] * 100)


def leaves(breakdowns):
    """Cents by name of what is not broken down any further; fees are left whole."""
    sums = Counter()
    for one in breakdowns:
        parts = one["breakdowns"] if one["breakdownType"] != "AmazonFees" else None
        sums.update(leaves(parts) if parts else {one["breakdownType"]: cents(one["breakdownAmount"])})
    return sums


def goods(item):
    parts = leaves(item["breakdowns"])
    return parts["OurPricePrincipal"] + parts["OurPriceDiscount"]


def test_without_a_token_or_with_an_unknown_one_it_is_denied(living):
    missing = living.get("/finances/2024-06-19/transactions", params=DAY)
    unknown = living.amazon_transactions_page("Atza|unknown", **DAY)
    assert (missing.status_code, unknown.status_code) == (403, 403)
    assert missing.json()["errors"][0]["code"] == unknown.json()["errors"][0]["code"] == "Unauthorized"


def test_ten_requests_pass_at_once_and_then_one_every_two_seconds(throttled):
    token = throttled.amazon_token().json()["access_token"]
    answers = [throttled.amazon_transactions_page(token, **DAY) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert answers[0].headers["x-amzn-RateLimit-Limit"] == "0.5"
    assert answers[10].json()["errors"][0]["code"] == "QuotaExceeded"
    assert "x-amzn-RateLimit-Limit" not in answers[10].headers
    throttled.advance(2)
    assert throttled.amazon_transactions_page(token, **DAY).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"postedBefore": "2017-03-07T00:00:00Z"},
        {"postedAfter": "2017-03-19T23:58:00Z"},
        {"postedAfter": "2017-03-06T00:00:00Z", "postedBefore": "2017-03-19T23:58:00Z"},
        {"postedAfter": "2017-03-06T00:00:00Z", "postedBefore": "2017-03-06T00:00:00Z"},
        {"postedAfter": "2017-03-06T00:00:00+00:00"},
        {**DAY, "transactionStatus": "Released"},
        {**DAY, "relatedIdentifierName": "REFUND_ID", "relatedIdentifierValue": "1"},
        {**DAY, "relatedIdentifierName": "ORDER_ID"},
        {"relatedIdentifierValue": "1"},
        {**DAY, "nextToken": "no-token-of-ours"},
        {**DAY, "pageSize": "100"},
    ],
)
def test_a_query_outside_the_rules_is_invalid_input(living, token, query):
    refusal = living.amazon_transactions_page(token, **query)
    assert refusal.status_code == 400
    assert refusal.json()["errors"][0]["code"] == "InvalidInput"


def test_the_beginning_of_a_window_belongs_to_it_and_its_end_does_not(living, transactions):
    at = datetime.fromisoformat(transactions[0]["postedDate"])
    seconds = [f"{at + timedelta(seconds=n):%Y-%m-%dT%H:%M:%SZ}" for n in (-1, 0, 1)]
    before = living.amazon_transactions(postedAfter=seconds[0], postedBefore=seconds[1])
    its_own = living.amazon_transactions(postedAfter=seconds[1], postedBefore=seconds[2])
    assert transactions[0]["transactionId"] not in ids(before)
    assert transactions[0]["transactionId"] in ids(its_own)


def test_without_an_end_the_list_goes_up_to_two_minutes_before_its_first_page(launch):
    moving = launch("--clock", "2017-03-19T12:00:00Z", "--changes", "--speed", "0")
    token, listed = moving.amazon_token().json()["access_token"], []
    query = {"postedAfter": "2017-03-19T02:00:00Z"}
    for _ in range(20):
        payload = moving.amazon_transactions_page(token, **query).json()["payload"]
        listed += [one["postedDate"] for one in payload["transactions"]]
        if payload["nextToken"] is None:
            break
        query["nextToken"] = payload["nextToken"]
        moving.advance(120)
    assert "2017-03-19T11" < max(listed) < "2017-03-19T11:58:00Z"


def test_more_than_180_days_are_answered_with_nothing_in_silence(living, token):
    longest = {"postedAfter": "2016-09-20T23:57:00Z", "postedBefore": "2017-03-19T23:57:00Z"}
    too_long = {**longest, "postedBefore": "2017-03-19T23:57:01Z"}
    assert living.amazon_transactions_page(token, **longest).json()["payload"]["nextToken"]
    for query in (too_long, {"postedAfter": "2016-09-20T23:57:00Z"}):
        answer = living.amazon_transactions_page(token, **query)
        assert answer.status_code == 200
        assert answer.json() == {"payload": {"transactions": [], "nextToken": None}}


def test_with_a_marketplace_what_the_merchant_fulfilled_is_left_out_in_silence(living, transactions):
    found = living.amazon_transactions(**WEEK, marketplaceId="ATVPDKIKX0DER")
    assert {one["transactionType"] for one in found} == {
        "ServiceFee",
        "FBAInventoryReimbursement",
        "Transfer",
    }
    assert ids(found) == [one["transactionId"] for one in transactions if "ORDER_ID" not in related(one)]
    assert living.amazon_transactions(**WEEK, marketplaceId="A2EUQ1WTGCTBG2") == []


def test_pages_bring_every_transaction_once_and_some_are_empty_before_the_last(living, token, transactions):
    pages, query = [], dict(WEEK)
    while query:
        payload = living.amazon_transactions_page(token, **query).json()["payload"]
        pages.append(payload["transactions"])
        query = {**WEEK, "nextToken": payload["nextToken"]} if payload["nextToken"] else {}
    sizes = [len(page) for page in pages]
    assert max(sizes) <= 100
    assert 0 in sizes[:-1]
    read = [one for page in pages for one in page]
    assert ids(read) == ids(transactions)
    assert len(set(ids(read))) == len(read) > 800
    assert [one["postedDate"] for one in read] == sorted(one["postedDate"] for one in read)


def test_a_token_wants_the_same_arguments(living, token):
    first = living.amazon_transactions_page(token, **WEEK).json()["payload"]["nextToken"]
    again = living.amazon_transactions_page(token, **WEEK, nextToken=first)
    others = [
        living.amazon_transactions_page(token, nextToken=first),
        living.amazon_transactions_page(token, **DAY, nextToken=first),
        living.amazon_transactions_page(token, **WEEK, transactionStatus="RELEASED", nextToken=first),
    ]
    assert [again.status_code, *(one.status_code for one in others)] == [200, 400, 400, 400]


def test_the_three_states_share_the_list(living):
    window = {"postedAfter": "2017-03-14T00:00:00Z", "postedBefore": "2017-03-17T00:00:00Z"}
    transactions = living.amazon_transactions(**window)
    states = ("DEFERRED", "RELEASED", "DEFERRED_RELEASED")
    found = {state: living.amazon_transactions(**window, transactionStatus=state) for state in states}
    for state, some in found.items():
        assert {one["transactionStatus"] for one in some} == {state}
    assert sorted(ids(found["RELEASED"] + found["DEFERRED"] + found["DEFERRED_RELEASED"])) == sorted(
        ids(transactions)
    )


def test_an_order_or_a_group_is_found_without_any_date(living, transactions, refunds):
    order_id = related(refunds[0])["ORDER_ID"]
    of_order = living.amazon_transactions(relatedIdentifierName="ORDER_ID", relatedIdentifierValue=order_id)
    assert {"Shipment", "Refund"} <= {one["transactionType"] for one in of_order}
    assert {related(one)["ORDER_ID"] for one in of_order} == {order_id}
    group = related(transactions[0])["FINANCIAL_EVENT_GROUP_ID"]
    asked = {"relatedIdentifierName": "FINANCIAL_EVENT_GROUP_ID", "relatedIdentifierValue": group}
    of_group = living.amazon_transactions(**asked)
    assert {related(one)["FINANCIAL_EVENT_GROUP_ID"] for one in of_group} == {group}
    assert transactions[0]["transactionId"] in ids(of_group)
    for name in ("ORDER_ID", "FINANCIAL_EVENT_GROUP_ID"):
        nothing = living.amazon_transactions(relatedIdentifierName=name, relatedIdentifierValue="none")
        assert nothing == []


def test_orders_that_stay_as_sold_have_no_transactions(simulator):
    assert simulator.amazon_transactions(**WEEK) == []


def test_answers_keep_to_amazons_own_model(living, token, transactions, refunds, specs):
    model = json.loads((specs / "amazon" / "finances_2024-06-19.json").read_text())
    for name in (
        "Transaction",
        "Item",
        "Breakdown",
        "Currency",
        "RelatedIdentifier",
        "ItemRelatedIdentifier",
    ):
        model["definitions"][name]["additionalProperties"] = False
    # Real answers have null in optional fields, as the one that Airbyte recorded.
    model = with_null(model)
    page = living.amazon_transactions_page(token, **DAY, transactionStatus="DEFERRED_RELEASED").json()
    refusal = living.amazon_transactions_page(token).json()
    some = [*{one["transactionType"]: one for one in transactions}.values(), *refunds[:20]]
    sample = {"payload": {"transactions": json.loads(json.dumps(some, default=float))}}
    lists = "ListTransactionsResponse"
    for answer, name in [(sample, lists), (page, lists), (refusal, "ErrorList")]:
        jsonschema.Draft4Validator({**model, "$ref": f"#/definitions/{name}"}).validate(answer)


def with_null(schema):
    """The same schema; each property may be null too."""
    if isinstance(schema, list):
        return [with_null(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    looser = {name: with_null(part) for name, part in schema.items()}
    if isinstance(properties := looser.get("properties"), dict):
        looser["properties"] = {
            name: {"anyOf": [part, {"type": "null"}]} for name, part in properties.items()
        }
    return looser


def test_every_order_sent_is_one_shipment_with_the_goods_and_tax_that_the_order_has(
    transactions, truth, living
):
    shipments = {
        related(one)["ORDER_ID"]: one for one in transactions if one["transactionType"] == "Shipment"
    }
    orders = living.amazon_orders(
        createdAfter="2017-03-07T00:00:00Z",
        createdBefore="2017-03-07T23:59:59Z",
        includedData="FULFILLMENT,PROCEEDS",
    )
    compared = 0
    for order in orders:
        sent = order["fulfillment"]["fulfillmentStatus"] == "SHIPPED"
        if not sent or order["salesChannel"]["channelName"] == "NON_AMAZON":
            assert order["orderId"] not in shipments
        elif order["orderId"] in shipments:  # some are listed late, or sent in the week after
            compared += 1
            shipment = shipments[order["orderId"]]
            assert (shipment["description"], shipment["transactionStatus"]) == ("Order Payment", "RELEASED")
            lines = [line for line in truth(shipment).lines if not line.is_cancelled]
            assert [goods(item) for item in shipment["items"]] == [line.kept_net for line in lines]
            units = [item["contexts"][0]["quantityShipped"] for item in shipment["items"]]
            assert units == [line.kept_quantity for line in lines]
            tax = sum(leaves(item["breakdowns"])["OurPriceTax"] for item in shipment["items"])
            assert tax == sum(taxes_of_goods(order))
    assert compared > 80


def taxes_of_goods(order):
    for item in order["orderItems"]:
        cancelled = not sum(item["fulfillment"].values()) and item["quantityOrdered"]
        for part in () if cancelled else item["proceeds"]["breakdowns"]:
            if part["type"] == "TAX":
                details = part.get("detailedBreakdowns", [{"subtype": "ITEM", "value": part["subtotal"]}])
                yield from (
                    int(Decimal(one["value"]["amount"]) * 100) for one in details if one["subtype"] == "ITEM"
                )


def test_a_refund_is_the_returned_part_of_the_sale(refunds, truth):
    seen = Counter()
    for refund in refunds:
        at = datetime.fromisoformat(refund["postedDate"]).timestamp()
        order, is_release = truth(refund), "DEFERRED_TRANSACTION_ID" in related(refund)
        returns = [one for one in order.returns if is_release or one.returned == at]
        returns = [
            one
            for one in returns
            if one.line.product.sku in [item["contexts"][0]["sku"] for item in refund["items"]]
        ]
        assert related(refund)["REFUND_ID"] == returns[0].return_id
        assert refund["description"] == "Refund Order"
        assert len(returns) == len(refund["items"])
        for one, item in zip(returns, refund["items"], strict=True):
            [context] = item["contexts"]
            assert context["sku"] == one.line.product.sku
            assert context.get("quantityShipped") in (None, one.quantity)
            seen["money only" if "quantityShipped" not in context else "goods"] += 1
            seen["part" if one.quantity < one.line.quantity else "whole"] += 1
            if item["breakdowns"] is None:
                parts = leaves(refund["breakdowns"])
                discounts = parts["PromoRebates"] + parts["PromotionalRebates"]
                assert parts["ProductCharges"] + discounts == -one.net
                seen["summed up"] += 1
            else:
                assert goods(item) == -one.net
                assert leaves(item["breakdowns"])["OurPriceDiscount"] == one.discount
            seen["discounted"] += one.discount > 0
        seen["several"] += len(returns) > 1
    assert (
        min(
            seen[kind]
            for kind in ("goods", "money only", "part", "whole", "summed up", "discounted", "several")
        )
        > 1
    )


def test_amounts_add_up_from_the_parts_to_the_whole(transactions):
    def check(breakdowns, total):
        assert sum(cents(one["breakdownAmount"]) for one in breakdowns) == total
        for one in breakdowns:
            if one["breakdowns"]:
                check(one["breakdowns"], cents(one["breakdownAmount"]))

    for one in transactions:
        check(one["breakdowns"], cents(one["totalAmount"]))
        if one["items"]:
            assert sum(cents(item["totalAmount"]) for item in one["items"]) == cents(one["totalAmount"])
        for item in one["items"]:
            if item["breakdowns"] is not None:
                check(item["breakdowns"], cents(item["totalAmount"]))


def test_what_is_no_sale_comes_between(transactions):
    by_kind = {one["transactionType"]: one for one in transactions}
    assert by_kind.keys() == {
        "Shipment", "Refund", "Retrocharge", "ServiceFee", "FBAInventoryReimbursement", "Transfer",
    }  # fmt: skip
    [lost] = by_kind["FBAInventoryReimbursement"]["items"]
    assert lost["breakdowns"] is None
    assert leaves(by_kind["FBAInventoryReimbursement"]["breakdowns"])["FBAInventoryReimbursement"] > 0
    [corrected] = by_kind["Retrocharge"]["items"]
    assert leaves(corrected["breakdowns"]).keys() == {"BaseTax", "MarketplaceFacilitatorTax-Principal"}


def test_an_item_has_an_id_that_is_not_the_order_items(transactions, truth):
    items = [(one, item) for one in transactions if "ORDER_ID" in related(one) for item in one["items"]]
    for one, item in items:
        [known] = item["relatedIdentifiers"]
        assert known["itemRelatedIdentifierName"] == "ORDER_ADJUSTMENT_ITEM_ID"
        assert known["itemRelatedIdentifierValue"] not in {line.line_id for line in truth(one).lines}


def test_a_deferred_refund_is_released_by_a_second_transaction_that_names_it(launch):
    moving = launch("--clock", "2017-03-08T00:00:00Z", "--changes", "--speed", "0")
    window = {"postedAfter": "2017-03-06T00:00:00Z", "postedBefore": "2017-03-07T23:00:00Z"}
    waiting = moving.amazon_transactions(**window, transactionStatus="DEFERRED")
    assert waiting
    for one in waiting:
        assert one["contexts"][0]["contextType"] == "DeferredContext"
        assert "RELEASE_TRANSACTION_ID" not in related(one)
    moving.advance(9 * 86400)
    for one in waiting:
        asked = {"relatedIdentifierName": "ORDER_ID", "relatedIdentifierValue": related(one)["ORDER_ID"]}
        later = {each["transactionId"]: each for each in moving.amazon_transactions(**asked)}
        now = later[one["transactionId"]]
        release = later[related(now)["RELEASE_TRANSACTION_ID"]]
        assert (now["transactionStatus"], release["transactionStatus"]) == ("DEFERRED_RELEASED", "RELEASED")
        assert related(release)["DEFERRED_TRANSACTION_ID"] == one["transactionId"]
        assert release["postedDate"] > now["postedDate"] == one["postedDate"]
        assert (release["items"], release["totalAmount"]) == (one["items"], one["totalAmount"])


def test_some_transactions_come_into_the_list_up_to_two_days_late(launch):
    moving = launch("--clock", "2017-03-07T00:03:00Z", "--changes", "--speed", "0")
    lists = []
    for _ in range(3):
        lists.append(set(ids(moving.amazon_transactions(**DAY))))
        moving.advance(86400)
    assert lists[0] < lists[1] < lists[2]
    moving.advance(10 * 86400)
    assert set(ids(moving.amazon_transactions(**DAY))) == lists[2]


def test_a_refund_does_not_move_its_order(refunds, books):
    book = books["retailer_1"]
    for refund in refunds:
        position = book.position(int(related(refund)["ORDER_ID"]))
        at = datetime.fromisoformat(refund["postedDate"]).timestamp()
        assert book.updated(position, now=at) == book.updated(position, now=at - 1) < at
