"""The stretch of time that one logical date asks a retailer for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from retail.config.settings import Settings
from retail.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Window:
    """Changes from `start` up to, not including, `end` belong to `logical_date`. Both are UTC.

    The first `overlap` of it belongs to the day before as well.
    """

    logical_date: date
    start: datetime
    end: datetime
    overlap: timedelta = field(default=timedelta(0), compare=False)


def window_of(logical_date: date, *, time_zone: str, overlap: timedelta, start_date: date) -> Window:
    """The 24 hours of `logical_date` in `time_zone` (23 or 25 when the clocks change), and `overlap` before.

    The overlap catches what a retailer indexed late; it never reaches behind the midnight that `start_date`
    begins with. Raises ConfigurationError for a date before `start_date`.
    """
    if logical_date < start_date:
        raise ConfigurationError(
            [f"{logical_date} lies before start_date {start_date}"],
            hint="ask for a later date, or set start_date earlier",
        )
    begins, ends = (_midnight(day, time_zone) for day in (logical_date, logical_date + timedelta(days=1)))
    start = max(begins - overlap, _midnight(start_date, time_zone))
    return Window(logical_date, start, ends, begins - start)


def _midnight(day: date, time_zone: str) -> datetime:
    """The first instant of the day; where midnight is skipped by the clocks, the instant they were moved."""
    return datetime.combine(day, time.min, tzinfo=ZoneInfo(time_zone)).astimezone(UTC)


def window_of_unit(settings: Settings, unit: tuple[str, date]) -> Window:
    """The window that a retailer's logical date asks for, in its zone and with the configured overlap."""
    retailer_id, logical_date = unit
    return window_of(
        logical_date,
        time_zone=settings.retailers[retailer_id].time_zone,
        overlap=timedelta(minutes=settings.extract.overlap_minutes),
        start_date=settings.start_date,
    )
