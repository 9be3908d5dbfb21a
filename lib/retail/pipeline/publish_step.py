"""Step 6: what changed in Delta goes to PostgreSQL."""

from __future__ import annotations

import structlog

from retail import star
from retail.lake import delta
from retail.pipeline.published import lost_runs, require_own
from retail.pipeline.step_context import StepContext
from retail.pipeline.step_results import PublishResult
from retail.star import migration
from retail.star.build import months_of_run
from retail.star.tables import fact_sales
from retail.warehouse.publish.transaction import publish, published_runs
from retail.warehouse.schema.ddl import prepare

log = structlog.get_logger(__name__)


def publish_step(context: StepContext) -> PublishResult:
    """Step 6. Send what changed in Delta since the last publish to PostgreSQL, in one transaction.

    The whole star if it is being rebuilt, or if PostgreSQL lost runs that it had: then it may hold anything. Raises
    PublishForeignError, before anything is written there, if PostgreSQL holds what another lake published.
    """
    if not context.options.replace:
        require_own(context.ledger, context.warehouse)
    migration.migrate(context, star.TABLES)  # adds new columns to PostgreSQL now
    lost = lost_runs(context.ledger, context.warehouse, but=context.run_id)
    prepare(context.warehouse)
    published = published_runs(context.warehouse)
    pending = [
        run_id
        for run_id in context.ledger.run_ids()
        if run_id not in published and context.ledger.reached_merge(run_id)
    ]
    whole = context.options.rebuild or bool(lost)
    if lost:
        log.warning("PostgreSQL lacks runs that were published: sending the whole star", runs=len(lost))
    months = (
        _all_months(context)
        if whole
        else sorted({month for run_id in pending for month in months_of_run(context.ledger, run_id)})
    )
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
        whole=whole,
    )
    sent = {table.table: table.sent for table in result.tables}
    return PublishResult(
        runs=pending,
        months=months,
        sent=sent,
        restated_days=result.restated_days,
        summary=_sent(sum(sent.values()), result.restated_days, whole=whole)
        if pending or whole
        else "nothing new to send",
    )


def _all_months(context: StepContext) -> list[str]:
    fact = delta.read(context.session, context.storage, fact_sales.TABLE.path)
    return sorted(str(row[0]) for row in fact.select(str(fact_sales.TABLE.partition)).distinct().collect())


def _sent(rows: int, restated_days: int, *, whole: bool) -> str:
    restated = (
        f"; {restated_days:,} published days restated (retail status --restated)" if restated_days else ""
    )
    return f"{rows:,} {'rows of the whole star' if whole else 'changed rows'} sent{restated}"
