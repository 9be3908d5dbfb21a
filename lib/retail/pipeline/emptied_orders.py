"""Orders that came cancelled and without lines: the lines that are known of them are cancelled too."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from retail.landing.land import Landed
from retail.pipeline.reconcile import comparison
from retail.pipeline.step_context import StepContext
from retail.records import SalesRecord
from retail.runs.days import RetailerDay
from retail.star import held_lines

_CANCELLED = "cancelled"


def withdraw_emptied(context: StepContext, landed: Mapping[RetailerDay, Landed]) -> list[RetailerDay]:
    """Keep the lines of emptied orders as a page that cancels them; returns the units to land again with it.

    The lines are those that count in the star, and those of this run's own raw files.
    """
    again = []
    for unit, found in landed.items():
        if not found.emptied:
            continue
        of_run = [each.key for (retailer, _), each in landed.items() if retailer == unit[0]]
        lines = held_lines.lines_of(context, unit[0], found.emptied, but=_CANCELLED)
        lines += [line for key in of_run for line in _raw_lines(context, key, found.emptied)]
        if ended := ended_lines(lines, found.emptied):
            comparison(context, unit).withdraw(ended, status=_CANCELLED)
            again.append(unit)
    return again


def ended_lines(lines: Iterable[SalesRecord], emptied: Mapping[str, str]) -> list[SalesRecord]:
    """Those lines that count and whose orders are `emptied`, once each, changed when their orders were."""
    ended = {
        line.natural_key: replace(line, updated_at=emptied[line.transaction_id])
        for line in lines
        if line.transaction_id is not None and line.transaction_id in emptied and line.status == "completed"
    }
    return [*ended.values()]


def _raw_lines(context: StepContext, key: str, transactions: Collection[str]) -> Iterator[SalesRecord]:
    for line in context.storage.read(key).decode().split("\n"):
        if line and (record := SalesRecord.from_line(line)).transaction_id in transactions:
            yield record
