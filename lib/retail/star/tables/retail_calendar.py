"""The 4-5-4 retail calendar of the National Retail Federation (NRF).

A retail year begins on a Sunday and ends on the Saturday nearest to 31 January, so it has 52 weeks, and 53 every fifth
or sixth year. Quarters have months of 4, 5 and 4 weeks; a 53rd week belongs to month 12. Source: NRF, "4-5-4 Calendar"
(53-week years 2012, 2017, 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

_WEEKS_OF_MONTHS: Final = (4, 5, 4) * 4


@dataclass(frozen=True, slots=True)
class RetailDay:
    """A day's position in the retail calendar; `week` counts 1 to 53, `month` 1 (February) to 12."""

    year: int
    quarter: int
    month: int
    week: int
    week_start: date
    week_end: date


def retail_year_start(year: int) -> date:
    """The first day, a Sunday, of the retail year named after the calendar year it begins in."""
    return _last_day(year - 1) + timedelta(days=1)


def retail_day(day: date) -> RetailDay:
    """The retail year, quarter, month and week of `day`."""
    year = day.year if day >= retail_year_start(day.year) else day.year - 1
    week = (day - retail_year_start(year)).days // 7 + 1
    month = _month_of(week)
    start = retail_year_start(year) + timedelta(weeks=week - 1)
    return RetailDay(year, (month - 1) // 3 + 1, month, week, start, start + timedelta(days=6))


def _last_day(year: int) -> date:
    end_of_january = date(year + 1, 1, 31)
    days_since_saturday = (end_of_january.weekday() - 5) % 7
    nearest = -days_since_saturday if days_since_saturday <= 3 else 7 - days_since_saturday
    return end_of_january + timedelta(days=nearest)


def _month_of(week: int) -> int:
    end = 0
    for month, weeks in enumerate(_WEEKS_OF_MONTHS, start=1):
        end += weeks
        if week <= end:
            return month
    return 12  # week 53
