"""What is fed with hostile input. Each target takes bytes, and may end with a RetailError or a value; nothing else.

The services run as in a run: their client, paging, removal of personal data, payloads, landing and the learning of
fields; only the socket is ours.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import requests
from requests.structures import CaseInsensitiveDict

from retail.cli import quarantine
from retail.cli.explain import trace
from retail.cli.output import console
from retail.config.secrets import Secrets
from retail.config.settings import Settings, load_settings
from retail.errors import RetailError
from retail.lake.storage.local import LocalStorage
from retail.landing.fetch import extract
from retail.landing.field_drift import PayloadFields
from retail.landing.land import land
from retail.outgoing_text import mask, printable
from retail.sources.http import bounded
from retail.sources.http.messages import Clock
from retail.sources.registry import open_service, sales_of
from retail.sources.window import Window
from tests.fuzz.answers import ANSWERS
from tests.fuzz.mutation import headers, mutated

WINDOW = Window(date(2017, 1, 5), datetime(2017, 1, 5, 8, tzinfo=UTC), datetime(2017, 1, 6, 8, tzinfo=UTC))
# A walk of hostile answers may be long; this is enough to find what goes wrong in it.
_MOST_ANSWERS = 12
_SECRETS = Secrets(
    {
        f"RETAIL_{name.upper()}": hashlib.sha256(name.encode()).hexdigest()
        for name in (
            *(f"retailer_{number}_{kind}" for number in (1, 2, 3) for kind in ("client_id", "client_secret")),
            "retailer_1_refresh_token",
            "customer_pepper",
        )
    }
)
_TOKEN = {
    "access_token": "fuzz-access-token-0123456789",
    "expires_in": 3600,
    "scope": "read_orders,read_all_orders",
}


@dataclass
class Answer:
    """What the stand-in of a session answers."""

    content: bytes
    status: int = 200
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Target:
    """`good` answers are mutated; `run` is given bytes, and a random for whatever else an answer has."""

    good: tuple[Any, ...]
    run: Callable[[bytes, Random], None]


@contextmanager
def answering(answers: Iterator[Answer]) -> Iterator[None]:
    """Every session answers so, and a token where one is asked for."""

    def opened(_session: Any, _method: str, url: str, _limits: Any, **_options: Any) -> requests.Response:
        is_token = url.endswith("token")
        answer = Answer(json.dumps(_TOKEN).encode()) if is_token else next(answers, Answer(b"{}", 418))
        response = requests.Response()
        response.status_code, response._content = answer.status, answer.content
        response.headers = CaseInsensitiveDict(answer.headers or {})
        return response

    def chunks(_session: Any, response: requests.Response) -> Iterator[bytes]:
        content = response.content
        yield from (content[start : start + 100] for start in range(0, len(content), 100))

    with (
        mock.patch.object(bounded.BoundedSession, "open", opened),
        mock.patch.object(bounded.BoundedSession, "chunks", chunks),
        mock.patch.object(bounded.BoundedSession, "body", lambda _session, response: response.content),
    ):
        yield


def settings() -> Settings:
    base = {"name": "Shop", "base_url": "http://127.0.0.1:9", "time_zone": "America/New_York"}
    options = {
        "amazon": {
            "marketplace_ids": ["ATVPDKIKX0DER"],
            "token_url": "http://127.0.0.1:9/token",
            "seller_id": "S",
        },
        "walmart": {},
        "shopify": {"bulk_from_orders": 3},
    }
    return Settings(
        start_date=date(2017, 1, 1),
        lake={"url": "unused"},
        extract={"tries": 2, "overlap_minutes": 0},
        retailers={
            f"retailer_{number}": {**base, "name": service, "service": service, "options": each}
            for number, (service, each) in enumerate(options.items(), start=1)
        },
    )


def service_of(retailer_id: str) -> Any:
    """A service whose waits pass at once."""
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    clock = Clock(
        now=lambda: datetime(2017, 1, 10, 12, tzinfo=UTC) + timedelta(seconds=min(passed[0], 10**6)),
        monotonic=lambda: passed[0],
        sleep=sleep,
    )
    return open_service(retailer_id, settings(), _SECRETS, clock=clock)


def _of_retailer(retailer_id: str, service: str) -> Callable[[bytes, Random], None]:
    good = ANSWERS[service]

    def run(content: bytes, random: Random) -> None:
        def answers() -> Iterator[Answer]:
            yield Answer(content, random.choice((200, 200, 200, 200, 400, 404, 429, 500)), headers(random))
            for _ in range(_MOST_ANSWERS):
                yield Answer(mutated(random.choice(good), random))

        with answering(answers()), tempfile.TemporaryDirectory() as folder:
            _ingested(service_of(retailer_id), LocalStorage(Path(folder)), retailer_id)

    return run


def _ingested(service: Any, lake: LocalStorage, retailer_id: str) -> None:
    """The window fetched, with its fields learned, and landed: what came of it is read back."""
    fields = PayloadFields(
        lake, retailer_id, "run-1", has_ended=lambda _: False, watched={"orders[].orderId": "x"}
    )
    try:
        extract(
            service,
            lake,
            retailer_id=retailer_id,
            window=WINDOW,
            run_id="run-1",
            sales=sales_of(retailer_id, settings()),
            look=fields.look,
            now=lambda: datetime(2017, 1, 10, 12, tzinfo=UTC),
        )
    except RetailError:
        return
    finally:
        fields.keep()
    # What was fetched to its end can be landed, whatever it is: else it would stop every later run of that day.
    sales = sales_of(retailer_id, settings())
    landed = land(sales, lake, retailer_id=retailer_id, logical_date=WINDOW.logical_date)
    lines = lake.read(landed.key).decode().splitlines()
    assert len(lines) == landed.rows
    for line in lines:
        assert isinstance(json.loads(line), dict)


def _catalog(retailer_id: str, service: str) -> Callable[[bytes, Random], None]:
    good = ANSWERS[f"{service}_catalog"]

    def run(content: bytes, random: Random) -> None:
        def answers() -> Iterator[Answer]:
            yield Answer(content, random.choice((200, 200, 200, 400, 404)), headers(random))
            for _ in range(_MOST_ANSWERS):
                yield Answer(mutated(random.choice(good), random))

        with answering(answers()):
            try:
                for batch in service_of(retailer_id).catalog().describe(["A", "B,C", "variant-1"], ["1"]):
                    for record in batch:
                        record.to_line().encode()
            except RetailError:
                return

    return run


def _bulk(content: bytes, random: Random) -> None:
    """A bulk operation whose file is the input; its counts are right, or nearly."""
    lines = content.splitlines()
    roots = sum(b"__parentId" not in line for line in lines)
    url = "http://127.0.0.1:9/file"
    operation = {
        "id": "gid://shopify/BulkOperation/1",
        "status": "COMPLETED",
        "url": url,
        "rootObjectCount": str(roots),
        "objectCount": str(len(lines) + random.choice((0, 0, 0, 1, -1))),
    }
    begun = {"bulkOperation": {"id": operation["id"], "status": "CREATED"}, "userErrors": []}
    first = {"orders": {"pageInfo": {"hasNextPage": False}, "nodes": []}, "ordersCount": {"count": 9}}

    def answers() -> Iterator[Answer]:
        for data in (first, {"bulkOperationRunQuery": begun}, {"bulkOperation": operation}):
            yield Answer(json.dumps({"data": data}).encode())
        yield Answer(content)
        for _ in range(_MOST_ANSWERS):
            yield Answer(mutated(random.choice(ANSWERS["shopify"]), random))

    with answering(answers()), tempfile.TemporaryDirectory() as folder:
        _ingested(service_of("retailer_3"), LocalStorage(Path(folder)), "retailer_3")


def _configuration(content: bytes, random: Random) -> None:
    del random
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "retail.toml")
        path.write_bytes(content)
        try:
            load_settings(path)
        except RetailError as error:
            assert str(error)


def _raw_lines(content: bytes, random: Random) -> None:
    """What Python reads of raw lines: `quarantine show` and `explain` show them whatever they are."""
    del random
    for line in content.decode("utf-8", "replace").splitlines():
        assert isinstance(trace._object(line), dict)
        shown = console.one_line(quarantine._pretty(line))
        assert not set(shown) & set("\x1b\x07\x9b\r\n\x00")
        mask(line)
        assert printable(printable(line)) == printable(line)


TARGETS: dict[str, Target] = {
    "amazon": Target(ANSWERS["amazon"], _of_retailer("retailer_1", "amazon")),
    "finances": Target(ANSWERS["finances"], _of_retailer("retailer_1", "finances")),
    "walmart": Target(ANSWERS["walmart"], _of_retailer("retailer_2", "walmart")),
    "shopify": Target(ANSWERS["shopify"], _of_retailer("retailer_3", "shopify")),
    "bulk": Target(ANSWERS["bulk"], _bulk),
    "amazon_catalog": Target(ANSWERS["amazon_catalog"], _catalog("retailer_1", "amazon")),
    "walmart_catalog": Target(ANSWERS["walmart_catalog"], _catalog("retailer_2", "walmart")),
    "shopify_catalog": Target(ANSWERS["shopify_catalog"], _catalog("retailer_3", "shopify")),
    "configuration": Target(ANSWERS["configuration"], _configuration),
    "raw_lines": Target(ANSWERS["raw_lines"], _raw_lines),
}


def play(name: str, seed: int) -> None:
    """One example of a target. Raises whatever the code under test should not have."""
    random, target = Random(seed), TARGETS[name]  # noqa: S311 - to be repeated
    good = random.choice(target.good)
    if name == "configuration":
        content = toml_of(good, random)
    elif name in ("bulk", "raw_lines"):
        content = b"\n".join(mutated(line, random) for line in good)
    else:
        content = mutated(good, random)
    target.run(content, random)


def toml_of(text: str, random: Random) -> bytes:
    """The configuration with a value of one line replaced, or bytes changed."""
    lines = text.splitlines()
    place = random.randrange(len(lines))
    key, equals, _ = lines[place].partition("=")
    if equals and random.random() < 0.8:
        value = random.choice(
            ("", "1", "-1", "nan", "inf", "1e999", "9" * 5000, '"' + "x" * 5000 + '"', '"\\u0000"', "[]", "{}", "true",
             "2017-01-05", "0000-00-00", "9999-12-31T23:59:59Z", "[" * 500 + "]" * 500, "{a.b.c = 1}", '"http://["',
             '"https://x:99999999"', '"s3://"', '"\\u001b[2J"', "{options = {a = 1}}", "'''")
        )  # fmt: skip
        lines[place] = f"{key}= {value}"
        return "\n".join(lines).encode()
    content = bytearray("\n".join(lines).encode())
    start = random.randrange(len(content))
    content[start : start + random.choice((0, 1, 9))] = random.choice(
        (b"", b"\xff", b"[", b"=", b"\n", b"\x00", b'"')
    )
    return bytes(content)
