"""`retail publish --rollback`: restore PostgreSQL and its views to the state before the newest publish."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Final

from retail.errors import UncheckedError
from retail.pipeline.tasks import STEPS
from retail.pipeline.workspace import LeasedWorkspace, Workspace
from retail.quality import tie_out
from retail.runs import pending_replays
from retail.star import merge
from retail.star.tables import fact_sales
from retail.warehouse import rollback
from retail.warehouse.publish.transaction import published_runs
from retail.warehouse.rollback import InEffect, Prepared, Publish, RolledBack
from retail.warehouse.schema.ddl import prepare

# The steps of a run that are undone when its publish is rolled back.
_STEPS: Final = STEPS[STEPS.index("publish") :]


def roll_back(workspace: Workspace, of_run: str | None = None) -> RolledBack | InEffect:
    """Roll back the newest publish while no run works, and reconcile PostgreSQL with Delta as it was then.

    Returns the rollback in effect, and changes nothing, if the publish of `of_run` is rolled back already or, if no run
    is named, if nothing was published since the last rollback: the command may have been given before and its answer
    lost.

    The ledger forgets that the affected runs were published, so their days are loaded again: by the same command or,
    for a run that fetched nothing, by a replay. The ledger does so before PostgreSQL commits: if that commit fails, a
    run merely publishes what is there already. Raises LeaseHeldError if a run is working, UncheckedError if the views
    would go back to rows that no check has judged, and WarehouseError, EngineError or TieOutError; PostgreSQL is then
    unchanged.
    """
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-rollback"
    with workspace.lease(run_id) as leased:
        prepare(workspace.warehouse)
        done = rollback.already(workspace.warehouse, of_run)
        if done is not None:
            return done
        return rollback.roll_back(
            workspace.session,
            leased.storage,
            workspace.warehouse,
            run_id=run_id,
            judge=partial(_judge, leased, run_id),
            of_run=of_run,
        )


def _judge(leased: LeasedWorkspace, run_id: str, prepared: Prepared) -> None:
    """Raises TieOutError, UncheckedError, LeaseHeldError."""
    session, storage, ledger = leased.workspace.session, leased.storage, leased.ledger
    last, version = prepared.last, prepared.before.delta_versions[fact_sales.TABLE.name]
    lake = merge.totals(session, storage, fact_sales.TABLE, None, at=version)
    tie_out.require(
        [tie_out.POSTGRESQL], [*prepared.in_postgresql, *(each.as_hop("delta_after") for each in lake)]
    )
    unjudged = _unjudged(leased, last)
    if unjudged and prepared.views_go_back:
        raise UncheckedError(
            {each: ledger.run(each).dates for each in unjudged},
            not_done="rolled back",
            hint="nothing was changed; fix the cause and load the days again: `retail run --again` for their dates",
        )
    for each in unjudged:
        ledger.forget_check(each)
    for taken_back in set(last.run_ids) & set(ledger.run_ids()):
        ledger.reopen(taken_back, _STEPS, reason=f"its publish was rolled back by {run_id}")
        if not ledger.fetched(taken_back):
            units = set(ledger.run(taken_back).units) - pending_replays.left(storage)
            pending_replays.begin(storage, taken_back, units)


def _unjudged(leased: LeasedWorkspace, last: Publish) -> list[str]:
    """Runs that PostgreSQL shows after the rollback, and whose rows no check judged before the publish `last`.

    A check after it judged the rows that `last` put in their place.
    """
    ledger = leased.ledger
    doubtful = {*ledger.checked_since(min(last.run_ids)), *ledger.unchecked()} - set(last.run_ids)
    return sorted(doubtful & published_runs(leased.workspace.warehouse))
