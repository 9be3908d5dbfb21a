"""`retail status`: what has run, how it ended, and how far each retailer has come."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from retail.errors import RetailError
from retail.pipeline import STEPS
from retail.resources import Resources
from retail.runs import lease
from retail.runs.checkpoint import checkpoint
from retail.warehouse import rollback

SHOWN_RUNS = 10


def show_status(resources: Resources, out: Console) -> None:
    """Print the newest runs, who works now, what PostgreSQL was taken back to, and each retailer's checkpoint."""
    ledger = resources.ledger
    run_ids = ledger.run_ids()[-SHOWN_RUNS:]
    if not run_ids:
        out.print(
            f"No run yet in {resources.storage.url}. Begin with `retail run --date …` or `retail demo`."
        )
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("run", "engine", "days", "retailers", "steps", "ended"):
        table.add_column(column, no_wrap=True)
    table.add_column("reason", no_wrap=True, overflow="ellipsis")
    working = lease.holder(resources.storage, now=datetime.now(UTC))
    for run_id in run_ids:
        run = ledger.run(run_id)
        done = [step for step in STEPS if ledger.step(run_id, step) is not None]
        ended = ledger.ended(run_id)
        outcome = ended["outcome"] if ended else "killed"
        if ended is None and working is not None and working["run_id"] == run_id:
            outcome = "running"
        table.add_row(
            run_id,
            run.engine,
            f"{run.dates[0]}…{run.dates[-1]}" if len(run.dates) > 1 else str(run.dates[0]),
            str(len(run.retailers)),
            f"{len(done)}/{len(STEPS)}" + (f" {done[-1]}" if done else ""),
            outcome,
            (ended or {}).get("reason", "").splitlines()[0] if (ended or {}).get("reason") else "",
        )
    out.print(table)
    if working is not None:
        out.print(f"\nworking now: run {working['run_id']}, process {working['pid']} on {working['host']}")
    if any((ledger.ended(run_id) or {}).get("reopened") for run_id in run_ids):
        _tell_taken_back(resources, out)
    out.print()
    units = ledger.done()
    for retailer_id, retailer in resources.settings.retailers.items():
        last = checkpoint(retailer_id, units, start_date=resources.settings.start_date)
        days = sum(1 for each, _ in units if each == retailer_id)
        reached = f"complete up to {last}" if last else f"nothing from {resources.settings.start_date} on yet"
        out.print(f"{retailer_id}  {retailer.name}: {days} days done, {reached}")


def _tell_taken_back(resources: Resources, out: Console) -> None:
    """What BI does not see because its publish was taken back, as long as it was not published again."""
    try:
        found = rollback.in_effect(resources.warehouse)
    except RetailError as error:
        out.print(f"\nwhether PostgreSQL is taken back is not known: {error.message}", markup=False)
        return
    for each in found:
        out.print(
            f"\nPostgreSQL was taken back on {each.rolled_back_at:%Y-%m-%d %H:%M:%S}Z by {each.run_id},"
            f" from run {', '.join(each.taken_back)} to run {each.shown_run_id}",
            markup=False,
            soft_wrap=True,
        )
    if found:
        out.print("BI sees that until a run publishes anew: `retail run` for the same dates", markup=False)
