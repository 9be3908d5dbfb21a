"""The listening socket of a library in this process, closed to everyone but this process.

Sail listens on TCP and asks nobody for a key. So it is started where the kernel lets a socket listen and lets nobody
connect: at a multicast address. Its socket is then exchanged for one on loopback that answers only a connection this
process has just announced. At no moment can anyone else connect. docs/decisions/0037-the-engine-s-door.md says why.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

UNREACHABLE: Final = "224.0.0.1"

_LOOPBACK: Final = "127.0.0.1"
_SECONDS_TO_CONNECT: Final = 10
_SO_ATTACH_FILTER: Final = 26  # of Linux; to read it is SO_GET_FILTER
_EPOLL_CTL_ADD: Final = 1
_REGISTERED: Final = re.compile(r"^tfd:\s*(\d+) events:\s*([0-9a-f]+) data:\s*([0-9a-f]+)", re.MULTILINE)

# Classic BPF, from linux/filter.h and linux/bpf_common.h. It runs on each packet for the socket, from its TCP header.
_LOAD_WORD, _LOAD_HALF, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x28, 0x15, 0x06
_SENDER_S_ADDRESS: Final = 0xFFF00000 + 12  # SKF_NET_OFF: from the IP header on
_SENDER_S_PORT: Final = 0
_ACCEPT, _DROP = 0xFFFFFFFF, 0

Instruction = tuple[int, int, int, int]


class CannotCloseError(Exception):
    """This machine, or this version of the library, does not allow its port to be closed."""


@dataclass(frozen=True, slots=True)
class PrivatePort:
    """The port of a server in this process; only `connect` reaches it."""

    listener: socket.socket
    turn: threading.Lock

    def connect(self) -> socket.socket:
        """A connection to the server. Raises OSError if the server is gone."""
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            client.bind((_LOOPBACK, 0))  # nobody else can have that port meanwhile
            client.settimeout(_SECONDS_TO_CONNECT)
            with self.turn:
                _answer_only(self.listener, client.getsockname()[1])
                try:
                    client.connect(self.listener.getsockname())
                finally:
                    _answer_only(self.listener, None)
            client.settimeout(None)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            client.close()
            raise
        return client

    def close(self) -> None:
        """Give up this process's hold on the socket; the server closes it."""
        self.listener.close()


def take_over(port: int) -> PrivatePort:
    """Exchange the socket that a library of this process listens with at `UNREACHABLE`.

    Raises CannotCloseError or OSError; nobody can connect to it then, this process included.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        _answer_only(listener, None)
        listener.bind((_LOOPBACK, 0))
        listener.listen(socket.SOMAXCONN)
        _exchange(_listening_at(port), listener)
    except BaseException:
        listener.close()
        raise
    return PrivatePort(listener, threading.Lock())


def _answer_only(listener: socket.socket, port: int | None) -> None:
    """Drop all that does not come from that port of loopback; without one, everything. Connections made live on."""
    filter_ = [(_RETURN, 0, 0, _DROP)] if port is None else _filter_for(port)
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in filter_))
    where = struct.pack("@HP", len(filter_), ctypes.addressof(program))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, where)
    # A kernel that only pretends does not know the length, which is in instructions.
    if len(listener.getsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, 1024)) != len(filter_):
        raise CannotCloseError("this kernel does not keep the filter of a socket")


def _filter_for(port: int) -> list[Instruction]:
    address = struct.unpack("!I", socket.inet_aton(_LOOPBACK))[0]
    return [
        (_LOAD_WORD, 0, 0, _SENDER_S_ADDRESS),
        (_JUMP_IF_EQUAL, 0, 3, address),
        (_LOAD_HALF, 0, 0, _SENDER_S_PORT),
        (_JUMP_IF_EQUAL, 0, 1, port),
        (_RETURN, 0, 0, _ACCEPT),
        (_RETURN, 0, 0, _DROP),
    ]


def _exchange(number: int, listener: socket.socket) -> None:
    """Put `listener` in the place of the socket of that number, and into each epoll that waits for that one.

    The kernel takes a closed socket out of an epoll. The library knows its entries by `data`, so these are kept.
    """
    waiting = list(_registrations(number))
    if not waiting:
        raise CannotCloseError("the library does not wait for its socket by epoll")
    os.dup2(listener.fileno(), number, inheritable=False)
    added = [_epoll_add(epoll, number, events, data) for epoll, events, data in waiting]
    if not any(added):
        raise CannotCloseError("the exchanged socket could not be put into the library's epoll")


def _listening_at(port: int) -> int:
    for number, link in _open_files():
        if link.startswith("socket:") and _name_of(number) == (UNREACHABLE, port):
            return number
    raise CannotCloseError(f"the library does not listen at {UNREACHABLE}")


def _open_files() -> Iterator[tuple[int, str]]:
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            yield int(each.name), str(each.readlink())


def _name_of(number: int) -> object:
    """The address of a socket that stays its owner's."""
    with suppress(OSError):
        found = socket.socket(fileno=number)
        try:
            return found.getsockname()
        finally:
            found.detach()
    return None


def _registrations(number: int) -> Iterator[tuple[int, int, int]]:
    """For each epoll that waits for that socket: its number, the events, and the data that it answers with."""
    for epoll, link in _open_files():
        if link == "anon_inode:[eventpoll]":
            with suppress(OSError):
                for target, events, data in _REGISTERED.findall(
                    Path(f"/proc/self/fdinfo/{epoll}").read_text(encoding="ascii")
                ):
                    if int(target) == number:
                        yield epoll, int(events, 16), int(data, 16)


class _Event(ctypes.Structure):
    """`struct epoll_event`, which is packed on x86-64 only."""

    if platform.machine() == "x86_64":
        _pack_ = 1
    _fields_ = (("events", ctypes.c_uint32), ("data", ctypes.c_uint64))


def _epoll_add(epoll: int, number: int, events: int, data: int) -> bool:
    """Whether it was added. Several numbers may stand for one epoll, which then has it already."""
    library = ctypes.CDLL(None, use_errno=True)
    event = _Event(events=events, data=data)
    return int(library.epoll_ctl(epoll, _EPOLL_CTL_ADD, number, ctypes.byref(event))) == 0
