"""The simulated time of day: fixed at start, then running at a speed of its own."""

import re
import time
from datetime import UTC, datetime

# ISO 8601 in UTC, written with Z: the one form that all three retailers accept.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


class SimulatedClock:
    """What the retailers take for "now"; tokens expire and buckets refill by it too.

    `speed` is how many simulated seconds a real one takes: 60 plays a throttled backfill in a sixtieth of its time,
    0 stands still until it is advanced.
    """

    def __init__(self, start: datetime, *, speed: float = 1.0) -> None:
        self._start = start.timestamp()
        self._started = time.monotonic()
        self._speed = speed

    def now(self) -> float:
        """Seconds since 1970, UTC."""
        return self._start + (time.monotonic() - self._started) * self._speed

    def advance(self, seconds: float) -> None:
        """Jump ahead, so that a test sees a token expire without waiting for it."""
        self._start += seconds


def parse_instant(text: str) -> datetime:
    """The instant that `text` names; a ValueError for any other form, an offset included.

    >>> parse_instant("2017-01-05T10:00:00Z").isoformat()
    '2017-01-05T10:00:00+00:00'
    """
    if not _INSTANT.fullmatch(text):
        raise ValueError(f"not a UTC time written as 2017-01-05T10:00:00Z: {text!r}")
    return datetime.fromisoformat(text)


def instant_text(seconds: float) -> str:
    """`seconds` since 1970 as ISO 8601 with Z, to the second.

    >>> instant_text(1483610400)
    '2017-01-05T10:00:00Z'
    """
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
