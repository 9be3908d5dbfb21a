"""Views for an analyst who doubts a figure: each hop of a run, what was restated, and where sales are missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from rich.console import Console
from rich.table import Table

from retail.cli.output.console import rows_table
from retail.errors import ConfigurationError
from retail.pipeline.step_results import CheckResult, counts_of
from retail.pipeline.workspace import Workspace
from retail.quality import gaps, tie_out
from retail.runs.counts import HopCount
from retail.star.quarantine.listing import in_words
from retail.warehouse.publish.restatement import Restatement, restatements

# Columns of the tie-out, and the hops that are summed in each.
_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "fetched": ("fetched",),
    "left out": ("skipped", "superseded", "rounding", "duplicate"),
    "landed": ("landed",),
    "quarantined": ("in_quarantine",),
    "staged": ("staged",),
    "Delta": ("delta_after",),
    "PostgreSQL": ("postgresql",),
    "views": ("views",),
}


def show_tie_out(workspace: Workspace, out: Console, run_id: str | None) -> bool:
    """Rows and money of a run at each hop, per retailer, business day and currency, and whether each identity holds.

    The identities are evaluated again from the steps' counts. Returns False if one does not hold.
    """
    run_id = _run_to_show(workspace, run_id, "land", "stage")
    counts = counts_of(workspace.ledger, run_id)
    out.print(_tie_out_table(tie_out.of_run(counts)))
    out.print(
        "left out: skipped on purpose, superseded by a newer version, rounded off, or a duplicate; "
        "Delta, PostgreSQL and views include what earlier runs loaded"
    )
    accepted = [count for count in counts if count.hop == "accepted"]
    if accepted:
        out.print(f"quarantined lines accepted for good: {in_words(accepted)}", markup=False)
    out.print()
    holds = True
    for step, identities in tie_out.IDENTITIES.items():
        for identity in identities:
            if not _is_counted(workspace, run_id, step, identity, counts):
                out.print(f"  unchecked   {identity}", markup=False)
                continue
            found = tie_out.differences(identity, counts)
            holds = holds and not found
            out.print(f"  {'does NOT hold' if found else 'holds':<10}  {identity}", markup=False)
            for each in found:
                out.print(f"      {each}", markup=False)
    out.print(f"\nrun {run_id}", markup=False)
    return holds


def show_restated(workspace: Workspace, out: Console, run_id: str | None) -> None:
    """Figures of days that were published before, as they were and as they are since a run changed them.

    Covers the named run, or the newest that changed any.
    """
    if run_id is not None:
        run_id = _run_to_show(workspace, run_id)
    found = restatements(workspace.warehouse, run_id)
    if not found:
        out.print(
            f"No published figure has been restated{f' by run {run_id}' if run_id else ''}.", markup=False
        )
        return
    out.print(f"run {found[0].run_id}", style="bold", markup=False)
    out.print(_restated_table(found))
    out.print(
        "\nAll runs, with all transactions: marts.restatement, marts.restated_transaction in PostgreSQL."
    )


def _restated_table(restated: Sequence[Restatement]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("retailer", "business day", "", "figure"):
        table.add_column(name, no_wrap=True)
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("by transactions")
    for each in restated:
        more = each.transactions - len(each.named)
        table.add_row(
            each.retailer_id,
            str(each.business_date),
            each.currency,
            each.figure,
            _plain(each.before),
            _plain(each.after),
            _plain(each.after - each.before, sign="+"),
            ", ".join(each.named) + (f" and {more:,} more" if more else ""),
        )
    return table


def show_gaps(workspace: Workspace, out: Console, run_id: str | None) -> None:
    """Stores and retailers that were silent on a run's days, and logical dates that never reached the views."""
    run_id = _run_to_show(workspace, run_id, "check")
    result = CheckResult.of(workspace.ledger, run_id)
    if result is None or result.gaps is None:
        raise ConfigurationError([f"run {run_id} has no gap report"], hint="name a run whose check completed")
    found = result.gaps
    if found:
        rows = [
            (
                gap.retailer_id,
                gap.business_date,
                gap.store_id or "all stores",
                gap.store_name or "",
                f"{gap.sold_days} of {gap.of_days}",
            )
            for gap in found
        ]
        columns = ("silent", "business day", "store", "name", "days with sales")
        out.print(rows_table(columns, rows))
        if result.gaps_in_all > len(found):
            out.print(
                f"… and {result.gaps_in_all - len(found):,} more that the run did not record", markup=False
            )
    else:
        out.print("No store that sells on nearly every day was silent.")
    missing = gaps.missing_days(
        workspace.ledger.done(),
        workspace.settings.retailers,
        start_date=workspace.settings.start_date,
        last=max(workspace.ledger.run(run_id).dates),
    )
    for line in gaps.never_loaded(missing):
        out.print(line, markup=False)
    out.print(f"\nrun {run_id}", markup=False)


def _run_to_show(workspace: Workspace, run_id: str | None, *steps: str) -> str:
    """The named run, or the newest that recorded one of the steps. Raises ConfigurationError."""
    known = workspace.ledger.run_ids()
    if run_id is not None:
        if run_id not in known:
            raise ConfigurationError([f"--run {run_id}: there is no such run"], hint="see `retail status`")
        return run_id
    for newest in reversed(known):
        if any(workspace.ledger.step(newest, step) for step in steps):
            return newest
    raise ConfigurationError(["there is no run to show yet"], hint="start with `retail run --date …`")


def _is_counted(
    workspace: Workspace, run_id: str, step: str, identity: str, counts: Sequence[HopCount]
) -> bool:
    """Whether the run reached the step and counted both sides: a run of some tasks does not count the others' hops."""
    if workspace.ledger.step(run_id, step) is None:
        return False
    if identity == tie_out.READ and workspace.ledger.step(run_id, "land") is None:
        return False
    return identity != tie_out.POSTGRESQL or any(count.hop == "delta_after" for count in counts)


def _tie_out_table(counts: Sequence[HopCount]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("retailer", "business day", ""):
        table.add_column(name, no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for group in sorted({count.group for count in counts}, key=str):
        of_group = [count for count in counts if count.group == group]
        retailer_id, day, currency = group
        shown = [_figures(of_group, hops) for hops in _COLUMNS.values()]
        table.add_row(retailer_id, day or "no date", currency or "–", *shown)
    return table


def _figures(counts: Iterable[HopCount], hops: tuple[str, ...]) -> str:
    chosen = [count for count in counts if count.hop in hops]
    rows = sum(count.rows for count in chosen)
    return f"{rows:,}\n{sum((count.money for count in chosen), Decimal(0)):,.2f}" if rows else "–"


def _plain(value: Decimal, *, sign: str = "") -> str:
    """With thousands separators, and no more decimals than it has; an amount has at least two."""
    places = max(0, -int(value.normalize().as_tuple().exponent))
    places = max(places, 2) if places else 0
    return f"{value:{sign},.{places}f}"
