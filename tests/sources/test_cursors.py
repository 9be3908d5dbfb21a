"""A cursor that is none never passes for the last page: with each retailer, in each of its lists."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from retail.errors import BadCursorError
from retail.sources.cursors import LONGEST, SeenCursors, next_cursor
from retail.sources.window import Window

WINDOW = Window(date(2017, 1, 5), datetime(2017, 1, 5, 8, tzinfo=UTC), datetime(2017, 1, 6, 8, tzinfo=UTC))
NO_CURSOR = {
    "an object": {"value": "abc"},
    "a list": ["abc"],
    "a number": 7,
    "true": True,
    "empty": "",
    "blank": "  ",
    "with a line break": "abc\r\nHost: evil.example.com",
    "too long": "x" * (LONGEST + 1),
}
wrong = pytest.mark.parametrize("cursor", NO_CURSOR.values(), ids=NO_CURSOR)
around = pytest.mark.parametrize("around", ["abc", ["abc"], 7, True], ids=["text", "list", "number", "true"])


def orders(cursor):
    return {"orders": [{"orderId": "1"}], "pagination": {"nextToken": cursor}}


def walmart(cursor, *, entries=1):
    meta = {"totalCount": 9, "limit": 200, "nextCursor": cursor}
    return {"list": {"meta": meta, "elements": {"order": [{"purchaseOrderId": "1"}] * entries}}}


def shopify(cursor, *, more=True):
    info = {"hasNextPage": more, "endCursor": cursor}
    return {"data": {"orders": {"pageInfo": info, "nodes": [{"id": "1"}]}}}


def read(open_at, retailer_id, server):
    return list(open_at(retailer_id, server.url, options={"bulk_from_orders": 0} if retailer_id == "retailer_3" else {})
                .pages(WINDOW, None))  # fmt: skip


@wrong
def test_of_amazon_s_orders(scripted, reply, open_at, cursor):
    with pytest.raises(BadCursorError):
        read(open_at, "retailer_1", scripted(reply(body=orders(cursor))))


@wrong
@pytest.mark.parametrize("inside", [True, False], ids=["in payload", "at the top"])
def test_of_amazon_s_transactions(scripted, reply, open_at, cursor, inside):
    found = {"transactions": [{"transactionId": "1"}]}
    body = {"payload": {**found, "nextToken": cursor}} if inside else {"payload": found, "nextToken": cursor}

    with pytest.raises(BadCursorError):
        read(open_at, "retailer_1", scripted(reply(body={"orders": []}), transactions=[reply(body=body)]))


@wrong
def test_of_walmart_s_orders(scripted, reply, open_at, cursor):
    with pytest.raises(BadCursorError):
        read(open_at, "retailer_2", scripted(reply(body=walmart(cursor))))


@pytest.mark.parametrize(
    "cursor",
    [each for name, each in NO_CURSOR.items() if name != "empty"],
    ids=[n for n in NO_CURSOR if n != "empty"],
)
def test_of_walmart_s_returns_where_the_empty_text_is_the_end(scripted, reply, open_at, cursor):
    nothing = reply(404, {"error": [{"code": "CONTENT_NOT_FOUND.GMP_ORDER_API"}]})
    page = {
        "meta": {"totalCount": 2, "limit": 200, "nextCursor": cursor},
        "returnOrders": [{"returnOrderId": "1"}],
    }

    with pytest.raises(BadCursorError):
        read(open_at, "retailer_2", scripted(nothing, nothing, nothing, reply(body=page)))


@wrong
def test_of_shopify_s_orders(scripted, reply, open_at, cursor):
    with pytest.raises(BadCursorError):
        read(open_at, "retailer_3", scripted(reply(body=shopify(cursor))))


@pytest.mark.parametrize("more", ["true", 1, None, {}])
def test_of_shopify_s_word_that_there_is_more(scripted, reply, open_at, more):
    with pytest.raises(BadCursorError):
        read(open_at, "retailer_3", scripted(reply(body=shopify("c", more=more))))


@around
def test_what_should_hold_the_cursor_is_an_object_or_is_left_out(scripted, reply, open_at, around):
    of_amazon = {"orders": [{"orderId": "1"}], "pagination": around}
    of_shopify = {"data": {"orders": {"pageInfo": around, "nodes": [{"id": "1"}]}}}

    for retailer_id, body in (("retailer_1", of_amazon), ("retailer_3", of_shopify)):
        with pytest.raises(BadCursorError):
            read(open_at, retailer_id, scripted(reply(body=body)))


def test_a_token_of_orders_cannot_jump_to_the_transactions(scripted, reply, open_at):
    with pytest.raises(BadCursorError):
        read(open_at, "retailer_1", scripted(reply(body=orders("transactions:"))))


def test_a_cursor_that_comes_again_is_an_error_by_name(scripted, reply, open_at):
    pages = [reply(body={**orders(f"t{n % 2}"), "n": n, "orders": [{"orderId": n}]}) for n in range(9)]

    with pytest.raises(BadCursorError):
        read(open_at, "retailer_1", scripted(*pages))


def test_walmart_s_cursor_that_leads_in_circles_is_an_error_by_name(scripted, reply, open_at):
    pages = (reply(body=walmart(f"?n={n % 2}", entries=150 + n % 2)) for n in range(99))
    server = scripted(endless=pages)

    with pytest.raises(BadCursorError):
        read(open_at, "retailer_2", server)

    assert len(server.seen) < 9


def test_walmart_s_pages_that_are_empty_without_end_are_an_error_by_name(scripted, reply, open_at):
    server = scripted(endless=(reply(body=walmart(f"?n={n}", entries=0)) for n in range(99)))

    with pytest.raises(BadCursorError):
        read(open_at, "retailer_2", server)

    assert len(server.seen) == 1


def test_the_end_is_null_or_nothing_at_all():
    for body in ({}, {"a": None}, {"a": {}}, {"a": {"b": None}}):
        assert next_cursor(body, "a", "b", retailer_id="r") is None
    assert next_cursor({"a": {"b": "c"}}, "a", "b", retailer_id="r") == "c"


def test_a_list_within_an_answer_has_an_end():
    seen = SeenCursors("r", "the lines of an order")

    with pytest.raises(BadCursorError):
        for number in range(10_000):
            seen.new(str(number))
