"""The checkpoint: the last logical date up to which a retailer's days have all come to the views; and what is due.

A checkpoint is moved on by scheduled runs alone. A backfill marks its days as done, so that no run does them again, and
leaves the checkpoint where it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from retail.runs.days import Unit

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Stand:
    """How far a retailer has come: its time zone, its checkpoint, None before the first."""

    time_zone: str
    checkpoint: date | None


def last_day_over(time_zone: str, now: datetime) -> date:
    """Yesterday, where the retailer is."""
    return now.astimezone(ZoneInfo(time_zone)).date() - _DAY


def due(
    stands: Mapping[str, Stand],
    done: Collection[Unit],
    *,
    start_date: date,
    now: datetime,
    until: date | None = None,
) -> list[Unit]:
    """Each retailer's days behind its checkpoint that are over, up to `until`, without those that are done.

    None before `start_date`, which may have been set to a later day since.
    """
    found = []
    for retailer, stand in stands.items():
        first = max(start_date, stand.checkpoint + _DAY) if stand.checkpoint else start_date
        last = last_day_over(stand.time_zone, now)
        days = _days(first, min(last, until) if until else last)
        found += [(retailer, day) for day in days if (retailer, day) not in done]
    return found


def moved_on(
    checkpoint: date | None, days_done: Collection[date], *, start_date: date, up_to: date
) -> date | None:
    """The checkpoint after a run that came up to `up_to`: the end of the unbroken days behind the old one.

    Days before `start_date`, which may have been set to a later day since, break nothing.
    """
    last = max(checkpoint or start_date - _DAY, start_date - _DAY)
    while last + _DAY in days_done and last < up_to:
        last += _DAY
    return last if last >= start_date else None


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += _DAY
