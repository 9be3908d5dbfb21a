"""After landing: look up what the sales name in the retailers' catalogues. A failure here never costs a sale."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import structlog

from retail.errors import StorageError
from retail.landing.master_data import Deadline, LookedUp, look_up, named_in_sales
from retail.pipeline.step_context import StepContext
from retail.pipeline.step_results import DescribeResult, ExtractResult, LandResult, units_to_process
from retail.pipeline.tasks import DESCRIBE
from retail.runs.counts import rows_at
from retail.sources.catalog import catalog_of
from retail.sources.http.rate_limit import QuotaPolicy
from retail.sources.registry import open_service

log = structlog.get_logger()


def is_due(context: StepContext) -> bool:
    """Whether the run fetched its days and landed sales, and may call the catalogues."""
    if not context.settings.extract.master_calls or ExtractResult.of(context.ledger, context.run_id) is None:
        return False
    landed = LandResult.of(context.ledger, context.run_id)
    return landed is not None and rows_at(landed.counts, "landed") > 0


def describe_step(context: StepContext) -> DescribeResult:
    """Look up the products and stores that the landed sales name and that no run has looked up yet.

    The retailers are asked in parallel, each within the quota that is left of the run's extract. A failure is reported,
    not raised; a retailer without a catalogue is skipped. Raises StorageError if the lake cannot store what was found.
    """
    days: dict[str, list[date]] = defaultdict(list)
    for retailer_id, day in units_to_process(context.ledger, context.run):
        days[retailer_id].append(day)
    with ThreadPoolExecutor(max_workers=max(1, len(days))) as pool:
        results = pool.map(
            lambda retailer: _look_up_retailer(context, retailer, days[retailer]), sorted(days)
        )
        looked_up = [each for each in results if each is not None]
    return DescribeResult(looked_up=looked_up, summary=_summary(looked_up))


def _look_up_retailer(context: StepContext, retailer_id: str, days: Sequence[date]) -> LookedUp | None:
    settings = context.settings
    deadline = Deadline(settings.extract.master_seconds)
    try:
        # What the extract left of the quota; the deadline limits the waiting, with `--no-wait` too.
        left = context.quotas.get(retailer_id, QuotaPolicy())
        policy = replace(left, waits=True, tell=lambda wait: context.report.waits(DESCRIBE, str(wait)))
        service = open_service(
            retailer_id, settings, context.secrets, clock=deadline.clock, quota_policy=policy
        )
        catalog = catalog_of(service)
        if catalog is None:
            log.info("retailer has no catalogue", retailer=retailer_id)
            return None
        return look_up(
            catalog,
            context.storage,
            settings.extract,
            retailer_id=retailer_id,
            named=named_in_sales(context.storage, retailer_id, days),
            run_id=context.run_id,
            deadline=deadline,
        )
    except StorageError:
        raise
    except Exception as error:
        log.exception("catalogue failed", retailer=retailer_id)
        return LookedUp(retailer_id=retailer_id, failure=f"unexpected {type(error).__name__}; see the log")


def _summary(looked_up: Sequence[LookedUp]) -> str:
    """What was found, what is left for later runs and which catalogues failed."""
    found, left = (sum(getattr(each, name) for each in looked_up) for name in ("found", "left"))
    failed = [each.retailer_id for each in looked_up if each.failure]
    return (
        (f"{found:,} products and stores described" if found else "nothing new to describe")
        + (f", {left:,} left for later runs" if left else "")
        + (f"; catalogue failed: {', '.join(failed)}" if failed else "")
    )
