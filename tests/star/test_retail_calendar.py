"""The 4-5-4 calendar against the years that the National Retail Federation has published."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retail.star.retail_calendar import retail_day, retail_year_start

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
