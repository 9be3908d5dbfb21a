"""How long calls to S3 are retried while it does not answer: by time, not by count.

One `RetryBudget` serves all calls of a storage. S3 may be out of service for the budget's seconds, whichever call
notices: a call that begins late in an outage has what is left of them, and after an outage that was too long the next
calls fail at once.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0  # how late the end of an outage is noticed
# Fewer seconds are a passing fault, not worth a log line.
_WORTH_A_WARNING: Final = 2.0
# Two failures of one outage are separated by a pause, a try with its timeout, or the time until the lease's
# next extension.
_ONE_OUTAGE: Final = 60.0

log = structlog.get_logger(__name__)


@dataclass
class Failures:
    """The failures of one call so far: how many, and the time of the first."""

    count: int = 0
    since: float = 0.0


class RetryBudget:
    """The `seconds` for which calls are retried after the first failure; `where` is for the log. Thread-safe."""

    def __init__(
        self,
        seconds: float,
        where: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.seconds = seconds
        self._where = where
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._out_since: float | None = None
        self._failed_at = 0.0
        self._warned = False

    def answered(self) -> None:
        """S3 has answered a call, in any thread: an outage is over."""
        with self._lock:
            if self._warned and self._out_since is not None:
                out = round(self._clock() - self._out_since, 1)
                log.warning("S3 answers again", url=self._where, seconds_out=out)
            self._out_since, self._warned = None, False

    def retry(self, failures: Failures, error: object) -> bool:
        """Called after each failure of a call: returns True, after a pause, if it should be retried.

        The last try comes when the budget ends, so an outage no longer than the budget is always waited out.
        """
        left = self._note(failures, error)
        if left <= 0:
            return False
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures.count - 1, 10))
        self._sleep(min(left, pause * random.uniform(0.5, 1)))  # noqa: S311
        return True

    def _note(self, failures: Failures, error: object) -> float:
        """Counts the failure; returns the seconds that are left."""
        with self._lock:
            now = self._clock()
            if self._out_since is None or now - self._failed_at > self.seconds + _ONE_OUTAGE:
                self._out_since, self._warned = now, False
            self._failed_at = now
            if failures.count == 0:
                failures.since = now
            failures.count += 1
            if not self._warned and now - self._out_since >= min(_WORTH_A_WARNING, self.seconds):
                self._warned = True
                log.warning(
                    "S3 does not answer; retrying",
                    url=self._where,
                    for_seconds=self.seconds,
                    error=str(error),
                )
            return self.seconds - (now - min(self._out_since, failures.since))
