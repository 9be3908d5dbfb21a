"""A Unix socket of this process that leads to a private port, for a client that cannot open one itself."""

from __future__ import annotations

import os
import secrets
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from retail.errors import EngineError
from retail.lake.private_port import PrivatePort

_log = structlog.get_logger(__name__)

_BYTES_AT_ONCE: Final = 1 << 18
_SECONDS_TO_END: Final = 5
_PEER: Final = struct.Struct("3i")  # of SO_PEERCRED: process, user, group


class Relay:
    """Accepts connections of this process, and hands their bytes to the private port and back.

    The socket has a name in the kernel and no file, so that no temporary folder can be too long or too open for it.
    """

    def __init__(self, port: PrivatePort) -> None:
        self._port = port
        self._name = f"retail-engine-{secrets.token_hex(16)}"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(f"\0{self._name}")
        self._listener.listen()
        self._open: set[socket.socket] = set()
        self._closed = False
        self._changing = threading.Lock()
        self._threads = [_start(self._accept)]

    @property
    def target(self) -> str:
        """The address as gRPC wants it."""
        return f"unix-abstract:{self._name}"

    def close(self) -> None:
        """End the connections, and with them the threads."""
        with self._changing:
            self._closed = True
            for each in (self._listener, *self._open):
                _shut(each)
            threads = list(self._threads)
        for thread in threads:
            thread.join(_SECONDS_TO_END)

    def _accept(self) -> None:
        with self._listener:
            while True:
                try:
                    client, _ = self._listener.accept()
                except OSError:
                    return
                try:
                    self._join(client)
                except (
                    OSError,
                    EngineError,
                ) as error:  # the server is gone, or others crowd in: gRPC tries again
                    _log.warning("no connection to the engine", error=str(error))
                    client.close()

    def _join(self, client: socket.socket) -> None:
        if not _is_ours(client):
            client.close()
            return
        server = self._port.connect()
        with self._changing:
            self._open |= {client, server}
            if self._closed:
                _shut(client)
            self._threads.append(_start(self._carry, client, server))

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        back = _start(_pump, server, client)
        _pump(client, server)
        back.join()
        with self._changing:
            self._open -= {client, server}
            self._threads.remove(threading.current_thread())
        client.close()
        server.close()


def _is_ours(client: socket.socket) -> bool:
    """Whether this process connected, as the kernel says."""
    process, user, _ = _PEER.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return (process, user) == (os.getpid(), os.geteuid())


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Hand over bytes until one of both ends; then both do."""
    buffer = memoryview(bytearray(_BYTES_AT_ONCE))
    with suppress(OSError):
        while count := source.recv_into(buffer):
            sink.sendall(buffer[:count])
    _shut(source)
    _shut(sink)


def _shut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)


def _start(work: Callable[..., None], *given: socket.socket) -> threading.Thread:
    thread = threading.Thread(target=work, args=given, name="engine-relay", daemon=True)
    thread.start()
    return thread
