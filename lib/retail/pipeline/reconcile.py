"""`retail reconcile`: what the star has of complete days, compared with the retailers again.

It takes the place of fetching in a run; what it finds goes through the other steps like any day.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from retail.errors import ExtractError
from retail.landing import withdrawn
from retail.landing.land import Landed
from retail.landing.reconcile import Compared, Comparison
from retail.pipeline.step_context import StepContext
from retail.records import SalesRecord
from retail.runs.days import RetailerDay
from retail.sources.registry import sales_of
from retail.sources.service import Reconcilable, Service
from retail.sources.window import Window, window_of_unit
from retail.star import held_lines


def known_orders(context: StepContext) -> dict[RetailerDay, set[str]]:
    """The orders that the star has of each unit of the run, by transaction id."""
    found = {}
    for unit in context.run.units:
        window = window_of_unit(context.settings, unit)
        found[unit] = held_lines.orders_sold(context, unit[0], window.start + window.overlap, window.end)
    return found


def compare(
    context: StepContext, service: Service, unit: RetailerDay, window: Window, known: Collection[str]
) -> Compared:
    """Compare one unit. Raises ExtractError if its service offers no comparison, or cannot be read."""
    retailer_id, _ = unit
    if not isinstance(service, Reconcilable):
        raise ExtractError(
            f"{retailer_id}: its service cannot compare days: it has no `created` and `find`",
            hint="see docs/ADD_A_RETAILER.md; leave this retailer out with --only until it has them",
        )
    return _comparison(context, unit, window).compare(service, sales_of(retailer_id, context.settings), known)


def withdraw(context: StepContext, compared: Mapping[RetailerDay, Compared]) -> str:
    """Keep every deleted order's lines as a page of their own, and say in words what was found."""
    for unit, found in compared.items():
        lines = held_lines.lines_of(context, unit[0], found.deleted, but=withdrawn.DELETED)
        _comparison(context, unit, window_of_unit(context.settings, unit)).withdraw(
            lines, status=withdrawn.DELETED
        )
    listed, missing, deleted = (
        sum(len(getattr(found, name)) for found in compared.values())
        for name in ("listed", "missing", "deleted")
    )
    return f"{listed:,} orders listed, {missing:,} of them new to the star; {deleted:,} deleted"


def withdraw_emptied(context: StepContext, landed: Mapping[RetailerDay, Landed]) -> list[RetailerDay]:
    """Keep the lines of orders that came cancelled and without lines; returns the units to land again with them.

    The lines are those that count in the star, and those of this run's own raw files.
    """
    again = []
    for unit, found in landed.items():
        if not found.emptied:
            continue
        of_run = [each.key for (retailer, _), each in landed.items() if retailer == unit[0]]
        lines = held_lines.lines_of(context, unit[0], found.emptied, but=withdrawn.CANCELLED)
        lines += [line for key in of_run for line in _raw_lines(context, key, found.emptied)]
        if ended := ended_lines(lines, found.emptied):
            window = window_of_unit(context.settings, unit)
            _comparison(context, unit, window).withdraw(ended, status=withdrawn.CANCELLED)
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
        values = json.loads(line) if line else {}
        if values.get("transaction_id") in transactions:
            yield SalesRecord(**values)


def _comparison(context: StepContext, unit: RetailerDay, window: Window) -> Comparison:
    return Comparison(storage=context.storage, retailer_id=unit[0], window=window, run_id=context.run_id)
