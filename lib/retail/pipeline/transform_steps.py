"""Steps 3 to 6: raw files to the star and to PostgreSQL. Each step's result is recorded as JSON."""

from __future__ import annotations

from collections.abc import Collection

import structlog

from retail import star
from retail.errors import RetailError
from retail.lake import delta, layout
from retail.pipeline.step_context import StepContext
from retail.pipeline.step_results import (
    GateResult,
    LandResult,
    MergeResult,
    PublishResult,
    StageResult,
    units_to_process,
)
from retail.pipeline.tasks import ALL_TASKS
from retail.quality import quarantine_gate, tie_out
from retail.quality.rules import load_row_rules
from retail.quality.suites import data_docs
from retail.quality.suites import validation as suites
from retail.runs import pending_replays
from retail.runs.counts import by_reason, rows_at
from retail.runs.days import RetailerDay
from retail.star import merge, migration, staging
from retail.star.build import build, merged_by, months_of_run
from retail.star.quarantine import table as quarantine
from retail.star.quarantine.listing import in_words
from retail.star.tables import fact_sales
from retail.warehouse.publish.transaction import publish, published_runs
from retail.warehouse.schema.ddl import prepare

log = structlog.get_logger(__name__)


def stage_step(context: StepContext) -> StageResult:
    """Step 3. Raw lines become typed rows; bad ones go to quarantine."""
    migrated = migration.migrate(context, star.TABLES)
    storage, run_id, units = context.storage, context.run_id, units_to_process(context.ledger, context.run)
    pending_replays.begin(storage, run_id, _staged_again(context))
    staged = staging.stage(context, units, row_rules=load_row_rules())
    bad = rows_at(staged.counts, "quarantined")
    accepted = quarantine.accepted_of(storage, run_id)
    in_all = in_words(quarantine.groups(storage))
    released = quarantine.no_longer_refused(storage, units)
    notices = [
        f"{released:,} lines that were accepted in quarantine are no longer rejected; "
        "those still delivered count as sales"
    ] * (released > 0)
    drift = [f"{rows:,} lines have an unknown field: {n}" for n, rows in staged.unknown_fields.items()]
    return StageResult(
        format=migration.FORMAT,
        lines_version=staged.lines_version,
        sales_version=staged.sales_version,
        counts=[*staged.counts, *quarantine.kept(storage, run_id), *accepted],
        critical=list(staged.critical),
        warned=list(staged.warned),
        unknown_fields=dict(staged.unknown_fields),
        in_quarantine=in_all,
        warnings=[*by_reason(staged.warned), *drift, *notices],
        summary=f"{rows_at(staged.counts, 'staged'):,} rows staged, {bad:,} quarantined"
        + (f", {rows_at(accepted, 'accepted'):,} of them accepted" if accepted else "")
        + "".join(f"; {each}" for each in migrated)
        + _listed("in quarantine in total", [in_all] * (not in_all.startswith("0 ")))
        + _listed("warning", notices)
        + _listed("warned", by_reason(staged.warned))
        + _listed("unknown fields", staged.unknown_fields),
    )


def gate_step(context: StepContext) -> GateResult:
    """Step 4. Check expectations over the staged rows, the share in quarantine, and rows and money so far."""
    staged = _staged(context)
    sales = delta.read(context.session, context.storage, layout.STAGED_SALES, at=staged.sales_version)
    named_by = fact_sales.TABLE.natural_key
    validations = [suites.validate(name, sales, named_by=named_by) for name in suites.of("staged_sales")]
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


def merge_step(context: StepContext) -> MergeResult:
    """Step 5. Merge into the star, and count rows and money before and after.

    Facts that do not reconcile are not committed. The dimensions are committed by then; they hold no figures.
    """
    staged = _staged(context)
    _require_earlier_merge(context)
    built = build(
        context, staged, judge=lambda plan: tie_out.require([tie_out.MERGED], [*staged.counts, *plan])
    )
    tie_out.require([tie_out.DELTA], built.counts)
    figures = merge.as_counted(built.actions[fact_sales.TABLE.name])
    return MergeResult(
        versions=built.versions,
        actions=built.actions,
        months=built.months,
        counts=built.counts,
        summary=", ".join(f"{rows:,} {action}" for action, rows in figures.items() if rows) or "no facts",
    )


def publish_step(context: StepContext) -> PublishResult:
    """Step 6. Send what changed in Delta since the last publish to PostgreSQL, in one transaction."""
    migration.migrate(context, star.TABLES)  # adds new columns to PostgreSQL now
    prepare(context.warehouse)
    published = published_runs(context.warehouse)
    pending = [
        run_id
        for run_id in context.ledger.run_ids()
        if run_id not in published and context.ledger.reached_merge(run_id)
    ]
    months = sorted({month for run_id in pending for month in months_of_run(context.ledger, run_id)})
    result = publish(
        context.session,
        context.storage,
        context.warehouse,
        run_id=context.run_id,
        pending_run_ids=pending,
        months=months,
        delta_versions={
            table.name: delta.require_version(context.storage, table.path) for table in star.TABLES
        },
        method=context.settings.sync.method,
    )
    sent = {table.table: table.sent for table in result.tables}
    return PublishResult(
        runs=pending,
        months=months,
        sent=sent,
        restated_days=result.restated_days,
        summary=_sent(sum(sent.values()), result.restated_days) if pending else "nothing new to send",
    )


def _staged_again(context: StepContext) -> set[RetailerDay]:
    """The staged days that are replayed, that are done already, or that an earlier replay did not complete."""
    units = set(units_to_process(context.ledger, context.run))
    if context.options.replay:
        return units
    return units & (context.ledger.done() | pending_replays.left(context.storage))


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


def _sent(rows: int, restated_days: int) -> str:
    restated = (
        f"; {restated_days:,} published days restated (retail status --restated)" if restated_days else ""
    )
    return f"{rows:,} changed rows sent{restated}"


def _staged(context: StepContext) -> staging.Staged:
    result = StageResult.of(context.ledger, context.run_id)
    if result is None:
        raise RetailError(
            f"run {context.run_id} has staged nothing", hint="run `retail transform` for its dates"
        )
    if result.format != migration.FORMAT:
        # Older code staged it and was killed. The star has or gets today's format; these rows do not.
        log.info("staging again: the lake's format has changed", was=result.format)
        again = stage_step(context)
        context.ledger.end_step(context.run_id, again.step, again.to_json(), seconds=result.seconds)
        result = again
    return staging.Staged(result.lines_version, result.sales_version, result.counts, critical=result.critical)


def _listed(what: str, values: Collection[str]) -> str:
    return f"; {what}: {', '.join(values)}" if values else ""
