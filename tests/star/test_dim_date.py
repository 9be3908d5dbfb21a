"""dim_date on literal days."""

from __future__ import annotations

from datetime import date

from chispa import assert_df_equality
from pyspark.sql import SparkSession

from retail.star import dim_date


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
