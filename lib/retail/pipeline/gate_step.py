"""Step 4: expectations over the staged rows, the share in quarantine, and rows and money so far."""

from __future__ import annotations

from retail.lake import delta, layout
from retail.pipeline.stage_step import staged_of
from retail.pipeline.step_context import StepContext
from retail.pipeline.step_results import GateResult, LandResult
from retail.pipeline.tasks import ALL_TASKS
from retail.quality import quarantine_gate, tie_out
from retail.quality.suites import data_docs
from retail.quality.suites import validation as suites
from retail.star.tables import fact_sales


def gate_step(context: StepContext) -> GateResult:
    """Step 4. Check expectations over the staged rows, the share in quarantine, and rows and money so far."""
    staged = staged_of(context)
    sales = delta.read(context.session, context.storage, layout.STAGED_SALES, at=staged.sales_version)
    named_by = fact_sales.TABLE.natural_key
    beside = context.settings.folder
    validations = [
        suites.validate(name, sales, named_by=named_by, beside=beside)
        for name in suites.of("staged_sales", beside=beside)
    ]
    suites.warn(validations)
    data_docs.keep(context.storage, context.run_id, "gate", validations)
    quarantine_gate.stop_on_critical(staged.critical, staged.counts)
    suites.stop_on_critical(validations)
    quarantine_gate.stop_on_share(staged.counts, context.settings.quality, context.options.tolerated_rejects)
    landed = LandResult.of(context.ledger, context.run_id)
    if landed is not None and landed.counts:
        lands = (
            "" if context.run.tasks == ALL_TASKS else f"`retail land --run-id {context.run_id} --redo`, then "
        )
        again = f"if another command has landed these days since, run {lands}the same command; "
        tie_out.require([tie_out.READ], [*landed.counts, *staged.counts], likely=again)
    tie_out.require([tie_out.STAGED, tie_out.QUARANTINED], staged.counts)
    warnings = [str(failure) for validation in validations for failure in validation.failures]
    judged = sum(validation.judged for validation in validations)
    return GateResult(warnings=warnings, summary=f"{judged} expectations, {len(warnings)} warnings")
