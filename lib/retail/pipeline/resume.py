"""With which run a command goes on: one that was left unfinished, or the one that a scheduler's tasks share by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from retail.pipeline.tasks import ALL_TASKS, STEPS
from retail.runs.days import RetailerDay
from retail.runs.ledger import Ledger
from retail.runs.run import Run

# A task of these changes nothing that a plan was made for, so that it may go on in a run that another has overtaken.
_BEFORE_THE_MERGE: Final = frozenset({"extract", "land"})
_BEHIND_THE_MERGE: Final = frozenset({"check", "refresh"})


@dataclass(frozen=True)
class Resumed:
    """Where a command works: in `run`, or, where that is None, in a new one that takes over records of `source`.

    From the step `again` on, what `run` recorded is to be done again. A new run may only check and refresh what the
    run `behind` it merged.
    """

    run: Run | None = None
    again: str | None = None
    source: str | None = None
    inherited_steps: tuple[str, ...] = ()
    behind: str | None = None


def by_name(
    ledger: Ledger, name: str, units: Sequence[RetailerDay], *, steps: Sequence[str], redo: bool
) -> Resumed:
    """Where a task of the run called `name` works, that consists of `steps`.

    Goes on where the task stopped. One that has ended is left alone. To `redo`, it is done from its start, with all
    behind it. A merge that is to be done again, or whose plan another run's merge has overtaken, gets a new run of
    that name: what this one wrote bears its id and may be published already. Raises ConfigurationError where the run
    is for other units.
    """
    run = ledger.named(name, units)
    if run is None:
        return Resumed()
    if run.behind is not None and not _BEHIND_THE_MERGE.issuperset(steps):
        run = ledger.run(run.behind)
    ended = all(ledger.step(run.run_id, step) is not None for step in steps)
    if _BEFORE_THE_MERGE.issuperset(steps):
        merged = ledger.came_to_merge(run.run_id)
        new, again = redo and merged, redo or (not merged and "extract" in steps and _is_partial(ledger, run))
    elif "merge" in steps:
        new = redo if ended else ledger.overtaken(run.run_id)
        again = redo and not ledger.came_to_merge(run.run_id)
    else:
        new, again = ledger.overtaken(run.run_id) and (redo or not ended), redo
    if not new:
        return Resumed(run, again=steps[0] if again else None)
    if _BEFORE_THE_MERGE.issuperset(steps):
        return Resumed()
    if "merge" in steps:
        return Resumed(source=run.run_id, inherited_steps=("extract", "land"))
    return Resumed(source=run.run_id, behind=run.behind or run.run_id)


def _is_partial(ledger: Ledger, run: Run) -> bool:
    """Whether a retailer failed: such a fetch has not ended, whatever it recorded."""
    extract = ledger.step(run.run_id, "extract")
    return extract is not None and bool(extract.get("failed"))


def interrupted_at_the_end(ledger: Ledger) -> Run | None:
    """The newest run of all steps, if it was killed after its last step: everything is done, and it has no end.

    One that was reopened keeps its former end, and has those steps again only once they were done again.
    """
    newest = ledger.newest()
    if newest is None:
        return None
    ended = ledger.ended(newest)
    if ended is not None and not (ended["outcome"] == "failed" and ended.get("reopened")):
        return None
    run = ledger.run(newest)
    done = run.tasks == ALL_TASKS and all(ledger.step(newest, step) is not None for step in STEPS)
    return run if done else None
