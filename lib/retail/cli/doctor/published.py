"""Whether PostgreSQL holds the runs that the lake's ledger knows to be published."""

from __future__ import annotations

from retail.pipeline.published import require_published
from retail.pipeline.workspace import Workspace


def examine_published(workspace: Workspace) -> str:
    """What both hold, in words. Raises PublishLostError if PostgreSQL lacks a run, StorageError, WarehouseError."""
    if not workspace.ledger.published():
        return "no run was published yet"
    return f"PostgreSQL holds all {require_published(workspace.ledger, workspace.warehouse):,} published runs"
