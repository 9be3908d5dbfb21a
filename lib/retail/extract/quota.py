"""How much a retailer still answers: its token bucket as we know it, and what to do once it is empty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

# A wait that nobody needs to be told of, and that `--no-wait` bears too: Shopify's buckets refill in seconds.
SHORT_WAIT: Final = 10.0


# A hint beyond a day is a mistake, and no client waits for it.
_LONGEST_HINT: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaWait:
    """A wait for a retailer's quota: how long, in seconds, and until when."""

    retailer_id: str
    seconds: float
    until: datetime


def _tell_nobody(wait: QuotaWait) -> None:
    del wait


@dataclass(frozen=True, slots=True)
class Patience:
    """What to do where a retailer's quota is used up: wait, and `tell` until when; or stop with a QuotaError."""

    waits: bool = True
    tell: Callable[[QuotaWait], None] = _tell_nobody


class Quota:
    """A token bucket: holds up to `burst` and refills by `per_second`. Full until the retailer says otherwise."""

    def __init__(self, *, burst: float, per_second: float, monotonic: Callable[[], float]) -> None:
        self.burst = burst
        self.per_second = per_second
        self._monotonic = monotonic
        self._level = burst
        self._at = monotonic()

    @property
    def available(self) -> float:
        """What can be spent now."""
        now = self._monotonic()
        self._level = min(self.burst, self._level + (now - self._at) * self.per_second)
        self._at = now
        return self._level

    def seconds_until(self, cost: float = 1.0) -> float:
        """How long until `cost` can be spent; a cost above the burst is paid from a full bucket."""
        missing = min(cost, self.burst) - self.available
        return max(0.0, missing / self.per_second)

    def seconds_for(self, calls: int, *, cost: float = 1.0) -> float:
        """How long that many calls wait in all, beginning now."""
        return max(0.0, (calls * cost - self.available) / self.per_second)

    def spend(self, cost: float = 1.0) -> None:
        """Take `cost` out; what was spent beyond the bucket is owed."""
        self._level = self.available - cost

    def learn(
        self, *, available: float | None = None, burst: float | None = None, per_second: float | None = None
    ) -> None:
        """Take over what the retailer says of its bucket."""
        self._level = self.available  # what refilled so far did so at the old rate
        if burst is not None and burst > 0:
            self.burst = burst
        if per_second is not None and per_second > 0:
            self.per_second = per_second
        if available is not None:
            self._level = min(available, self.burst)

    def refused(self, cost: float, wait: float | None) -> None:
        """The retailer said "too many": it holds less than we thought; `wait` is its own hint, in seconds."""
        refill = cost if wait is None else min(wait, _LONGEST_HINT) * self.per_second
        self.learn(available=min(cost, self.burst) - refill)
