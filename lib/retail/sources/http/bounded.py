"""Answers within limits: bytes received, bytes unpacked, seconds in all, and how large the JSON in them is.

The limits hold below HTTP, on the connection, so that a status line, headers, chunk sizes and trailers are within them
too. An answer may be packed by gzip once; it is unpacked piece by piece.
"""

from __future__ import annotations

import io
import ipaddress
import re
import socket
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, ReadTimeoutError

from retail.errors import AnswerLimitError
from retail.sources.values.json_path import JSON, TooDeepError, parse

# The largest pages of the three retailers, 100 to 250 orders of a hundred lines, are below 20 MiB.
MOST_BYTES: Final = 32 * 2**20
# As many as 32 MiB hold at eight bytes each; the shortest, of two bytes, takes up to 50 times that in memory.
MOST_VALUES: Final = MOST_BYTES // 8
# Real answers are 12 levels deep. Stored, they are within a few levels more, see `json_path.DEEPEST`.
DEEPEST: Final = 100
# Titles end at hundreds of characters, and notes of customers at thousands.
LONGEST_TEXT: Final = 2**20
# Times `extract.timeout_seconds`, which limits the wait for each byte: the time for a whole answer.
TIMES_THE_TIMEOUT: Final = 10
_CHUNK: Final = 2**16
# Status line, headers and the sizes of chunks.
_AROUND: Final = 2**20
_GZIP: Final = 16 + zlib.MAX_WBITS

AGAIN: Final = (
    "nothing of it was kept; if the retailer's answers have become that large, report it with the log"
)


class SlowError(Exception):
    """The answer was not complete within its seconds."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer may take: bytes as received and as unpacked, and seconds of waiting for it."""

    seconds: float
    most_bytes: int = MOST_BYTES


class BoundedSession(requests.Session):
    """A session whose answers are within limits. For one thread, and one answer at a time.

    With `public_only` it connects to no private, link-local or otherwise special address.
    """

    def __init__(self, retailer_id: str, *, public_only: bool = False) -> None:
        super().__init__()
        self._retailer_id = retailer_id
        self._budget = _Budget(retailer_id)
        # Set to keep requests from overwriting our header with a password from ~/.netrc.
        self.auth = lambda prepared: prepared
        self.headers["Accept-Encoding"] = "gzip"
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(self._budget, public_only=public_only))

    def open(self, method: str, url: str, limits: Limits, **options: Any) -> requests.Response:
        """The answer up to its body, which `chunks` reads; redirects are not followed, as they would carry a token.

        Raises AnswerLimitError, SlowError, and what requests raises.
        """
        self._budget.begin(limits)
        try:
            response = self.request(method, url, stream=True, allow_redirects=False, **options)
        except requests.RequestException:
            self._budget.require_time()
            raise
        return response

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: requests would read the whole body of a redirect, unpacked, only to name its address."""
        del resp

    def chunks(self, response: requests.Response) -> Iterator[bytes]:
        """The body in unpacked pieces. Raises AnswerLimitError, SlowError, and requests.RequestException."""
        is_packed = response.headers.get("Content-Encoding", "").strip().lower() in ("gzip", "x-gzip")
        unpacker = _Unpacker() if is_packed else None
        unpacked = 0
        try:
            while packed := response.raw.read(_CHUNK, decode_content=False):
                for piece in (packed,) if unpacker is None else unpacker.unpacked(packed):
                    unpacked += len(piece)
                    self._budget.require_bytes(unpacked)
                    yield piece
        except (HTTPError, OSError) as error:
            self._budget.require_time()
            kind = (
                requests.ReadTimeout
                if isinstance(error, TimeoutError | ReadTimeoutError)
                else requests.ConnectionError
            )
            raise kind(error) from None
        except zlib.error as error:
            raise requests.exceptions.ContentDecodingError(error) from None
        if unpacker is not None and not unpacker.is_at_end:
            raise requests.exceptions.ContentDecodingError("the packed body is cut off")

    def body(self, response: requests.Response) -> bytes:
        """The whole body; see `chunks`."""
        with response:
            return b"".join(self.chunks(response))


def parse_bounded(content: bytes, *, retailer_id: str) -> JSON:
    """The JSON of an answer. Raises ValueError if it is not JSON, AnswerLimitError if it is beyond any real answer."""
    if _separators(content, 0, len(content)) > MOST_VALUES and _has_too_many_values(content):
        raise _beyond(retailer_id, f"has more than {MOST_VALUES:,} values")
    try:
        value = parse(content, deepest=DEEPEST)
    except TooDeepError:
        raise _beyond(retailer_id, f"is nested more than {DEEPEST} levels deep") from None
    if len(content) > LONGEST_TEXT and _longest_text(value) > LONGEST_TEXT:
        raise _beyond(retailer_id, f"has a text of more than {LONGEST_TEXT:,} characters")
    return value


# A text that is cut off reaches to the end.
_TEXT: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)


def _has_too_many_values(content: bytes) -> bool:
    """Whether there are, counted by what separates them outside of texts. Makes no copy."""
    values, end = 0, 0
    for found in _TEXT.finditer(content):
        values += _separators(content, end, found.start())
        end = found.end()
        if values > MOST_VALUES:
            return True
    return values + _separators(content, end, len(content)) > MOST_VALUES


def _separators(content: bytes, start: int, end: int) -> int:
    return sum(content.count(each, start, end) for each in (b",", b"[", b"{"))


def _longest_text(value: JSON) -> int:
    """The length of the longest text, names of fields included."""
    level, longest = [value], 0
    while level:
        dicts = [each for each in level if type(each) is dict]
        lists = [each for each in level if type(each) is list]
        texts = chain(chain.from_iterable(dicts), (each for each in level if type(each) is str))
        longest = max(longest, max(map(len, texts), default=0))
        level = list(chain(chain.from_iterable(each.values() for each in dicts), chain.from_iterable(lists)))
    return longest


class _Unpacker:
    """Unpacks a body of gzip members, one after the other. No bytes at all are an empty body, as of a refusal."""

    def __init__(self) -> None:
        self._member: Any = None

    @property
    def is_at_end(self) -> bool:
        return self._member is None or self._member.eof

    def unpacked(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            if self.is_at_end:
                self._member = zlib.decompressobj(_GZIP)
            yield self._member.decompress(packed, _CHUNK)
            packed = self._member.unconsumed_tail or self._member.unused_data


def _beyond(retailer_id: str, what: str) -> AnswerLimitError:
    return AnswerLimitError(f"{retailer_id}: an answer {what}; no more of it was read", hint=AGAIN)


class _Budget:
    """What is left of one answer's bytes and seconds. Only the time of waiting counts."""

    def __init__(self, retailer_id: str) -> None:
        self._retailer_id = retailer_id
        self.begin(Limits(seconds=0))

    def begin(self, limits: Limits) -> None:
        self._limits, self._received, self._waited = limits, 0, 0.0

    @property
    def seconds_left(self) -> float:
        return self._limits.seconds - self._waited

    def spend(self, *, received: int, seconds: float) -> None:
        self._received += received
        self._waited += seconds
        self.require_bytes(self._received - _AROUND)

    def require_bytes(self, count: int) -> None:
        if count > self._limits.most_bytes:
            raise _beyond(self._retailer_id, f"is larger than {self._limits.most_bytes:,} bytes")

    def require_time(self) -> None:
        if self.seconds_left <= 0:
            raise SlowError(f"the answer was not complete within {self._limits.seconds:g} s")


class _BoundedReader(io.RawIOBase):
    """Reads a connection within its budget. Closing it closes the connection, as its own file would."""

    def __init__(self, connection: socket.socket, budget: _Budget) -> None:
        self._file = connection.makefile("rb", buffering=0)
        self._connection, self._budget = connection, budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        between, left = self._connection.gettimeout(), self._budget.seconds_left
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        self._connection.settimeout(left if between is None else min(between, left))
        began, count = time.monotonic(), 0
        try:
            count = self._file.readinto(buffer) or 0
        finally:
            self._budget.spend(received=count, seconds=time.monotonic() - began)
            self._connection.settimeout(between)
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _BoundedSocket:
    """A connection that http.client reads within a budget, and uses as it is otherwise."""

    def __init__(self, connection: socket.socket, budget: _Budget) -> None:
        self._connection, self._budget = connection, budget

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_BoundedReader(self._connection, self._budget), _CHUNK)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class _Bounded:
    """What the two kinds of connection have in common. `budget` and `public_only` are their pool's."""

    budget: _Budget
    public_only: bool
    sock: Any

    def _new_conn(self) -> socket.socket:
        """The new socket, checked before anything is sent on it, TLS's first message included."""
        connection: socket.socket = super()._new_conn()  # type: ignore[misc]
        if self.public_only and getattr(self, "proxy", None) is None:
            try:
                require_public(connection.getpeername()[0])
            except OSError:
                connection.close()
                raise
        return connection

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.sock = _BoundedSocket(self.sock, self.budget)


# Of IPv6, only these are given out as public addresses (RFC 4291), and NAT64 stands for an IPv4 address.
_PUBLIC_IPV6: Final = ipaddress.IPv6Network("2000::/3")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
# Metadata services of clouds at addresses that are public, or that some versions of Python call so.
_METADATA: Final = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("168.63.129.16/32"))


def require_public(address: str) -> None:
    """Raises OSError for an address that is not of the public Internet, such as this machine's or a cloud's metadata.

    An IPv6 address that stands for an IPv4 address is as public as that one.

    >>> require_public("142.250.74.27")
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        found = _ipv4_in(found) or found
    is_special = (
        any(found in network for network in _METADATA)
        if isinstance(found, ipaddress.IPv4Address)
        else found not in _PUBLIC_IPV6
    )
    if is_special or not found.is_global or found.is_multicast:
        raise OSError(f"{address} is not a public address")


def _ipv4_in(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour


class _Adapter(HTTPAdapter):
    def __init__(self, budget: _Budget, *, public_only: bool) -> None:
        kinds = {"budget": budget, "public_only": public_only}
        plain = type("BoundedHTTPConnection", (_Bounded, HTTPConnection), kinds)
        secure = type("BoundedHTTPSConnection", (_Bounded, HTTPSConnection), kinds)
        self._pools = {
            "http": type("BoundedHTTPPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("BoundedHTTPSPool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
        }
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager
