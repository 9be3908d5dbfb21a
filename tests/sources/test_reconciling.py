"""How each service lists what was created in a window, and finds one order by its id."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from retail.errors import ExtractError, OutOfReachError
from retail.sources.service import Reconcilable
from retail.sources.window import Window

START, END = datetime(2017, 1, 5, 6, tzinfo=UTC), datetime(2017, 1, 6, 6, tzinfo=UTC)
# The overlap is for changes alone: nothing created in it belongs to the day.
WINDOW = Window(date(2017, 1, 5), START - timedelta(hours=24), END, timedelta(hours=24))
NOT_FOUND = {"errors": [{"code": "NotFound", "message": "no such order"}]}
NO_ORDERS = {"errors": [{"code": "CONTENT_NOT_FOUND.GMP_ORDER_API"}]}


def test_amazon_lists_by_creation_and_finds_an_order(open_at, scripted, reply):
    page = {"orders": [{"orderId": "1", "buyer": {"buyerEmail": "a@example.com"}}]}
    one = {"order": {"orderId": "2/x", "orderItems": []}}
    server = scripted(reply(body=page), reply(body=one), reply(404, NOT_FOUND))
    service = open_at("retailer_1", server.url)
    assert isinstance(service, Reconcilable)

    listed, refunds = service.created(WINDOW, None)
    found = [service.find(number) for number in ("2/x", "3")]

    assert ("a@example.com" in str(listed.answer), refunds.next_cursor) == (False, None)
    assert server.seen_transactions[0].query["postedAfter"] == "2017-01-05T06:00:00Z"
    assert found == [{"orders": [one["order"]]}, None]
    by_creation, by_id, _ = server.seen
    assert by_creation.query["createdAfter"] == "2017-01-05T06:00:00Z"
    assert by_creation.query["createdBefore"] == "2017-01-06T05:59:59.999Z"
    assert "lastUpdatedAfter" not in by_creation.query
    assert by_id.path.endswith("/orders/2%2Fx")


@pytest.mark.parametrize(
    "answer",
    [(404, {"message": "no route"}), (200, {}), (400, NOT_FOUND)],
)
def test_an_answer_that_does_not_say_that_there_is_no_such_order_is_an_error(
    open_at, scripted, reply, answer
):
    with pytest.raises(ExtractError):
        open_at("retailer_1", scripted(reply(*answer)).url).find("1")


def test_walmart_lists_orders_and_returns_by_creation_and_looks_in_every_kind_of_node(
    open_at, scripted, reply
):
    order = {"purchaseOrderId": "9", "orderLines": {"orderLine": []}}
    one = {"list": {"meta": {"totalCount": 1}, "elements": {"order": [order]}}}
    no = reply(404, NO_ORDERS)
    server = scripted(no, no, no, no, no, reply(body=one), no, no, no, no)
    service = open_at("retailer_2", server.url)

    [listed] = service.created(WINDOW, None)
    found = [service.find(number) for number in ("9", "8")]

    assert listed.next_cursor is None
    assert [each and each["list"]["elements"]["order"] for each in found] == [[order], None]
    dates = [
        {name: value for name, value in seen.query.items() if "Date" in name} for seen in server.seen[:4]
    ]
    whole = {"StartDate": "2017-01-05T06:00:00Z", "EndDate": "2017-01-06T06:00:00Z"}
    assert dates[:3] == [{f"created{name}": value for name, value in whole.items()}] * 3
    assert dates[3] == {f"returnCreation{name}": value for name, value in whole.items()}
    nodes = [(seen.query["purchaseOrderId"], seen.query["shipNodeType"]) for seen in server.seen[4:7]]
    assert nodes == [("9", "SellerFulfilled"), ("9", "WFSFulfilled"), ("9", "3PLFulfilled")]


def test_shopify_lists_by_creation_and_finds_an_order(open_at, scripted, reply):
    info = {"hasNextPage": True, "endCursor": "c1"}
    first = {"data": {"orders": {"pageInfo": info, "nodes": [{"id": "gid://shopify/Order/1"}]}}}
    last = {"data": {"orders": {"pageInfo": {"hasNextPage": False, "endCursor": None}, "nodes": []}}}
    one = {"data": {"order": {"id": "gid://shopify/Order/2"}}}
    server = scripted(*map(lambda body: reply(body=body), (first, last, one, {"data": {"order": None}})))
    service = open_at("retailer_3", server.url)

    page = next(service.created(WINDOW, None))
    list(service.created(WINDOW, page.next_cursor))
    found = [service.find(number) for number in ("2", "3")]

    assert found == [{"data": {"orders": {"nodes": [one["data"]["order"]]}}}, None]
    asked = [json.loads(seen.body)["variables"] for seen in server.seen]
    search = "created_at:>='2017-01-05T06:00:00Z' AND created_at:<'2017-01-06T06:00:00Z'"
    assert [(each["query"], each["after"]) for each in asked[:2]] == [(search, None), (search, "c1")]
    assert asked[2]["order"] == "gid://shopify/Order/2"


@pytest.mark.parametrize(
    ("retailer_id", "days"), [("retailer_1", 731), ("retailer_2", 178), ("retailer_3", 61)]
)
def test_a_day_of_which_the_retailer_no_longer_shows_every_order_is_not_compared(
    open_at, scripted, time, retailer_id, days
):
    start = time.now() - timedelta(days=days)
    window = Window(start.date(), start, start + timedelta(days=1))
    service = open_at(retailer_id, scripted().url)
    if retailer_id == "retailer_3":
        service._scopes = frozenset({"read_orders"})

    with pytest.raises(OutOfReachError):
        service.require_reach(window)

    later = Window(window.logical_date, start + timedelta(days=2), window.end + timedelta(days=2))
    service.require_reach(later)


def test_more_orders_in_a_day_than_shopify_pages_through_are_refused(open_at, scripted, reply):
    info = {"hasNextPage": True, "endCursor": "c1"}
    orders = [{"id": f"gid://shopify/Order/{number}"} for number in range(2)]
    server = scripted(reply(body={"data": {"orders": {"pageInfo": info, "nodes": orders}}}))

    with pytest.raises(ExtractError):
        list(
            open_at("retailer_3", server.url, options={"page_size": 2, "most_objects": 4}).created(
                WINDOW, '{"since": "2017-01-05T06:00:00Z", "after": "c0", "seen": 2, "by_creation": true}'
            )
        )
