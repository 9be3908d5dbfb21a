"""The lease lets one run work on a lake at a time.

Each holder creates the next object of `ops/lease/` with put-if-absent, so that only one of two gets it. A holder
extends its own object while it works. A lease that has expired, was released, or whose process is gone from this
machine is taken over by creating the next object; its old holder sees that at its next extension and stops. Whoever
takes over from a holder that died sweeps away what it left half-written.

A lease that looks expired is watched for half its life before it is taken over, or half of the taker's life if that is
longer, because machines may be configured differently: a holder that is alive extends it meanwhile, however wrong a
clock is. If one process extends while another takes over, at most one continues: each writes first, and then checks
whether the other has written. A process that creates an object below the newest one, because its number was used and
deleted while it was not looking, removes it again.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog

from retail.errors import LeaseHeldError, ObjectNotFoundError, RetailError
from retail.lake import layout
from retail.lake.storage import Storage

LIFETIME: Final = timedelta(seconds=90)
_EXTENSIONS_A_LIFETIME: Final = 4.5
_PROCESSES: Final = Path("/proc")

log = structlog.get_logger(__name__)


class Lease:
    """A held lease: `check` before anything that two runs must not both do, `require` before every write."""

    def __init__(
        self,
        storage: Storage,
        number: int,
        run_id: str,
        now: Callable[[], datetime],
        lifetime: timedelta,
        *,
        silent_since: float,
    ) -> None:
        self._storage = storage
        self._number = number
        self._run_id = run_id
        self._now = now
        self._lifetime = lifetime
        self._silent_since = silent_since
        self._stop = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises LeaseHeldError if another run has taken over."""
        newest = _newest(self._storage)
        self._lost = self._lost or newest is None or newest[0] != self._number
        if self._lost:
            raise LeaseHeldError(
                f"run {self._run_id} lost its lease on {self._storage.url} while it worked",
                hint="another run took over after this one was silent too long; run again when it has ended",
            )

    def require(self) -> None:
        """Raises LeaseHeldError if another run has taken over. Costs nothing if the lease was extended recently.

        A process that was stopped, or cut off, for longer than a lease lives finds that out here before it writes.
        """
        if self._lost or _uptime() - self._silent_since >= self._lifetime.total_seconds() / 2:
            self._extend()

    def works_on(self, run_id: str) -> None:
        """The holder continues with this run, which the lease names from now on."""
        if run_id != self._run_id:
            self._run_id = run_id
            self._extend()

    def release(self) -> None:
        """Give the lease back; the next run need not wait for the expiry."""
        self._stop.set()
        self._thread.join()
        if not self._lost:
            self._write(released=True)

    def _keep(self) -> None:
        while not self._stop.wait(self._lifetime.total_seconds() / _EXTENSIONS_A_LIFETIME):
            try:
                self._extend()
            except LeaseHeldError:
                return
            except RetailError:
                continue  # a passing storage fault; `check` shows if it lasted too long

    def _extend(self) -> None:
        begun = _uptime()
        self.check()
        self._write(released=False)
        self.check()
        self._silent_since = begun

    def _write(self, *, released: bool) -> None:
        record = _record(self._run_id, self._now(), self._lifetime, released=released)
        self._storage.write(_key(self._number), record)


@contextmanager
def hold(
    storage: Storage,
    run_id: str,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    lifetime: timedelta = LIFETIME,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[Lease]:
    """Hold the lake's lease for a block. Raises LeaseHeldError, naming the holder, if it is taken."""
    newest = _newest(storage)
    number, died = 1, False
    if newest is not None:
        number, holder = newest[0] + 1, newest[1]
        if _is_live(holder, now()):
            raise _held(storage, holder)
        if not holder["released"] and not _is_gone(holder):
            seconds = max(lifetime, _lifetime_of(holder)).total_seconds() / 2
            log.warning(
                "a lease has expired; watching it before taking over, because its run may be alive",
                of_run=holder["run_id"],
                host=holder["host"],
                pid=holder["pid"],
                seconds=seconds,
            )
            wait(seconds)
            _give_way(storage, newest)
        died = not holder["released"]
    begun = _uptime()
    if not storage.create(_key(number), _record(run_id, now(), lifetime, released=False)):
        raise _taken(storage)
    try:
        _require_newest(storage, number)
        if newest is not None:
            _give_way(storage, newest)
    except LeaseHeldError:
        storage.delete(_key(number))
        raise
    for old in range(max(1, number - 5), number):
        storage.delete(_key(old))
    storage.sweep("" if died else layout.LEASE)
    lease = Lease(storage, number, run_id, now, lifetime, silent_since=begun)
    try:
        lease.require()
        yield lease
    finally:
        lease.release()


def _give_way(storage: Storage, seen: tuple[int, dict[str, Any]]) -> None:
    """Raises LeaseHeldError if the holder that was `seen` has extended its lease since, or was taken over."""
    try:
        before = json.loads(storage.read(_key(seen[0])))
    except ObjectNotFoundError:
        raise _taken(storage) from None
    if before["expires_at"] != seen[1]["expires_at"] and not before["released"]:
        raise _held(storage, before)


def _require_newest(storage: Storage, number: int) -> None:
    """Raises LeaseHeldError if there is a newer object than the one just created.

    The newer one existed before, so its holder has not seen this one and never will.
    """
    newest = _newest(storage)
    if newest is None or newest[0] != number:
        raise _taken(storage)


def holder(storage: Storage, *, now: datetime) -> dict[str, Any] | None:
    """The current holder of the lease: run_id, host, pid, expires_at; None if nobody works on the lake."""
    newest = _newest(storage)
    return newest[1] if newest is not None and _is_live(newest[1], now) else None


def _key(number: int) -> str:
    return f"{layout.LEASE}{number:08d}.json"


def _newest(storage: Storage) -> tuple[int, dict[str, Any]] | None:
    for key in reversed(list(storage.list(layout.LEASE))):
        with suppress(ObjectNotFoundError):  # removed again since it was listed
            return int(key.removeprefix(layout.LEASE).removesuffix(".json")), json.loads(storage.read(key))
    return None


def _record(run_id: str, now: datetime, lifetime: timedelta, *, released: bool) -> bytes:
    values = {
        "run_id": run_id,
        "host": socket.gethostname(),
        "machine": _machine(),
        "pid": os.getpid(),
        "process_started": _process_started(os.getpid()),
        "expires_at": (now + lifetime).isoformat(),
        "lifetime_seconds": lifetime.total_seconds(),
        "released": released,
    }
    return json.dumps(values).encode()


def _lifetime_of(holder: dict[str, Any]) -> timedelta:
    """The lifetime in the lease's record; zero if an older version wrote it without one."""
    return timedelta(seconds=holder.get("lifetime_seconds", 0))


def _is_live(holder: dict[str, Any], now: datetime) -> bool:
    if holder["released"] or datetime.fromisoformat(holder["expires_at"]) <= now:
        return False
    return not _is_gone(holder)


def _is_gone(holder: dict[str, Any]) -> bool:
    """Whether the holder's process ran on this machine and no longer exists; elsewhere it cannot be known."""
    here = holder["host"] == socket.gethostname() and holder.get("machine") == _machine()
    if not here:
        return False
    started = _process_started(holder["pid"])
    return not _is_there(holder["pid"]) if started is None else started != holder["process_started"]


def _uptime() -> float:
    """Seconds unaffected by clock changes that also count while the machine sleeps, if the system has such a clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _machine() -> str:
    """The scope in which a process id is unique: one boot of a kernel, and this one of its containers."""
    boot = namespace = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    with suppress(OSError):
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return f"{boot} {namespace}"


def _process_started(pid: int) -> str | None:
    """When the process began, in the kernel's ticks, which distinguishes a reused pid from the old process.

    None if it is unknown: there is no such process, no such folder, or it hides the processes of other users.
    """
    try:
        stat = (_PROCESSES / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return stat.rsplit(")", 1)[1].split()[19]


def _is_there(pid: int) -> bool:
    """Whether the process exists; one of another user exists although it may not be signalled."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _taken(storage: Storage) -> LeaseHeldError:
    """The error for losing the race to another run, which may have ended since."""
    newest = _newest(storage)
    if newest is not None and not newest[1]["released"]:
        return _held(storage, newest[1])
    return LeaseHeldError(
        f"another run took the lease on {storage.url} first, and has ended since",
        hint="run the same command again",
    )


def _held(storage: Storage, holder: dict[str, Any]) -> LeaseHeldError:
    return LeaseHeldError(
        f"run {holder['run_id']} (process {holder['pid']} on {holder['host']}) is working on {storage.url}",
        hint=f"wait for it to end; if it died, its lease expires at {holder['expires_at']}",
        holder=holder["run_id"],
    )
