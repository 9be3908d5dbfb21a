"""`retail quarantine`: the refused lines, and how to load them once the cause is fixed."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import wraps
from typing import Any, Final

import click
from rich.console import Console

from retail.cli.options import DAY, reporting, with_settings
from retail.cli.output import console
from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.pipeline import runner
from retail.pipeline.step_context import RunOptions
from retail.pipeline.step_results import counts_of
from retail.pipeline.workspace import Workspace
from retail.runs import pending_replays
from retail.star.quarantine import acknowledged as accepting
from retail.star.quarantine.listing import Group, Refused, Selection, acceptance, in_one_line, in_words, when
from retail.star.quarantine.table import accepted_groups, each_line, groups, rows

_NOTHING: Final = "No quarantined lines match."


def _selecting(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --only, --from and --to, which are passed to the command as a Selection."""

    @wraps(command)
    def wrapped(
        settings: Settings,
        /,
        *args: Any,
        only: tuple[str, ...],
        since: datetime | None,
        until: datetime | None,
        **kwargs: Any,
    ) -> None:
        unknown = sorted(set(only) - set(settings.retailers))
        if unknown:
            known = ", ".join(settings.retailers)
            raise click.UsageError(f"--only {', '.join(unknown)}: the configuration has {known}")
        first, last = since.date() if since else None, until.date() if until else None
        command(settings, Selection(only, first, last), *args, **kwargs)

    for option in (
        click.option("--to", "until", type=DAY, metavar="DATE", help="Last logical date."),
        click.option("--from", "since", type=DAY, metavar="DATE", help="First logical date."),
        click.option(
            "--only", multiple=True, metavar="RETAILER", help="Only this retailer. Repeat it for more."
        ),
    ):
        wrapped = option(wrapped)
    return wrapped


@click.group()
def quarantine() -> None:
    """List rejected lines, and load them once the cause is fixed."""


@quarantine.command("list")
@click.option("--accepted", is_flag=True, help="Show accepted lines, and why they were accepted, instead.")
@with_settings
@_selecting
def list_(settings: Settings, selection: Selection, /, *, accepted: bool) -> None:
    """List rejected lines by retailer, logical date and reason, with their money."""
    out = console.console()
    with Workspace(settings, Secrets()) as workspace:
        those_accepted = accepted_groups(workspace.storage, selection)
        if accepted:
            _show_groups(out, those_accepted)
            for each in accepting.load(workspace.storage).acceptances:
                if any(selection.has(*unit) for unit in each.lines):
                    out.print(in_one_line(each), markup=False)
            return
        _show_groups(out, groups(workspace.storage, selection))
        if those_accepted:
            out.print(f"accepted for good, and not shown: {in_words(those_accepted)} (--accepted)")


@quarantine.command()
@click.argument("row", nargs=-1)
@click.option("--most", default=20, show_default=True, type=click.IntRange(1), help="Lines to show at most.")
@with_settings
@_selecting
def show(settings: Settings, selection: Selection, /, row: tuple[str, ...], most: int) -> None:
    """Show whole rejected lines, or those whose names begin with ROW, and where they came from."""
    out = console.console()
    with Workspace(settings, Secrets()) as workspace:
        found, count = rows(workspace.storage, selection, named=row, most=most)
        for each in found:
            _show_line(out, each, workspace.storage.url)
        if count > most:
            out.print(f"and {count - most:,} more (--most)")
        elif not found:
            out.print(_NOTHING)


@quarantine.command()
@click.argument("row", nargs=-1)
@click.option("--reason", help="Only lines rejected for this reason.")
@click.option("--because", required=True, help="Why they will never be fixed, in your words. Kept with them.")
@with_settings
@_selecting
def accept(
    settings: Settings, selection: Selection, /, row: tuple[str, ...], reason: str | None, because: str
) -> None:
    """Accept that lines stay rejected: those named ROW, or all that the options select.

    Accepted lines no longer count as open or against the gate. They stay in quarantine and in the tie-out.
    """
    if not because.strip():
        raise click.UsageError("--because must give a reason")
    if not row and reason is None and selection == Selection():
        raise click.UsageError("select lines with ROW, --only, --from, --to or --reason")
    with Workspace(settings, Secrets()) as workspace:
        found = [
            line
            for line in each_line(workspace.storage, selection, named=row, reason=reason)
            if line.accepted is None
        ]
        _require_one_each(row, [line.row for line in found], "open line in quarantine")
        if not found:
            console.console().print(_NOTHING)
            return
        made = acceptance(found, because=because.strip(), at=datetime.now(UTC))
        accepting.accept(workspace.storage, made)
        console.console().print(f"accepted for good {in_one_line(made)}", markup=False)


@quarantine.command()
@click.argument("row", nargs=-1)
@with_settings
@_selecting
def reopen(settings: Settings, selection: Selection, /, row: tuple[str, ...]) -> None:
    """Reopen accepted lines: those named ROW, or all that the options select."""
    if not row and selection == Selection():
        raise click.UsageError("select lines with ROW, --only, --from or --to")
    beginnings = tuple(map(str.lower, row)) or ("",)
    with Workspace(settings, Secrets()) as workspace:
        lines: dict[tuple[str, date], set[str]] = {}
        for retailer_id, day, name, _ in accepting.load(workspace.storage).named():
            if selection.has(retailer_id, day) and name.startswith(beginnings):
                lines.setdefault((retailer_id, day), set()).add(name)
        names = [name for of_unit in lines.values() for name in of_unit]
        _require_one_each(row, names, "accepted line")
        if not names:
            console.console().print("No accepted lines match.")
            return
        accepted = {line.row for line in each_line(workspace.storage, selection, named=row) if line.accepted}
        accepting.reopen(workspace.storage, lines)
        gone = len(names) - len(accepted)
        others = f"; {gone:,} are no longer rejected as accepted" if gone else ""
        console.console().print(f"reopened: {len(accepted):,} lines{others}")


def _require_one_each(beginnings: Sequence[str], names: Sequence[str], what: str) -> None:
    """Raises UsageError for a beginning that matches no line, or more than one: there is no guessing."""
    for beginning in beginnings:
        meant = {name for name in names if name.startswith(beginning.lower())}
        if len(meant) != 1:
            shown = ", ".join(sorted(meant)[:5]) or "none"
            raise click.UsageError(
                f"{beginning} must match one {what}, but matches {shown}; see `retail quarantine show`"
            )


@quarantine.command()
@click.option(
    "--land",
    is_flag=True,
    help="First rebuild the raw files from the fetched pages, for a corrected mapping.",
)
@with_settings
@_selecting
def replay(settings: Settings, selection: Selection, /, *, land: bool) -> None:
    """Re-run the days that have rejected lines: stage, merge, publish, check and refresh.

    Includes days that an earlier replay staged and did not complete. A line that is older than the star's, or already
    there, changes nothing.
    """
    out = console.console()
    with Workspace(settings, Secrets()) as workspace:
        before = groups(workspace.storage, selection)
        refused = {(group.retailer_id, group.logical_date) for group in before}
        left = {unit for unit in pending_replays.left(workspace.storage) if selection.has(*unit)}
        units = sorted(refused | left)
        if not units:
            out.print(_NOTHING)
            return
        if refused:
            out.print(f"{len(refused)} retailer-days have {in_words(before)} in quarantine")
        if left:
            out.print(f"{len(left)} retailer-days were restaged by an earlier replay and are not complete")
        tasks = ("land",) * land + ("transform", "check", "refresh")
        with reporting(out) as report:
            result = runner.run(
                workspace,
                units,
                report,
                tasks=tasks,
                options=RunOptions(
                    replay=True, tolerated_rejects=_rejected_of_complete_days(workspace, before)
                ),
            )
        assert result.run_id is not None  # noqa: S101 - units were given
        console.show_result(out, result, counts_of(workspace.ledger, result.run_id))
        of_units = set(units)
        after = [
            group
            for group in groups(workspace.storage)
            if (group.retailer_id, group.logical_date) in of_units
        ]
        out.print(f"\nin quarantine before: {in_words(before)}; now: {in_words(after)}")
        if after:
            _show_groups(out, after)
    sys.exit(result.exit_code)


def _rejected_of_complete_days(workspace: Workspace, refused: Sequence[Group]) -> dict[str, int]:
    """Lines per retailer that were refused on complete days, which means that the gate has let them pass before.

    A retailer with a day that was never merged is checked as usual.
    """
    done = workspace.ledger.done()
    open_ = {group.retailer_id for group in refused if (group.retailer_id, group.logical_date) not in done}
    lines = Counter[str]()
    for group in refused:
        if group.retailer_id not in open_:
            lines[group.retailer_id] += group.rows
    return dict(lines)


def _show_groups(out: Console, found: Sequence[Group]) -> None:
    if not found:
        out.print(_NOTHING)
        return
    columns = ("retailer", "date", "severity", "reasons", "rows", "money", "currency")
    table = console.rows_table(
        columns,
        [
            (g.retailer_id, g.logical_date, g.severity, g.reasons, g.rows, g.money, g.currency or "-")
            for g in found
        ],
    )
    out.print(table)
    out.print(f"\ntotal: {in_words(found)}")


def _show_line(out: Console, line: Refused, lake: str) -> None:
    warnings = f"; warnings: {line.warnings}" if line.warnings else ""
    out.print(f"{line.row}  {line.retailer_id} {line.logical_date}", style="bold", markup=False)
    out.print(f"  {line.severity}: {line.reasons}{warnings}", markup=False)
    if line.source_ref:
        page, _, place = console.one_line(line.source_ref).partition("#")
        out.print(f"  payload page: {lake}/{page}", markup=False, soft_wrap=True)
        out.print(f"  JSON pointer: {place or '-'}", markup=False, soft_wrap=True)
    out.print(f"  staged by:    run {line.run_id}", markup=False)
    if line.accepted is not None:
        out.print(f"  accepted:     {when(line.accepted)}, because: {line.accepted.because}", markup=False)
    out.print(f"{_pretty(line.value)}\n", markup=False, soft_wrap=True)


def _pretty(value: str) -> str:
    """The line as indented JSON, or as it is if it is not JSON."""
    try:
        return json.dumps(json.loads(value), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return value


COMMANDS: Final[tuple[click.Command, ...]] = (quarantine,)
