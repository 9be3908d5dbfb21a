"""One run works on a lake at a time, and a dead one blocks nobody for longer than its lease."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
import structlog

from retail.errors import LeaseHeldError, StorageError
from retail.lake.storage.local import LocalStorage
from retail.runs import lease
from retail.runs.fenced_storage import FencedStorage

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def at_once(seconds: float) -> None:
    """Nobody waits in these tests."""
    del seconds


def at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


@contextmanager
def refused_by(holder: str | None) -> Iterator[None]:
    """Expects LeaseHeldError because of that run."""
    with pytest.raises(LeaseHeldError) as refused:
        yield
    assert refused.value.holder == holder


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
        "from retail.runs import lease\nfrom retail.lake.storage.local import LocalStorage\nfrom pathlib import Path\n"
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
    with (
        pytest.raises(LeaseHeldError, match=r"\bthere\b.*\banother\)"),
        lease.hold(storage, "here", now=at(NOON)),
    ):
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
    with refused_by("there"), lease.hold(storage, "here", now=at(NOON)):
        pass
    with lease.hold(storage, "here", now=at(NOON + lease.LIFETIME), wait=at_once) as held:
        held.check()


# Of process 1, under a user who may not signal it: itself another's, or this program becomes nobody.
LOOKS_AT_ANOTHER_USERS = """
import os, socket, sys
from pathlib import Path
from retail.runs import lease
machine = lease._machine()
lease._PROCESSES = Path(sys.argv[1])
if os.geteuid() == 0:
    os.setuid(65534)
process = {"host": socket.gethostname(), "machine": machine, "pid": int(sys.argv[2]), "process_started": "1"}
print(lease._is_gone(process))
"""


@pytest.mark.parametrize("folder", ["hides other users' processes", "is not there"])
def test_a_process_that_another_user_may_not_see_is_alive_while_it_is_there(
    folder: str, tmp_path: Path
) -> None:
    processes = tmp_path / "proc"
    if folder == "hides other users' processes":  # as /proc with hidepid=2
        (processes / "self").mkdir(parents=True)
        (processes / "self" / "stat").touch()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid, is_gone in ((1, "False"), (ended.pid, "True")):
        told = subprocess.run(
            [sys.executable, "-c", LOOKS_AT_ANOTHER_USERS, str(processes), str(pid)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        assert told.stdout.strip() == is_gone


def test_a_process_id_that_another_process_has_since_is_gone(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    with lease.hold(storage, "run-1", now=at(NOON)):
        (key,) = storage.list("ops/lease/")
        record = json.loads(storage.read(key))
    if record["process_started"] is None:
        pytest.skip("nobody tells here when a process began")
    storage.write(key, json.dumps({**record, "process_started": "1", "released": False}).encode())
    with lease.hold(storage, "run-2", now=at(NOON)) as held:
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
        guarded = FencedStorage(storage, silent.require)
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
            with pytest.raises(LeaseHeldError):
                write()
    assert [key for key in storage.list("") if not key.startswith("ops/")] == ["before"]


def test_who_was_silent_and_was_not_missed_goes_on(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    with _silent(storage) as silent:
        silent._silent_since -= 6
        silent.require()
        with refused_by("silent"), lease.hold(storage, "next"):
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
            refused_by("first"),
            lease.hold(storage, "second", now=later, wait=at_once),
        ):
            pass
        assert [*storage.list("ops/lease/")] == ["ops/lease/00000001.json"]


def test_who_wakes_up_behind_two_others_takes_nothing_over(tmp_path: Path) -> None:
    """While it watched, the next number was used, given back, and deleted by the one that works now."""

    class Unwritten(LocalStorage):
        def create(self, key: str, data: bytes) -> bool:
            del data
            pytest.fail(f"{key} was created: what was watched is gone, so another was faster")

    storage = LocalStorage(tmp_path)
    _abandon(storage, "dead")
    later = at(NOON + lease.LIFETIME)
    half = tmp_path / "raw" / f".sales_data.json.{uuid.uuid4().hex}"
    with ExitStack() as stack:
        others: list[lease.Lease] = []

        def asleep(seconds: float) -> None:
            del seconds
            with lease.hold(storage, "faster", now=later, wait=at_once):
                pass
            others.append(stack.enter_context(lease.hold(storage, "works", now=later)))
            half.parent.mkdir()
            half.touch()  # as the one that works writes a file

        with refused_by("works"):
            lease.hold(Unwritten(tmp_path), "woken", now=later, wait=asleep).__enter__()
        others[0].check()
        assert half.exists()
        assert [*storage.list("ops/lease/")] == ["ops/lease/00000003.json"]


@pytest.mark.parametrize("before", ["nobody", "one that gave it back", "one that is dead"])
@pytest.mark.parametrize("works", [True, False])
def test_who_creates_an_object_below_the_newest_takes_it_back(
    before: str, works: bool, tmp_path: Path
) -> None:
    class Slow(LocalStorage):
        """Asleep between its last look and its own object."""

        def create(self, key: str, data: bytes) -> bool:
            for name in ("faster", "works"):
                other = lease.hold(LocalStorage(tmp_path), name, now=later, wait=at_once)
                stack.enter_context(other)
                if name == "faster" or not works:
                    stack.pop_all().close()
            half.touch()
            return super().create(key, data)

    storage, later = LocalStorage(tmp_path), at(NOON + lease.LIFETIME)
    half = tmp_path / "raw" / f".sales_data.json.{uuid.uuid4().hex}"
    half.parent.mkdir()
    if before == "one that gave it back":
        with lease.hold(storage, "gave-back", now=at(NOON)):
            pass
    elif before == "one that is dead":
        _abandon(storage, "dead")
    with ExitStack() as stack:
        with refused_by("works" if works else None):
            lease.hold(Slow(tmp_path), "slow", now=later, wait=at_once).__enter__()
        assert half.exists()
        (left,) = storage.list("ops/lease/")
        assert json.loads(storage.read(left))["run_id"] == "works"


def _abandon(storage: LocalStorage, run_id: str) -> None:
    """The lease of a run that died on another machine."""
    with lease.hold(storage, run_id, now=at(NOON)):
        (key,) = storage.list("ops/lease/")
        record = json.loads(storage.read(key))
    storage.write(key, json.dumps({**record, "host": "another", "released": False}).encode())


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

        with refused_by("alive"):
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


def test_who_watches_a_lease_says_whose_and_for_how_long_before_it_waits(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    _abandon(storage, "dead")
    told: list[list[dict[str, object]]] = []
    later = at(NOON + lease.LIFETIME)
    with structlog.testing.capture_logs() as lines:

        def waits(seconds: float) -> None:
            del seconds
            told.append([dict(line) for line in lines])

        with lease.hold(storage, "next", now=later, wait=waits):
            pass
    ((line,),) = told
    assert line["log_level"] == "warning"  # seen without --verbose
    assert (line["of_run"], line["host"], line["seconds"]) == ("dead", "another", 45)


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
