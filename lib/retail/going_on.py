"""Which commands go on with what a run left: one that did not come to its end, and a backfill that came in parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from retail.due import in_parts
from retail.pipeline import ALL_TASKS, not_done
from retail.runs.ledger import Ledger, Run
from retail.runs.units import Span

_ENDED_WELL: Final = ("success", "partial")


@dataclass(frozen=True)
class GoingOn:
    """A command, and what it does."""

    command: str
    told: str


def with_newest(ledger: Ledger, days_a_run: int) -> GoingOn | None:
    """What goes on with the newest run, where it is one of the whole way that was killed, failed or was stopped.

    None where no command names just its days.
    """
    run = ledger.run(ledger.run_ids()[-1])
    outcome = ledger.outcome(run.run_id)
    if outcome in _ENDED_WELL or run.tasks != ALL_TASKS or not run.units:
        return None
    span = _span_of(run)
    units = span.units if run.anew else not_done(ledger, span.units)
    if list(run.units) in in_parts(units, days_a_run):
        told = "judges its days anew" if outcome == "stopped" else f"goes on with run {run.run_id}"
        return GoingOn(_command(run, span), told)
    return GoingOn(_command(run, span), "brings what is left of it") if run.backfill is not None else None


def with_backfills(ledger: Ledger, run_ids: Iterable[str]) -> Iterator[GoingOn]:
    """What brings the rest of each backfill of which one of these runs is a part."""
    done = ledger.done()
    runs = [ledger.run(run_id) for run_id in run_ids]
    for newest in {(run.backfill, run.anew): run for run in runs}.values():
        if newest.backfill is None:
            continue
        span = newest.backfill
        if newest.anew:  # all of its days were done before
            span = _span_of(newest)
            if ledger.outcome(newest.run_id) in _ENDED_WELL:
                span = replace(span, first=newest.dates[-1] + timedelta(days=1))
            later = (run for run in runs if run.anew and run.run_id > newest.run_id)
            left = set(span.units) - {unit for run in later for unit in run.units}
        else:
            left = set(span.units) - done
        if left:
            told = f"{len(left):,} of its {len(newest.backfill.units):,} retailer-days are left"
            yield GoingOn(_command(newest, span), told)


def _span_of(run: Run) -> Span:
    """What the command is to name: all of a backfill, or of one that does its days anew what it has not come to."""
    if run.backfill is None:
        return Span.of(run.units)
    return Span(tuple(run.retailers), run.dates[0], run.backfill.last) if run.anew else run.backfill


def _command(run: Run, span: Span) -> str:
    days = f"--date {span.first}" if span.first == span.last else f"--from {span.first} --to {span.last}"
    only = "".join(f" --only {retailer}" for retailer in span.retailers)
    return f"retail {'backfill' if run.backfill else 'run'} {days}{only}{' --again' if run.anew else ''}"
