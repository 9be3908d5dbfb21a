"""The business day of a sale where clocks change: at midnight, by the skipped hour, in the hour that comes twice.

All instants and dates are literal, worked out from the zones' offsets, not by the code.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from retail.sources.amazon.mapping import AmazonSales
from retail.sources.service import Skipped
from retail.sources.shopify.mapping import ShopifySales
from retail.sources.values import timestamps
from retail.sources.walmart.mapping import WalmartSales
from retail.sources.window import window_of

Day = tuple[str, str, str, str, list[str]]

# zone, day on which clocks change, its first instant, the next day's first instant, instants within the day
DAYS: list[Day] = [
    # 02:00 → 03:00; 02:00 → 01:00
    ("America/Los_Angeles", "2017-03-12", "03-12T08:00", "03-13T07:00", ["03-12T09:59:59.999", "03-12T10:00"]),
    ("America/Los_Angeles", "2017-11-05", "11-05T07:00", "11-06T08:00", ["11-05T08:30", "11-05T09:30"]),
    ("America/Chicago", "2020-03-08", "03-08T06:00", "03-09T05:00", ["03-08T07:59:59.999", "03-08T08:00"]),
    ("America/Chicago", "2020-11-01", "11-01T05:00", "11-02T06:00", ["11-01T06:30", "11-01T07:30"]),
    ("America/New_York", "2024-03-10", "03-10T05:00", "03-11T04:00", ["03-10T06:59:59.999", "03-10T07:00"]),
    ("America/New_York", "2024-11-03", "11-03T04:00", "11-04T05:00", ["11-03T05:30", "11-03T06:30"]),
    ("Europe/Berlin", "2019-03-31", "03-30T23:00", "03-31T22:00", ["03-31T00:59:59.999", "03-31T01:00"]),
    ("Europe/Berlin", "2019-10-27", "10-26T22:00", "10-27T23:00", ["10-27T00:30", "10-27T01:30"]),
    # Midnight is skipped: the day begins at 01:00; and the evening before its end is twice, from 23:00.
    ("America/Sao_Paulo", "2017-10-15", "10-15T03:00", "10-16T02:00", ["10-15T03:30"]),
    ("America/Sao_Paulo", "2018-02-17", "02-17T02:00", "02-18T03:00", ["02-18T01:30", "02-18T02:30"]),
    # Midnight is twice: 01:00 → 00:00.
    ("America/Havana", "2017-11-05", "11-05T04:00", "11-06T05:00", ["11-05T04:30", "11-05T05:00"]),
    # Half an hour: 02:00 → 02:30; 02:00 → 01:30.
    ("Australia/Lord_Howe", "2019-10-06", "10-05T13:30", "10-06T13:00", ["10-05T15:29:59.999", "10-05T15:30"]),
    ("Australia/Lord_Howe", "2019-04-07", "04-06T13:00", "04-07T13:30", ["04-06T14:45", "04-06T15:15"]),
    # No change, but the last day of February of a leap year and of others, and the ends of years.
    ("America/Los_Angeles", "2020-02-29", "02-29T08:00", "03-01T08:00", []),
    ("America/New_York", "2024-02-29", "02-29T05:00", "03-01T05:00", []),
    ("America/Chicago", "2023-02-28", "02-28T06:00", "03-01T06:00", []),
    ("America/New_York", "2100-02-28", "02-28T05:00", "03-01T05:00", []),
    ("Australia/Lord_Howe", "2018-12-31", "12-30T13:00", "12-31T13:00", ["12-31T00:00"]),
    ("America/Los_Angeles", "2017-12-31", "12-31T08:00", "2018-01-01T08:00", []),
]  # fmt: skip
HOURS = {
    "2017-03-12": 23, "2017-11-05": 25, "2020-03-08": 23, "2020-11-01": 25, "2024-03-10": 23, "2024-11-03": 25,
    "2019-03-31": 23, "2019-10-27": 25, "2017-10-15": 23, "2018-02-17": 25, "2019-10-06": 23.5, "2019-04-07": 24.5,
}  # fmt: skip
ZONES = sorted({zone for zone, *_ in DAYS} | {"Pacific/Apia", "Asia/Kathmandu", "Africa/Casablanca"})
START = date(2010, 1, 1)
MILLISECOND = timedelta(milliseconds=1)


def at(day: str, text: str) -> datetime:
    return datetime.fromisoformat(text if len(text) > 15 and text[4] == "-" else f"{day[:4]}-{text}").replace(
        tzinfo=UTC
    )


def day_before(day: str) -> str:
    return str(date.fromisoformat(day) - timedelta(days=1))


def day_after(day: str) -> str:
    return str(date.fromisoformat(day) + timedelta(days=1))


def sold(day: str, first: str, end: str, within: list[str]) -> list[tuple[datetime, str]]:
    """Instants of sales and their business dates: a millisecond before, at and after each midnight, and the rest."""
    begins, ends = at(day, first), at(day, end)
    return [
        (begins - MILLISECOND, day_before(day)),
        (begins, day),
        *((at(day, text), day) for text in within),
        (ends - MILLISECOND, day),
        (ends, day_after(day)),
    ]


def by_amazon(zone: ZoneInfo, instant: datetime) -> str | None:
    order = {
        "orderId": "1",
        "createdTime": timestamps.utc_text(instant),
        "orderItems": [{"orderItemId": "1"}],
    }
    return only(AmazonSales(retailer_id="retailer_1", zone=zone).records({"orders": [order]}, "p"))


def by_walmart(zone: ZoneInfo, instant: datetime) -> str | None:
    """Milliseconds since 1970."""
    milliseconds = (instant - datetime(1970, 1, 1, tzinfo=UTC)) // MILLISECOND
    order = {"orderDate": Decimal(milliseconds), "orderLines": {"orderLine": [{"lineNumber": "1"}]}}
    answer = {"list": {"elements": {"order": [order]}}}
    return only(WalmartSales(retailer_id="retailer_2", zone=zone).records(answer, "p"))


def by_shopify(zone: ZoneInfo, instant: datetime) -> str | None:
    """With an offset that is neither UTC nor the shop's: the instant counts."""
    elsewhere = instant.astimezone(ZoneInfo("Asia/Kathmandu")).isoformat()
    order = {"id": "gid://shopify/Order/1", "processedAt": elsewhere, "lineItems": {"nodes": [{"id": "x/1"}]}}
    answer = {"data": {"orders": {"nodes": [order]}}}
    return only(ShopifySales(retailer_id="retailer_3", zone=zone).records(answer, "p"))


def only(records: object) -> str | None:
    (found,) = records  # type: ignore[misc]
    return (found.record if isinstance(found, Skipped) else found).business_date  # type: ignore[has-type]


@pytest.mark.parametrize("mapped", [by_amazon, by_walmart, by_shopify])
@pytest.mark.parametrize("day_of_change", DAYS, ids=lambda of: f"{of[0]}-{of[1]}")
def test_a_sale_belongs_to_the_day_that_was_on_the_retailer_s_calendar(
    mapped: Callable[[ZoneInfo, datetime], str | None], day_of_change: Day
) -> None:
    zone = ZoneInfo(day_of_change[0])
    expected = sold(*day_of_change[1:])
    assert [(instant, mapped(zone, instant)) for instant, _ in expected] == expected


@pytest.mark.parametrize(("zone", "day", "first", "end", "within"), DAYS)
def test_a_window_is_the_whole_day_of_23_to_25_hours(
    zone: str, day: str, first: str, end: str, within: list[str]
) -> None:
    window = window_of(date.fromisoformat(day), time_zone=zone, overlap=timedelta(0), start_date=START)
    assert (window.start, window.end) == (at(day, first), at(day, end))
    assert window.end - window.start == timedelta(hours=HOURS.get(day, 24))


@pytest.mark.parametrize("zone", ZONES)
def test_the_windows_of_ten_years_join_without_gap_or_overlap(zone: str) -> None:
    """A day that was never on a calendar, such as 30 December 2011 in Apia, has a window of no time."""
    end = None
    for number in range(3653):
        day = START + timedelta(days=number)
        window = window_of(day, time_zone=zone, overlap=timedelta(0), start_date=START)
        assert end in (None, window.start), day
        assert window.start <= window.end
        end = window.end


_NEAR_A_CHANGE = st.builds(
    lambda of, microseconds: at(of[1], of[2]) + timedelta(microseconds=microseconds),
    st.sampled_from(DAYS),
    st.integers(-(10**6) * 3600 * 3, 10**6 * 3600 * 30),
)


@seed(int(os.environ["RETAIL_TEST_SEED"]))
@given(
    instant=_NEAR_A_CHANGE
    | st.integers(1_293_840_000, 1_893_456_000).map(lambda s: datetime.fromtimestamp(s, UTC)),
    zone=st.sampled_from(ZONES),
)
def test_an_instant_lies_in_the_window_of_its_business_day_and_in_no_other(
    instant: datetime, zone: str
) -> None:
    found = timestamps.business_date(timestamps.utc_text(instant), ZoneInfo(zone))
    assert found is not None
    days = [date.fromisoformat(found) + timedelta(days=n) for n in (-2, -1, 0, 1, 2)]
    windows = [window_of(day, time_zone=zone, overlap=timedelta(0), start_date=START) for day in days]
    assert [window.start <= instant < window.end for window in windows] == [False, False, True, False, False]
