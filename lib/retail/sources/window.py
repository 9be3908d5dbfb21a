"""The period that is requested from a retailer for one logical date."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from retail.config.settings import Settings
from retail.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Window:
    """Changes from `start` up to, but not including, `end` belong to `logical_date`. Both are UTC.

    The first `overlap` of the window belongs to earlier days as well. `shorter` is the same window without its
    look-back, where it has one.
    """

    logical_date: date
    start: datetime
    end: datetime
    overlap: timedelta = field(default=timedelta(0), compare=False)
    shorter: Window | None = field(default=None, compare=False)

    @property
    def day(self) -> Window:
        """The day alone, without what belongs to earlier days as well."""
        return Window(self.logical_date, self.start + self.overlap, self.end)


def window_of(
    logical_date: date,
    *,
    time_zone: str,
    overlap: timedelta,
    start_date: date,
    look_back: timedelta = timedelta(0),
    fetched_to: datetime | None = None,
) -> Window:
    """The 24 hours of `logical_date` in `time_zone` (23 or 25 when the clocks change), and time before them.

    The overlap is for changes at midnight; the look-back, if it is longer, for what a retailer lists hours later.
    If the day before was fetched up to `fetched_to` only, as it is where the time zone was moved west since, the day
    begins there. Nothing reaches back beyond the midnight at which `start_date` begins. Raises ConfigurationError for a
    date before `start_date`.
    """
    if logical_date < start_date:
        raise ConfigurationError(
            [f"{logical_date} is before start_date {start_date}"],
            hint="choose a later date, or set start_date earlier",
        )
    begins, ends = (_midnight(day, time_zone) for day in (logical_date, logical_date + timedelta(days=1)))
    first = _midnight(start_date, time_zone)
    begins = max(first, min(begins, fetched_to or begins))
    start, back = (max(begins - before, first) for before in (overlap, max(overlap, look_back)))
    shorter = Window(logical_date, start, ends, begins - start)
    return shorter if back == start else Window(logical_date, back, ends, begins - back, shorter)


def _midnight(day: date, time_zone: str) -> datetime:
    """The first instant of the day; if a clock change skips midnight, the instant of the change."""
    return datetime.combine(day, time.min, tzinfo=ZoneInfo(time_zone)).astimezone(UTC)


def window_of_unit(
    settings: Settings,
    unit: tuple[str, date],
    *,
    look_back: timedelta = timedelta(0),
    fetched_to: datetime | None = None,
) -> Window:
    """The window for a retailer's logical date, in the retailer's zone and with the configured overlap."""
    retailer_id, logical_date = unit
    return window_of(
        logical_date,
        time_zone=settings.retailers[retailer_id].time_zone,
        overlap=timedelta(minutes=settings.extract.overlap_minutes),
        start_date=settings.start_date,
        look_back=look_back,
        fetched_to=fetched_to,
    )
