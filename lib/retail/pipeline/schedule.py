"""What a scheduled run is to bring in: each retailer's days from its checkpoint to yesterday."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime

from retail.pipeline import checkpoint, finish
from retail.pipeline.checkpoint import Stand
from retail.pipeline.job import out_of_reach, units_to_process
from retail.pipeline.resources import Resources
from retail.pipeline.tasks import ALL_TASKS
from retail.runs.days import Unit


def due_units(
    resources: Resources,
    retailers: Collection[str],
    *,
    until: date | None = None,
    now: datetime | None = None,
) -> list[Unit]:
    """Days behind the retailers' checkpoints that are over there, up to `until`, and are not done; by the clock.

    Those are left out that the retailer was found to show no longer, and what a run brought of which nothing is missing
    but its last word.

    Those of a newest run without a good end count as not done: it may have been killed between its last words.
    """
    settings, ledger = resources.settings, resources.ledger
    ends = [day for day in (until, settings.runs.until) if day is not None]
    stands = {
        retailer: Stand(settings.retailers[retailer].time_zone, ledger.checkpoint(retailer))
        for retailer in retailers
    }
    unsaid = finish.without_last_word(ledger)
    found = checkpoint.due(
        stands,
        ledger.settled(ALL_TASKS, passed_over=ledger.out_of_reach()),
        start_date=settings.start_date,
        now=now or datetime.now(UTC),
        until=min(ends, default=None),
    )
    if unsaid is None:
        return found
    brought = {*units_to_process(ledger, unsaid), *out_of_reach(ledger, unsaid)}
    return [unit for unit in found if unit not in brought]


def oldest(units: Sequence[Unit], days: int) -> list[Unit]:
    """The oldest `days` days of each retailer: one that is far behind holds no other up.

    >>> oldest([("a", date(2017, 1, 1)), ("a", date(2017, 1, 2)), ("b", date(2017, 1, 2))], 1)
    [('a', datetime.date(2017, 1, 1)), ('b', datetime.date(2017, 1, 2))]
    """
    of = {retailer: sorted(day for each, day in units if each == retailer) for retailer, _ in units}
    return sorted((retailer, day) for retailer, all_days in of.items() for day in all_days[:days])


def in_parts(units: Sequence[Unit], days_a_run: int) -> Iterator[list[Unit]]:
    """The units in the order of their days, at most `days_a_run` days together.

    >>> list(in_parts([("a", date(2017, 1, 2)), ("a", date(2017, 1, 1)), ("b", date(2017, 1, 2))], 1))
    [[('a', datetime.date(2017, 1, 1))], [('a', datetime.date(2017, 1, 2)), ('b', datetime.date(2017, 1, 2))]]
    """
    days = sorted({day for _, day in units})
    for start in range(0, len(days), days_a_run):
        part = set(days[start : start + days_a_run])
        yield sorted(unit for unit in units if unit[1] in part)
