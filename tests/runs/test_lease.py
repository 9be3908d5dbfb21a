"""One run works on a lake at a time, and a dead one blocks nobody for longer than its lease."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest

from retail.errors import LeaseHeldError, StorageError
from retail.runs import lease
from retail.runs.guarded import GuardedStorage
from retail.storage import LocalStorage

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def at_once(seconds: float) -> None:
    """Nobody waits in these tests."""
    del seconds


def at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


def test_the_second_run_is_told_who_holds_the_lease(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    with (
        lease.hold(storage, "run-1", now=at(NOON)),
        pytest.raises(LeaseHeldError, match=rf"run run-1 \(process {os.getpid()}"),
        lease.hold(storage, "run-2", now=at(NOON)),
    ):
        pass


def test_a_released_lease_is_free_at_once(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    for run_id in ("run-1", "run-2", "run-3"):
        with lease.hold(storage, run_id, now=at(NOON)) as held:
            held.check()
    assert lease.holder(storage, now=NOON) is None


def test_an_expired_lease_is_taken_over_and_its_old_holder_notices(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    with lease.hold(storage, "silent", now=at(NOON)) as silent:
        later = NOON + lease.LIFETIME + timedelta(seconds=1)
        with lease.hold(storage, "next", now=at(later), wait=at_once) as held:
            held.check()
            with pytest.raises(LeaseHeldError, match="silent lost its lease"):
                silent.check()


def test_the_lease_of_a_process_that_was_killed_on_this_machine_is_free_at_once(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from retail.runs import lease\nfrom retail.storage import LocalStorage\nfrom pathlib import Path\n"
        "with lease.hold(LocalStorage(Path(sys.argv[1])), 'killed'):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert killed.returncode == -9
    with lease.hold(LocalStorage(tmp_path), "next") as held:
        held.check()


def test_who_takes_over_from_a_killed_one_sweeps_away_what_that_left_half_written(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    half = tmp_path / "raw" / f".sales_data.json.{uuid.uuid4().hex}"
    half.parent.mkdir()
    half.touch()
    with lease.hold(storage, "released", now=at(NOON)):
        pass
    with lease.hold(storage, "there", now=at(NOON)):
        assert half.exists()
        (newest,) = storage.list("ops/lease/")
        record = json.loads(storage.read(newest))
    storage.write(newest, json.dumps({**record, "host": "another", "released": False}).encode())
    with lease.hold(storage, "next", now=at(NOON + lease.LIFETIME), wait=at_once):
        assert not half.exists()


def test_a_killed_run_on_another_machine_blocks_until_its_lease_expires(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    with lease.hold(storage, "there", now=at(NOON)):
        (key,) = storage.list("ops/lease/")
        record = json.loads(storage.read(key))
    storage.write(key, json.dumps({**record, "host": "another", "released": False}).encode())
    with pytest.raises(LeaseHeldError, match="on another"), lease.hold(storage, "here", now=at(NOON)):
        pass
    with lease.hold(storage, "here", now=at(NOON + lease.LIFETIME), wait=at_once) as held:
        held.check()


@pytest.mark.skipif(not Path("/proc/self/ns/pid").is_symlink(), reason="this machine has no pid namespaces")
def test_of_another_container_of_this_host_only_the_expiry_counts(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    with lease.hold(storage, "there", now=at(NOON)):
        (key,) = storage.list("ops/lease/")
        record = json.loads(storage.read(key))
    ours = str(Path("/proc/self/ns/pid").readlink())
    assert ours in record["machine"]
    there = record["machine"].replace(ours, "pid:[4026530000]")
    # Its process id is, in this container, of no process at all.
    record |= {"machine": there, "pid": 2**22 + 1, "process_started": "1", "released": False}
    storage.write(key, json.dumps(record).encode())
    with pytest.raises(LeaseHeldError, match="run there"), lease.hold(storage, "here", now=at(NOON)):
        pass
    with lease.hold(storage, "here", now=at(NOON + lease.LIFETIME), wait=at_once) as held:
        held.check()


def test_of_many_that_start_at_once_one_gets_the_lease(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)

    def try_to_hold(number: int) -> AbstractContextManager[lease.Lease] | None:
        context = lease.hold(storage, f"run-{number}", now=at(NOON))
        try:
            context.__enter__()
        except LeaseHeldError:
            return None
        return context  # kept, for a context that is let go gives the lease back

    with ThreadPoolExecutor(8) as pool:
        held = [each for each in pool.map(try_to_hold, range(8)) if each is not None]
    assert len(held) == 1
    held[0].__exit__(None, None, None)


def test_who_was_silent_too_long_writes_nothing_more(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    with ExitStack() as stack:
        silent = stack.enter_context(_silent(storage))
        guarded = GuardedStorage(storage, silent.require)
        guarded.write("before", b"1")
        later = datetime.now(UTC) + timedelta(seconds=60)
        stack.enter_context(lease.hold(storage, "next", now=at(later), wait=at_once))
        silent._silent_since -= 6  # as after a stop of six seconds
        for write in (
            lambda: guarded.write("after", b"1"),
            lambda: guarded.write_from("after", BytesIO(b"1")),
            lambda: guarded.create("after", b"1"),
            lambda: guarded.delete("before"),
            guarded.require_writer,
        ):
            with pytest.raises(LeaseHeldError, match="silent lost its lease"):
                write()
    assert [key for key in storage.list("") if not key.startswith("ops/")] == ["before"]


def test_who_was_silent_and_was_not_missed_goes_on(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    with _silent(storage) as silent:
        silent._silent_since -= 6
        silent.require()
        with pytest.raises(LeaseHeldError, match="run silent"), lease.hold(storage, "next"):
            pass


def test_who_takes_over_gives_way_to_a_holder_that_extends_at_that_moment(tmp_path: Path) -> None:
    class Meeting(LocalStorage):
        """The holder extends between the look at its lease and the taking over."""

        def create(self, key: str, data: bytes) -> bool:
            if key.endswith("2.json"):
                record = json.loads(self.read("ops/lease/00000001.json"))
                extended = {**record, "expires_at": (NOON + timedelta(hours=1)).isoformat()}
                self.write("ops/lease/00000001.json", json.dumps(extended).encode())
            return super().create(key, data)

    storage = Meeting(tmp_path)
    with lease.hold(storage, "first", now=at(NOON)):
        later = at(NOON + lease.LIFETIME)
        with (
            pytest.raises(LeaseHeldError, match="run first"),
            lease.hold(storage, "second", now=later, wait=at_once),
        ):
            pass
        assert [*storage.list("ops/lease/")] == ["ops/lease/00000001.json"]


def _silent(storage: LocalStorage) -> AbstractContextManager[lease.Lease]:
    return lease.hold(storage, "silent", lifetime=timedelta(seconds=5))


def test_a_lease_that_looks_expired_is_watched_before_it_is_taken_over(tmp_path: Path) -> None:
    """A clock that is two minutes ahead takes nothing away from a run that is alive."""
    storage = LocalStorage(tmp_path)
    ahead = at(datetime.now(UTC) + timedelta(minutes=2))
    with lease.hold(storage, "alive") as alive:
        watched: list[float] = []

        def extended(seconds: float) -> None:
            watched.append(seconds)
            alive._extend()

        with pytest.raises(LeaseHeldError, match="run alive"):
            lease.hold(storage, "ahead", now=ahead, wait=extended).__enter__()
        assert watched == [lease.LIFETIME.total_seconds() / 2]
        alive.check()


@pytest.mark.parametrize(("holds", "takes", "watches"), [(600, 10, 300), (10, 600, 300), (None, 90, 45)])
def test_a_lease_is_watched_for_half_of_the_longer_life_of_the_two(
    holds: int | None, takes: int, watches: int, tmp_path: Path
) -> None:
    storage = LocalStorage(tmp_path)
    with lease.hold(storage, "there", now=at(NOON), lifetime=timedelta(seconds=holds or 90)):
        (key,) = storage.list("ops/lease/")
        record = json.loads(storage.read(key))
    if holds is None:  # as versions before wrote it
        del record["lifetime_seconds"]
    storage.write(key, json.dumps({**record, "host": "another", "released": False}).encode())
    watched: list[float] = []
    later = at(NOON + timedelta(seconds=601))
    with lease.hold(storage, "here", now=later, lifetime=timedelta(seconds=takes), wait=watched.append):
        assert watched == [watches]


def test_an_extension_that_could_not_be_looked_at_again_does_not_count(tmp_path: Path) -> None:
    class CutOff(LocalStorage):
        lists = 0

        def list(self, prefix: str) -> Iterator[str]:
            CutOff.lists += 1
            if CutOff.lists > 100:
                raise StorageError("cut off", hint="")
            return super().list(prefix)

        def write(self, key: str, data: bytes) -> None:
            super().write(key, data)
            CutOff.lists = 1000

    storage = CutOff(tmp_path)
    with pytest.raises(StorageError), lease.hold(storage, "run") as held:
        before = held._silent_since
        with pytest.raises(StorageError):
            held._extend()
        assert held._silent_since == before
        held.check()


def test_the_lease_names_the_run_that_its_holder_goes_on_with(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    with lease.hold(storage, "new") as held:
        held.works_on("old")
        found = lease.holder(storage, now=datetime.now(UTC))
        assert found is not None
        assert found["run_id"] == "old"
