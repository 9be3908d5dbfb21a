"""The command `retail` in a process forked from one that has imported everything: it starts without the imports.

`python -m tests.forked` reads an order a line, forks for it, and lets the child be the command. `run` is the client.
"""

from __future__ import annotations

import atexit
import faulthandler
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

SECONDS_OF_A_COMMAND = 800  # the longest, on Spark, takes three minutes
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Order:
    """A command with its environment, and the files that its output and its errors go to."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    output: str
    errors: str


def run(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` of `retail`, with no standard input and its output captured."""
    with _ONE_AT_A_TIME, tempfile.TemporaryDirectory() as captured:
        output, errors = (Path(captured, name) for name in ("output", "errors"))
        order = Order(list(arguments), dict(environment), str(folder), str(output), str(errors))
        server = _server()
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(json.dumps(asdict(order)) + "\n")
        server.stdin.flush()
        deadline = threading.Timer(SECONDS_OF_A_COMMAND, os.killpg, (server.pid, signal.SIGABRT))
        deadline.start()
        answer = server.stdout.readline()
        deadline.cancel()
        if not answer:  # at SIGABRT Python shows where each of its threads is
            _server.cache_clear()
            raise AssertionError(
                f"{list(arguments)} died or stood still:\n{errors.read_text(encoding='utf-8')}"
            )
        return subprocess.CompletedProcess(
            list(arguments),
            int(answer),
            output.read_text(encoding="utf-8"),
            errors.read_text(encoding="utf-8"),
        )


@functools.cache
def _server() -> subprocess.Popen[str]:
    """One for each worker of pytest; it ends when its standard input does."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.forked"],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    atexit.register(server.kill)
    return server


def import_everything() -> None:
    """What the command imports sooner or later. Starts no thread: a fork would lose it."""
    import deltalake
    import pyarrow.dataset
    import pysail.spark
    import pyspark.sql.connect.session

    import retail.cli
    from retail.quality.suites import validation

    del deltalake, pyarrow, pysail, pyspark, retail
    validation.warm_up()


def become(environment: Mapping[str, str], folder: str, output: str, errors: str) -> None:
    """Give this process an environment, a folder, and files for what it prints; it has no standard input."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for number, file, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        os.dup2(os.open(file, flags), number)
    if output == errors:
        os.dup2(1, 2)


def main() -> None:
    answers = os.dup(1)
    import_everything()
    for line in sys.stdin:
        order = Order(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            become(order.environment, order.folder, order.output, order.errors)
            faulthandler.enable()
            from retail.cli import main as retail

            retail(order.arguments, prog_name="retail")
        _, status = os.waitpid(pid, 0)
        os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    main()
