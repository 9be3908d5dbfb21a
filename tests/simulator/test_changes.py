"""Orders that live on after their sale: the model that all three retailers render."""

from datetime import UTC, datetime

import pytest

from retail_simulator.changes import DAY
from retail_simulator.gtin import check_digit, gtin_of
from retail_simulator.sales import RETAILERS, load

MONDAY = int(datetime(2017, 3, 6, tzinfo=UTC).timestamp())
FIRST = int(datetime(2017, 1, 1, tzinfo=UTC).timestamp())


@pytest.fixture(scope="module")
def plain():
    return load()


def stories(order):
    """The names of what has happened to an order."""
    told = {order.kind} - {"regular"}
    if order.cancelled is not None:
        told.add("cancelled")
    elif any(line.cancelled_quantity for line in order.lines):
        told.add("partly cancelled")
    if order.returns:
        told.add("returned")
    if any(line.gift_card for line in order.lines):
        told.add("gift card")
    if any(line.added for line in order.lines):
        told.add("edited")
    return told


@pytest.mark.parametrize(
    ("retailer", "wanted"),
    [
        ("retailer_1", {"cancelled", "partly cancelled", "returned", "elsewhere", "replacement"}),
        ("retailer_2", {"cancelled", "partly cancelled", "returned", "replacement"}),
        ("retailer_3", {"cancelled", "partly cancelled", "returned", "test", "gift card", "edited"}),
    ],
)
def test_nearly_every_day_has_every_kind_of_history(books, retailer, wanted):
    book = books[retailer]
    seen = []
    for day in range(20, 80):
        positions = book.created_between(FIRST + day * DAY, FIRST + (day + 1) * DAY - 1)
        seen.append(set().union(*(stories(book.order(position)) for position in positions)))
    assert set().union(*seen) == wanted
    for story in wanted:
        assert sum(story in day for day in seen) > 0.8 * len(seen), story


def test_some_orders_are_not_priced_for_some_hours(books):
    book = books["retailer_1"]
    sold = book.created_between(MONDAY, MONDAY + DAY - 1)
    pending = [position for position in sold if book.order(position, now=MONDAY + DAY).kind == "pending"]
    assert 1 <= len(pending) <= 6
    assert {book.order(position, now=MONDAY + 2 * DAY).kind for position in pending} == {"regular"}


@pytest.mark.parametrize("retailer", RETAILERS)
def test_at_its_sale_an_order_is_what_was_sold(books, plain, retailer):
    book, sold = books[retailer], plain[retailer]
    for position in sold.created_between(MONDAY, MONDAY + DAY - 1):
        was, order = sold.order(position), book.order(position, now=sold.updated(position))
        assert (order.created, order.updated) == (was.created, was.created)
        assert (order.cancelled, order.returns) == (None, ())
        assert not any(line.cancelled_quantity for line in order.lines)
        if order.kind != "replacement" and len(order.lines) == len(was.lines):
            assert order.net == was.net


@pytest.mark.parametrize("retailer", RETAILERS)
def test_an_order_is_in_the_window_of_its_last_change_alone(books, retailer):
    book = books[retailer]
    for now in (MONDAY + DAY, MONDAY + 3 * DAY, MONDAY + 30 * DAY):
        windows = [
            book.updated_between(start, start + DAY - 1, now=now)
            for start in range(FIRST - 5 * DAY, now + 1, DAY)
        ]
        met = [position for window in windows for position in window]
        assert sorted(met) == list(book.created_between(FIRST - 5 * DAY, now))
        keys = [(book.updated(position, now=now), book.number(position)) for position in met]
        assert keys == sorted(keys)


def test_an_order_that_changes_moves_to_its_change(books):
    book = books["retailer_2"]
    sold = book.created_between(MONDAY, MONDAY + DAY - 1)
    at_once = book.updated_between(MONDAY, MONDAY + DAY - 1, now=MONDAY + DAY - 1)
    later = book.updated_between(MONDAY, MONDAY + DAY - 1, now=MONDAY + 30 * DAY)
    moved = set(at_once) - set(later)
    assert set(sold) <= set(at_once)
    assert len(moved) > len(sold) / 10
    assert all(book.updated(position, now=MONDAY + 30 * DAY) >= MONDAY + DAY for position in moved)


@pytest.mark.parametrize("retailer", RETAILERS)
def test_shares_of_a_line_are_whole_cents(books, retailer):
    book = books[retailer]
    parts = 0
    for position in range(0, 20_000):
        order = book.order(position)
        for line in order.lines:
            if line.cancelled_quantity:
                assert line.kept_net * line.quantity == line.net * line.kept_quantity
                assert line.kept_discount * line.quantity == line.discount * line.kept_quantity
                parts += not line.is_cancelled and order.cancelled is None
        for one in order.returns:
            assert 0 < one.quantity <= one.line.quantity
            assert one.net * one.line.quantity == one.line.net * one.quantity
            assert one.discount * one.line.quantity == one.line.discount * one.quantity
            assert (one.net % one.quantity, one.discount % one.quantity) == (0, 0)
            assert one.line in order.lines
            parts += one.quantity < one.line.quantity
    assert parts > 100


def test_a_correction_changes_the_discount_not_the_price(books, plain):
    book, sold = books["retailer_1"], plain["retailer_1"]
    corrected = 0
    for position in sold.created_between(MONDAY, MONDAY + DAY - 1):
        was, order = sold.order(position), book.order(position)
        if order.kind == "regular" and order.net != was.net:
            corrected += 1
            assert [line.gross for line in order.lines] == [line.gross for line in was.lines]
            assert order.updated > order.created
    assert corrected > 3


def test_an_invented_gtin_has_fourteen_digits_and_the_right_check_digit():
    gtin = gtin_of("1082185")
    assert len(gtin) == 14
    assert check_digit(gtin[:-1]) == gtin[-1]
    assert check_digit("400638133393") == "1"
    assert check_digit("03600029145") == "2"
