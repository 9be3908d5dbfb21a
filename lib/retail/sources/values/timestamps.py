"""Times of three retailers as one text: ISO 8601, UTC, microseconds, `Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from retail.sources.values.json_path import JSON, text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NORMAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


def utc_text(instant: datetime) -> str:
    """The one form in which a record carries a time; equal lengths, so that text sorts as time does.

    >>> utc_text(datetime(2017, 1, 5, 10, tzinfo=UTC))
    '2017-01-05T10:00:00.000000Z'
    """
    return instant.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def from_iso(value: JSON) -> str | None:
    """An ISO 8601 time with an offset or Z. What is none stays as it came, for the quarantine to show."""
    found = text(value)
    return _from_iso(found) if isinstance(value, str) and found is not None else found


@lru_cache(maxsize=1024)
def _from_iso(found: str) -> str:
    """All lines of an order have its times."""
    try:
        instant = datetime.fromisoformat(found)
        # Without an offset nobody knows which instant is meant.
        return utc_text(instant) if instant.tzinfo else found
    except (ValueError, OverflowError):
        return found


def from_milliseconds(value: JSON) -> str | None:
    """Milliseconds since 1970. What is no such number stays as it came."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return text(value)
    try:
        return utc_text(_EPOCH + timedelta(milliseconds=int(value)))
    except (ValueError, OverflowError):
        return text(value)


def is_normal(instant: str | None) -> bool:
    """Whether the text is one that `utc_text` writes, and so can be compared."""
    return instant is not None and _NORMAL.fullmatch(instant) is not None


@lru_cache(maxsize=1024)
def business_date(instant: str | None, zone: ZoneInfo) -> str | None:
    """The date that was on the retailer's calendar at `instant`; None where that is no time."""
    if instant is None or not is_normal(instant):
        return None
    try:
        return datetime.fromisoformat(instant).astimezone(zone).date().isoformat()
    except (ValueError, OverflowError):
        return None
