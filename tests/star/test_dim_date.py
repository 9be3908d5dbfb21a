"""dim_date on literal days."""

from __future__ import annotations

from datetime import date

import pytest
from chispa import assert_df_equality
from pyspark.sql import SparkSession

from retail.star.tables import dim_date


def test_a_day_with_all_its_columns(session: SparkSession) -> None:
    found = dim_date.derive(session, [date(2017, 1, 29)]).where("date_key = 20170129").drop("content_hash")
    expected = session.createDataFrame(
        [(20170129, date(2017, 1, 29), 2017, 1, 1, "January", 29, 7, "Sunday", 2017, 4, True,
          2017, 1, 1, 1, date(2017, 1, 29), date(2017, 2, 4))],
        dim_date.TABLE.schema,
    )  # fmt: skip
    assert_df_equality(found, expected, ignore_nullable=True)


def test_every_day_of_the_months_is_there_once_so_that_a_day_without_a_sale_is_seen(
    session: SparkSession,
) -> None:
    days = [date(2016, 2, 3), date(2016, 2, 28), date(2017, 2, 1)]
    found = [row.calendar_date for row in dim_date.derive(session, days).select("calendar_date").collect()]
    assert len(found) == len(set(found)) == 29 + 28
    assert date(2016, 2, 29) in found


def test_the_first_days_of_a_year_belong_to_the_iso_year_of_their_week(session: SparkSession) -> None:
    row = dim_date.derive(session, [date(2017, 1, 1)]).where("date_key = 20170101").collect()[0]
    assert (row.year, row.iso_year, row.iso_week, row.day_of_week) == (2017, 2016, 52, 7)
    assert (row.retail_year, row.retail_month, row.retail_week) == (2016, 12, 49)


# ISO: 53 weeks in 2015, 2020 and 2026. Retail: 2017 had 53 weeks, to 3 February 2018.
@pytest.mark.parametrize(
    ("day", "iso", "retail"),
    [
        (date(2016, 1, 3), (2015, 53, 7), (2015, 12, 49)),
        (date(2017, 12, 31), (2017, 52, 7), (2017, 12, 49)),
        (date(2018, 2, 3), (2018, 5, 6), (2017, 12, 53)),
        (date(2018, 2, 4), (2018, 5, 7), (2018, 1, 1)),
        (date(2018, 12, 31), (2019, 1, 1), (2018, 11, 48)),
        (date(2020, 2, 29), (2020, 9, 6), (2020, 1, 4)),
        (date(2020, 12, 31), (2020, 53, 4), (2020, 11, 48)),
        (date(2021, 1, 3), (2020, 53, 7), (2020, 12, 49)),
        (date(2024, 2, 3), (2024, 5, 6), (2023, 12, 53)),
        (date(2024, 2, 29), (2024, 9, 4), (2024, 1, 4)),
        (date(2024, 12, 30), (2025, 1, 1), (2024, 11, 48)),
        (date(2027, 1, 1), (2026, 53, 5), (2026, 11, 48)),
    ],
    ids=str,
)
def test_the_ends_of_calendar_iso_and_retail_years_and_leap_days(
    session: SparkSession, day: date, iso: tuple[int, ...], retail: tuple[int, ...]
) -> None:
    row = dim_date.derive(session, [day]).where(f"date_key = {day:%Y%m%d}").collect()[0]
    assert (row.calendar_date, row.year, row.month, row.day) == (day, day.year, day.month, day.day)
    assert (row.iso_year, row.iso_week, row.day_of_week) == iso
    assert (row.retail_year, row.retail_month, row.retail_week) == retail


def test_only_a_leap_year_has_a_29th_of_february(session: SparkSession) -> None:
    days = [date(year, 2, 1) for year in (2000, 2020, 2023, 2024, 2100)]
    last = dim_date.derive(session, days).groupBy("year").max("date_key").collect()
    assert {row[0]: row[1] for row in last} == {
        2000: 20000229, 2020: 20200229, 2023: 20230228, 2024: 20240229, 2100: 21000228,
    }  # fmt: skip
