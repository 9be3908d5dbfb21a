"""Calls to S3 are tried again for a time, not for a number of tries. No test here waits for it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
import structlog
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import SSLError
from tests.outages import EMPTY_LIST, Clock, FakeS3, answer

from retail.config.settings import LakeSettings
from retail.errors import LeaseHeldError, ObjectNotFoundError, StorageError
from retail.lake.storage.retries import Failures, RetryBudget
from retail.runs.fenced_storage import FencedStorage


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


CALLS: dict[str, Callable[[FakeS3], object]] = {
    "read": lambda s3: s3.storage.read("a"),
    "write": lambda s3: s3.storage.write("a", b"1"),
    "write_from": lambda s3: s3.storage.write_from("a", BytesIO(b"1")),
    "create": lambda s3: s3.storage.create("a", b"1"),
    "delete": lambda s3: s3.storage.delete("a"),
    "list": lambda s3: list(s3.storage.list("a/")),
}


def test_an_outage_is_sat_out_for_a_minute_by_default() -> None:
    assert LakeSettings(url="s3://bucket/lake").s3_retry_seconds == 60


@pytest.mark.parametrize("outage", [0.7, 5, 20, 45, 60])
@pytest.mark.parametrize("call", CALLS)
def test_an_outage_within_the_budget_is_sat_out(call: str, outage: float) -> None:
    s3 = FakeS3()
    s3.serve = answer(200, EMPTY_LIST)
    s3.until = outage
    CALLS[call](s3)
    assert outage <= s3.clock.now <= outage + 5, "its end is noticed within a pause"


def test_five_refused_tries_take_no_longer_than_before_and_no_pause_is_long() -> None:
    s3 = FakeS3()
    s3.until = 60
    s3.storage.write("a", b"1")
    assert sum(s3.clock.pauses[:4]) <= 0.1 + 0.2 + 0.4 + 0.8
    assert max(s3.clock.pauses) <= 5
    assert all(pause > 0 for pause in s3.clock.pauses)


@pytest.mark.parametrize("call", CALLS)
def test_a_longer_outage_is_reported_with_what_where_and_next_when_the_budget_ends(call: str) -> None:
    s3 = FakeS3()
    s3.until = 1000
    verb = call.removesuffix("_from")
    with pytest.raises(StorageError) as raised:
        CALLS[call](s3)
    assert raised.value.message.startswith(f"cannot {verb} s3://bucket/lake/a")
    assert "Could not connect to the endpoint URL" in raised.value.message
    assert "retail doctor" in raised.value.hint
    assert s3.clock.now == pytest.approx(60)


def test_the_budget_is_the_outage_s_and_not_each_call_s() -> None:
    """A run whose step failed for S3 writes that down, and gives its lease back: it would wait a minute for each."""
    s3 = FakeS3()
    s3.until = 1000
    for _ in range(3):
        with pytest.raises(StorageError):
            s3.storage.write("a", b"1")
    assert s3.clock.now == pytest.approx(60)
    s3.clock.now = 1000
    s3.storage.write("a", b"1")
    s3.until = 1030
    s3.storage.write("a", b"1")
    assert s3.clock.now >= 1030, "another outage has a budget of its own"


def test_a_call_long_after_a_failed_one_has_the_whole_budget() -> None:
    s3 = FakeS3()
    s3.until = 100
    with pytest.raises(StorageError):
        s3.storage.read("a")
    s3.clock.now, s3.until = 3600.0, 3650.0
    s3.storage.write("a", b"1")
    assert s3.clock.now >= 3650


def test_a_call_that_fails_alone_ends_though_others_are_answered() -> None:
    clock = Clock()
    budget, failures = RetryBudget(60, "s3://bucket", clock=clock, sleep=clock.sleep), Failures()
    while budget.retry(failures, "503 SlowDown"):
        budget.answered()
    assert clock.now == pytest.approx(60)


def test_threads_share_an_outage() -> None:
    s3 = FakeS3()
    s3.until = 1000

    def fails(number: int) -> bool:
        with pytest.raises(StorageError):
            s3.storage.write(str(number), b"1")
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(fails, range(8)))
    assert s3.clock.now < 60 + 8 * 5, "each slept on one clock, so that they may overshoot by a pause each"


def test_no_budget_is_one_try() -> None:
    s3 = FakeS3(0)
    s3.until = 1
    with pytest.raises(StorageError, match="s3://bucket/lake/a"):
        s3.storage.write("a", b"1")
    assert s3.methods == ["PUT"]
    assert s3.clock.pauses == []


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_answer_that_asks_for_patience_gets_it(status: int) -> None:
    s3 = FakeS3()
    s3.away, s3.until = answer(status, b"<Error><Code>SlowDown</Code></Error>"), 20
    s3.storage.write("a", b"1")
    assert 20 <= s3.clock.now <= 25


@pytest.mark.parametrize("status", [400, 401, 403, 404, 501])
def test_an_answer_that_stands_is_reported_at_once(status: int) -> None:
    s3 = FakeS3()
    s3.serve = answer(status, b"<Error><Code>Any</Code></Error>")
    with pytest.raises(StorageError, match="s3://bucket/lake/a"):
        s3.storage.write("a", b"1")
    assert s3.methods == ["PUT"]


def test_an_object_that_is_not_there_is_reported_at_once() -> None:
    s3 = FakeS3()
    s3.serve = answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
    with pytest.raises(ObjectNotFoundError):
        s3.storage.read("a")
    assert s3.clock.pauses == []


def test_a_certificate_that_is_refused_is_reported_at_once_and_a_handshake_cut_off_is_not() -> None:
    def of(what: str) -> Callable[[AWSPreparedRequest], AWSResponse]:
        def raise_(request: AWSPreparedRequest) -> AWSResponse:
            raise SSLError(endpoint_url=request.url, error=what)  # type: ignore[arg-type]

        return raise_

    s3 = FakeS3()
    s3.away, s3.until = of("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"), 5
    with pytest.raises(StorageError, match="CERTIFICATE_VERIFY_FAILED"):
        s3.storage.write("a", b"1")
    assert s3.clock.pauses == []
    s3.away = of("EOF occurred in violation of protocol")
    s3.storage.write("a", b"1")
    assert s3.clock.now >= 5


def test_an_outage_is_one_warning_and_its_end_another() -> None:
    s3 = FakeS3()
    s3.until = 20
    with structlog.testing.capture_logs() as lines:
        s3.storage.write("a", b"1")
        s3.storage.write("a", b"1")
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("S3 does not answer; retrying", "warning"),
        ("S3 answers again", "warning"),
    ]
    assert lines[0]["url"] == "s3://bucket/lake" and lines[0]["for_seconds"] == 60
    assert lines[1]["seconds_out"] >= 20


def test_a_fault_of_a_second_is_no_line_of_the_log() -> None:
    s3 = FakeS3()
    s3.until = 1
    with structlog.testing.capture_logs() as lines:
        s3.storage.write("a", b"1")
    assert lines == []


class Guard:
    """Lets writes pass until the clock says that the lease is another's."""

    def __init__(self, clock: Clock, lost_at: float) -> None:
        self.clock, self.lost_at, self.asked_at = clock, lost_at, list[float]()

    def __call__(self) -> None:
        self.asked_at.append(self.clock.now)
        if self.clock.now >= self.lost_at:
            raise LeaseHeldError("run lost its lease", hint="")


def guarded(s3: FakeS3, guard: Guard) -> FencedStorage:
    found = FencedStorage(s3.storage, guard)
    s3.stand_in(found._below)  # type: ignore[arg-type]
    return found


WRITES: dict[str, Callable[[FencedStorage], object]] = {
    "write": lambda storage: storage.write("a", b"1"),
    "write_from": lambda storage: storage.write_from("a", BytesIO(b"1")),
    "write_from in parts": lambda storage: storage.write_from("a", BytesIO(b"1" * 20_000_000)),
    "create": lambda storage: storage.create("a", b"1"),
    "delete": lambda storage: storage.delete("a"),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_write_is_not_tried_again_once_the_lease_is_another_s(write: str) -> None:
    """An outage longer than the lease lives: what was begun under the lease must not be written after it."""
    s3 = FakeS3(600)
    s3.until = 200
    guard = Guard(s3.clock, lost_at=135)
    storage = guarded(s3, guard)
    with pytest.raises(LeaseHeldError):
        WRITES[write](storage)
    assert 135 <= s3.clock.now <= 135 + 5, "before S3 was back"
    assert len(guard.asked_at) == len(s3.clock.pauses) + 1, "before the write, and before each further try"


def test_a_write_that_keeps_its_lease_is_done_after_the_outage() -> None:
    s3 = FakeS3(600)
    s3.until = 200
    guarded(s3, Guard(s3.clock, lost_at=1000)).write("a", b"1")
    assert s3.clock.now >= 200


def test_a_read_needs_no_lease() -> None:
    s3 = FakeS3()
    s3.until, s3.serve = 20, answer(200, b"1")
    assert guarded(s3, Guard(s3.clock, lost_at=0)).read("a") == b"1"
