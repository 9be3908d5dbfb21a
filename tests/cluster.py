"""A Spark cluster of its own on this machine: a master and two workers as processes, on free ports of the loopback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from retail.lake.engine import without_session
from tests.conftest import needs_java

T = TypeVar("T")
WORKERS = 2
DEPLOY = "org.apache.spark.deploy"


@dataclass(frozen=True)
class Cluster:
    """`url` is the master's; a worker's folder holds what its executors write."""

    url: str
    workers: list[Path]

    def executors(self) -> list[int]:
        """The process ids of the executors that run now."""
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    command = (folder / "cmdline").read_bytes()
                    place = (folder / "cwd").readlink()
                except OSError:
                    continue  # it has ended meanwhile
                if b"ExecutorBackend" in command and any(place.is_relative_to(each) for each in self.workers):
                    found.append(int(folder.name))
        return found


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """Start master and workers, and wait until the workers are known."""
    needs_java()
    home = subprocess.run(
        [sys.executable, "-m", "pyspark.find_spark_home"], check=True, capture_output=True, text=True
    ).stdout.strip()
    with ExitStack() as stack:
        master = stack.enter_context(_process(Path(home), folder / "master", f"{DEPLOY}.master.Master"))
        url = until(lambda: _said(master, r"Starting Spark master at (spark://\S+)"), "the master's address")
        workers = [folder / f"worker-{number}" for number in range(WORKERS)]
        for each in workers:
            options = ["--cores", "1", "--memory", "1g", "--work-dir", str(each), url]
            stack.enter_context(_process(Path(home), each, f"{DEPLOY}.worker.Worker", *options))
        known = r"Registering worker"
        until(
            lambda: len(re.findall(known, master.read_text())) == WORKERS or None, "the workers' registration"
        )
        yield Cluster(url, workers)


def until(find: Callable[[], T | None], what: str, *, seconds: float = 90) -> T:
    """What `find` gives once it gives anything."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = find()
        if found is not None:
            return found
        time.sleep(0.05)
    pytest.fail(f"{what} did not come within {seconds:.0f} s")


@contextmanager
def _process(home: Path, folder: Path, name: str, *options: str) -> Iterator[Path]:
    """A daemon of Spark; gives the file of what it says."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    command = [
        str(home / "bin" / "spark-class"),
        name,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--webui-port",
        "0",
    ]
    environment = {
        **without_session(os.environ),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "512m",
    }
    with log.open("w") as said:
        process = subprocess.Popen(
            [*command, *options], stdout=said, stderr=said, env=environment, start_new_session=True
        )
        try:
            yield log
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def _said(log: Path, pattern: str) -> str | None:
    found = re.search(pattern, log.read_text())
    return found[1] if found else None
