from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from retail.errors import ConfigurationError
from retail.sources.window import Window, window_of

LOS_ANGELES = "America/Los_Angeles"
START = date(2017, 1, 1)


def test_a_window_is_the_days_24_hours_in_the_retailers_zone_and_the_overlap_before_them():
    window = window_of(
        date(2017, 1, 5), time_zone=LOS_ANGELES, overlap=timedelta(minutes=60), start_date=START
    )

    assert window == Window(
        date(2017, 1, 5), datetime(2017, 1, 5, 7, tzinfo=UTC), datetime(2017, 1, 6, 8, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2017, 3, 11), 24), (date(2017, 3, 12), 23), (date(2017, 11, 5), 25)]
)
def test_the_day_has_23_or_25_hours_when_the_clocks_change(day, hours):
    window = window_of(day, time_zone=LOS_ANGELES, overlap=timedelta(0), start_date=START)

    assert window.end - window.start == timedelta(hours=hours)


def test_windows_of_a_year_without_overlap_leave_no_gap_and_share_no_instant():
    days = [date(2017, 1, 1) + timedelta(days=n) for n in range(366)]
    windows = [window_of(day, time_zone=LOS_ANGELES, overlap=timedelta(0), start_date=START) for day in days]

    assert all(one.end == next_.start for one, next_ in pairwise(windows))


def test_the_overlap_never_reaches_behind_the_midnight_of_the_start_date():
    first = window_of(START, time_zone=LOS_ANGELES, overlap=timedelta(minutes=60), start_date=START)
    second = window_of(date(2017, 1, 2), time_zone=LOS_ANGELES, overlap=timedelta(days=3), start_date=START)

    assert first.start == second.start == datetime(2017, 1, 1, 8, tzinfo=UTC)


def test_a_day_whose_midnight_the_clocks_skip_begins_when_they_were_moved():
    sao_paulo = window_of(
        date(2017, 10, 15), time_zone="America/Sao_Paulo", overlap=timedelta(0), start_date=START
    )

    assert sao_paulo.start == datetime(2017, 10, 15, 3, tzinfo=UTC)
    assert sao_paulo.end - sao_paulo.start == timedelta(hours=23)


def test_a_date_before_the_start_date_is_refused():
    with pytest.raises(ConfigurationError, match="2016-12-31 is before start_date 2017-01-01"):
        window_of(date(2016, 12, 31), time_zone=LOS_ANGELES, overlap=timedelta(0), start_date=START)
