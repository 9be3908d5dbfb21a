"""With which run a command goes on: one that was left unfinished, or the one that a scheduler's tasks share by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from retail.runs.ledger import Ledger, Run, Unit

# A task of these changes nothing that a plan was made for, so that it may go on in a run that another has overtaken.
_BEFORE_THE_MERGE: Final = frozenset({"extract", "land"})


@dataclass(frozen=True)
class Resumed:
    """Where a command works: in `run`, or, where that is None, in a new one that takes over records of `source`.

    `forgotten` are steps of `run` that are to be done again.
    """

    run: Run | None = None
    forgotten: tuple[str, ...] = ()
    source: str | None = None
    taken_over: tuple[str, ...] = ()


def by_name(
    ledger: Ledger,
    name: str,
    units: Sequence[Unit],
    *,
    steps: Sequence[str],
    all_steps: Sequence[str],
    redo: bool,
) -> Resumed:
    """Where a task of the run called `name` works, that consists of `steps`.

    Goes on where the task stopped. One that has ended is left alone, or, to `redo`, done again with all behind it.
    A merge that is to be done again, or whose plan another run's merge has overtaken, gets a new run of that
    name: what this one wrote bears its id and is published already. Raises ConfigurationError where the run is for
    other units.
    """
    run = ledger.named(name, units)
    if run is None:
        return Resumed()
    ended = all(ledger.step(run.run_id, step) is not None for step in steps)
    if ended and not redo:
        return Resumed(run)
    fetches = _BEFORE_THE_MERGE.issuperset(steps)
    overtaken = ledger.overtaken(run.run_id)
    if fetches:
        new = ended and ledger.came_to_merge(run.run_id)
    elif "merge" in steps:
        new = ended or overtaken
    else:
        new = overtaken
    if not new:
        return Resumed(run, forgotten=tuple(all_steps[all_steps.index(steps[0]) :]) if ended else ())
    earlier = tuple(step for step in all_steps if step in _BEFORE_THE_MERGE) if "merge" in steps else ()
    return Resumed(source=run.run_id, taken_over=earlier)
