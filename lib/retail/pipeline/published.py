"""Whether PostgreSQL still holds the runs that the ledger knows to be published."""

from __future__ import annotations

from retail.errors import PublishForeignError, PublishLostError
from retail.runs.ledger import Ledger
from retail.warehouse.connection import Warehouse
from retail.warehouse.publish.transaction import published_runs


def lost_runs(ledger: Ledger, warehouse: Warehouse, *, but: str | None = None) -> list[str]:
    """Runs whose publish the ledger has and PostgreSQL does not, oldest first; not the run `but`, which publishes now.

    None after a rollback: the ledger forgets the publish that was taken back. Raises WarehouseError.
    """
    expected = [run_id for run_id in ledger.published() if run_id != but]
    if not expected:
        return []
    there = published_runs(warehouse)
    return [run_id for run_id in expected if run_id not in there]


def require_own(ledger: Ledger, warehouse: Warehouse) -> None:
    """Raises PublishForeignError if PostgreSQL holds runs that the ledger does not know, or WarehouseError.

    They are another lake's, or this one lost its ledger: a publish would mix two lakes' rows, and a whole one remove
    what those runs brought.
    """
    foreign = sorted(published_runs(warehouse).difference(ledger.run_ids()))
    if foreign:
        raise PublishForeignError(
            f"PostgreSQL at {warehouse.dsn()} holds {len(foreign)} runs that this lake does not know "
            f"({_named(foreign)}); no row was changed there",
            hint="check that [warehouse] and lake.url belong together; if what those runs brought may go, "
            "`retail rebuild --postgresql --replace` makes PostgreSQL what this lake has",
            runs=foreign,
        )


def require_published(ledger: Ledger, warehouse: Warehouse) -> int:
    """Returns the number of runs that both know. Raises PublishLostError if PostgreSQL lacks any, or WarehouseError."""
    lost, expected = lost_runs(ledger, warehouse), ledger.published()
    if lost:
        raise PublishLostError(
            f"PostgreSQL at {warehouse.dsn()} lacks {len(lost)} of {len(expected)} runs that were published "
            f"({_named(lost)}): it was replaced, emptied, or restored from an older dump",
            hint="check that [warehouse] names the right database; then `retail rebuild --postgresql` "
            "fills it from Delta",
        )
    return len(expected)


def _named(runs: list[str]) -> str:
    return f"{runs[0]} to {runs[-1]}" if len(runs) > 1 else runs[0]
