"""The last words on a run: which days have come all the way, how far each retailer has, and how it ended."""

from __future__ import annotations

import structlog

from retail.pipeline import checkpoint
from retail.pipeline.job import failed_retailers, out_of_reach, units_to_process
from retail.pipeline.resources import Resources
from retail.pipeline.tasks import ALL_TASKS, STEPS
from retail.runs import pending_replays
from retail.runs.ledger import Ledger, Outcome
from retail.runs.run import Run

log = structlog.get_logger(__name__)


def without_last_word(ledger: Ledger) -> Run | None:
    """The newest run of the whole way, where it was killed behind its last step: all is done, and it has no end.

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


def say_last_word(resources: Resources) -> bool:
    """End the run that was killed behind its last step, if there is one."""
    run = without_last_word(resources.ledger)
    if run is not None:
        log.warning("ended a run that was cut off behind its last step", of_run=run.run_id)
        end(resources, run)
    return run is not None


def end(resources: Resources, run: Run) -> Outcome:
    """What was done is marked so, and the run ends."""
    failed = failed_retailers(resources.ledger, run)
    _mark_done(resources, run)
    if resources.ledger.step(run.run_id, "publish") is not None:
        pending_replays.end(resources.storage, run.run_id)
    outcome: Outcome = "partial" if failed else "success"
    resources.ledger.end(run.run_id, outcome, reason="; ".join(failed.values()))
    return outcome


def _mark_done(resources: Resources, run: Run) -> None:
    """Where all steps have ended the units are done; unless by a backfill, the checkpoints move on over them."""
    ledger = resources.ledger
    merged = ledger.run(run.behind) if run.behind is not None else run
    if not all(ledger.step(run.run_id, step) or ledger.step(merged.run_id, step) for step in STEPS):
        return
    units = units_to_process(ledger, merged)
    ledger.mark_done(units, merged.run_id)
    ledger.mark_out_of_reach(out_of_reach(ledger, merged), merged.run_id)
    if merged.backfill:
        return
    done = ledger.done() | ledger.out_of_reach()
    for retailer in {retailer for retailer, _ in units}:
        before = ledger.checkpoint(retailer)
        after = checkpoint.moved_on(
            before,
            {day for each, day in done if each == retailer},
            start_date=resources.settings.start_date,
            up_to=max(day for each, day in units if each == retailer),
        )
        if after is not None and after != before:
            ledger.set_checkpoint(retailer, after)
