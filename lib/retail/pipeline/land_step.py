"""Steps 1 and 2 of a run: the retailers are asked, and what they answered becomes raw files."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal

import structlog

from retail.errors import NobodyAnsweredError
from retail.landing.land import land
from retail.landing.master_data import Named
from retail.pipeline.extract_step import ask_retailer
from retail.pipeline.job import Job, Record
from retail.pipeline.master_data_step import described, look_up_named
from retail.quality import tie_out
from retail.quality.suites import validation
from retail.runs.counts import HopCount, as_json, rows_at
from retail.sources.registry import sales_of

log = structlog.get_logger()

# So many new fields of the answers are told in a line; the record of the step has all.
_SHOWN_FIELDS = 5


def extract_step(job: Job) -> Record:
    """Step 1. The retailers are asked side by side; one that fails stops no other.

    Raises NobodyAnsweredError where all of them failed, with nothing fetched; but not where one answered and cannot
    give these days, for that will be so next time too.
    """
    interrupted = threading.Event()
    job.report.expects("extract", len(job.run.units), "retailer-days")
    with _warm_up(), ThreadPoolExecutor(max_workers=max(1, len(job.run.retailers))) as pool:
        asking = [pool.submit(ask_retailer, job, each, interrupted) for each in job.run.retailers]
        try:
            results = [each.result() for each in asking]
        except BaseException:
            interrupted.set()  # else the pool waits for retailers that wait for their quota
            raise
    extracted = [[retailer, day.isoformat()] for each in results for retailer, day in sorted(each.units)]
    failed = {
        retailer: each.failure
        for retailer, each in zip(job.run.retailers, results, strict=True)
        if each.failure is not None
    }
    for_days = [retailer for retailer, each in zip(job.run.retailers, results, strict=True) if each.goes_on]
    if failed and not extracted and not for_days:
        raise NobodyAnsweredError(failed)
    warnings = [str(new) for each in results for new in each.new_fields]
    summary = f"{len(extracted)} retailer-days fetched"
    if failed:
        summary += f"; FAILED: {', '.join(sorted(failed))}"
    if warnings:
        summary += f"; {len(warnings)} fields of the answers are new: {'; '.join(warnings[:_SHOWN_FIELDS])}"
    return {
        "extracted": extracted,
        "failed": failed,
        "failed_for_days": for_days,
        "out_of_reach": [
            [retailer, day.isoformat()] for each in results for retailer, day in sorted(each.out_of_reach)
        ],
        "warnings": warnings,
        "summary": summary,
    }


def land_step(job: Job) -> Record:
    """Step 2. Each day's payload pages become its raw file; fetched = skipped + superseded + landed.

    What the sales name and is not known yet is then looked up in the retailers' catalogues, for the dimensions.
    """
    counts: list[HopCount] = []
    named: dict[str, Named] = {}
    units = job.units_to_process()
    job.report.expects("land", len(units), "retailer-days")
    for retailer_id in sorted({retailer for retailer, _ in units}):
        sales = sales_of(retailer_id, job.resources.settings)
        revision = job.resources.settings.retailers[retailer_id].mapping_revision
        named[retailer_id] = {"products": Counter(), "stores": Counter()}
        for retailer, day in units:
            if retailer == retailer_id:
                landed = land(
                    sales,
                    job.resources.storage,
                    retailer_id=retailer_id,
                    logical_date=day,
                    mapping_revision=revision,
                )
                counts += landed.counts
                named[retailer_id]["products"] += landed.products
                named[retailer_id]["stores"] += landed.stores
                job.report.progress("land", 1, f"{retailer_id} {day}")
    tie_out.require([tie_out.FETCHED], counts)
    summary = f"{rows_at(counts, 'landed'):,} lines landed" + _skipped(counts)
    silent = sorted({retailer for retailer, _ in units} - {count.retailer_id for count in counts})
    if silent:
        counts += [_nothing_landed(retailer) for retailer in silent]
        summary += f"; nothing from {', '.join(silent)}"
    looked_up = look_up_named(job, named) if job.recorded("extract") is not None else []
    return {
        "counts": as_json(counts),
        "looked_up": [asdict(each) for each in looked_up],
        "summary": summary + described(looked_up),
    }


@contextmanager
def _warm_up() -> Iterator[None]:
    """Great Expectations takes seconds to import: done while the retailers are asked."""
    warm = threading.Thread(target=validation.warm_up, name="warm-up", daemon=True)
    warm.start()
    yield
    warm.join()


def _skipped(counts: list[HopCount]) -> str:
    """What was left out on purpose, by reason."""
    reasons = sorted({count.reason for count in counts if count.hop == "skipped" and count.reason})
    each = (
        f"{sum(count.rows for count in counts if count.reason == reason):,} {reason}" for reason in reasons
    )
    return f"; skipped: {', '.join(each)}" if reasons else ""


def _nothing_landed(retailer: str) -> HopCount:
    return HopCount(
        hop="landed", retailer_id=retailer, business_date=None, currency=None, rows=0, money=Decimal(0)
    )
