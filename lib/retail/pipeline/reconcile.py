"""`retail reconcile`: what the star has of complete days, compared with the retailers again.

It takes the place of fetching in a run; what it finds goes through the other steps like any day.
"""

from __future__ import annotations

from collections.abc import Mapping

from retail.errors import ExtractError
from retail.landing.land import require_whole
from retail.landing.reconcile import Compared, Comparison
from retail.pipeline.step_context import StepContext
from retail.records import DELETED
from retail.runs.days import RetailerDay
from retail.sources.registry import sales_of
from retail.sources.service import Reconcilable, Service
from retail.sources.window import window_of_unit
from retail.star import held_lines


def known_orders(context: StepContext) -> dict[RetailerDay, dict[str, bool]]:
    """The orders that the star has of each unit of the run, by transaction id, and whether they count."""
    days = {unit: window_of_unit(context.settings, unit).day for unit in context.run.units}
    return {unit: held_lines.orders_sold(context, unit[0], day.start, day.end) for unit, day in days.items()}


def compare(context: StepContext, service: Service, unit: RetailerDay, known: Mapping[str, bool]) -> Compared:
    """Compare one unit. Raises ExtractError if its service offers no comparison, or cannot be read."""
    retailer_id, day = unit
    if not isinstance(service, Reconcilable):
        raise ExtractError(
            f"{retailer_id}: its service cannot compare days: it has no `created`, `find` and `require_reach`",
            hint="see docs/ADD_A_RETAILER.md; leave this retailer out with --only until it has them",
        )
    # A damaged page found here fails the day; found during landing, it would fail the run.
    require_whole(context.storage, retailer_id, day)
    sales = sales_of(retailer_id, context.settings)
    accept = context.options.accept_deletions
    return comparison(context, unit).compare(service, sales, known, accept_deletions=accept)


def withdraw(context: StepContext, compared: Mapping[RetailerDay, Compared]) -> str:
    """Keep the lines of deleted orders as pages that overwrite them, and say in words what was found.

    A day's page has the orders deleted there, and what else its own pages say of deleted orders: landing then sees that
    they changed, if they are there again. The last day's page has all of them, to count over every other day's.
    """
    for retailer_id in {retailer for retailer, _ in compared}:
        units = sorted(unit for unit in compared if unit[0] == retailer_id)
        deleted = frozenset[str]().union(*(compared[unit].deleted for unit in units))
        if not deleted:
            continue
        sales = sales_of(retailer_id, context.settings)
        held = held_lines.lines_of(context, retailer_id, deleted, but=DELETED)
        everything = {line.natural_key: line for line in held}
        for unit in units:
            of_pages = {
                line.natural_key: line for line in comparison(context, unit).records_of(sales, deleted)
            }
            everything |= of_pages
            of_day = {
                line.natural_key: line for line in held if line.transaction_id in compared[unit].deleted
            }
            found = everything if unit == units[-1] else of_day | of_pages
            comparison(context, unit).withdraw([*found.values()], status=DELETED)
    listed, missing, gone = (
        sum(len(getattr(found, name)) for found in compared.values())
        for name in ("listed", "missing", "deleted")
    )
    return f"{listed:,} orders listed, {missing:,} of them new to the star; {gone:,} deleted"


def comparison(context: StepContext, unit: RetailerDay) -> Comparison:
    """The pages that this run keeps beside those of the unit's changes."""
    return Comparison(
        storage=context.storage,
        retailer_id=unit[0],
        window=window_of_unit(context.settings, unit),
        run_id=context.run_id,
    )
