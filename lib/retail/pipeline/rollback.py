"""`retail publish --rollback`: PostgreSQL and its views as the publish before the newest one left them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Final

from retail.pipeline.resources import Resources
from retail.pipeline.tasks import STEPS
from retail.quality import tie_out
from retail.runs import pending_replays
from retail.runs.counts import HopCount
from retail.star import merge
from retail.star.tables import fact_sales
from retail.warehouse import rollback
from retail.warehouse.rollback import Publish, RolledBack
from retail.warehouse.schema.ddl import prepare

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
            units = set(resources.ledger.run(taken_back).units) - pending_replays.left(resources.storage)
            pending_replays.begin(resources.storage, taken_back, units)
