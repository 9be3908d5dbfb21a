"""The Sail server in this process. Only this process reaches it, where the machine and Sail's version allow that."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from retail.config import accounts
from retail.lake import private_port
from retail.lake.private_port import CannotCloseError
from retail.lake.relay import Relay


@dataclass(frozen=True, slots=True)
class SailServer:
    """A server that runs. `target` is its address as gRPC wants it; `why_open` says why others may reach it too."""

    target: str
    stop: Callable[[], None]
    why_open: str | None = None


def start() -> SailServer:
    """Start a server, to which only this process has a way if that can be had."""
    try:
        return _closed()
    except CannotCloseError as error:
        return _open(why=str(error))


def exposure() -> str | None:
    """Who could give orders to the engine of a run on this machine, and why; None if nobody but its own account."""
    server = start()
    server.stop()
    return exposure_of(server)


def exposure_of(server: SailServer) -> str | None:
    """The same for a server that runs. A machine with a single account, as a container, has nobody to name."""
    others = accounts.others() if server.why_open else []
    if not others:
        return None
    named = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    return f"the engine's port on this machine is open to its other accounts ({named}): {server.why_open}"


def _closed() -> SailServer:
    if sys.platform != "linux":
        raise CannotCloseError(f"{sys.platform} cannot close a port to other processes")
    server = _started(private_port.UNREACHABLE)
    try:
        port = private_port.take_over(server.listening_address[1])
    except OSError as error:
        server.stop()
        raise CannotCloseError(str(error)) from error
    except BaseException:
        server.stop()
        raise
    try:
        relay = Relay(port)
    except OSError as error:
        port.close()
        server.stop()
        raise CannotCloseError(str(error)) from error

    def stop() -> None:
        relay.close()
        port.close()  # first: the server waits for its connections to end
        server.stop()

    return SailServer(relay.target, stop)


def _open(*, why: str) -> SailServer:
    server = _started("127.0.0.1")
    return SailServer("127.0.0.1:{1}".format(*server.listening_address), server.stop, why)


def _started(address: str) -> Any:
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer(ip=address, port=0)
    try:
        server.start(background=True)
    except OSError as error:
        raise CannotCloseError(f"Sail does not listen at {address}: {error}") from error
    return server
