"""`retail publish --rollback`: PostgreSQL and its views as the publish before the newest one left them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Final

from rich.console import Console

from retail import going_on
from retail.quality import tie_out
from retail.records import HopCount
from retail.resources import Resources
from retail.runs import replays
from retail.runs.ledger import Ledger
from retail.runs.order import STEPS
from retail.star import fact_sales, merge
from retail.warehouse import rollback
from retail.warehouse.rollback import Publish, RolledBack
from retail.warehouse.schema import prepare

# What of a run is undone by taking its publish back.
_STEPS: Final = STEPS[STEPS.index("publish") :]


def roll_back(resources: Resources) -> RolledBack:
    """Take the newest publish back, while no run works. What PostgreSQL then holds is tied out with Delta as it was.

    The ledger forgets that the runs taken back were published, so that their days are brought in again: by the same
    command, or, of a run that fetched nothing, by a replay. It does before PostgreSQL commits: forgotten in vain, a run
    only publishes what is there already.
    Raises LeaseHeldError where a run works, WarehouseError, EngineError, TieOutError; PostgreSQL is then as it was.
    """
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-rollback"
    with resources.lease(run_id):
        prepare(resources.warehouse)
        return rollback.roll_back(
            resources.session,
            resources.storage,
            resources.warehouse,
            run_id=run_id,
            judge=partial(_judge, resources, run_id),
        )


def _judge(
    resources: Resources, run_id: str, last: Publish, before: Publish, in_postgresql: list[HopCount]
) -> None:
    """Within the lease: what its context reads and deletes is the holder's. Raises TieOutError, LeaseHeldError."""
    version = before.delta_versions[fact_sales.TABLE.name]
    lake = merge.totals(resources.context(run_id), fact_sales.TABLE, None, at=version)
    tie_out.require([tie_out.POSTGRESQL], [*in_postgresql, *(each.as_hop("delta_after") for each in lake)])
    for taken_back in set(last.run_ids) & set(resources.ledger.run_ids()):
        resources.ledger.reopen(taken_back, _STEPS, reason=f"its publish was taken back by {run_id}")
        if not resources.ledger.fetched(taken_back):
            units = set(resources.ledger.run(taken_back).units) - replays.left(resources.storage)
            replays.begin(resources.storage, taken_back, units)


def show(out: Console, ledger: Ledger, done: RolledBack) -> None:
    """Print what was taken back, what is shown now, and how to go on."""
    back, shown = done.taken_back, done.shown
    out.print(f"taken back    {', '.join(back.run_ids)}, published {back.published_at:%Y-%m-%d %H:%M:%S}Z")
    out.print(f"shown now     {shown.run_ids[-1]}, published {shown.published_at:%Y-%m-%d %H:%M:%S}Z")
    for each in done.tables:
        if each.restored or each.removed:
            out.print(f"{each.table:<13} {each.restored:,} rows as they were, {each.removed:,} rows gone")
    out.print(
        f"{done.restated_days:,} published days restated (retail status --restated --run {done.run_id});"
        " PostgreSQL = Delta of then"
    )
    out.print(
        "views = PostgreSQL"
        if done.views_renewed
        else "the views showed nothing of what was taken back yet, and are as they were"
    )
    again = going_on.again(ledger, back.run_ids)
    out.print(f"next: mend the cause; to publish, check and show them again: {again}", soft_wrap=True)
