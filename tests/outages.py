"""S3 that is away by a clock that nobody waits for: no server, no network, boto3's own hooks."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import EndpointConnectionError

from retail.config.settings import LakeSettings
from retail.lake.storage.retries import RetryBudget
from retail.lake.storage.s3 import S3Storage

EMPTY_LIST = b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></ListBucketResult>'


class Clock:
    """It moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class _Body(BytesIO):
    def stream(self, **_: object) -> list[bytes]:
        return [self.read()]


def answer(status: int, body: bytes = b"") -> Callable[..., AWSResponse]:
    """What S3 answers: as a handler of a request."""
    headers = {"content-length": str(len(body))}
    return lambda request: AWSResponse(request.url, status, headers, _Body(body))  # type: ignore[arg-type]


def refuse(request: AWSPreparedRequest) -> AWSResponse:
    """As where nobody listens."""
    raise EndpointConnectionError(endpoint_url=request.url, error="refused")


class FakeS3:
    """A storage whose requests are answered by `serve`, or `away` while the clock is before `until`."""

    def __init__(self, seconds: float = 60, *, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.until = 0.0
        self.away: Callable[..., AWSResponse] = refuse
        self.serve: Callable[..., AWSResponse] = answer(200)
        self.methods: list[str] = []
        lake = LakeSettings(url="s3://bucket/lake", s3_endpoint="http://127.0.0.1:1", s3_path_style=True)
        budget = RetryBudget(seconds, lake.url, clock=self.clock, sleep=self.clock.sleep)
        self.storage = self.stand_in(S3Storage(lake, budget=budget))

    def stand_in(self, storage: S3Storage) -> S3Storage:
        """Have the storage's requests answered here."""
        storage.client.meta.events.register("before-send.s3", self._send)  # type: ignore[arg-type]
        return storage

    def _send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        self.methods.append(str(request.method))
        return (self.away if self.clock.now < self.until else self.serve)(request)
