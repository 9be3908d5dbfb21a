"""Step 2: the payload pages of each day become its raw file."""

from __future__ import annotations

from decimal import Decimal

import structlog

from retail.landing.land import Landed, land
from retail.pipeline.emptied_orders import withdraw_emptied
from retail.pipeline.step_context import StepContext
from retail.pipeline.step_results import DescribeResult, LandResult, units_to_process
from retail.quality import tie_out
from retail.runs.counts import HopCount, rows_at
from retail.runs.days import RetailerDay
from retail.sources.registry import sales_of

log = structlog.get_logger()


def land_step(context: StepContext) -> LandResult:
    """Step 2. Each day's payload pages become its raw file; `tie_out.FETCHED` holds."""
    context.ledger.forget_step(context.run_id, DescribeResult.step)
    counts: list[HopCount] = []
    units = units_to_process(context.ledger, context.run)
    context.report.expects("land", len(units), "retailer-days")
    landed = {}
    for unit in units:
        landed[unit] = _land(context, unit)
        context.report.progress("land", 1, f"{unit[0]} {unit[1]}")
    for unit in withdraw_emptied(context, landed):
        landed[unit] = _land(context, unit)
    for each in landed.values():
        counts += each.counts
    tie_out.require([tie_out.FETCHED], counts)
    summary = f"{rows_at(counts, 'landed'):,} lines landed" + _skipped(counts)
    silent = sorted({retailer for retailer, _ in units} - {count.retailer_id for count in counts})
    if silent:
        counts += [_nothing_landed(retailer) for retailer in silent]
        summary += f"; nothing from {', '.join(silent)}"
    return LandResult(counts=counts, summary=summary)


def _land(context: StepContext, unit: RetailerDay) -> Landed:
    retailer_id, day = unit
    return land(
        sales_of(retailer_id, context.settings),
        context.storage,
        retailer_id=retailer_id,
        logical_date=day,
        mapping_revision=context.settings.retailers[retailer_id].mapping_revision,
    )


def _skipped(counts: list[HopCount]) -> str:
    """The number of lines skipped on purpose, by reason."""
    reasons = sorted({count.reason for count in counts if count.hop == "skipped" and count.reason})
    each = (
        f"{sum(count.rows for count in counts if count.reason == reason):,} {reason}" for reason in reasons
    )
    return f"; skipped: {', '.join(each)}" if reasons else ""


def _nothing_landed(retailer: str) -> HopCount:
    return HopCount(
        hop="landed", retailer_id=retailer, business_date=None, currency=None, rows=0, money=Decimal(0)
    )
