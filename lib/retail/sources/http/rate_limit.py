"""A retailer's rate limit: its token bucket as far as we know it, and what to do once it is empty."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

# A wait too short to report, and acceptable with `--no-wait` too: Shopify's buckets refill in seconds.
SHORT_WAIT: Final = 10.0


# A wait of more than a day is a mistake of the retailer's figures, and no client waits that long.
LONGEST_WAIT: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaWait:
    """A wait for a retailer's quota: how long, in seconds, and until when."""

    retailer_id: str
    seconds: float
    until: datetime

    def __str__(self) -> str:
        return f"{self.retailer_id} for its quota, {self.seconds:.0f} s, until {self.until:%H:%M:%S} UTC"


def _ignore(wait: QuotaWait) -> None:
    del wait


class Quota:
    """A token bucket: holds up to `burst` and refills by `per_second`. Full until the retailer says otherwise.

    Safe to share between the threads that query one retailer.
    """

    def __init__(self, *, burst: float, per_second: float, monotonic: Callable[[], float]) -> None:
        self.burst = burst
        self.per_second = per_second
        self._monotonic = monotonic
        self._level = burst
        self._at = monotonic()
        self._owed = 0.0  # spent but not sent yet: the retailer does not know of it
        self._lock = threading.RLock()

    @property
    def available(self) -> float:
        """The amount that can be spent now."""
        with self._lock:
            now = self._monotonic()
            self._level = min(self.burst, self._level + (now - self._at) * self.per_second)
            self._at = now
            return self._level

    def seconds_until(self, cost: float = 1.0) -> float:
        """Seconds until `cost` can be spent; a cost above the burst is paid from a full bucket."""
        missing = min(cost, self.burst) - self.available
        return max(0.0, missing / self.per_second)

    def seconds_for(self, calls: int, *, cost: float = 1.0) -> float:
        """Total seconds that this many calls wait, starting now."""
        return max(0.0, (calls * cost - self.available) / self.per_second)

    def spend(self, cost: float = 1.0) -> float:
        """Take `cost` out and return the seconds to wait before using it: what is not available yet is owed."""
        with self._lock:
            seconds = self.seconds_until(cost)
            self._level = self.available - cost
            self._owed += cost
            return seconds

    def sent(self, cost: float = 1.0) -> None:
        """The spent cost goes to the retailer now, which counts it from here on."""
        with self._lock:
            self._owed -= cost

    def give_back(self, cost: float = 1.0) -> None:
        """The spent cost is not used after all."""
        with self._lock:
            self._level = min(self.burst, self.available + cost)
            self._owed -= cost

    def learn(
        self, *, available: float | None = None, burst: float | None = None, per_second: float | None = None
    ) -> None:
        """Adopt the retailer's figures for its bucket."""
        with self._lock:
            self._level = self.available  # what refilled so far did so at the old rate
            if burst is not None and burst > 0:
                self.burst = burst
            if per_second is not None and per_second > 0:
                self.per_second = per_second
            if available is not None:
                self._level = min(available, self.burst) - self._owed

    def refused(self, cost: float, wait: float | None) -> None:
        """The retailer said "too many": it holds less than we thought; `wait` is its own hint, in seconds."""
        refill = cost if wait is None else min(wait, LONGEST_WAIT) * self.per_second
        self.learn(available=min(cost, self.burst) - refill)


@dataclass(frozen=True, slots=True)
class QuotaPolicy:
    """What to do if a retailer's quota is used up: wait, and `tell` until when; or stop with a QuotaError.

    Services of one retailer that share a QuotaPolicy spend from the same buckets.
    """

    waits: bool = True
    tell: Callable[[QuotaWait], None] = _ignore
    _buckets: dict[str, Quota] = field(default_factory=dict)

    def bucket(self, name: str, *, burst: float, per_second: float, monotonic: Callable[[], float]) -> Quota:
        """The bucket of that name, as its first caller described it."""
        return self._buckets.setdefault(name, Quota(burst=burst, per_second=per_second, monotonic=monotonic))
