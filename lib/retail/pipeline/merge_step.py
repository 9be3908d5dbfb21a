"""Step 5: the staged rows are merged into the star."""

from __future__ import annotations

from retail.pipeline.stage_step import staged_of
from retail.pipeline.step_context import StepContext
from retail.pipeline.step_results import MergeResult
from retail.quality import tie_out
from retail.runs import table_states
from retail.star import merge
from retail.star.build import build, merged_by, months_of_run
from retail.star.tables import fact_sales


def merge_step(context: StepContext) -> MergeResult:
    """Step 5. Merge into the star, and count rows and money before and after.

    Facts that do not reconcile are not committed. The dimensions are committed by then; they hold no figures.
    """
    staged = staged_of(context)
    _require_earlier_merge(context)
    built = build(
        context, staged, judge=lambda plan: tie_out.require([tie_out.MERGED], [*staged.counts, *plan])
    )
    tie_out.require([tie_out.DELTA], built.counts)
    table_states.record(context.storage)
    figures = merge.as_counted(built.actions[fact_sales.TABLE.name])
    return MergeResult(
        versions=built.versions,
        actions=built.actions,
        months=built.months,
        counts=built.counts,
        summary=", ".join(f"{rows:,} {action}" for action, rows in figures.items() if rows) or "no facts",
    )


def _require_earlier_merge(context: StepContext) -> None:
    """Prove the figures of the last merge now: its run may have been killed or stopped before they were proven.

    A table that was restored to its state before that merge is right too.
    """
    for run_id in reversed(context.ledger.run_ids()):
        if run_id == context.run_id or not months_of_run(context.ledger, run_id):
            continue  # a run without a plan came no further than this check
        if MergeResult.of(context.ledger, run_id) is None:
            counts = merged_by(context, run_id)
            if tie_out.differences(tie_out.RESTORED, counts):
                tie_out.require([tie_out.DELTA], counts)
        return
