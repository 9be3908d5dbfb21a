"""Output of a run that has ended: tables of what it did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from retail.landing.estimate import Planned
from retail.outgoing_text import mask, printable
from retail.pipeline.runner import Result
from retail.runs.counts import HopCount

# The hops in pipeline order, as the tie-out table shows them.
HOPS: Final = (
    "fetched",
    "skipped",
    "superseded",
    "rounding",
    "landed",
    "quarantined",
    "duplicate",
    "staged",
    "inserted",
    "updated_in",
    "deleted",
    "unchanged",
    "stale",
)

# Every merge counts one of these; the first merge does not count `delta_before`.
_OF_A_MERGE: Final = frozenset({"delta_before", "inserted", "updated_in", "deleted", "unchanged", "stale"})


def console() -> Console:
    """Standard output; plain and 120 wide if it is not a terminal."""
    found = _SafeConsole(highlight=False)
    return found if found.is_terminal else _SafeConsole(highlight=False, width=120)


def uncut() -> Console:
    """Like `console`, with lines that continue past the terminal's edge instead of being cut."""
    return _SafeConsole(highlight=False, width=100_000)


class _SafeConsole(Console):
    """Shows no secret, and control characters of what it prints as escapes: only its own move or colour anything."""

    def __init__(self, **options: Any) -> None:
        super().__init__(emoji=False, markup=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        # Before lines are broken, which would cut a secret in two.
        return super().render_str(printable(mask(text)), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            shown = segment if segment.control else segment._replace(text=printable(mask(segment.text)))
            yield shown


def tie_out_table(counts: Sequence[HopCount]) -> Table:
    """Rows and money per retailer and currency at each hop."""
    hops = [hop for hop in HOPS if any(count.hop == hop for count in counts)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("retailer")
    table.add_column("currency")
    for hop in hops:
        table.add_column(hop.replace("_in", ""), justify="right")
    for group in sorted({(c.retailer_id, c.currency or "-") for c in counts}):
        of_group = [c for c in counts if (c.retailer_id, c.currency or "-") == group]
        table.add_row(*group, *(_figures(of_group, hop) for hop in hops))
    return table


def rows_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, exact: bool = False) -> Table:
    """Rows of a view, numbers right-aligned; money rounded to the cent, or `exact`."""
    rows = list(rows)
    shown = exactly if exact else _shown
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, name in enumerate(columns):
        number = any(isinstance(row[position], (int, float, Decimal)) for row in rows)
        justify: JustifyMethod = "right" if number else "left"
        table.add_column(Text(one_line(name)), justify=justify, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(Text(one_line(shown(value))) for value in row))
    return table


def one_line(text: str) -> str:
    """A value in a table, which nothing in it can break out of: line feeds and tabs are escapes too."""
    return printable(mask(text)).replace("\n", r"\n").replace("\t", r"\t")


def _figures(counts: Sequence[HopCount], hop: str) -> str:
    chosen = [count for count in counts if count.hop == hop]
    rows = sum(count.rows for count in chosen)
    money = sum((count.money for count in chosen), Decimal(0))
    return f"{rows:,}\n{money:,.2f}" if chosen else "0\n0.00"


def _shown(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, Decimal):
        return f"{value:,.2f}"
    return str(value)


def exactly(value: object) -> str:
    """Every digit, without an exponent."""
    if value is None:
        return "–"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def show_result(out: Console, result: Result, counts: Sequence[HopCount]) -> None:
    """How a command ended: what failed, rows and money at each hop, and that they tie out."""
    if result.run_id is None:
        out.print(
            f"Nothing to do: all {result.skipped_units} retailer-days are already complete; "
            "no row was changed. (--again re-fetches them.)"
            if result.skipped_units
            else "Nothing is due: every day that has ended, and that its retailer still shows, is complete; "
            "no row was changed."
        )
        return
    if counts:
        out.print()
        out.print(tie_out_table(counts))
        judged = "every identity" if _reached_the_views(counts) else "every identity checked so far"
        out.print(f"tie-out: {judged} holds, in rows and in money, per retailer, business day and currency")
    show_failed(out, result.failed, force=result.force, reconcile=result.reconcile)
    if result.out_of_reach:
        out.print(
            f"{result.out_of_reach:,} retailer-days are out of reach: from now on, runs without days skip them; "
            "`retail status` lists them."
        )
    out.print(f"\nrun {result.run_id}: {result.outcome}", markup=False)


def show_failed(out: Console, failed: Mapping[str, str], *, force: bool, reconcile: bool = False) -> None:
    """The retailers that could not be read, and why; the command for their days, by how these were processed."""
    for retailer, reason in failed.items():
        out.print(f"\n{retailer} FAILED, the others continued: {reason}", markup=False, soft_wrap=True)
    if failed and reconcile:
        out.print("Give the same command later; it compares all of these days again.")
    elif failed and force:
        out.print(
            "`retail status` names the command that fetches what is missing; this one re-fetches every day."
        )
    elif failed:
        out.print("Give the same command later to fetch what is missing; complete days are skipped.")


def _reached_the_views(counts: Sequence[HopCount]) -> bool:
    """Whether a run merged and completed; a check on its own only compares PostgreSQL."""
    hops = {count.hop for count in counts}
    return "views" in hops and not hops.isdisjoint(_OF_A_MERGE)


def show_plan(out: Console, planned: Sequence[Planned]) -> None:
    """The cost of fetching from each retailer, and why it is unknown for some."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("retailer", "days", "orders", "calls", "minutes", "quota wait"):
        table.add_column(name, justify="left" if name == "retailer" else "right")
    table.add_column("quota")
    for each in planned:
        if each.estimate is None:
            continue
        found = each.estimate
        table.add_row(
            each.retailer_id,
            str(each.days),
            f"{found.orders:,}",
            f"{found.calls:,}",
            _minutes(each.seconds),
            _minutes(found.quota_seconds),
            found.quota,
        )
    out.print(table)
    for each in planned:
        if each.failure:
            out.print(f"\n{each.retailer_id} could not be queried: {each.failure}", markup=False)
    asked = sum(each.estimate.asked for each in planned if each.estimate)
    out.print(f"\nNothing was fetched; the estimate took {asked} calls. Retailers are fetched in parallel.")


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:,.1f}"
