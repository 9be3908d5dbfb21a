"""The part of `retail status` that shows a scheduler's failed tasks: why they failed, and what to do next."""

from __future__ import annotations

from typing import Final

from rich.console import Console

from retail.pipeline.workspace import Workspace
from retail.runs import task_failures

SHOWN: Final = 5


def show_failures(workspace: Workspace, out: Console) -> None:
    """The newest failures: open ones in full, and one line for each that a later run has fixed."""
    found = task_failures.newest(workspace.storage, SHOWN)
    if not found:
        return
    out.print("\nfailed tasks, as reported by the scheduler, newest last:")
    for failure in found:
        run_id = task_failures.fixed_by(workspace.ledger, failure)
        head = f"{failure.failed_at:%Y-%m-%d %H:%M} UTC  {failure.task}, attempt {failure.attempt}, of {failure.run}"
        state = f"fixed by run {run_id}" if run_id else "OPEN"
        out.print(f"  {head}: {state}", markup=False, soft_wrap=True)
        if run_id:
            continue
        for name in ("reason", "next", "command"):
            text = str(getattr(failure, name)).replace("\n", "\n" + " " * 13)
            out.print(f"    {name:<7}  {text}", markup=False, soft_wrap=True)
