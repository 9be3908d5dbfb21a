"""The command `retail` from a process that has imported everything: a run begins in a moment, not in ten seconds.

`python -m tests.kill.preloaded` reads an order a line, forks for it, and lets the child be the command, leader of a
process group of its own. It tells, a line of JSON each, when a step begins and ends, and how the command ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import partial
from typing import Any

from tests.forked import become, import_everything
from tests.kill.striking import do_at, kill_at, wrap


@dataclass(frozen=True)
class Order:
    """A command with its environment, where its output goes, and the place at which it is to end itself.

    With `meanwhile` it runs that program there instead, and goes on. `clock` is how many seconds its clock is wrong.
    """

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    output: str
    place: list[str] | None
    meanwhile: list[str] | None = None
    clock: float = 0


def main() -> None:
    told = os.dup(1)

    def tell(**values: object) -> None:
        os.write(told, (json.dumps(values) + "\n").encode())

    import_everything()
    for line in sys.stdin:
        order = Order(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            _be(order, tell)
        _, status = os.waitpid(pid, 0)
        tell(returncode=os.waitstatus_to_exitcode(status))


def _be(order: Order, tell: Callable[..., None]) -> None:
    os.setsid()
    become(order.environment, order.folder, order.output, order.output)
    tell(pid=os.getpid())

    from retail.cli import main as retail
    from retail.pipeline import runner

    if order.place and order.meanwhile:
        run = partial(subprocess.run, order.meanwhile, check=True, stdin=subprocess.DEVNULL)
        do_at(*order.place, do=run)
    elif order.place:
        kill_at(*order.place)
    if order.clock:
        _set_clock(timedelta(seconds=order.clock))

    def telling(real: Callable[..., Any], job: Any, step: str) -> None:
        tell(begins=step)
        real(job, step)
        tell(ends=step)

    wrap(runner, "_do_once", telling)
    retail(order.arguments)


def _set_clock(wrong_by: timedelta) -> None:
    """For all that names or judges runs, says which days are due and over, and talks to the retailers."""
    from retail.cli.status import overview
    from retail.landing import fetch
    from retail.pipeline import runner, schedule
    from retail.runs import lease, ledger
    from retail.sources.http import messages

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + wrong_by

    for module in (runner, schedule, overview, messages, fetch, lease, ledger):
        module.datetime = Clock  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
