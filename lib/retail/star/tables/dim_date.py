"""dim_date: business days, each with its calendar and its 4-5-4 retail calendar."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from pyspark.sql import DataFrame, SparkSession

from retail.star.table import UNKNOWN_KEY, Table, with_content_hash
from retail.star.tables.retail_calendar import retail_day

TABLE = Table(
    name="dim_date",
    key="date_key",
    natural_key=("calendar_date",),
    schema=(
        "date_key int, calendar_date date, year int, quarter int, month int, month_name string, day int, "
        "day_of_week int, day_name string, iso_year int, iso_week int, is_weekend boolean, retail_year int, "
        "retail_quarter int, retail_month int, retail_week int, retail_week_start date, retail_week_end date"
    ),
    versioned=False,
    unknown={"date_key": UNKNOWN_KEY, "month_name": "Unknown", "day_name": "Unknown"},
)

# The names in `calendar` follow the process's locale; these must not.
_MONTHS = "January February March April May June July August September October November December".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def date_key(day: date) -> int:
    """yyyymmdd as a number, such as 20170105."""
    return day.year * 10_000 + day.month * 100 + day.day


def derive(session: SparkSession, business_dates: Iterable[date]) -> DataFrame:
    """Every day of the months that `business_dates` fall in, so that BI sees days without a sale too."""
    rows = [_row(day) for day in _whole_months(business_dates)]
    return session.createDataFrame(rows, TABLE.schema).transform(with_content_hash(TABLE))


def _whole_months(business_dates: Iterable[date]) -> Iterator[date]:
    for year, month in sorted({(day.year, day.month) for day in business_dates}):
        first = date(year, month, 1)
        for offset in range(calendar.monthrange(year, month)[1]):
            yield first + timedelta(days=offset)


def _row(day: date) -> tuple[object, ...]:
    iso = day.isocalendar()
    retail = retail_day(day)
    return (
        date_key(day),
        day,
        day.year,
        (day.month - 1) // 3 + 1,
        day.month,
        _MONTHS[day.month - 1],
        day.day,
        iso.weekday,
        _DAYS[iso.weekday - 1],
        iso.year,
        iso.week,
        iso.weekday >= 6,
        retail.year,
        retail.quarter,
        retail.month,
        retail.week,
        retail.week_start,
        retail.week_end,
    )
