"""Which days are due, and how far each retailer has come.

The checkpoint is the last logical date up to which all of a retailer's days are in the views. Only scheduled runs move
it. A backfill marks its days as complete, so that no run repeats them, and leaves the checkpoint where it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from retail.pipeline import resume
from retail.pipeline.step_results import out_of_reach, units_to_process
from retail.pipeline.tasks import ALL_TASKS
from retail.pipeline.workspace import Workspace
from retail.runs.days import RetailerDay

_DAY = timedelta(days=1)


def due_units(
    workspace: Workspace,
    retailers: Collection[str],
    *,
    until: date | None = None,
    now: datetime | None = None,
) -> list[RetailerDay]:
    """Days after the retailers' checkpoints that are over in the retailer's time zone, up to `until`, and not done.

    Excluded are days that the retailer was found to no longer show, and the days of a run that lacks nothing but its
    recorded end.

    Days of a newest run that ended badly count as not done: it may have been killed while it recorded its end.
    """
    settings, ledger = workspace.settings, workspace.ledger
    ends = [day for day in (until, settings.runs.until) if day is not None]
    cursors = {
        retailer: RetailerCursor(settings.retailers[retailer].time_zone, ledger.checkpoint(retailer))
        for retailer in retailers
    }
    interrupted = resume.interrupted_at_the_end(ledger)
    found = due(
        cursors,
        ledger.settled(ALL_TASKS, out_of_reach=ledger.out_of_reach()),
        start_date=settings.start_date,
        now=now or datetime.now(UTC),
        until=min(ends, default=None),
    )
    if interrupted is None:
        return found
    processed = {*units_to_process(ledger, interrupted), *out_of_reach(ledger, interrupted)}
    return [unit for unit in found if unit not in processed]


def oldest(units: Sequence[RetailerDay], days: int) -> list[RetailerDay]:
    """The oldest `days` days of each retailer, so that one that is far behind holds no other up.

    >>> oldest([("a", date(2017, 1, 1)), ("a", date(2017, 1, 2)), ("b", date(2017, 1, 2))], 1)
    [('a', datetime.date(2017, 1, 1)), ('b', datetime.date(2017, 1, 2))]
    """
    of = {retailer: sorted(day for each, day in units if each == retailer) for retailer, _ in units}
    return sorted((retailer, day) for retailer, all_days in of.items() for day in all_days[:days])


def in_parts(units: Sequence[RetailerDay], days_a_run: int) -> Iterator[list[RetailerDay]]:
    """The units in order of day, at most `days_a_run` days per part.

    >>> list(in_parts([("a", date(2017, 1, 2)), ("a", date(2017, 1, 1)), ("b", date(2017, 1, 2))], 1))
    [[('a', datetime.date(2017, 1, 1))], [('a', datetime.date(2017, 1, 2)), ('b', datetime.date(2017, 1, 2))]]
    """
    days = sorted({day for _, day in units})
    for start in range(0, len(days), days_a_run):
        part = set(days[start : start + days_a_run])
        yield sorted(unit for unit in units if unit[1] in part)


@dataclass(frozen=True)
class RetailerCursor:
    """How far a retailer has come: its time zone and its checkpoint, which is None before the first."""

    time_zone: str
    checkpoint: date | None


def last_day_over(time_zone: str, now: datetime) -> date:
    """Yesterday, in the retailer's time zone."""
    return now.astimezone(ZoneInfo(time_zone)).date() - _DAY


def due(
    cursors: Mapping[str, RetailerCursor],
    done: Collection[RetailerDay],
    *,
    start_date: date,
    now: datetime,
    until: date | None = None,
) -> list[RetailerDay]:
    """Each retailer's days after its checkpoint that are over, up to `until`, without those that are done.

    No day before `start_date`, which may have been moved to a later day since.
    """
    found = []
    for retailer, cursor in cursors.items():
        first = max(start_date, cursor.checkpoint + _DAY) if cursor.checkpoint else start_date
        last = last_day_over(cursor.time_zone, now)
        days = _days(first, min(last, until) if until else last)
        found += [(retailer, day) for day in days if (retailer, day) not in done]
    return found


def advanced(
    checkpoint: date | None, days_done: Collection[date], *, start_date: date, up_to: date
) -> date | None:
    """The checkpoint after a run that reached `up_to`: the end of the unbroken days after the old checkpoint.

    Days before `start_date`, which may have been moved to a later day since, do not break the sequence.
    """
    last = max(checkpoint or start_date - _DAY, start_date - _DAY)
    while last + _DAY in days_done and last < up_to:
        last += _DAY
    return last if last >= start_date else None


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += _DAY
