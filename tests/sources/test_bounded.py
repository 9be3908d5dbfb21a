"""Answers that attack: endless, packed, slow, deep, long or huge. Each ends with a name, in bounded time and memory."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
import time as real_time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime

import pytest
import requests
from tests.warehouse.tls import Authority

from retail.errors import AnswerLimitError, ExtractError, RefusedError
from retail.sources.http import bounded, client
from retail.sources.http.bounded import BoundedSession, Limits, SlowError, parse_bounded, require_public
from retail.sources.values.json_path import parse
from retail.sources.window import Window

WINDOW = Window(date(2017, 1, 5), datetime(2017, 1, 5, 8, tzinfo=UTC), datetime(2017, 1, 6, 8, tzinfo=UTC))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Attack = Callable[[socket.socket], None]


@pytest.fixture
def attacked_by() -> Iterator[Callable[[Attack], str]]:
    """The address of a server that answers each connection as the attack does, for as long as it is listened to."""
    servers = []

    def start(attack: Attack, *, reads_first: bool = True) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                if not reads_first or connection.recv(65536):
                    attack(connection)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    yield start
    for each in servers:
        each.shutdown(socket.SHUT_RDWR)
        each.close()


def whole(body: bytes, *headers: bytes) -> Attack:
    head = HEAD + b"".join(each + b"\r\n" for each in headers)
    return lambda connection: connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def endless(before: bytes, again: bytes, pause: float = 0.0) -> Attack:
    def send(connection: socket.socket) -> None:
        connection.sendall(before)
        while True:
            connection.sendall(again)
            real_time.sleep(pause)

    return send


def ask(url: str, *, seconds: float = 5.0, most_bytes: int = 2**20) -> bytes:
    session = BoundedSession("shop")
    response = session.open("GET", url, Limits(seconds, most_bytes), timeout=(5, 5))
    return session.body(response)


BOMB = gzip.compress(b"[" + b" " * (64 * 2**20) + b"]")
ATTACKS = {
    "a body without end": endless(HEAD + b"\r\n", b" " * 65536),
    "chunks without end": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"8000\r\n" + b" " * 32768 + b"\r\n"),
    "chunks of one byte without end": endless(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1;ext=\"xxxxxxxx\"\r\n \r\n" * 4096
    ),
    "trailers without end": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n" * 8192),
    "preliminary answers without end": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 4096),
    "a packed bomb": whole(BOMB, b"Content-Encoding: gzip"),
    "a packed bomb in chunks": lambda connection: connection.sendall(
        HEAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n%s\r\n0\r\n\r\n" % (len(BOMB), BOMB)
    ),
    "a redirect to nowhere with a packed bomb": lambda connection: connection.sendall(
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Encoding: gzip\r\n"
        + b"Content-Length: %d\r\n\r\n" % len(BOMB) + BOMB
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_an_answer_beyond_its_bytes_ends_by_name_and_in_little_memory(attacked_by, name):
    url = attacked_by(ATTACKS[name])
    tracemalloc.start()
    try:
        with pytest.raises(AnswerLimitError) as caught:
            ask(url)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert caught.value.code == "answer-limit"
    assert peak < 8 * 2**20


SLOW = {
    "a body": endless(HEAD + b"Content-Length: 9999\r\n\r\n", b" ", 0.02),
    "a header": endless(HEAD + b"X-Slow: ", b"x", 0.02),
    "a chunk's size": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0", 0.02),
    "a status line": endless(b"HTTP/1.1 200 ", b"x", 0.02),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_byte_now_and_then_does_not_hold_the_client(attacked_by, name):
    url, began = attacked_by(SLOW[name]), real_time.monotonic()

    with pytest.raises(SlowError):
        ask(url, seconds=0.3)

    assert real_time.monotonic() - began < 3


def test_a_retailer_that_answers_too_slowly_fails_by_name(attacked_by, open_at, monkeypatch):
    monkeypatch.setattr(client, "TIMES_THE_TIMEOUT", 0.1)
    service = open_at("retailer_2", attacked_by(SLOW["a body"]), timeout_seconds=3, tries=2)

    with pytest.raises(
        AnswerLimitError, match=r"gave up after 2 tries .* not complete within 0\.3 s"
    ) as caught:
        next(service.pages(WINDOW, None))

    assert caught.value.message.startswith("retailer_2: ")


def test_what_is_packed_once_is_unpacked_and_what_is_cut_off_is_not_taken(attacked_by):
    packed = gzip.compress(b'{"orders": []}')

    assert ask(attacked_by(whole(packed, b"Content-Encoding: gzip"))) == b'{"orders": []}'
    for broken in (packed[:-9], zlib.compress(b"{}"), b"{}"):
        with pytest.raises(requests.RequestException):
            ask(attacked_by(whole(broken, b"Content-Encoding: gzip")))


def test_a_body_of_no_bytes_is_empty_even_where_its_header_says_gzip(attacked_by):
    assert ask(attacked_by(whole(b"", b"Content-Encoding: gzip"))) == b""


def test_a_refusal_without_a_body_keeps_what_its_status_means(scripted, reply, open_at, time):
    packed = {"Content-Encoding": "gzip"}
    page = {"list": {"meta": {"totalCount": 1}, "elements": {"order": [{"purchaseOrderId": "1"}]}}}
    later = reply(429, b"", headers={**packed, "Retry-After": "7"})
    server = scripted(reply(401, b"", headers=packed), later, *[reply(body=page)] * 9)
    service = open_at("retailer_2", server.url)

    assert next(service.pages(WINDOW, None)).answer["list"]["elements"] == page["list"]["elements"]
    assert 7 <= sum(time.slept) < 30


def test_gzip_of_several_members_is_read_whole_and_within_one_limit(attacked_by):
    members = b"".join(map(gzip.compress, (b'{"orders"', b": [", b"", b"]}")))
    assert ask(attacked_by(whole(members, b"Content-Encoding: gzip"))) == b'{"orders": []}'

    with pytest.raises(requests.RequestException):
        ask(attacked_by(whole(members[:-1], b"Content-Encoding: gzip")))
    with pytest.raises(AnswerLimitError):
        ask(attacked_by(whole(gzip.compress(b" " * 2**19) * 3, b"Content-Encoding: gzip")))


def test_a_connection_serves_one_answer_after_the_other(attacked_by):
    answer = HEAD + b"Content-Length: 2\r\n\r\n{}"

    def twice(connection: socket.socket) -> None:
        connection.sendall(answer)
        connection.recv(65536)
        connection.sendall(answer.replace(b"{}", b"[]"))

    session, url = BoundedSession("shop"), attacked_by(twice)
    bodies = [session.body(session.open("GET", url, Limits(5.0), timeout=5)) for _ in range(2)]

    assert bodies == [b"{}", b"[]"]


def test_the_limits_hold_over_tls_too(attacked_by, tmp_path):
    authority = Authority(tmp_path, "authority")
    files = authority.issue(tmp_path, host="localhost")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files["server.crt"], files["server.key"])

    def get(attack: Attack, limits: Limits, *, public_only: bool = False) -> bytes:
        def encrypted(connection: socket.socket) -> None:
            with server.wrap_socket(connection, server_side=True) as wrapped:
                if wrapped.recv(65536):
                    attack(wrapped)

        port = attacked_by(encrypted, reads_first=False).rpartition(":")[2]
        session = BoundedSession("shop", public_only=public_only)
        url = f"https://localhost:{port}"
        return session.body(session.open("GET", url, limits, timeout=5, verify=str(authority.file)))

    good = whole(gzip.compress(b"{}"), b"Content-Encoding: gzip")
    assert get(good, Limits(5.0)) == b"{}"
    with pytest.raises(SlowError):
        get(SLOW["a body"], Limits(0.3))
    with pytest.raises(AnswerLimitError):
        get(ATTACKS["a body without end"], Limits(5.0, 2**20))
    with pytest.raises(requests.ConnectionError):
        get(good, Limits(5.0), public_only=True)


@pytest.mark.parametrize("status", [200, 401, 500])
@pytest.mark.parametrize("retailer_id", ["retailer_1", "retailer_2", "retailer_3"])
def test_a_token_s_answer_and_a_refusal_s_body_are_within_limits_too(
    scripted, reply, open_at, retailer_id, status
):
    bomb = reply(status, BOMB, headers={"Content-Encoding": "gzip"})
    in_a_token = scripted(tokens=[bomb])
    in_an_answer = scripted(bomb)

    for server in (in_a_token, in_an_answer):
        with pytest.raises(AnswerLimitError):
            next(open_at(retailer_id, server.url).pages(WINDOW, None))


DEEP = b"[" * 150 + b"]" * 150


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(DEEP, id="nested"),
        pytest.param(b'{"a": ' * 150 + b"1" + b"}" * 150, id="nested objects"),
        pytest.param(json.dumps({"orders": [{"orderId": "x" * (2**20 + 1)}]}).encode(), id="a long text"),
        pytest.param(json.dumps({"x" * (2**20 + 1): 1}).encode(), id="a long name"),
        pytest.param(b"[" + b"1," * 4_194_305 + b"1]", id="many values"),
    ],
)
def test_json_beyond_any_real_answer_ends_by_name(body):
    with pytest.raises(AnswerLimitError) as caught:
        parse_bounded(body, retailer_id="retailer_1")

    assert caught.value.message.startswith("retailer_1: ")


def test_what_separates_values_does_not_count_inside_of_texts(monkeypatch):
    monkeypatch.setattr(bounded, "MOST_VALUES", 20)
    texts = [",,,,,,,,,,,,", "[{[{[{[{[{[{[", 'a quote", and \\, and \\"', "\\"]

    assert parse_bounded(json.dumps(texts * 4).encode(), retailer_id="shop") == texts * 4
    with pytest.raises(AnswerLimitError):
        parse_bounded(json.dumps(texts * 6).encode(), retailer_id="shop")
    for broken in (b'["' + b"," * 30, b'["' + b'\\",' * 100_000, b'["' + b"," * 30 + b"\\"):
        with pytest.raises(ValueError, match=r".*"):
            parse_bounded(broken, retailer_id="shop")


def test_json_within_the_limits_is_read(monkeypatch):
    body = b"[" * 100 + b'"' + b"x" * 1000 + b'"' + b"]" * 100

    assert parse_bounded(body, retailer_id="retailer_1") == parse(body)
    monkeypatch.setattr(bounded, "LONGEST_TEXT", 999)
    with pytest.raises(AnswerLimitError):
        parse_bounded(body, retailer_id="retailer_1")


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"":' * 5000 + b"1" + b"}" * 5000]
)
def test_json_so_deep_that_python_gives_up_is_no_json(body):
    with pytest.raises(ValueError, match=r".*"):
        parse(body)


@pytest.mark.parametrize(
    "digits", ["1e99999999", "1e999999999999999999999", "-1e-99999999", "9" * 5000, "0." + "1" * 5000]
)
def test_a_number_that_no_retailer_means_stays_text(digits):
    assert parse(f"[{digits}]") == [digits]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.1.2.3", "100.64.0.1", "224.0.0.1",
        "::1", "fe80::1%eth0", "fd00:ec2::254", "::ffff:169.254.169.254", "2002:a9fe:a9fe::1", "ff02::1",
        "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b:1::1", "64:ff9b:1::a9fe:a9fe", "::127.0.0.1", "::8.8.8.8",
        "::", "::ffff:0:7f00:1", "fec0::1", "100::1", "2001::1", "192.0.0.192", "168.63.129.16", "::ffff:168.63.129.16",
        "64:ff9b::c000:c0",
    ],
)  # fmt: skip
def test_no_private_or_special_address_is_public(address):
    with pytest.raises(OSError, match="not a public address"):
        require_public(address)


@pytest.mark.parametrize(
    "address", ["142.250.74.27", "2607:f8b0:4005:80a::200a", "64:ff9b::8efa:4a1b", "::ffff:142.250.74.27"]
)
def test_a_public_address_is(address):
    require_public(address)


def test_a_session_for_public_hosts_sends_no_hello_of_tls_to_a_private_one(attacked_by):
    received, done = [], threading.Event()

    def record(connection: socket.socket) -> None:
        received.append(connection.recv(65536))
        done.set()

    url = attacked_by(record, reads_first=False).replace("http://127.0.0.1", "https://localhost")

    with pytest.raises(requests.ConnectionError):
        BoundedSession("shop", public_only=True).open("GET", url, Limits(5.0), timeout=5)

    assert done.wait(5)
    assert received == [b""]


def test_a_session_for_public_hosts_sends_nothing_to_a_private_one(attacked_by):
    asked = []
    url = attacked_by(asked.append)
    session = BoundedSession("shop", public_only=True)

    with pytest.raises(requests.ConnectionError):
        session.open("GET", url.replace("127.0.0.1", "localhost"), Limits(5.0), timeout=5)

    real_time.sleep(0.05)
    assert asked == []


def test_a_refusal_shows_the_beginning_of_its_body_only(scripted, reply, open_at):
    server = scripted(reply(400, {"errors": [{"message": "x" * 100_000}]}))

    with pytest.raises(RefusedError) as caught:
        next(open_at("retailer_1", server.url).pages(WINDOW, None))

    assert len(caught.value.message) < 500


def test_figures_of_a_quota_without_end_are_an_error(scripted, reply, open_at, time):
    page = {"orders": [{"orderId": "1"}], "pagination": {"nextToken": "t"}}
    server = scripted(*[reply(body=page, headers={"x-amzn-RateLimit-Limit": "1e-20"})] * 30)
    service = open_at("retailer_1", server.url)

    with pytest.raises(ExtractError) as caught:
        for number in range(30):
            next(service.pages(WINDOW, None if number == 0 else f"t{number}"))

    assert caught.value.code == "quota"
    assert sum(time.slept) < 86_400
