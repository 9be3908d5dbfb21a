"""`retail status`: what has run, how it ended, how far each retailer has come, and what would run next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from retail.cli.local.demo import real_parts
from retail.cli.status import next_commands
from retail.errors import ConfigurationError, RetailError
from retail.pipeline.schedule import due_units
from retail.pipeline.step_results import counts_of
from retail.pipeline.tasks import STEPS
from retail.pipeline.workspace import Workspace
from retail.runs import customers_note, lease, rebuild_note
from retail.runs.counts import rows_at
from retail.sources.registry import problems
from retail.warehouse import rollback

SHOWN_RUNS = 10


def show_status(workspace: Workspace, out: Console, *, now: datetime | None = None) -> None:
    """Print the newest runs, the lease holder, rollbacks, each retailer's checkpoint, and what would run next."""
    now = now or datetime.now(UTC)
    ledger = workspace.ledger
    run_ids = ledger.run_ids()[-SHOWN_RUNS:]
    if not run_ids:
        out.print(
            f"No runs yet in {workspace.storage.url}. Start with `retail run --date …` or `retail demo`."
        )
        return
    table = _table("run", "engine", "days", "retailers", "steps", "landed", "changed", "ended")
    working = lease.holder(workspace.storage, now=now)
    for run_id in run_ids:
        table.add_row(*_row(workspace, run_id, working))
    out.print(table)
    for run_id in run_ids:
        reason = str((ledger.ended(run_id) or {}).get("reason", "")).splitlines()
        if reason:
            out.print(f"  {run_id}: {reason[0]}", markup=False, soft_wrap=True)
    if working is not None:
        out.print(f"\nrunning now: run {working['run_id']}, process {working['pid']} on {working['host']}")
    if any((ledger.ended(run_id) or {}).get("reopened") for run_id in run_ids):
        _show_rollbacks(workspace, out)
    out.print()
    _show_retailers(workspace, out, now)
    change = customers_note.read(workspace.storage)
    if change is not None:
        out.print(
            f"\nA change of customers ({change.kind}) has not ended; no run works until it has.", markup=False
        )
        out.print(f"next: {change.command}   (resumes it)", markup=False, soft_wrap=True)
        return
    rebuild = rebuild_note.read(workspace.storage)
    if rebuild is None:
        _show_next(workspace, out, working)
        return
    out.print(
        f"\nA rebuild of {', '.join(rebuild.tables)} has not ended; no run works until it has.", markup=False
    )
    out.print(f"next: {rebuild.command}   (resumes it)", markup=False, soft_wrap=True)


def show_run(workspace: Workspace, out: Console, run_id: str) -> None:
    """Print a run's steps: when each ended, how long it took, what it did. Raises ConfigurationError if unknown."""
    ledger = workspace.ledger
    if run_id not in ledger.run_ids():
        raise ConfigurationError(
            [f"--run {run_id}: there is no such run"], hint="`retail status` lists the runs"
        )
    run = ledger.run(run_id)
    kind = "backfill" if run.backfill else " ".join(run.tasks)
    out.print(f"run {run_id}: {kind} on {run.engine}, {_days(run.dates)}, {', '.join(run.retailers)}")
    out.print(f"started: {run.started_at[:19]}Z, by the clock of its machine\n")
    table = _table("step", "ended", "seconds")
    table.add_column("summary", overflow="fold")
    for step in STEPS:
        record = ledger.step(run_id, step)
        if record is not None:
            table.add_row(
                step, record["ended_at"][:19] + "Z", f"{record['seconds']:,.2f}", Text(record["summary"])
            )
    out.print(table)
    ended = ledger.ended(run_id)
    reason = f": {ended['reason']}" if ended and ended["reason"] else ""
    out.print(f"\nended: {ended['outcome'] if ended else 'not yet'}{reason}", markup=False)


def _row(workspace: Workspace, run_id: str, working: dict[str, Any] | None) -> list[str]:
    ledger = workspace.ledger
    run = ledger.run(run_id)
    done = [step for step in STEPS if ledger.step(run_id, step) is not None]
    counts = counts_of(ledger, run_id)
    changed = sum(rows_at(counts, hop) for hop in ("inserted", "updated_in", "deleted"))
    return [
        run_id,
        run.engine,
        _days(run.dates) + (" reconciled" if run.reconcile else " backfill" if run.backfill else ""),
        str(len(run.retailers)),
        f"{len(done)}/{len(STEPS)}" + (f" {done[-1]}" if done else ""),
        f"{rows_at(counts, 'landed'):,}" if "land" in done else "–",
        f"{changed:,}" if "merge" in done else "–",
        _outcome(workspace, run_id, working),
    ]


def _outcome(workspace: Workspace, run_id: str, working: dict[str, Any] | None) -> str:
    if working is not None and working["run_id"] == run_id:
        return "running"
    return workspace.ledger.outcome(run_id) or "killed"


def _show_retailers(workspace: Workspace, out: Console, now: datetime) -> None:
    done = workspace.ledger.done()
    due = due_units(workspace, tuple(workspace.settings.retailers), now=now)
    table = _table("retailer", "name", "checkpoint", "days complete", "next run loads")
    for retailer_id, retailer in workspace.settings.retailers.items():
        checkpoint = workspace.ledger.checkpoint(retailer_id)
        table.add_row(
            retailer_id,
            retailer.name,
            str(checkpoint) if checkpoint else f"none, from {workspace.settings.start_date}",
            str(sum(1 for each, _ in done if each == retailer_id)),
            _next_days([day for each, day in due if each == retailer_id]),
        )
    out.print(table)
    out_of_reach = workspace.ledger.out_of_reach()
    for retailer_id in workspace.settings.retailers:
        days = sorted(day for each, day in out_of_reach if each == retailer_id)
        if days:
            out.print(
                f"out of reach: {retailer_id}, {_next_days(days)}; no longer shown by the retailer, and skipped",
                soft_wrap=True,
            )


def _show_next(workspace: Workspace, out: Console, working: dict[str, Any] | None) -> None:
    """The commands that continue unfinished work, or load what is due."""
    ledger = workspace.ledger
    newest = (
        next_commands.with_newest(ledger, workspace.settings.runs.days_a_run) if working is None else None
    )
    command, effect = (newest.command, newest.effect) if newest else _what_is_due(workspace)
    out.print(f"\nnext: {command}   ({effect})", soft_wrap=True)
    run_ids = ledger.run_ids()[-SHOWN_RUNS:] if working is None else []
    others = list(next_commands.with_earlier(ledger, run_ids, newest))
    if working is None:
        others += next_commands.with_replays(workspace.storage, [*others, *([newest] if newest else [])])
    for other in others:
        out.print(f"also: {other.command}   ({other.effect})", soft_wrap=True)


def _what_is_due(workspace: Workspace) -> tuple[str, str]:
    """The command that loads what is due and its effect: the demo's where a run would lack the simulator's keys."""
    settings = workspace.settings
    if not real_parts(settings) and problems(settings, workspace.secrets, settings.retailers):
        due = due_units(workspace, tuple(settings.retailers))
        if due:
            days = (max(day for _, day in due) - settings.start_date).days + 1
            return f"retail demo --days {days}", "loads what is due from the simulated retailers"
    return "retail run", "loads what is due; --to D ends earlier"


def _next_days(days: Sequence[date]) -> str:
    return f"{_days(sorted(days))} ({len(days)} days)" if days else "nothing"


def _days(days: Sequence[date]) -> str:
    if not days:
        return "no days"
    return f"{days[0]}…{days[-1]}" if len(days) > 1 else str(days[0])


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _show_rollbacks(workspace: Workspace, out: Console) -> None:
    """Runs that BI does not see because their publish was taken back, as long as they are not published again."""
    try:
        found = rollback.in_effect(workspace.warehouse)
    except RetailError as error:
        out.print(f"\nunknown whether PostgreSQL was rolled back: {error.message}", markup=False)
        return
    for each in found:
        out.print(
            f"\nPostgreSQL was rolled back on {each.rolled_back_at:%Y-%m-%d %H:%M:%S}Z by {each.run_id},"
            f" from run {', '.join(each.taken_back)} to run {each.shown_run_id}",
            markup=False,
            soft_wrap=True,
        )
    if found:
        again = next_commands.again(
            workspace.ledger, [run_id for each in found for run_id in each.taken_back]
        )
        out.print(f"BI shows that state until a run publishes again: {again}", markup=False, soft_wrap=True)
