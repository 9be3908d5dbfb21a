"""What stands between a client and the S3 server in tests: a wire that is listened to, and a profile of credentials."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

_READ = re.compile(rb"GET [^\s?]+ HTTP/1\.1\r\n")  # of an object; a list has a query
_WRITE = re.compile(rb"(PUT|POST) (/\S+) HTTP/1\.1\r\n((?:[^\r\n]+\r\n)+)\r\n")


@dataclass
class Wire:
    """A port that leads to the server; `writes` are the heads of requests that came over it and write."""

    endpoint: str
    _heard: list[bytearray] = field(default_factory=list)
    _to_lose: list[str] = field(default_factory=list)
    _to_cut: list[None] = field(default_factory=list)

    def lose_answers(self, count: int, *, to: str = "") -> None:
        """The next answers to put-if-absent do not come back, and their connections end: the server has done it.

        Those of objects with `to` in their path.
        """
        self._to_lose.extend([to] * count)

    def cut_bodies(self, count: int) -> None:
        """The next objects that are read come without their end, and their connections end too."""
        self._to_cut.extend([None] * count)

    def cut_none(self) -> None:
        """From now on they come whole."""
        self._to_cut.clear()

    def reads(self) -> int:
        """Requests for an object."""
        return sum(len(_READ.findall(bytes(stream))) for stream in self._heard)

    def all_lost(self) -> bool:
        return not self._to_lose

    def _is_lost(self, heard: bytearray, answer: bytes) -> bool:
        if self.all_lost() or answer.startswith(b"HTTP/1.1 100"):
            return False
        heads = list(_WRITE.finditer(bytes(heard)))
        if not heads or b"if-none-match:" not in heads[-1][0].lower():
            return False
        path = heads[-1][2].decode()
        with suppress(StopIteration, ValueError):
            self._to_lose.remove(next(each for each in self._to_lose if each in path))
            return True
        return False

    def _uncut(self, heard: bytearray, answer: bytes) -> bytes:
        """The part that comes through: of a body the first half."""
        begins = answer.find(b"\r\n\r\n") + 4 if answer.startswith(b"HTTP/1.1 ") else 0
        if not self._to_cut or begins == len(answer) or not _READ.search(bytes(heard)):
            return answer
        self._to_cut.pop()
        return answer[: (begins + len(answer)) // 2]

    def writes(self) -> list[tuple[str, dict[str, str]]]:
        """Each request that puts an object or begins one of many parts: its path and its headers in lower case."""
        found = []
        for stream in self._heard:
            for method, path, head in _WRITE.findall(bytes(stream)):
                begins_parts = method == b"POST" and re.search(rb"\?uploads", path)
                if begins_parts or (method == b"PUT" and b"partNumber=" not in path):
                    lines = (
                        line.split(": ", 1) for line in head.decode("latin-1").splitlines() if ": " in line
                    )
                    found.append((path.decode(), {name.lower(): value for name, value in lines}))
        return found


@contextmanager
def listened_to(endpoint: str) -> Iterator[Wire]:
    """A wire to the server at `endpoint` while the block lasts."""
    host, port = endpoint.removeprefix("http://").split(":")
    with socket.create_server(("127.0.0.1", 0)) as server:
        wire = Wire(f"http://127.0.0.1:{server.getsockname()[1]}")

        def accept() -> None:
            with suppress(OSError):  # the server is closed with the block
                while True:
                    client, _ = server.accept()
                    behind = socket.create_connection((host, int(port)))
                    heard = bytearray()
                    wire._heard.append(heard)
                    for carry in (
                        partial(_carry, client, behind, partial(_keep, heard)),
                        partial(_carry, behind, client, partial(_passing, wire, heard)),
                    ):
                        threading.Thread(target=carry, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield wire
        finally:
            # A close alone leaves the accept that waits: who comes next would still get in.
            server.shutdown(socket.SHUT_RDWR)


def _keep(heard: bytearray, data: bytes) -> bytes:
    heard.extend(data)
    return data


def _passing(wire: Wire, heard: bytearray, data: bytes) -> bytes:
    return b"" if wire._is_lost(heard, data) else wire._uncut(heard, data)


def _carry(source: socket.socket, target: socket.socket, passing: Callable[[bytes], bytes]) -> None:
    """To the end of either, or to what does not pass whole."""
    with suppress(OSError):
        while data := source.recv(65536):
            passes = passing(data)
            target.sendall(passes)
            if len(passes) < len(data):
                break
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def profile(folder: Path, key: str, secret: str) -> dict[str, str]:
    """Variables by which a process has no key of its own, and finds this one in a profile.

    A role's would come by the same chain, with a token; versitygw refuses every token.
    """
    file = folder / "credentials"
    file.write_text(f"[lake]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    return {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_SHARED_CREDENTIALS_FILE": str(file),
        "AWS_PROFILE": "lake",
    }
