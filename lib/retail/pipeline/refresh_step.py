"""Step 8: the views show what was published and checked."""

from __future__ import annotations

from retail.errors import UncheckedError
from retail.pipeline.step_context import StepContext
from retail.pipeline.step_results import RefreshResult, counts_of
from retail.quality import tie_out
from retail.runs.counts import HopCount
from retail.warehouse.publish.transaction import published_runs
from retail.warehouse.views import refresh


def refresh_step(context: StepContext) -> RefreshResult:
    """Step 8. Switch all views together, reconciled with the star, and publish the run's tie-out with them.

    Raises UncheckedError if PostgreSQL holds data that a run merged and no check has passed.
    """
    _require_checked(context)
    counted = counts_of(context.ledger, context.run_id)

    def ledger(shown: list[HopCount]) -> tuple[str, list[HopCount]]:
        context.storage.require_writer()
        return context.run_id, tie_out.of_run([*counted, *shown])

    refreshed = refresh(context.warehouse, ledger=ledger, every_view=context.options.force)
    renewed = sum(view.seconds is not None for view in refreshed.views)
    judged = {count.group for count in counted if count.hop == "postgresql"}
    return RefreshResult(
        views={view.view: view.rows for view in refreshed.views},
        counts=[count for count in refreshed.totals if count.group in judged],
        summary=f"{renewed} of {len(refreshed.views)} views refreshed, "
        f"{sum(view.rows for view in refreshed.views):,} rows in all; views = PostgreSQL",
    )


def _require_checked(context: StepContext) -> None:
    ledger = context.ledger
    unchecked = ledger.unchecked()
    if not unchecked:
        return
    published = published_runs(context.warehouse).intersection(unchecked)
    if published:
        raise UncheckedError({run_id: ledger.run(run_id).dates for run_id in sorted(published)})
