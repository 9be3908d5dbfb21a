"""The end of a run: which days are complete, how far each retailer has come, and how the run ended."""

from __future__ import annotations

import structlog

from retail.config.settings import Settings
from retail.lake.storage import Storage
from retail.pipeline import resume, schedule
from retail.pipeline.step_results import PublishResult, extract_result, out_of_reach, units_to_process
from retail.pipeline.tasks import STEPS
from retail.runs import pending_replays
from retail.runs.ledger import Ledger, Outcome
from retail.runs.run import Run

log = structlog.get_logger(__name__)


def finalize_interrupted(ledger: Ledger, storage: Storage, *, settings: Settings) -> bool:
    """End the run that was killed after its last step, if there is one."""
    run = resume.interrupted_at_the_end(ledger)
    if run is not None:
        log.warning("finished a run that was interrupted after its last step", of_run=run.run_id)
        end(ledger, storage, run, settings=settings)
    return run is not None


def end(ledger: Ledger, storage: Storage, run: Run, *, settings: Settings) -> Outcome:
    """Mark the completed days as done and end the run."""
    extract = extract_result(ledger, run)
    failed = {} if extract is None else extract.failed
    _mark_done(ledger, run, settings=settings)
    if PublishResult.of(ledger, run.run_id) is not None:
        pending_replays.end(storage, run.run_id)
    outcome: Outcome = "partial" if failed else "success"
    ledger.end(run.run_id, outcome, reason="; ".join(failed.values()))
    return outcome


def _mark_done(ledger: Ledger, run: Run, *, settings: Settings) -> None:
    """If all steps have ended, mark the units as done and, unless this is a backfill, advance the checkpoints."""
    merged = ledger.run(run.after_run) if run.after_run is not None else run
    if merged.reconcile:  # its days were complete before
        return
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
        after = schedule.advanced(
            before,
            {day for each, day in done if each == retailer},
            start_date=settings.start_date,
            up_to=max(day for each, day in units if each == retailer),
        )
        if after is not None and after != before:
            ledger.set_checkpoint(retailer, after)
