"""Runs of the command that are killed, in a process group of their own, and what was told of them."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from retail.cli.local.demo import demo_environment
from retail.config.settings import home
from retail.lake.engine import without_session
from tests.end_to_end.installation import Installation
from tests.kill.preloaded import Order

_PATIENCE = 300.0


@dataclass(frozen=True)
class Place:
    """Kill at a call of a function; see tests/kill/striking.py."""

    function: str
    call: str = "1"
    among: str | None = None

    def __str__(self) -> str:
        return f"at {self.function} {self.call}{f' of {self.among}' if self.among else ''}"


@dataclass(frozen=True)
class Moment:
    """Kill so many seconds after a step began, or as soon as it ends, if that is earlier."""

    step: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.seconds:.3f} s into {self.step}"


@dataclass(frozen=True)
class Meanwhile:
    """Not a kill: at that place the program runs, and then the command goes on."""

    place: Place
    program: tuple[str, ...]


Strike = Place | Moment | Meanwhile


@dataclass(frozen=True)
class Ended:
    """How a command ended, what it printed, and how long each of its steps took."""

    returncode: int
    output: str
    seconds: dict[str, float]


class Preloaded:
    """See tests/kill/preloaded.py; one command at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._told: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def retail(
        self,
        made: Installation,
        *arguments: str,
        strike: Strike | None = None,
        clock: float = 0,
        **environment: str,
    ) -> Ended:
        """The command `retail`, killed as told: with SIGKILL, and all of its process group."""
        output = made.conf.parent / "output.txt"
        meanwhile = list(strike.program) if isinstance(strike, Meanwhile) else None
        place = strike.place if isinstance(strike, Meanwhile) else strike
        at = [place.function, place.call, place.among] if isinstance(place, Place) else None
        variables = without_session(os.environ | demo_environment())
        variables |= {"RETAIL_CONF": str(made.conf), "TMPDIR": str(temporary(made)), **environment}
        variables = {name: value for name, value in variables.items() if value}
        self._order(Order(list(arguments), variables, str(made.folder), str(output), at, meanwhile, clock))
        seconds: dict[str, float] = {}
        began, pid = 0.0, 0
        while True:
            told = self._next(pid)
            if "pid" in told:
                pid = told["pid"]
            elif "returncode" in told:
                return Ended(told["returncode"], output.read_text(encoding="utf-8"), seconds)
            elif "ends" in told:
                seconds[told["ends"]] = time.monotonic() - began
            else:
                began = time.monotonic()
                if isinstance(strike, Moment) and told["begins"] == strike.step:
                    self._kill(pid, after=strike.seconds)

    def _order(self, order: Order) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._told.put(json.loads(line))

    def _next(self, pid: int) -> dict[str, Any]:
        try:
            return self._told.get(timeout=_PATIENCE)
        except queue.Empty:
            if pid:
                os.killpg(pid, signal.SIGKILL)
            raise AssertionError(f"the command said nothing for {_PATIENCE:.0f} s") from None

    def _kill(self, pid: int, *, after: float) -> None:
        """Whatever is told next says that the step has ended, or the run: that is as late as it may be."""
        try:
            told = self._told.get(timeout=after)
        except queue.Empty:
            told = {}
        if "returncode" in told:
            self._told.put(told)
            return
        os.killpg(pid, signal.SIGKILL)


def temporary(made: Installation) -> Path:
    """Where the installation's commands put their temporary files."""
    folder = made.conf.parent / "tmp"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def preloaded() -> Iterator[Preloaded]:
    command = [sys.executable, "-m", "tests.kill.preloaded"]
    environment = without_session(os.environ | {"GX_ANALYTICS_ENABLED": "false"})
    with subprocess.Popen(
        command, cwd=home(), env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Preloaded(process)
        assert process.stdin is not None
        process.stdin.close()
