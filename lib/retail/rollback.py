"""`retail publish --rollback`: PostgreSQL and its views as the publish before the newest one left them."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Console

from retail.quality import tie_out
from retail.records import HopCount
from retail.resources import Resources
from retail.runs import lease
from retail.star import fact_sales, merge
from retail.warehouse import rollback
from retail.warehouse.rollback import RolledBack
from retail.warehouse.schema import prepare


def roll_back(resources: Resources) -> RolledBack:
    """Take the newest publish back, while no run works. What PostgreSQL then holds is tied out with Delta as it was.

    Raises LeaseHeldError where a run works, WarehouseError, EngineError, TieOutError; then nothing was changed.
    """
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-rollback"
    context = resources.context(run_id)

    def judge(version: int, in_postgresql: list[HopCount]) -> None:
        lake = merge.totals(context, fact_sales.TABLE, None, at=version)
        tie_out.require(
            [tie_out.POSTGRESQL], [*in_postgresql, *(each.as_hop("delta_after") for each in lake)]
        )

    with lease.hold(resources.storage, run_id):
        prepare(resources.warehouse)
        return rollback.roll_back(
            resources.session, resources.storage, resources.warehouse, run_id=run_id, judge=judge
        )


def show(out: Console, done: RolledBack) -> None:
    """Print what was taken back, what is shown now, and how to go on."""
    back, shown = done.taken_back, done.shown
    out.print(f"taken back    {', '.join(back.run_ids)}, published {back.published_at:%Y-%m-%d %H:%M:%S}Z")
    out.print(f"shown now     {shown.run_ids[-1]}, published {shown.published_at:%Y-%m-%d %H:%M:%S}Z")
    for each in done.tables:
        if each.restored or each.removed:
            out.print(f"{each.table:<13} {each.restored:,} rows as they were, {each.removed:,} rows gone")
    out.print(
        f"{done.restated_days:,} published days restated (retail status --restated --run {done.run_id});"
        " PostgreSQL = Delta of then, views = PostgreSQL"
    )
    out.print(
        "next: mend the cause, then `retail transform --date …`; the next run publishes these runs again"
    )
