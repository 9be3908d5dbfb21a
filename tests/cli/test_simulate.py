"""`retail simulate`, and the simulator of `retail demo`: neither outlives its command, however that ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.end_to_end.conftest import CLOCK

from retail.cli.local import demo
from retail.cli.local.demo import demo_environment
from retail.errors import RetailError
from retail.lake.engine import without_session
from retail.warehouse.embedded.cluster import free_port

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the command in a folder of its own; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def command(*arguments: str) -> subprocess.Popen[str]:
        environment = without_session(os.environ | demo_environment())
        environment.pop("RETAIL_CONF", None)
        process = subprocess.Popen(
            [sys.executable, "-m", "retail.cli", *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield command
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def is_free(port: int, *, within: float = 15) -> bool:
    """Whether nobody listens there any more, before the time is up."""
    give_up = time.monotonic() + within
    while time.monotonic() < give_up:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                time.sleep(0.05)
            else:
                return True
    return False


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_the_port_is_free_once_the_command_was_ended(start: Start, number: signal.Signals, code: int) -> None:
    port = free_port()
    process = start("simulate", "--clock", "2017-01-20T12:00:00Z", "--port", str(port))
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"listening": f"http://127.0.0.1:{port}"}
    assert not is_free(port, within=0.1)
    process.send_signal(number)
    assert process.wait(15) == code
    assert is_free(port)


def test_a_simulator_that_cannot_start_gives_its_own_exit_code(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = start("simulate", "--clock", "2017-01-20T12:00:00Z", "--port", port)
        assert process.wait(60) == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_simulator_of_a_demo_that_was_ended_ends_too(start: Start, number: signal.Signals) -> None:
    process = start("demo", "--days", "1")
    assert process.stdout is not None
    address = re.search(r"at http://127\.0\.0\.1:(\d+)", process.stdout.readline())
    assert address is not None
    assert not is_free(int(address[1]), within=0.1)
    process.send_signal(number)
    assert process.wait(15) == -number
    assert is_free(int(address[1]))


def test_a_simulator_that_says_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "SECONDS_TO_START", 0.01)
    with (
        pytest.raises(RetailError, match=r"did not report its address within 0\.01 s"),
        demo.simulator(demo_environment(), clock=CLOCK),
    ):
        pass
