"""Timestamps of all three retailers in one text form: ISO 8601, UTC, microseconds, `Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from retail.sources.values.json_path import JSON, text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_MILLISECONDS = 10**15  # beyond the year 9999
# No time is longer; a cache of longer texts could hold a retailer's whole answers.
_LONGEST = 64
_NORMAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


def utc_text(instant: datetime) -> str:
    """The only form of a time in a record; all have equal length, so text sorts as time does.

    >>> utc_text(datetime(2017, 1, 5, 10, tzinfo=UTC))
    '2017-01-05T10:00:00.000000Z'
    """
    return instant.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def from_iso(value: JSON) -> str | None:
    """An ISO 8601 time with an offset or Z. Anything else stays as it came, for the quarantine to show."""
    found = text(value)
    is_short = isinstance(value, str) and found is not None and len(found) <= _LONGEST
    return _from_iso(str(found)) if is_short else found


@lru_cache(maxsize=1024)
def _from_iso(found: str) -> str:
    """Cached, because all lines of an order share its times."""
    try:
        instant = datetime.fromisoformat(found)
        # Without an offset the instant is unknown.
        return utc_text(instant) if instant.tzinfo else found
    except (ValueError, OverflowError):
        return found


def from_milliseconds(value: JSON) -> str | None:
    """Milliseconds since 1970. Anything that is no such number stays as it came."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return text(value)
    is_time = Decimal(value).is_finite() and -_MOST_MILLISECONDS <= value <= _MOST_MILLISECONDS
    if not is_time:  # int() of 1e99999999 does not end
        return text(value)
    try:
        return utc_text(_EPOCH + timedelta(milliseconds=int(value)))
    except (ValueError, OverflowError):
        return text(value)


def is_normal(instant: str | None) -> bool:
    """Whether `utc_text` could have written the text, so that it can be compared."""
    return instant is not None and _NORMAL.fullmatch(instant) is not None


def business_date(instant: str | None, zone: ZoneInfo) -> str | None:
    """The date on the retailer's calendar at `instant`; None if that is not a time."""
    return _business_date(instant, zone) if instant is not None and is_normal(instant) else None


@lru_cache(maxsize=1024)
def _business_date(instant: str, zone: ZoneInfo) -> str | None:
    try:
        return datetime.fromisoformat(instant).astimezone(zone).date().isoformat()
    except (ValueError, OverflowError):
        return None
