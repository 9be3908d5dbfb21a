"""How far a retailer has come, and what is due."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from retail.pipeline.schedule import RetailerCursor, advanced, due, last_day_over

START = date(2017, 1, 1)
NEW_YORK, LOS_ANGELES, KIRITIMATI = "America/New_York", "America/Los_Angeles", "Pacific/Kiritimati"


def day(number: int) -> date:
    return date(2017, 1, number)


@pytest.mark.parametrize(
    ("hour", "zone", "last"),
    [
        (2, "UTC", 9),
        (2, LOS_ANGELES, 8),  # six in the evening of the 9th
        (7, LOS_ANGELES, 8),
        (8, LOS_ANGELES, 9),  # midnight
        (4, NEW_YORK, 8),
        (5, NEW_YORK, 9),
        (9, KIRITIMATI, 9),
        (10, KIRITIMATI, 10),
    ],
)
def test_yesterday_is_the_retailer_s_own(hour: int, zone: str, last: int) -> None:
    assert last_day_over(zone, datetime(2017, 1, 10, hour, tzinfo=UTC)) == day(last)


def test_due_is_what_lies_behind_the_checkpoint_and_is_over_and_not_done() -> None:
    stands = {"a": RetailerCursor(NEW_YORK, day(3)), "b": RetailerCursor(LOS_ANGELES, None)}
    found = due(
        stands,
        [("a", day(5)), ("b", day(1))],
        start_date=START,
        now=datetime(2017, 1, 7, 6, tzinfo=UTC),  # it is the 7th in New York, still the 6th in Los Angeles
    )
    assert found == [("a", day(4)), ("a", day(6)), *(("b", day(each)) for each in (2, 3, 4, 5))]


def test_nothing_before_a_start_date_that_was_set_later_is_due() -> None:
    stands = {"retailer_1": RetailerCursor("UTC", date(2017, 1, 10))}
    now = datetime(2017, 2, 3, 12, tzinfo=UTC)
    assert due(stands, set(), start_date=date(2017, 2, 1), now=now) == [
        ("retailer_1", date(2017, 2, day)) for day in (1, 2)
    ]


def test_a_checkpoint_before_a_start_date_that_was_set_later_moves_on_from_there() -> None:
    days = {date(2017, 2, 1), date(2017, 2, 2)}
    start_date = date(2017, 2, 1)
    moved = advanced(date(2017, 1, 10), days, start_date=start_date, up_to=date(2017, 2, 2))
    assert moved == date(2017, 2, 2)


def test_until_ends_what_is_due_and_never_reaches_into_the_future() -> None:
    stands, now = {"a": RetailerCursor("UTC", day(3))}, datetime(2017, 1, 7, tzinfo=UTC)
    assert due(stands, [], start_date=START, now=now, until=day(5)) == [("a", day(4)), ("a", day(5))]
    assert due(stands, [], start_date=START, now=now, until=day(20))[-1] == ("a", day(6))
    assert due(stands, [], start_date=START, now=now, until=day(2)) == []


@pytest.mark.parametrize(
    ("before", "done", "up_to", "after"),
    [
        (None, [1, 2], 2, 2),
        (None, [2], 2, None),  # the first day is missing
        (2, [1, 2, 4], 4, 2),  # the third is
        (2, [1, 2, 3, 4], 3, 3),  # what a backfill brought behind the run's own days waits for the next run
        (2, [1, 2], 2, 2),
        (5, [3], 3, 5),  # never back
    ],
)
def test_a_checkpoint_moves_on_over_unbroken_days(
    before: int | None, done: list[int], up_to: int, after: int | None
) -> None:
    found = advanced(
        day(before) if before else None, {day(each) for each in done}, start_date=START, up_to=day(up_to)
    )
    assert found == (day(after) if after else None)
