"""A step in which the engine lost S3 is done again once S3 answers, for a time. No test here waits for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pyspark.errors import PySparkException
from tests.outages import Clock

from retail.errors import EngineError, LeaseHeldError, StorageError, WarehouseError
from retail.lake import engine
from retail.lake.outage import sit_out

REFUSED = "Connection refused (os error 111)"


class Step:
    """A step that fails as Sail does, after some seconds of its own tries, while S3 is away."""

    def __init__(self, until: float, *, error: Exception | None = None) -> None:
        self.clock = Clock()
        self.until = until
        self.error = error or PySparkException(REFUSED)
        self.begun_at: list[float] = []
        self.said: list[str] = []

    def work(self) -> None:
        self.begun_at.append(self.clock.now)
        if self.clock.now < self.until:
            self.clock.now += 3
            raise self.error

    def ready(self) -> None:
        """As a look at the lease does: it comes back when S3 does."""
        if self.begun_at:
            self.clock.now = max(self.clock.now, self.until)

    def done(self, seconds: float = 60, ready: Callable[[], None] | None = None) -> None:
        sit_out(
            self.work,
            ready=ready or self.ready,
            seconds=seconds,
            url="s3://bucket/lake",
            waits=self.said.append,
            clock=self.clock,
            sleep=self.clock.sleep,
        )


@pytest.mark.parametrize("outage", [5, 20, 45, 60])
def test_a_step_is_done_again_as_soon_as_s3_answers(outage: float) -> None:
    step = Step(outage)
    step.done()
    assert step.begun_at == [0, outage]
    assert step.said == ["for S3, which the engine cannot reach"]


@pytest.mark.parametrize("outage", [5, 20, 45])
def test_a_step_is_done_again_until_the_engine_reaches_s3_where_only_it_cannot(outage: float) -> None:
    step = Step(outage)
    step.done(ready=lambda: None)
    assert outage <= step.begun_at[-1] <= outage + 16 + 3
    assert len(step.begun_at) <= 7


def test_an_engine_that_never_reaches_s3_is_reported_with_what_where_and_next() -> None:
    step = Step(10_000)
    with pytest.raises(StorageError) as raised:
        step.done(ready=lambda: None)
    assert raised.value.message == (
        "the engine cannot reach s3://bucket/lake after 60 s of retries: Connection refused (os error 111)"
    )
    assert "retail doctor" in raised.value.hint and "lake.s3_retry_seconds" in raised.value.hint
    assert isinstance(raised.value.__cause__, PySparkException)
    assert sum(step.clock.pauses) == 60
    assert len(step.begun_at) == len(step.clock.pauses) + 1 == 9


def test_what_waits_for_s3_counts_and_what_works_does_not() -> None:
    step = Step(10_000)

    def slow_to_answer() -> None:
        step.clock.now += 25 * bool(step.begun_at)

    with pytest.raises(StorageError):
        step.done(ready=slow_to_answer)
    assert len(step.begun_at) == 4, "0.5 + 25, 1 + 25, 2 + 25 seconds"


def test_nothing_is_done_again_without_a_budget() -> None:
    step = Step(5)
    with pytest.raises(StorageError, match=r"s3://bucket/lake .*\b0 s\b"):
        step.done(seconds=0)
    assert step.begun_at == [0]


def test_a_step_is_not_begun_again_once_the_lease_is_another_s() -> None:
    step = Step(20)

    def lost() -> None:
        if step.begun_at:
            raise LeaseHeldError("run lost its lease", hint="")

    with pytest.raises(LeaseHeldError):
        step.done(ready=lost)
    assert step.begun_at == [0]


@pytest.mark.parametrize(
    "error",
    [
        PySparkException("non-2xx status code: 403 Forbidden: "),
        PySparkException("Server returned non-2xx status code: 404 Not Found: "),
        PySparkException("No space left on device (os error 28)"),
        PySparkException("cannot resolve column `x`"),
        WarehouseError(f"PostgreSQL cannot be reached: {REFUSED}"),
        StorageError("cannot write s3://bucket/lake/a: Could not connect"),
        ValueError(REFUSED),
    ],
    ids=str,
)
def test_any_other_failure_ends_the_step_at_once(error: Exception) -> None:
    step = Step(20, error=error)
    with pytest.raises(type(error)) as raised:
        step.done()
    assert raised.value is error
    assert step.begun_at == [0]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        # Sail 0.7.2, as it was heard with connections refused, reset, cut off, with 503, and with no name.
        (REFUSED, REFUSED),
        ("Connection reset by peer (os error 104)", "Connection reset by peer (os error 104)"),
        ("connection closed before message completed", "connection closed before message completed"),
        ("end of file before message length reached", "end of file before message length reached"),
        (
            "External: Generic S3 error: HTTP error: request or response body error",
            "HTTP error: request or response body error",
        ),
        (
            "Server returned non-2xx status code: 503 Service Unavailable: ",
            "non-2xx status code: 503 Service Unavailable:",
        ),
        (
            "failed to lookup address information: Name or service not known",
            "failed to lookup address information: Name or service not known",
        ),
        # A commit whose answer was lost.
        ("Failed to commit transaction: 0", "Failed to commit transaction: 0"),
        # Spark's S3A, which adds a Java trace.
        (
            "An error occurred while calling o95.save.\n: java.net.ConnectException: getFileStatus on s3a://b/t:"
            " software.amazon.awssdk.core.exception.SdkClientException: Unable to execute HTTP request: Connect to"
            " 127.0.0.1:9 failed\n\tat org.apache…",
            "Unable to execute HTTP request: Connect to 127.0.0.1:9 failed",
        ),
    ],
)
def test_what_the_engines_say_when_they_lose_s3(said: str, reason: str) -> None:
    assert engine.lost_lake(PySparkException(said)) == reason
    assert engine.lost_lake(EngineError(f"star/x cannot be read: {said}", hint="…")) == reason
