"""A run's progress: one line per step and, while it lasts, how much is done, how fast, and what is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

REPORT_SECONDS: Final = 10.0


@dataclass
class RunningStep:
    """A running step: `done` of `total` `what`, with the `newest` of it in words.

    `total` is None if it is unknown; `last_time` is the seconds that the step took in the previous run.
    """

    step: str
    began: float
    last_time: float | None = None
    total: int | None = None
    what: str = ""
    done: int = 0
    newest: str = ""

    def text(self, now: float) -> str:
        """Progress, rate and time left; without a total, how long it took last time."""
        parts = []
        if self.total is not None:
            parts.append(f"{self.done:,} of {self.total:,} {self.what}")
            seconds = now - self.began
            if self.done and seconds > 0:
                rate = self.done / seconds
                parts.append(f"{rate:,.1f} a second" if rate >= 1 else f"{rate * 60:,.1f} a minute")
                parts.append(f"about {in_words((self.total - self.done) / rate)} left")
        elif self.last_time is not None:
            parts.append(f"the previous run took {in_words(self.last_time)}")
        return ", ".join(parts) + (f"; {self.newest}" if self.newest else "")


def in_words(seconds: float) -> str:
    """Seconds in a readable form.

    >>> in_words(7.4), in_words(200), in_words(8000)
    ('7 s', '3 min', '2.2 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class PlainReport:
    """One line per step, and one every ten seconds while it lasts: for logs and pipes. A context manager."""

    def __init__(self, out: Console, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._monotonic = monotonic
        self._running: RunningStep | None = None
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._print_regularly, name="progress", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._running = None

    def started(self, step: str, *, last_time: float | None = None) -> None:
        """The step is running from now on; it took `last_time` seconds in the previous run."""
        with self._lock:
            self._running = RunningStep(step, self._monotonic(), last_time)

    def expects(self, step: str, total: int, what: str) -> None:
        """The step will do `total` of `what`."""
        with self._lock:
            if self._running is not None and self._running.step == step:
                self._running.total, self._running.what = total, what

    def progress(self, step: str, done: int, text: str) -> None:
        """`done` more of what is expected; `text` is the newest of it."""
        with self._lock:
            if self._running is not None and self._running.step == step:
                self._running.done += done
                self._running.newest = text

    def waits(self, step: str, text: str) -> None:
        """The step waits."""
        self._out.print(f"  {step:<8} {'waiting':>11}  {text}", markup=False)

    def ended(self, step: str, seconds: float, summary: str, *, resumed: bool) -> None:
        """The step has ended; `resumed` if it had ended before."""
        with self._lock:
            self._running = None
        time = "already done" if resumed else f"{seconds:7.2f} s"
        self._out.print(f"  {step:<8} {time:>11}  {summary}", markup=False, soft_wrap=True)

    def print_progress(self) -> None:
        """Print the step's progress."""
        with self._lock:
            running, now = self._running, self._monotonic()
            if running is None or now - running.began < REPORT_SECONDS / 2:
                return
            so_far = f"{now - running.began:5.0f} s …"
            self._out.print(
                f"  {running.step:<8} {so_far:>11}  {running.text(now)}", markup=False, soft_wrap=True
            )

    def _print_regularly(self) -> None:
        while not self._ended.wait(REPORT_SECONDS):
            self.print_progress()


class LiveReport(PlainReport):
    """The same line per step, and below them the running step, on a terminal."""

    def __init__(self, out: Console) -> None:
        super().__init__(out)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<8}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}"),
            console=out,
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def started(self, step: str, *, last_time: float | None = None) -> None:
        super().started(step, last_time=last_time)
        if self._task is not None:  # the step is being redone
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(step, total=None, text="")
        self._show()

    def expects(self, step: str, total: int, what: str) -> None:
        super().expects(step, total, what)
        if self._task is not None:
            self._progress.update(self._task, total=total)

    def progress(self, step: str, done: int, text: str) -> None:
        super().progress(step, done, text)
        if self._task is not None:
            self._progress.update(self._task, advance=done)
        self._show()

    def ended(self, step: str, seconds: float, summary: str, *, resumed: bool) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        super().ended(step, seconds, summary, resumed=resumed)

    def _show(self) -> None:
        if self._task is not None and self._running is not None:
            self._progress.update(self._task, text=self._running.text(self._monotonic()))
