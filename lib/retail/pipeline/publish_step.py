"""Step 6: what changed in Delta goes to PostgreSQL."""

from __future__ import annotations

from retail import star
from retail.lake import delta
from retail.pipeline.step_context import StepContext
from retail.pipeline.step_results import PublishResult
from retail.star import migration
from retail.star.build import months_of_run
from retail.warehouse.publish.transaction import publish, published_runs
from retail.warehouse.schema.ddl import prepare


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


def _sent(rows: int, restated_days: int) -> str:
    restated = (
        f"; {restated_days:,} published days restated (retail status --restated)" if restated_days else ""
    )
    return f"{rows:,} changed rows sent{restated}"
