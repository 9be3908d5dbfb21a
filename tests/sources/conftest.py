"""A simulator process, a scripted server for faults, and time that tests need not wait for."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.lake.storage.local import LocalStorage
from retail.sources.http.messages import Clock
from retail.sources.http.rate_limit import QuotaPolicy
from retail.sources.registry import open_service
from retail.sources.service import Service

ENVIRONMENT = {
    "RETAIL_RETAILER_1_CLIENT_ID": "amzn-client-id-01",
    "RETAIL_RETAILER_1_CLIENT_SECRET": "amzn-client-secret-02",
    "RETAIL_RETAILER_1_REFRESH_TOKEN": "Atzr|refresh-03",
    "RETAIL_RETAILER_2_CLIENT_ID": "wm-client-id-04",
    "RETAIL_RETAILER_2_CLIENT_SECRET": "wm-client-secret-05",
    "RETAIL_RETAILER_3_CLIENT_ID": "shop-client-id-06",
    "RETAIL_RETAILER_3_CLIENT_SECRET": "shpss-client-secret-07",
    "RETAIL_CUSTOMER_PEPPER": "pepper-08-for-the-tests-of-32-bytes",
}


@pytest.fixture(scope="session")
def simulator() -> Iterator[str]:
    """The address of a running simulator; it is 3 January 2018 there."""
    command = [sys.executable, "-m", "retail_simulator", "--port", "0"]
    command += ["--clock", "2018-01-03T00:00:00Z", "--exit-with-parent"]
    with subprocess.Popen(
        command,
        env={**os.environ, **ENVIRONMENT},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["listening"]
        process.terminate()


@pytest.fixture
def secrets() -> Secrets:
    return Secrets(ENVIRONMENT)


@pytest.fixture
def secret_values() -> list[str]:
    return list(ENVIRONMENT.values())


@pytest.fixture
def lake(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "lake")


@dataclass
class FakeTime:
    """Sleeping passes at once, and is written down."""

    slept: list[float] = field(default_factory=list)
    passed: float = 0.0

    def clock(self) -> Clock:
        return Clock(now=self.now, monotonic=lambda: self.passed, sleep=self.sleep)

    def now(self) -> datetime:
        return datetime(2017, 1, 10, 12, tzinfo=UTC) + timedelta(seconds=self.passed)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def settings_of() -> Callable[..., Settings]:
    """The three retailers of conf/local.toml at another address."""

    def build(url: str, *, options: dict[str, Any] | None = None, **extract: Any) -> Settings:
        amazon = {"token_url": f"{url}/auth/o2/token", "marketplace_ids": ["ATVPDKIKX0DER"]}
        return Settings(
            start_date=date(2017, 1, 1),
            lake={"url": "unused"},
            extract=extract,
            retailers={
                "retailer_1": {
                    "service": "amazon",
                    "name": "Amazon US",
                    "base_url": url,
                    "time_zone": "America/Los_Angeles",
                    "options": amazon | (options or {}).get("retailer_1", {}),
                },
                "retailer_2": {
                    "service": "walmart",
                    "name": "Walmart US",
                    "base_url": url,
                    "time_zone": "America/Chicago",
                    "options": (options or {}).get("retailer_2", {}),
                },
                "retailer_3": {
                    "service": "shopify",
                    "name": "Shopify store",
                    "base_url": url,
                    "time_zone": "America/New_York",
                    "options": (options or {}).get("retailer_3", {}),
                },
            },
        )

    return build


@pytest.fixture
def open_at(settings_of: Callable[..., Settings], secrets: Secrets, time: FakeTime) -> Callable[..., Service]:
    """A retailer's service at an address, in fake time."""

    def build(
        retailer_id: str,
        url: str,
        *,
        options: dict[str, Any] | None = None,
        quota_policy: QuotaPolicy | None = None,
        **extract: Any,
    ) -> Service:
        settings = settings_of(url, options={retailer_id: options or {}}, **extract)
        return open_service(retailer_id, settings, secrets, clock=time.clock(), quota_policy=quota_policy)

    return build


@dataclass
class Reply:
    """What the scripted server answers; `cut` leaves off that many bytes that it promised."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Seen:
    """One request that the scripted server got, tokens apart."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str


class Scripted:
    """A server that gives out tokens `access-token-1`, `access-token-2`, …, and else the replies of a script in turn.

    Amazon's transactions have a script of their own: without one there are none.
    """

    def __init__(
        self, replies: Iterable[Reply], token_replies: Iterable[Reply], transactions: Iterable[Reply]
    ) -> None:
        self.seen: list[Seen] = []
        self.seen_transactions: list[Seen] = []
        self.tokens = 0
        self._replies = iter(replies)
        self._token_replies = iter(token_replies)
        self._transactions = iter(transactions)
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                script.handle(self)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0)).decode()
        parts = urlsplit(request.path)
        if parts.path.endswith("token"):
            self.tokens += 1
            good = Reply(
                body={
                    "access_token": f"access-token-{self.tokens}",
                    "expires_in": 3600,
                    "scope": "read_orders",
                }
            )
            reply = next(self._token_replies, good)
        else:
            headers = {name.lower(): value for name, value in request.headers.items()}
            seen = Seen(parts.path, dict(parse_qsl(parts.query)), headers, body)
            if parts.path.endswith("/transactions"):
                self.seen_transactions.append(seen)
                reply = next(self._transactions, Reply(body={"payload": {"transactions": []}}))
            else:
                self.seen.append(seen)
                reply = next(self._replies, Reply(418, {"error": "the script has ended"}))
        content = reply.content()
        request.send_response_only(reply.status)  # no Date: then it is the time of FakeTime there too
        for name, value in reply.headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[: len(content) - reply.cut])

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def reply() -> type[Reply]:
    return Reply


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    """Starts scripted servers, and stops them behind the test."""
    running: list[Scripted] = []

    def start(
        *replies: Reply,
        endless: Iterable[Reply] = (),
        tokens: Iterable[Reply] = (),
        transactions: Iterable[Reply] = (),
    ) -> Scripted:
        running.append(Scripted([*replies] or endless, tokens, transactions))
        return running[-1]

    yield start
    for server in running:
        server.stop()
