"""The listening socket of a library in this process, closed to everyone but this process.

Sail listens on TCP and asks nobody for a key. So it is started where the kernel lets a socket listen and lets nobody
connect: at a multicast address. For each connection of ours, its socket is then exchanged for one on loopback in which
that connection waits to be accepted, that nobody can reach any more, and in which nobody else waits.
docs/decisions/0037-the-engine-s-door.md says why.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from retail.errors import EngineError

UNREACHABLE: Final = "224.0.0.1"

_LOOPBACK: Final = "127.0.0.1"
_TRIES: Final = 20
_SECONDS: Final = 10
_SO_BINDTOIFINDEX: Final = 62
_NO_INTERFACE: Final = 0x7FFFFFF0
_UNACKED: Final = slice(24, 28)  # of struct tcp_info; of a listener, how many wait to be accepted
_MEMBARRIER: Final = {"x86_64": 324, "aarch64": 283, "riscv64": 283, "ppc64le": 365, "s390x": 356}
_MEMBARRIER_CMD_GLOBAL: Final = 1
_EPOLL_CTL_ADD: Final = 1
_LISTENS, _IS_CONNECTED = "0A", "01"  # of /proc/net/tcp
_REGISTERED: Final = re.compile(r"^tfd:\s*(\d+) events:\s*([0-9a-f]+) data:\s*([0-9a-f]+)", re.MULTILINE)


class CannotCloseError(Exception):
    """This machine, or this version of the library, does not allow its port to be closed."""


class PrivatePort:
    """The port of a server in this process; only `connect` reaches it."""

    def __init__(self, number: int) -> None:
        """`number` is that of the server's socket."""
        self._number = number
        self._turn = threading.Lock()
        self._waiting: socket.socket | None
        self._listener, self._waiting = self._exchanged()

    def connect(self) -> socket.socket:
        """A connection to the server. Raises OSError if the server is gone, EngineError if others crowd in."""
        with self._turn:
            client, self._waiting = self._waiting, None
            if client is None:
                self._require_there()
                before = self._listener
                self._listener, client = self._exchanged()
                before.close()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def close(self) -> None:
        """Give up this process's hold on the socket; the server closes it."""
        self._listener.close()
        if self._waiting is not None:
            self._waiting.close()

    def _exchanged(self) -> tuple[socket.socket, socket.socket]:
        listener, client = _pair()
        try:
            _exchange(self._number, listener)
        except BaseException:
            listener.close()
            client.close()
            raise
        return listener, client

    def _require_there(self) -> None:
        """Raise OSError unless the server still has the socket, and has accepted who waited in it."""
        give_up = time.monotonic() + _SECONDS
        while True:
            if os.fstat(self._number).st_ino != os.fstat(self._listener.fileno()).st_ino:
                raise ConnectionRefusedError("the server has ended")
            information = self._listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 64)
            if struct.unpack("=I", information[_UNACKED]) == (0,):
                return
            if time.monotonic() > give_up:
                raise TimeoutError("the server does not accept connections")
            time.sleep(0.01)


def take_over(port: int) -> PrivatePort:
    """Close the port of a library of this process that listens at `UNREACHABLE` to all but this process.

    Raises CannotCloseError, OSError or EngineError; nobody can connect to it then, this process included.
    """
    return PrivatePort(_listening_at(port))


def _pair() -> tuple[socket.socket, socket.socket]:
    """A socket that listens, out of reach of everyone, and the one connection that waits in it.

    For a moment others could connect to it. Nobody answers them: then it is thrown away, and the next one made.
    """
    for _ in range(_TRIES):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.bind((_LOOPBACK, 0))
            listener.listen(8)
            client.settimeout(_SECONDS)
            client.connect(listener.getsockname())
            client.settimeout(None)
            _put_out_of_reach(listener)
            if _waiting_in(listener) == [(_address(client), _IS_CONNECTED)]:
                return listener, client
        except BaseException:
            listener.close()
            client.close()
            raise
        listener.close()
        client.close()
    raise EngineError(
        "another program on this machine keeps connecting to the engine's port before the engine has it",
        hint="find out which account does that and why; then run the same command again",
    )


def _put_out_of_reach(listener: socket.socket) -> None:
    """Bind it to a network interface that does not exist: no packet comes from there. Connections made live on."""
    listener.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, _NO_INTERFACE)
    number = _MEMBARRIER.get(platform.machine())
    # Returns once every packet that was under way has been dealt with: the barrier waits for the kernel's readers.
    if number is None or _library().syscall(number, _MEMBARRIER_CMD_GLOBAL, 0, 0) != 0:
        raise CannotCloseError("this kernel has no barrier for packets under way")


def _waiting_in(listener: socket.socket) -> list[tuple[str, str]]:
    """Who is connected to it or about to be, and how, as the kernel has it."""
    lines = Path("/proc/self/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    here = _address(listener)
    found = [line.split()[1:4] for line in lines]
    return [(there, state) for local, there, state in found if local == here and state != _LISTENS]


def _address(own: socket.socket) -> str:
    """A socket's address as /proc/net/tcp has it."""
    host, port = own.getsockname()
    return f"{struct.unpack('=I', socket.inet_aton(host))[0]:08X}:{port:04X}"


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
    event = _Event(events=events, data=data)
    return int(_library().epoll_ctl(epoll, _EPOLL_CTL_ADD, number, ctypes.byref(event))) == 0


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
