"""Waits out a time in which the engine cannot reach the lake on S3.

Sail 0.7.2 has no setting for it: it tries each call eleven times, which takes one to twelve seconds if connections are
refused. It also takes a commit whose response was lost for a failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import structlog

from retail.errors import StorageError
from retail.lake import engine

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 16.0

log = structlog.get_logger(__name__)


def sit_out(
    work: Callable[[], None],
    *,
    ready: Callable[[], None],
    seconds: float,
    url: str,
    waits: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Do `work`; if the engine lost the lake at `url`, wait and do it again, for up to `seconds` of waiting in all.

    `work` must be safe to repeat from any point where it may have stopped. `ready` is called before each attempt: it
    returns once S3 answers, and raises if the work must not be done, such as when the lease is another run's. Its time
    counts as waiting. `waits` gets the reason in words. Raises StorageError when the seconds are used up.
    """
    waited, pause = 0.0, _FIRST_PAUSE
    ready()
    while True:
        try:
            return work()
        except Exception as error:
            reason = engine.lost_lake(error)
            if reason is None:
                raise
            if waited >= seconds:
                raise StorageError(
                    f"the engine cannot reach {url} after {seconds:.0f} s of retries: {reason}",
                    hint="check that the server answers (`retail doctor`), then run again; "
                    "lake.s3_retry_seconds sets how long a run waits out an outage",
                ) from error
            log.warning("the engine lost the lake; repeating the step", url=url, error=reason)
            waits("for S3, which the engine cannot reach")
        began = clock()
        sleep(min(pause, seconds - waited))
        ready()
        waited += clock() - began
        pause = min(2 * pause, _LONGEST_PAUSE)
