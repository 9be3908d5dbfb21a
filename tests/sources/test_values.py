"""Values as retailers send them: JSON, money, timestamps. Their doctests run here too."""

import doctest
import importlib
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from retail.sources.values import money, timestamps
from retail.sources.values.json_path import dump, parse, text


@pytest.mark.parametrize("name", ["json_path", "money", "timestamps"])
def test_the_examples_in_the_docstrings_are_true(name):
    result = doctest.testmod(importlib.import_module(f"retail.sources.values.{name}"))

    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    "digits",
    ["0.1", "37.50", "-0.00", "1E+5", "1e-7", "12345678901234567890.123456789012345678", "1" * 5000],
)
def test_a_number_comes_out_of_a_payload_with_the_digits_it_came_in_with(digits):
    once = parse(f'{{"amount":{digits}}}')

    assert parse(dump(once)) == once
    assert str(once["amount"] if len(digits) < 5000 else Decimal(digits)) == str(Decimal(digits))


def test_nan_and_numbers_too_large_for_anything_stay_text_and_cost_no_page():
    answer = parse('{"a": NaN, "b": 1e99999999999999999999, "c": "x"}')

    assert dump(answer) == '{"a":"NaN","b":"1e99999999999999999999","c":"x"}'


@pytest.mark.parametrize("body", [b"", b'{"orders": [', b"<html>", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_whole_json_is_a_value_error(body):
    with pytest.raises(ValueError):
        parse(body)


def test_text_is_only_what_can_be_written():
    assert text({"sku": 4711}, "sku") == "4711"
    assert text({"sku": "  "}, "sku") is None
    assert text({"sku": True}, "sku") is None
    assert text({"sku": ["a"]}, "sku") is None
    assert text(parse('"\\ud800x"')) == "?x"


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_an_amount_that_was_not_sent_is_none(nothing):
    assert money.number(nothing) is None


@pytest.mark.parametrize(
    "wrong", ["NaN", "free", "1,5", "1_000", "٣", True, [], {}, Decimal("Infinity"), 10**40]
)
def test_an_amount_that_is_no_number_is_nan_and_makes_the_sum_nan(wrong):
    assert money.plain(money.number(wrong)) == "NaN"
    assert money.plain(money.total([Decimal(1), money.number(wrong)])) == "NaN"


def test_amounts_are_added_without_a_float():
    assert money.total([Decimal("0.1"), Decimal("0.2")]) == Decimal("0.3")


@pytest.mark.parametrize(
    ("given", "gross", "quantity", "price"),
    [
        ("19.99", "39.98", "2", "19.99"),
        ("3.33", "10.00", "3", "3.3333"),
        (None, "10.00", "3", "3.3333"),
        (None, "0.02", "89638", "0"),
        (None, "2", "3", "0.6667"),
        ("5.00", "5.00", "0", None),
        ("5.00", None, "1", None),
        ("5.00", "NaN", "1", None),
        ("NaN", "5.00", "2", "2.5"),
    ],
)
def test_the_unit_price_is_the_retailers_where_exact_else_to_four_places(given, gross, quantity, price):
    found = money.unit_price(given, gross=money.number(gross), quantity=money.number(quantity))

    assert money.plain(found) == price


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2017-01-05T10:00:00Z", "2017-01-05T10:00:00.000000Z"),
        ("2017-01-05T10:00:00.123Z", "2017-01-05T10:00:00.123000Z"),
        ("2017-01-05T10:00:00-08:00", "2017-01-05T18:00:00.000000Z"),
        ("2017-01-05T10:00:00", "2017-01-05T10:00:00"),
        ("yesterday", "yesterday"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
        (1483610400000, "1483610400000"),
        (None, None),
        ([], None),
    ],
)
def test_an_iso_time_becomes_utc_and_what_is_none_stays_for_the_quarantine_to_show(sent, kept):
    assert timestamps.from_iso(sent) == kept


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (1483610400000, "2017-01-05T10:00:00.000000Z"),
        (1483610400123, "2017-01-05T10:00:00.123000Z"),
        ("2017-01-05", "2017-01-05"),
        (10**30, str(10**30)),
        (True, None),
        (None, None),
    ],
)
def test_milliseconds_become_utc_and_what_is_none_stays_for_the_quarantine_to_show(sent, kept):
    assert timestamps.from_milliseconds(sent) == kept


def test_the_business_date_is_the_one_on_the_retailers_calendar():
    los_angeles = ZoneInfo("America/Los_Angeles")

    assert timestamps.business_date("2017-01-05T07:59:59.999999Z", los_angeles) == "2017-01-04"
    assert timestamps.business_date("2017-01-05T08:00:00.000000Z", los_angeles) == "2017-01-05"
    assert timestamps.business_date("yesterday", los_angeles) is None
    assert timestamps.business_date("0001-01-01T00:00:00.000000Z", los_angeles) is None


@pytest.mark.parametrize("sent", ["1E+99999999", "-1E+99999999", "1E+17", "NaN", "Infinity"])
def test_milliseconds_without_end_are_no_time_and_take_none(sent):
    assert timestamps.from_milliseconds(Decimal(sent)) == sent


@pytest.mark.parametrize("size", [101, 10_000_000])
def test_a_text_of_any_length_is_no_number_and_no_time(size):
    assert money.number("9" * size).is_nan()
    assert money.number(" " * size) is None
    assert timestamps.from_iso("2017-01-05T10:00:00Z" + " " * size) == "2017-01-05T10:00:00Z" + " " * size
    assert timestamps.business_date("9" * size, ZoneInfo("UTC")) is None
