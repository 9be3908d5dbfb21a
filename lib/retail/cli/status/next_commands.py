"""The commands that continue unfinished work: an unfinished run, a run in parts, forced days, or a replay."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from retail.lake.storage import Storage
from retail.pipeline.runner import not_done
from retail.pipeline.schedule import in_parts
from retail.pipeline.step_results import out_of_reach, units_to_process
from retail.pipeline.tasks import ALL_TASKS
from retail.runs import pending_replays
from retail.runs.days import RetailerDay, Span
from retail.runs.ledger import Ledger
from retail.runs.run import Run

_ENDED_WELL: Final = ("success", "partial")


@dataclass(frozen=True)
class NextCommand:
    """A command, what it does, and its units."""

    command: str
    effect: str
    units: frozenset[RetailerDay]


def with_newest(ledger: Ledger, days_a_run: int) -> NextCommand | None:
    """The command to continue the newest run, if it is a run of all tasks that was killed, failed or was stopped.

    None if no command names exactly its days.
    """
    run = ledger.run(ledger.run_ids()[-1])
    outcome = ledger.outcome(run.run_id)
    if outcome in _ENDED_WELL or run.tasks != ALL_TASKS or not run.units:
        return None
    span = _span_of(run)
    if run.reconcile:
        units = [unit for unit in span.units if unit in ledger.done()]
    else:
        units = span.units if run.force else not_done(ledger, span.units)
    if list(run.units) in in_parts(units, days_a_run):
        effect = "re-checks its days" if outcome == "stopped" else f"resumes run {run.run_id}"
    elif run.backfill and not run.reconcile:
        effect = "loads the days that are left"
    else:
        return None
    return NextCommand(_command(run, span), effect, frozenset(units))


def with_earlier(
    ledger: Ledger, run_ids: Iterable[str], newest: NextCommand | None = None
) -> Iterator[NextCommand]:
    """The commands to finish each backfill, and each set of forced days, that one of these runs is part of.

    The command to continue the `newest` run is left out. Other days are due, and need no command of their own.
    """
    runs = [run for run in map(ledger.run, run_ids) if not run.reconcile]
    listed = set(newest.units) if newest is not None else set()
    parts = {(run.span, run.backfill, run.force): run for run in runs if run.backfill or run.force}
    for run in sorted(parts.values(), key=lambda part: part.run_id, reverse=True):
        if run.span is None:
            continue
        complete = (
            _completed_again(ledger, runs, run.span) if run.force else ledger.done() | ledger.out_of_reach()
        )
        left = set(run.span.units) - complete - listed
        if not left:
            continue
        for span in _spans_of(left, run.span.last) if run.force else [run.span]:
            units = left & set(span.units)
            effect = f"{len(units):,} of its {len(run.span.units):,} retailer-days are left"
            yield NextCommand(_command(run, span), effect, frozenset(units))
        if run.force:  # may continue with another, which has the same days left
            listed |= left


def with_replays(storage: Storage, listed: Iterable[NextCommand] = ()) -> Iterator[NextCommand]:
    """The command for days that were restaged and are not complete, less those `listed` already."""
    left = pending_replays.left(storage).difference(*(each.units for each in listed))
    if left:
        span = Span.of(left)
        effect = f"{len(left):,} retailer-days were restaged and are not complete"
        yield NextCommand(
            f"retail quarantine replay --from {span.first} --to {span.last}{_only(span)}",
            effect,
            frozenset(left),
        )


def again(ledger: Ledger, run_ids: Iterable[str]) -> str:
    """The commands, in words, that load again what was taken back of these runs."""
    there = set(ledger.run_ids())
    compared = {run_id for run_id in run_ids if run_id in there and ledger.run(run_id).reconcile}
    fetched = {run_id not in there or ledger.fetched(run_id) for run_id in run_ids if run_id not in compared}
    commands = ["`retail run` for the same dates"] * (True in fetched)
    commands += ["`retail reconcile` for the same dates"] * bool(compared)
    return " and ".join(commands + ["`retail quarantine replay`"] * (False in fetched))


def _completed_again(ledger: Ledger, runs: Iterable[Run], span: Span) -> set[RetailerDay]:
    """The days completed again since the span was begun, by whichever command."""
    force = [run for run in runs if run.force]
    begun = max((run.run_id for run in force if run.span == span and span.first in run.dates), default="")
    ended = [run for run in force if run.run_id >= begun and ledger.outcome(run.run_id) in _ENDED_WELL]
    return {unit for run in ended for unit in (*units_to_process(ledger, run), *out_of_reach(ledger, run))}


def _spans_of(left: Iterable[RetailerDay], last: date) -> list[Span]:
    """From each retailer's first remaining day to the last; retailers with the same first day are grouped."""
    days: defaultdict[str, list[date]] = defaultdict(list)
    for retailer, day in left:
        days[retailer].append(day)
    begins: defaultdict[date, list[str]] = defaultdict(list)
    for retailer in sorted(days):
        begins[min(days[retailer])].append(retailer)
    return [Span(tuple(retailers), first, last) for first, retailers in sorted(begins.items())]


def _span_of(run: Run) -> Span:
    """The span for the command to name: the whole span or, for forced days, the part not reached yet."""
    if run.span is None or run.reconcile or not (run.backfill or run.force):
        return Span.of(run.units)
    return Span(tuple(run.retailers), run.dates[0], run.span.last) if run.force else run.span


def _command(run: Run, span: Span) -> str:
    days = f"--date {span.first}" if span.first == span.last else f"--from {span.first} --to {span.last}"
    if run.reconcile:
        return f"retail reconcile {days}{_only(span)}"
    name = "backfill" if run.backfill else "run"
    return f"retail {name} {days}{_only(span)}{' --again' if run.force else ''}"


def _only(span: Span) -> str:
    return "".join(f" --only {retailer}" for retailer in span.retailers)
