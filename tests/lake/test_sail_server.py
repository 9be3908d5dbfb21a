"""The embedded engine's port is attacked: from this machine, by another account, at each moment of its start."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from structlog.testing import capture_logs
from tests.conftest import settings_for
from tests.kill.told import in_operations

from retail.config import accounts
from retail.errors import EngineError
from retail.lake import private_port, sail_server
from retail.lake.engine import open_session
from retail.lake.private_port import CannotCloseError

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can close the engine's port")
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can attack as another account")

GREETING: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
_PATIENCE: Final = 0.2  # an answer on loopback takes less than a millisecond
# Greets each address as a gRPC client does, as user nobody; prints how many answered.
ATTACK: Final = """
import os, socket, sys
uid, patience, greeting, *addresses = sys.argv[1:]
os.setgroups([])
os.setgid(int(uid))
os.setuid(int(uid))
answers = 0
for address in addresses:
    kind, _, name = address.partition(":")
    client = socket.socket(socket.AF_INET if kind == "tcp" else socket.AF_UNIX)
    client.settimeout(float(patience))
    try:
        client.connect(("127.0.0.1", int(name)) if kind == "tcp" else "\\0" + name)
        client.sendall(bytes.fromhex(greeting))
        answers += client.recv(1) != b""
    except OSError:
        pass
print(len(addresses), answers)
"""


def attacked_by_nobody(*, besides: set[str], patience: float = _PATIENCE) -> tuple[int, int]:
    """How many addresses this process listens at, `besides` those of other tests, and how many answer user nobody."""
    command = [sys.executable, "-I", "-S", "-c", ATTACK, str(pwd.getpwnam("nobody").pw_uid), str(patience)]
    done = subprocess.run(
        [*command, GREETING.hex(), *sorted(set(_addresses()) - besides)],
        check=True,
        capture_output=True,
        text=True,
    )
    tried, answers = done.stdout.split()
    return int(tried), int(answers)


def _addresses() -> Iterator[str]:
    """Where this process listens, as the kernel has it."""
    ours = set()
    for each in Path("/proc/self/fd").iterdir():
        try:
            ours.add(str(each.readlink()).removeprefix("socket:[").removesuffix("]"))
        except OSError:
            continue
    for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[9] in ours and words[3] == "0A":
            yield f"tcp:{int(words[1].rpartition(':')[2], 16)}"
    for line in Path("/proc/self/net/unix").read_text().splitlines()[1:]:
        words = line.split()
        if words[6] in ours and words[3] == "00010000" and words[7:] and words[7][0] == "@":
            yield f"unix:{words[7][1:]}"


def answers(address: tuple[str, int], *, patience: float = _PATIENCE) -> bool:
    """Whether a server there answers a greeting from this machine."""
    with socket.socket() as client:
        client.settimeout(patience)
        try:
            client.connect(address)
            client.sendall(GREETING)
            return client.recv(1) != b""
        except OSError:
            return False


@linux
@root
def test_another_account_of_the_machine_gets_no_answer_from_the_engine(tmp_path: Path) -> None:
    before = set(_addresses())
    with open_session(settings_for("sail", tmp_path)) as session:
        assert session.range(3).count() == 3
        tried, answered = attacked_by_nobody(besides=before)
        assert tried >= 2, "the engine's port and the way to it"
        assert answered == 0
        assert session.range(4).count() == 4


@linux
@root
def test_the_attack_succeeds_where_the_port_is_open(tmp_path: Path, without_a_way: None) -> None:
    before = set(_addresses())
    with open_session(settings_for("sail", tmp_path)):
        assert attacked_by_nobody(besides=before, patience=10) == (1, 1)


class Crowd:
    """Who connects and greets at each moment at which the kernel lets anyone; what was answered is in `answered`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, times: int) -> None:
        self.answered: list[bool] = []
        self._clients: list[socket.socket] = []
        self._times = times
        real = private_port._put_out_of_reach
        take_over = private_port.take_over

        def crowd_in(listener: socket.socket) -> None:
            if self._times > 0:
                self._times -= 1
                client = socket.create_connection(listener.getsockname(), timeout=_PATIENCE)
                client.sendall(GREETING)
                self._clients.append(client)
            real(listener)
            self.answered.append(answers(listener.getsockname()))

        def taking_over(port: int) -> private_port.PrivatePort:
            self.answered += [answers((address, port)) for address in ("127.0.0.1", private_port.UNREACHABLE)]
            return take_over(port)

        monkeypatch.setattr(private_port, "_put_out_of_reach", crowd_in)
        monkeypatch.setattr(private_port, "take_over", taking_over)

    def hear(self) -> None:
        for client in self._clients:
            with client:
                try:
                    self.answered.append(client.recv(1) != b"")
                except OSError:
                    self.answered.append(False)


@linux
def test_at_no_moment_of_its_start_does_the_engine_answer_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = Crowd(monkeypatch, times=3)
    with open_session(settings_for("sail", tmp_path)) as session:
        assert session.range(3).count() == 3
        crowd.hear()
    assert len(crowd.answered) == 2 + 4 + 3
    assert not any(crowd.answered)


@linux
def test_who_keeps_crowding_in_stops_the_start_and_opens_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = Crowd(monkeypatch, times=1_000)
    before = list(_addresses())
    with pytest.raises(EngineError, match="keeps connecting"), open_session(settings_for("sail", tmp_path)):
        pass
    crowd.hear()
    assert not any(crowd.answered)
    assert list(_addresses()) == before


@linux
def test_a_client_whose_connection_broke_gets_another() -> None:
    server = sail_server.start()
    try:
        for _ in range(3):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect("\0" + server.target.partition(":")[2])
                client.sendall(GREETING)
                assert client.recv(1) != b""
                with socket.socket(socket.AF_UNIX) as second:
                    second.settimeout(10)
                    second.connect("\0" + server.target.partition(":")[2])
                    second.sendall(GREETING)
                    assert second.recv(1) != b""
    finally:
        server.stop()


@linux
def test_much_data_passes_in_both_directions(tmp_path: Path) -> None:
    given = pa.table({"n": range(300_000), "text": ["x" * 50] * 300_000})
    with open_session(settings_for("sail", tmp_path)) as session:
        assert session.createDataFrame(given).toArrow().sort_by("n") == given


@linux
def test_an_engine_that_has_ended_leaves_no_thread_and_no_file(tmp_path: Path) -> None:
    def held() -> tuple[int, int]:
        files = len(list(Path("/proc/self/fd").iterdir()))
        return sum(each.name == "engine-relay" for each in threading.enumerate()), files

    def once() -> None:
        server = sail_server.start()
        server.stop()

    once()
    before = held()
    for _ in range(5):
        once()
    assert held() <= before


def _refuse(*_: object) -> None:
    raise PermissionError(1, "not here")


def _none(*_: object) -> list[object]:
    return []


@pytest.fixture
def without_a_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that lacks what closes the port."""
    monkeypatch.setattr(private_port, "_put_out_of_reach", _refuse)


@linux
@pytest.mark.parametrize(
    ("lacking", "instead"),
    [
        ("_put_out_of_reach", _refuse),
        ("_open_files", _none),
        ("_registrations", _none),
        ("_epoll_add", _none),
    ],
)
def test_the_engine_runs_where_its_port_cannot_be_closed_and_the_run_warns_of_other_accounts(
    lacking: str, instead: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private_port, lacking, instead)
    monkeypatch.setattr(accounts, "others", lambda: ["alice"])
    with capture_logs() as told, open_session(settings_for("sail", tmp_path)) as session:
        assert session.range(3).count() == 3
    assert ["alice" in line["exposure"] for line in told] == [True]
    in_operations("engine open to other accounts", told[0]["event"])


def test_a_machine_with_one_account_is_not_warned(
    tmp_path: Path, without_a_way: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "others", list)
    with capture_logs() as told, open_session(settings_for("sail", tmp_path)) as session:
        assert session.range(3).count() == 3
    assert told == []
    assert sail_server.exposure() is None


def test_a_system_without_such_sockets_has_an_open_port_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(accounts, "others", lambda: ["alice"])
    exposure = sail_server.exposure()
    assert exposure is not None
    assert "darwin" in exposure


@linux
def test_an_error_on_the_way_leaves_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(private_port, "take_over", interrupted)
    before = list(_addresses())
    with pytest.raises(KeyboardInterrupt):
        sail_server.start()
    assert list(_addresses()) == before


@linux
@root
def test_an_account_that_runs_a_program_is_another() -> None:
    program = "import os, sys; os.setuid(int(sys.argv[1])); print('ready', flush=True); sys.stdin.read()"
    command = [sys.executable, "-I", "-S", "-c", program, "54321"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert "54321" in accounts.others()
        process.kill()
    assert {"root", pwd.getpwuid(os.geteuid()).pw_name}.isdisjoint(accounts.others())


def test_a_port_that_is_not_there_is_not_taken_over() -> None:
    with pytest.raises(CannotCloseError):
        private_port.take_over(1)
