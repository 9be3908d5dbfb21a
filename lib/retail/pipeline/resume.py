"""The run that a command resumes: an unfinished one, or the one that a scheduler's tasks share by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from retail.pipeline.step_results import ExtractResult
from retail.pipeline.tasks import ALL_TASKS, STEPS, TASKS
from retail.runs.days import RetailerDay
from retail.runs.ledger import Ledger
from retail.runs.run import Run

# Tasks made of these steps change nothing that a merge plan depends on, so they may resume in an overtaken
# run.
_BEFORE_THE_MERGE: Final = frozenset(TASKS["ingest"])
_AFTER_THE_MERGE: Final = frozenset(TASKS["check"] + TASKS["refresh"])


@dataclass(frozen=True)
class Resumed:
    """The run a command works in: `run` or, if that is None, a new run that inherits step records from `source`.

    The steps of `run` from `again` on are done again. If `after_run` is set, the new run only checks and refreshes what
    that run merged.
    """

    run: Run | None = None
    again: str | None = None
    source: str | None = None
    inherited_steps: tuple[str, ...] = ()
    after_run: str | None = None


def by_name(
    ledger: Ledger, name: str, units: Sequence[RetailerDay], *, steps: Sequence[str], redo: bool
) -> Resumed:
    """The run in which a task of the run called `name`, consisting of `steps`, works.

    The task resumes where it stopped; a task that has ended is left alone. With `redo` it is done from its start,
    together with all later steps. A merge that must be done again, or whose plan was overtaken by another run's merge,
    gets a new run of that name: the old run's rows bear its id and may be published already. Raises ConfigurationError
    if the run is for other units.
    """
    run = ledger.named(name, units)
    if run is None:
        return Resumed()
    if run.after_run is not None and not _AFTER_THE_MERGE.issuperset(steps):
        run = ledger.run(run.after_run)
    ended = all(ledger.step(run.run_id, step) is not None for step in steps)
    if _BEFORE_THE_MERGE.issuperset(steps):
        merged = ledger.reached_merge(run.run_id)
        # If a run that began with its transform fetched now, it would forget that it merged.
        new = merged and (redo or not ended)
        again = redo or (not merged and "extract" in steps and _is_partial(ledger, run))
    elif "merge" in steps:
        new = redo if ended else ledger.overtaken(run.run_id)
        again = redo and not ledger.reached_merge(run.run_id)
    else:
        new, again = ledger.overtaken(run.run_id) and (redo or not ended), redo
    if not new:
        return Resumed(run, again=steps[0] if again else None)
    if _BEFORE_THE_MERGE.issuperset(steps):
        return Resumed()
    if "merge" in steps:
        return Resumed(source=run.run_id, inherited_steps=("extract", "land"))
    return Resumed(source=run.run_id, after_run=run.after_run or run.run_id)


def _is_partial(ledger: Ledger, run: Run) -> bool:
    """Whether a retailer failed. Such a fetch has not ended, whatever it recorded."""
    extract = ExtractResult.of(ledger, run.run_id)
    return extract is not None and bool(extract.failed)


def interrupted_at_the_end(ledger: Ledger) -> Run | None:
    """The newest run of all steps, if it was killed after its last step, before its end was recorded.

    A reopened run keeps its former end, and all of its steps are recorded again only after they have been redone.
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
