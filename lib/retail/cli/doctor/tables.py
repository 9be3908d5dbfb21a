"""Whether the lake's Delta tables are as the last run left them, and no rebuild waits to be resumed."""

from __future__ import annotations

from retail.pipeline.workspace import Workspace
from retail.runs import rebuild_note, table_states


def examine_tables(workspace: Workspace) -> str:
    """What was compared, in words. Raises RebuildLeftError, TableDamagedError, StorageError."""
    rebuild_note.require_none(workspace.storage)
    table_states.require_sound(workspace.storage, workspace.ledger)
    return f"{len(table_states.recorded(workspace.storage)):,} tables are as the last run left them"
