"""A store that sells on nearly every day is missed when it does not; what rests, rests in peace."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import pytest
from pyspark.sql import SparkSession
from tests.star.test_merge import ON_SAIL

from retail.config.settings import QualitySettings
from retail.quality import gaps

SETTINGS = QualitySettings(gap_days=28, gap_share=0.9, gap_history=14)
DAY = date(2017, 2, 1)
STORES = [(1, "s1", "Main Street"), (2, "s2", "Harbour"), (-1, "unknown", "Unknown store")]

Sold = tuple[str, int, date]


def before(number: int) -> list[date]:
    """The `number` days before DAY."""
    return [DAY - timedelta(days=n) for n in range(1, number + 1)]


def silent(
    session: SparkSession, sold: Iterable[Sold], judged: Iterable[tuple[str, date]] = (("retailer_1", DAY),)
) -> list[tuple[object, ...]]:
    store_days = session.createDataFrame(
        list(sold), "retailer_id string, store_key bigint, business_date date"
    )
    days = session.createDataFrame(list(judged), "retailer_id string, business_date date")
    stores = session.createDataFrame(STORES, "store_key bigint, store_id string, store_name string")
    found = gaps.silent(store_days, days, stores, SETTINGS)
    columns = ("retailer_id", "business_date", "store_id", "store_name", "sold_days", "of_days")
    return sorted((tuple(row) for row in found.select(*columns).collect()), key=str)


def test_a_store_that_sold_every_day_and_not_on_this_one_is_named(session: SparkSession) -> None:
    sold = [("retailer_1", store, day) for day in before(28) for store in (1, 2)]
    assert silent(session, [*sold, ("retailer_1", 1, DAY)]) == [("retailer_1", DAY, "s2", "Harbour", 28, 28)]


@ON_SAIL
@pytest.mark.parametrize(("days", "missed"), [(26, True), (25, False)])
def test_nine_days_of_ten_make_it_expected_fewer_do_not(
    session: SparkSession, days: int, missed: bool
) -> None:
    sold = [("retailer_1", 1, day) for day in [*before(28), DAY]]
    sold += [("retailer_1", 2, day) for day in before(days)]
    assert bool(silent(session, sold)) == missed


@ON_SAIL
def test_days_on_which_the_retailer_was_shut_count_for_no_store(session: SparkSession) -> None:
    open_days = [day for day in before(28) if day.isoweekday() != 7]
    sold = [("retailer_1", store, day) for day in open_days for store in (1, 2)]
    assert silent(session, [*sold, ("retailer_1", 1, DAY)]) == [("retailer_1", DAY, "s2", "Harbour", 24, 24)]


@ON_SAIL
@pytest.mark.parametrize(("days", "missed"), [(14, True), (13, False)])
def test_a_short_history_expects_nothing(session: SparkSession, days: int, missed: bool) -> None:
    sold = [("retailer_1", store, day) for day in before(days) for store in (1, 2)]
    assert bool(silent(session, [*sold, ("retailer_1", 1, DAY)])) == missed


@ON_SAIL
def test_days_longer_ago_than_the_window_do_not_count(session: SparkSession) -> None:
    sold = [("retailer_1", 1, day) for day in [*before(60), DAY]]
    sold += [("retailer_1", 2, day) for day in before(60)[28:]]
    assert silent(session, sold) == []


def test_a_retailer_that_sold_nothing_is_one_line_not_one_for_each_store(session: SparkSession) -> None:
    sold = [("retailer_1", store, day) for day in before(28) for store in (1, 2)]
    other = [("retailer_2", 1, DAY)]
    assert silent(session, [*sold, *other]) == [("retailer_1", DAY, None, None, 28, 28)]


@ON_SAIL
def test_sales_without_a_store_are_no_store(session: SparkSession) -> None:
    sold = [("retailer_1", store, day) for day in before(28) for store in (1, -1)]
    assert silent(session, [*sold, ("retailer_1", 1, DAY)]) == []


@ON_SAIL
def test_each_judged_day_has_a_window_of_its_own(session: SparkSession) -> None:
    days = [DAY + timedelta(days=n) for n in range(3)]
    sold = [("retailer_1", 1, day) for day in [*before(28), *days]]
    sold += [("retailer_1", 2, day) for day in [*before(28), days[1]]]
    judged = [("retailer_1", day) for day in days]
    assert [(row[1], row[2], row[4]) for row in silent(session, sold, judged)] == [
        (days[0], "s2", 28), (days[2], "s2", 27),
    ]  # fmt: skip


@ON_SAIL
def test_returns_and_cancelled_lines_are_no_sales(session: SparkSession) -> None:
    rows = [
        ("retailer_1", 1, DAY, "return", "completed"),
        ("retailer_1", 2, DAY, "sale", "completed"),
        ("retailer_1", 2, DAY, "sale", "completed"),
        ("retailer_1", 3, DAY, "sale", "cancelled"),
    ]
    schema = "retailer_id string, store_key bigint, business_date date, record_type string, status string"
    found = gaps.store_days(session.createDataFrame(rows, schema)).collect()
    assert [tuple(row) for row in found] == [("retailer_1", 2, DAY)]


def test_days_between_the_start_and_the_last_one_done_that_never_came_are_missing() -> None:
    first = date(2017, 1, 1)
    done = [("retailer_1", date(2017, 1, 2)), ("retailer_1", date(2017, 1, 5))]
    assert gaps.missing_days(done, ["retailer_1"], start_date=first, last=first) == {
        "retailer_1": [date(2017, 1, 1), date(2017, 1, 3), date(2017, 1, 4)]
    }
    assert gaps.missing_days([("retailer_1", first)], ["retailer_1"], start_date=first, last=first) == {}


def test_a_retailer_that_stays_away_is_missed_up_to_the_last_day_of_any_and_of_the_run() -> None:
    days = [date(2017, 1, n) for n in range(1, 9)]
    done = [("retailer_1", day) for day in days[:7]] + [("retailer_2", days[0])]
    missing = gaps.missing_days(done, ["retailer_1", "retailer_2"], start_date=days[0], last=days[0])
    assert missing == {"retailer_2": days[1:7]}
    assert gaps.never_loaded(missing) == [
        "retailer_2: never loaded: 2017-01-02, 2017-01-03, 2017-01-04, 2017-01-05, 2017-01-06 and 1 more"
    ]
    missing = gaps.missing_days(done, ["retailer_1"], start_date=days[0], last=days[7])
    assert missing == {"retailer_1": [days[7]]}


def test_a_warning_names_the_day_and_the_first_stores() -> None:
    found = [gaps.Gap("retailer_1", "2017-02-01", f"s{n}", f"Store {n}", 28, 28) for n in range(5)]
    found.append(gaps.Gap("retailer_2", "2017-02-01", None, None, 28, 28))
    assert gaps.warnings(found) == [
        "gaps: 5 store(s) of retailer_1 silent on 2017-02-01: Store 0, Store 1, Store 2 and 2 more",
        "gaps: retailer_2 sold nothing on 2017-02-01",
    ]


def test_the_months_of_a_window_over_the_end_of_a_year() -> None:
    assert gaps.months_between(date(2016, 12, 20), date(2017, 2, 1)) == ["2016-12", "2017-01", "2017-02"]
