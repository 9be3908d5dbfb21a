"""A day is held against the same weekday of the four weeks before; what is unusual is a warning that names the day."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from pyspark.sql import SparkSession

from retail.quality import daily
from retail.quality.daily import Total
from retail.quality.suites import validation

DAY = date(2017, 2, 1)  # a Wednesday
ON_SAIL = pytest.mark.parametrize("engine", ["sail"], indirect=True)


def total(
    weeks_before: int,
    rows: int,
    *,
    money: str = "1.00",
    currency: str = "USD",
    days: int = 0,
    sales: int | None = None,
) -> Total:
    day = DAY - timedelta(weeks=weeks_before, days=days)
    return Total("retailer_1", day, currency, rows, rows if sales is None else sales, Decimal(money))


def compare(*found: Total) -> list[daily.DayOfSales]:
    return daily.compare(found, [("retailer_1", DAY)])


def test_the_weekday_s_mean_leaves_out_weeks_that_sold_nothing() -> None:
    (day,) = compare(total(0, 30), total(1, 10), total(3, 20), total(5, 900), total(0, 77, days=1))
    assert (day.rows, day.rows_same_weekday, day.rows_ratio) == (30, 15.0, 2.0)


def test_a_first_day_has_nothing_to_be_held_against() -> None:
    (day,) = compare(total(0, 30))
    assert (day.rows_same_weekday, day.rows_ratio, day.days_since_newest) == (None, None, 0)


def test_a_day_without_a_sale_is_a_day_of_no_rows() -> None:
    (day,) = compare(total(0, 8, days=3), total(1, 10))
    assert (day.rows, day.money, day.rows_ratio, day.days_since_newest) == (0, 0, 0.0, 3)


def test_a_retailer_that_sold_nothing_for_weeks_is_not_left_out() -> None:
    (day,) = compare()
    assert (day.retailer_id, day.currency, day.rows, day.days_since_newest) == ("retailer_1", None, 0, None)


def test_a_line_that_is_dated_ahead_hides_no_silent_retailer() -> None:
    (day,) = compare(total(0, 8, days=3), total(0, 1, days=-2))
    assert (day.sales, day.days_since_newest) == (0, 3)


def test_two_currencies_are_two_rows() -> None:
    found = compare(total(0, 3, currency="USD"), total(0, 5, currency="CAD"))
    assert {(day.currency, day.rows) for day in found} == {("USD", 3), ("CAD", 5)}


def test_a_single_sale_in_another_currency_is_no_row_of_later_days() -> None:
    found = compare(total(0, 3), total(1, 9), total(2, 1, currency="CAD"))
    assert [(day.currency, day.rows, day.days_since_newest) for day in found] == [("USD", 3, 0)]


def test_a_day_without_rows_is_one_row_in_the_main_currency() -> None:
    (day,) = compare(total(1, 1, currency="USD"), total(2, 3, currency="CAD"), total(3, 2, currency="CAD"))
    assert (day.currency, day.sales, day.rows) == ("CAD", 0, 0)


def test_what_a_retailer_sold_and_when_last_is_over_all_its_currencies() -> None:
    found = compare(total(0, 3, sales=0), total(0, 5, currency="CAD", sales=2), total(1, 4))
    assert {(day.currency, day.sales, day.days_since_newest) for day in found} == {
        ("USD", 2, 0), ("CAD", 2, 0),
    }  # fmt: skip


def test_returns_and_cancelled_lines_are_rows_and_no_sales() -> None:
    (day,) = compare(total(0, 3, sales=0), total(1, 4))
    assert (day.sales, day.rows, day.days_since_newest) == (0, 3, 7)


def test_a_few_lines_in_another_currency_are_not_judged_and_the_retailer_is(session: SparkSession) -> None:
    found = [total(week, 3_000) for week in range(3)]
    found += [total(0, 3, currency="EUR", money="-9.00"), total(1, 19, currency="EUR")]
    dollars, euros = daily.compare(found, [("retailer_1", DAY)], least_rows=20)
    assert (dollars.rows_ratio, dollars.money) == (1.0, Decimal("1.00"))
    assert (euros.currency, euros.rows, euros.rows_same_weekday) == ("EUR", 3, 19.0)
    assert (euros.rows_ratio, euros.money, euros.sales) == (None, None, 3_003)
    assert validation.validate("daily_sales", daily.frame(session, [dollars, euros])).failures == []
    judged = daily.compare(found, [("retailer_1", DAY)], least_rows=19)
    assert len(validation.validate("daily_sales", daily.frame(session, judged)).failures) == 2


def test_a_currency_that_came_down_to_a_few_lines_or_up_from_them_is_judged() -> None:
    for today, before in ((3, 20), (20, 3)):
        (day,) = daily.compare([total(0, today), total(1, before)], [("retailer_1", DAY)], least_rows=20)
        assert day.rows_ratio == today / before


def test_the_months_read_are_those_of_the_days_and_of_four_weeks_before() -> None:
    assert daily.months_needed([("retailer_1", date(2017, 3, 1))]) == ["2017-02", "2017-03"]
    assert daily.months_needed([("retailer_1", date(2017, 3, 31))]) == ["2017-03"]


def test_totals_are_by_retailer_day_and_currency(session: SparkSession) -> None:
    schema = "retailer_id string, business_date date, currency string, total_amount decimal(18,4), "
    schema += "record_type string, status string"
    rows = [
        ("r", DAY, "USD", Decimal("1.1"), "sale", "completed"),
        ("r", DAY, "USD", Decimal("2.2"), "sale", "cancelled"),
        ("r", DAY, "CAD", Decimal(-5), "return", "completed"),
    ]
    found = daily.totals(session.createDataFrame(rows, schema))
    assert sorted((each.currency, each.rows, each.sales, each.money) for each in found) == [
        ("CAD", 1, 0, Decimal(-5)), ("USD", 2, 1, Decimal("3.3")),
    ]  # fmt: skip


@pytest.mark.slow
def test_an_unusual_day_is_a_warning_that_names_it(session: SparkSession) -> None:
    usual = daily.compare(
        [total(0, 11), total(1, 10), total(2, 10)],
        [("retailer_1", DAY), ("retailer_1", DAY - timedelta(weeks=1))],
    )
    assert validation.validate("daily_sales", daily.frame(session, usual)).failures == []
    few = compare(total(0, 3), total(1, 10))
    named_by = ("retailer_id", "business_date")
    (failure,) = validation.validate("daily_sales", daily.frame(session, few), named_by=named_by).failures
    assert failure.severity == "warning"
    assert failure.observed.endswith(": retailer_1/2017-02-01")
    silent = validation.validate("daily_sales", daily.frame(session, compare())).failures
    assert len(silent) == 2  # no row that day, and none for weeks


@pytest.mark.slow
@ON_SAIL
def test_a_stale_retailer_is_a_warning(session: SparkSession) -> None:
    (_, failure) = validation.validate(
        "daily_sales", daily.frame(session, compare(total(0, 8, days=3)))
    ).failures
    assert "days_since_newest" in failure.expectation
