"""The 4-5-4 calendar against the years that the National Retail Federation has published."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail.star.tables.retail_calendar import retail_day, retail_year_start
from tests.star.nrf_calendar import END, MONTH_STARTS, WEEKS_53

# NRF's 4-5-4 calendars: the Sunday each begins on. 2012, 2017 and 2023 have 53 weeks.
STARTS = (
    date(2012, 1, 29), date(2013, 2, 3), date(2017, 1, 29), date(2018, 2, 4), date(2019, 2, 3), date(2020, 2, 2),
    date(2021, 1, 31), date(2022, 1, 30), date(2023, 1, 29), date(2024, 2, 4), date(2025, 2, 2), date(2026, 2, 1),
    date(2027, 1, 31),
)  # fmt: skip


@pytest.mark.parametrize("start", STARTS, ids=str)
def test_a_retail_year_begins_on_the_published_sunday(start: date) -> None:
    assert retail_year_start(start.year) == start
    first, before = retail_day(start), retail_day(start - timedelta(days=1))
    assert (first.year, first.quarter, first.month, first.week) == (start.year, 1, 1, 1)
    assert (before.year, before.quarter, before.month) == (start.year - 1, 4, 12)


@pytest.mark.parametrize("year", range(2012, 2027))
def test_53_weeks_in_2012_2017_and_2023_only(year: int) -> None:
    weeks = (retail_year_start(year + 1) - retail_year_start(year)).days // 7
    assert weeks == (53 if year in (2012, 2017, 2023) else 52)


def test_months_have_4_5_and_4_weeks_and_the_53rd_belongs_to_the_last() -> None:
    days = [date(2017, 1, 29) + timedelta(weeks=week) for week in range(53)]
    months = [retail_day(day).month for day in days]
    assert [months.count(month) for month in range(1, 13)] == [4, 5, 4, 4, 5, 4, 4, 5, 4, 4, 5, 5]


@given(st.dates(date(1990, 1, 1), date(2099, 12, 30)))
def test_each_day_lies_in_its_week_and_the_next_day_comes_after_it(day: date) -> None:
    here, after = retail_day(day), retail_day(day + timedelta(days=1))
    assert here.week_start <= day <= here.week_end == here.week_start + timedelta(days=6)
    assert here.week_start.weekday() == 6
    assert (here.year, here.week) <= (after.year, after.week)
    assert 1 <= here.month <= 12
    assert 1 <= here.week <= 53


def test_every_day_of_2017_to_2027_is_where_nrf_s_calendar_has_it() -> None:
    years = {year: months for year, months in MONTH_STARTS.items() if year >= 2017}
    assert sum(map(len, years.values())) == 132
    starts = [(start, year, month) for year, months in years.items() for month, start in enumerate(months, 1)]
    ends = [start for start, *_ in starts[1:]] + [END]
    for (start, year, month), end in zip(starts, ends, strict=True):
        assert start.weekday() == 6
        for day in (start + timedelta(days=n) for n in range((end - start).days)):
            found = retail_day(day)
            sunday = day - timedelta(days=(day.weekday() + 1) % 7)
            assert (found.year, found.month, found.quarter) == (year, month, (month + 2) // 3), day
            assert found.week == (sunday - years[year][0]).days // 7 + 1
            assert (found.week_start, found.week_end) == (sunday, sunday + timedelta(days=6))


def test_the_months_of_nrf_s_table_have_4_5_and_4_weeks_but_for_month_12_of_a_year_of_53() -> None:
    flat = [start for months in MONTH_STARTS.values() for start in months] + [END]
    weeks = [(after - start).days // 7 for start, after in pairwise(flat)]
    for number, year in enumerate(MONTH_STARTS):
        last = 5 if year in WEEKS_53 else 4
        assert weeks[number * 12 : number * 12 + 12] == [4, 5, 4, 4, 5, 4, 4, 5, 4, 4, 5, last]


def test_years_of_53_weeks_by_the_rule_of_the_saturday_nearest_the_end_of_january() -> None:
    lengths = {
        year: (retail_year_start(year + 1) - retail_year_start(year)).days for year in range(2000, 2036)
    }
    assert set(lengths.values()) == {364, 371}
    # NRF names the years to 2023; 2028 and 2034 follow from the rule.
    assert [year for year, days in lengths.items() if days == 371] == [
        2000,
        2006,
        2012,
        2017,
        2023,
        2028,
        2034,
    ]
