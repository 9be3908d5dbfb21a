"""Step 8: the six views show what was published and checked."""

from __future__ import annotations

from retail.errors import UncheckedError
from retail.pipeline.job import Job, Record, counts_of
from retail.quality import tie_out
from retail.runs.counts import HopCount, as_json
from retail.warehouse.publish.transaction import published_runs
from retail.warehouse.views import refresh


def refresh_step(job: Job) -> Record:
    """Step 8. Switch all six views together, reconciled with the star, and publish the run's tie-out with them.

    Raises UncheckedError if PostgreSQL holds data that a run merged and no check has passed.
    """
    _require_checked(job)
    counted = counts_of(job.resources.ledger, job.run.run_id)

    def ledger(shown: list[HopCount]) -> tuple[str, list[HopCount]]:
        job.resources.storage.require_writer()
        return job.run.run_id, tie_out.of_run([*counted, *shown])

    refreshed = refresh(job.resources.warehouse, ledger=ledger, every_view=job.options.force)
    renewed = sum(view.seconds is not None for view in refreshed.views)
    judged = {count.group for count in counted if count.hop == "postgresql"}
    return {
        "views": {view.view: view.rows for view in refreshed.views},
        "counts": as_json(count for count in refreshed.totals if count.group in judged),
        "summary": f"{renewed} of {len(refreshed.views)} views refreshed, "
        f"{sum(view.rows for view in refreshed.views):,} rows in all; views = PostgreSQL",
    }


def _require_checked(job: Job) -> None:
    ledger = job.resources.ledger
    unchecked = ledger.unchecked()
    if not unchecked:
        return
    published = published_runs(job.resources.warehouse).intersection(unchecked)
    if published:
        raise UncheckedError({run_id: ledger.run(run_id).dates for run_id in sorted(published)})
