"""Step 7 of a run: validate the star and check that PostgreSQL holds the same rows and money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import structlog
from pyspark.sql import functions as F

from retail import star
from retail.lake import delta, layout
from retail.pipeline.stage_step import is_kept
from retail.pipeline.step_context import StepContext
from retail.pipeline.step_results import CheckResult, MergeResult, StageResult, units_to_process
from retail.quality import daily, drift, gaps, profile, tie_out
from retail.quality.suites import data_docs
from retail.quality.suites import validation as suites
from retail.quality.suites.orphans import with_orphans
from retail.runs import table_states
from retail.runs.counts import HopCount
from retail.runs.ledger import Ledger
from retail.star import merge
from retail.star.build import months_of_run
from retail.star.tables import dim_store, fact_sales
from retail.warehouse.totals import star_totals

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

log = structlog.get_logger()

# A retailer that closes down must not produce an unreadable record; the total number of gaps is reported.
_SHOWN_GAPS = 1_000


@dataclass(frozen=True)
class Findings:
    """Findings of the check over everything `runs` merged. `months` are the fact's; None means all of them."""

    runs: Sequence[str]
    months: Sequence[str] | None
    validations: Sequence[suites.Validation]
    silent: Sequence[gaps.Gap]
    drifts: Sequence[drift.Drift]


def check_step(context: StepContext) -> CheckResult:
    """Validate the star, and check that PostgreSQL = Delta in rows and money.

    The fact is checked in the months merged into since the last check, its keys in the rows that those runs changed.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        tied_out = pool.submit(copy_context().run, _tie_out, context)
        found = judge_lake(context)
        counts, money = tied_out.result()
    judged = sum(validation.judged for validation in found.validations)
    warnings = [str(failure) for validation in found.validations for failure in validation.failures]
    warnings += gaps.warnings(found.silent) + _never_loaded(context)
    warnings += map(str, found.drifts)
    days = {count.business_date for count in counts}
    context.ledger.mark_checked([*found.runs, context.run_id], by=context.run_id)
    table_states.record(context.storage, money={fact_sales.TABLE.path: money})
    return CheckResult(
        months=None if found.months is None else list(found.months),
        warnings=warnings,
        gaps=list(found.silent[:_SHOWN_GAPS]),
        gaps_in_all=len(found.silent),
        counts=counts,
        summary=f"{judged} expectations, {len(warnings)} warnings; PostgreSQL = Delta on {len(days)} days",
    )


def judge_lake(context: StepContext) -> Findings:
    """Validate, find gaps and profile in parallel: the first keeps Python busy, the others wait for the engine.

    Raises GateError if a critical expectation fails.
    """
    runs = _runs_to_judge(context)
    months = _months_of(context, runs) if MergeResult.of(context.ledger, context.run_id) is not None else None
    with ThreadPoolExecutor(max_workers=2) as pool:
        silent = pool.submit(copy_context().run, _silent_stores, context)
        drifts = pool.submit(copy_context().run, _profiled, context)
        validations = _expectations(context, months, None if months is None else runs)
        return Findings(runs, months, validations, silent.result(), drifts.result())


def _runs_to_judge(context: StepContext) -> list[str]:
    """This run, and every run that merged and has not been checked since.

    A check outside a run that merged covers all months, including theirs.
    """
    return sorted({*context.ledger.unchecked(), context.run_id})


def _months_of(context: StepContext, runs: list[str]) -> list[str]:
    """Months (`YYYY-MM`) that these runs merged into."""
    return sorted({month for run_id in runs for month in months_of_run(context.ledger, run_id)})


def judged(
    tables: Mapping[str, DataFrame], months: list[str] | None, runs: list[str] | None
) -> dict[str, DataFrame]:
    """The frames to validate, by suite name; no fact if no month was merged into.

    `fact_keys` holds only the rows that `runs` changed: the keys of unchanged rows were checked before.
    """
    of_fact = tables[fact_sales.TABLE.name]
    changed = of_fact
    found = {name: frame for name, frame in tables.items() if name != fact_sales.TABLE.name}
    if months is not None and runs is not None:
        if not months:
            return found
        of_fact = of_fact.where(F.col("business_month").isin(months))
        changed = of_fact.where(F.col("changed_run_id").isin(runs))
    keys = {table.key: tables[table.name] for table in star.DIMENSIONS}
    return found | {fact_sales.TABLE.name: of_fact, "fact_keys": with_orphans(changed, keys)}


def _expectations(
    context: StepContext, months: list[str] | None, runs: list[str] | None
) -> list[suites.Validation]:
    """Run every suite but the gate's. Raises GateError if a critical expectation fails."""
    tables = {table.name: delta.read(context.session, context.storage, table.path) for table in star.TABLES}
    days = _days(context, tables[fact_sales.TABLE.name])
    frames = judged(tables, months, runs) | {"daily_sales": daily.frame(context.session, days)}
    # A dimension's rows are identified by surrogate key: an invalid natural key may be something we must not
    # show.
    named_by = {table.name: (table.key,) for table in star.DIMENSIONS} | {
        fact_sales.TABLE.name: (fact_sales.TABLE.key, *fact_sales.TABLE.natural_key),
        "fact_keys": (fact_sales.TABLE.key, *fact_sales.TABLE.natural_key),
        "daily_sales": ("retailer_id", "business_date", "currency"),
    }
    beside = context.settings.folder
    validations = [
        suites.validate(suite, frame, named_by=named_by[name], beside=beside)
        for name, frame in frames.items()
        for suite in suites.of(name, beside=beside)
    ]
    suites.warn(validations)
    data_docs.keep(context.storage, context.run_id, "check", validations)
    suites.stop_on_critical(validations)
    return validations


def _days(context: StepContext, fact: DataFrame) -> list[daily.DayOfSales]:
    """The run's days next to the same weekdays before them."""
    units = units_to_process(context.ledger, context.run)
    needed = fact.where(F.col("business_month").isin(daily.months_needed(units)))
    least = context.settings.quality.daily_rows
    return daily.compare(daily.totals(needed), units, least_rows=least)


def _silent_stores(context: StepContext) -> list[gaps.Gap]:
    """Stores and retailers that were silent on the run's days; empty if no day could be fetched."""
    units = units_to_process(context.ledger, context.run)
    if not units:
        return []
    settings = context.settings.quality
    days = [day for _, day in units]
    first, last = min(days) - timedelta(days=settings.gap_days), max(days)
    session, storage = context.session, context.storage
    sales = delta.read(session, storage, fact_sales.TABLE.path).where(
        F.col("business_month").isin(gaps.months_between(first, last))
        & F.col("business_date").between(first, last)
    )
    silent = gaps.silent(
        gaps.store_days(sales),
        session.createDataFrame(units, "retailer_id string, business_date date"),
        delta.read(session, storage, dim_store.TABLE.path).select("store_key", "store_id", "store_name"),
        settings,
    )
    found = [
        gaps.Gap(**{**row.asDict(), "business_date": str(row.business_date)}) for row in silent.collect()
    ]
    return sorted(found, key=lambda gap: (gap.retailer_id, gap.business_date, gap.store_id or ""))


def _never_loaded(context: StepContext) -> list[str]:
    """Warnings for each retailer's days that no run has loaded. This run's days are not marked as done yet."""
    missing = gaps.missing_days(
        context.ledger.done() | set(units_to_process(context.ledger, context.run)),
        context.settings.retailers,
        start_date=context.settings.start_date,
        last=max(context.run.dates),
    )
    return [f"gaps: {line}" for line in gaps.never_loaded(missing)]


def _profiled(context: StepContext) -> list[drift.Drift]:
    """Profile the rows this run loaded and the dimensions, store the profile, and compare it with earlier runs."""
    run_id = context.run_id
    read = partial(delta.read, context.session, context.storage)
    tables = {table.name: read(table.path) for table in star.DIMENSIONS}
    staged = StageResult.of(context.ledger, context.run_id)
    if staged is not None and is_kept(context.storage, staged):
        tables["staged_sales"] = read(layout.STAGED_SALES, at=staged.sales_version)
    if MergeResult.of(context.ledger, context.run_id) is not None:
        tables[fact_sales.TABLE.name] = read(fact_sales.TABLE.path).where(
            F.col("business_month").isin(months_of_run(context.ledger, run_id))
            & (F.col("changed_run_id") == run_id)
        )
    found = profile.profile(context.session, run_id, tables)
    earlier = checked_before(context.ledger, run_id, most=context.settings.quality.profile_runs)
    before = profile.read(context.session, context.storage, earlier)
    profile.write(context.session, context.storage, found)
    drifts = drift.drifted(found, before, drift.load_limits(beside=context.settings.folder))
    for each in drifts:
        log.warning("profile drifted", table=each.table_name, column=each.column_name, what=each.what)
    return drifts


def checked_before(ledger: Ledger, run_id: str, *, most: int) -> list[str]:
    """The newest `most` runs before this one whose check completed."""
    earlier = (each for each in reversed(ledger.run_ids()) if each < run_id)
    return list(islice((each for each in earlier if ledger.step(each, "check") is not None), most))


def _tie_out(context: StepContext) -> tuple[list[HopCount], dict[str, Decimal]]:
    """Compare rows and money in PostgreSQL with all of Delta. Raises TieOutError if they differ.

    Returns the counts for the run's tie-out ledger: the months it merged into, or, if it did not merge, all months
    together with Delta's counts; and Delta's money by currency.
    """
    at = delta.require_version(context.storage, fact_sales.TABLE.path)
    lake = [
        count.as_hop("delta_after")
        for count in merge.totals(context.session, context.storage, fact_sales.TABLE, None, at=at)
    ]
    in_postgresql = star_totals(context.warehouse)
    tie_out.require([tie_out.POSTGRESQL], [*lake, *in_postgresql])
    money: dict[str, Decimal] = {}
    for count in lake:
        money[str(count.currency)] = money.get(str(count.currency), Decimal(0)) + count.money
    if MergeResult.of(context.ledger, context.run_id) is None:
        return [*lake, *in_postgresql], money
    months = months_of_run(context.ledger, context.run_id)
    return [count for count in in_postgresql if str(count.business_date)[:7] in months], money
