"""`retail profile`: the profile that a run's check stored, with its drift."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from retail.errors import ConfigurationError
from retail.pipeline.check_step import checked_before
from retail.pipeline.workspace import Workspace
from retail.quality import drift, profile
from retail.quality.profile import ColumnProfile

_LONGEST = 28


def show_profile(workspace: Workspace, out: Console, table: str | None, run_id: str | None) -> None:
    """Print the profile of one table or all. Raises ConfigurationError if there is none for that name or run."""
    ledger = workspace.ledger
    if run_id is None:
        run_id = next((each for each in reversed(ledger.run_ids()) if ledger.step(each, "check")), None)
    kept = profile.read(workspace.session, workspace.storage, [run_id]) if run_id else []
    if run_id is None or not kept:
        raise ConfigurationError(
            [f"no profile is stored for {f'run {run_id}' if run_id else 'any run'}"],
            hint="the check of a run stores it: `retail run --date …`; `retail status` lists the runs",
        )
    tables = sorted({each.table_name for each in kept[0]})
    if table is not None and table not in tables:
        raise ConfigurationError(
            [f"run {run_id} has no profile of {table!r}"], hint=f"it has {', '.join(tables)}"
        )
    earlier = checked_before(ledger, run_id, most=workspace.settings.quality.profile_runs)
    before = profile.read(workspace.session, workspace.storage, earlier)
    drifts = drift.drifted(kept[0], before, drift.load_limits(beside=workspace.settings.folder))
    for name in [table] if table else tables:
        columns = [each for each in kept[0] if each.table_name == name]
        out.print(_table(name, columns, {each.column_name for each in drifts if each.table_name == name}))
    for each in drifts:
        if table in (None, each.table_name):
            out.print(f"drifted: {each}", markup=False)
    out.print(
        f"\nrun {run_id}, compared with {len(before)} earlier runs; distinct counts are approximate",
        markup=False,
    )


def _table(name: str, columns: list[ColumnProfile], drifted: set[str]) -> Table:
    rows = columns[0].row_count if columns else 0
    shown = Table(
        title=f"{name}, {rows:,} rows", title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    for heading, justify in (
        ("column", "left"), ("", "left"), ("nulls", "right"), ("distinct", "right"), ("min", "left"),
        ("max", "left"), ("mean", "right"), ("most common", "left"),
    ):  # fmt: skip
        shown.add_column(
            heading, justify="right" if justify == "right" else "left", no_wrap=True, overflow="ellipsis"
        )
    for each in columns:
        shown.add_row(
            each.column_name,
            "drifted" if each.column_name in drifted else "",
            f"{each.null_share:.1%}",
            f"{each.distinct_count:,}",
            (each.minimum or "")[:_LONGEST],
            (each.maximum or "")[:_LONGEST],
            "" if each.mean is None else f"{each.mean:,.2f}",
            ", ".join(f"{value} {each.share_of(value):.0%}" for value, _ in each.top_values[:3]),
        )
    return shown
