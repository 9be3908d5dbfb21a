"""The eight steps of a run, one function each. What a step gives is recorded in the ledger as JSON."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import structlog

from retail import delta, star
from retail.errors import RetailError
from retail.extract.extracting import extract
from retail.extract.landing import land
from retail.extract.retailers import open_service, sales_of
from retail.extract.windows import window_of
from retail.job import Job, Record
from retail.quality import quarantine, suites, tie_out
from retail.quality.rules import load_row_rules
from retail.records import HopCount
from retail.runs.ledger import Unit
from retail.star import fact_sales, merge, staging
from retail.star.build import build, merged_by, months_of_run
from retail.warehouse.publish import publish, published_runs
from retail.warehouse.schema import prepare
from retail.warehouse.totals import star_totals
from retail.warehouse.views import refresh

log = structlog.get_logger()


def extract_step(job: Job) -> Record:
    """Step 1. The retailers are asked side by side; one that fails stops no other."""
    warm = threading.Thread(target=suites.warm_up, name="warm-up", daemon=True)
    warm.start()
    with ThreadPoolExecutor(max_workers=max(1, len(job.run.retailers))) as pool:
        results = list(pool.map(lambda retailer: _extract_retailer(job, retailer), job.run.retailers))
    warm.join()
    extracted = [[retailer, day.isoformat()] for units, _ in results for retailer, day in units]
    failed = {
        retailer: failure
        for retailer, (_, failure) in zip(job.run.retailers, results, strict=True)
        if failure is not None
    }
    summary = f"{len(extracted)} retailer-days fetched"
    if failed:
        summary += f"; FAILED: {', '.join(sorted(failed))}"
    return {"extracted": extracted, "failed": failed, "summary": summary}


def land_step(job: Job) -> Record:
    """Step 2. Each day's payload pages become its raw file; fetched = skipped + superseded + landed."""
    counts: list[HopCount] = []
    units = job.units_to_process()
    for retailer_id in sorted({retailer for retailer, _ in units}):
        sales = sales_of(retailer_id, job.resources.settings)
        for retailer, day in units:
            if retailer == retailer_id:
                landed = land(sales, job.resources.storage, retailer_id=retailer_id, logical_date=day)
                counts += landed.counts
                job.report.progress("land", 1, f"{retailer_id} {day}")
    tie_out.require([tie_out.FETCHED], counts)
    summary = f"{_rows(counts, 'landed'):,} lines landed"
    silent = sorted({retailer for retailer, _ in units} - {count.retailer_id for count in counts})
    if silent:
        counts += [_nothing_landed(retailer) for retailer in silent]
        summary += f"; nothing from {', '.join(silent)}"
    return {"counts": _as_json(counts), "summary": summary}


def stage_step(job: Job) -> Record:
    """Step 3. Raw lines become typed rows; the bad ones go to quarantine."""
    staged = staging.stage(job.context, job.units_to_process(), row_rules=load_row_rules())
    bad = _rows(staged.counts, "quarantined")
    return {
        "lines_version": staged.lines_version,
        "sales_version": staged.sales_version,
        "counts": _as_json(staged.counts),
        "summary": f"{_rows(staged.counts, 'staged'):,} rows staged, {bad:,} quarantined",
    }


def gate_step(job: Job) -> Record:
    """Step 4. Expectations over the staged rows, the share in quarantine, and rows and money so far."""
    staged = _staged(job)
    sales = delta.read(job.resources.session, job.resources.storage, staging.SALES, at=staged.sales_version)
    validation = suites.validate("staged_sales", sales)
    _warn(validation.failures)
    suites.stop_on_critical([validation])
    quarantine.stop_on_share(staged.counts, job.resources.settings.quality)
    landed = job.counts("land")
    identities = [tie_out.READ, tie_out.STAGED] if landed else [tie_out.STAGED]
    tie_out.require(identities, [*landed, *staged.counts])
    return {
        "warnings": [str(failure) for failure in validation.failures],
        "summary": f"{validation.judged} expectations, {len(validation.failures)} warnings",
    }


def merge_step(job: Job) -> Record:
    """Step 5. The star, and its rows and money before and after; what does not add up is not committed."""
    staged = _staged(job)
    _require_earlier_merge(job)
    built = build(
        job.context, staged, judge=lambda plan: tie_out.require([tie_out.MERGED], [*staged.counts, *plan])
    )
    tie_out.require([tie_out.DELTA], built.counts)
    fact = built.actions[fact_sales.TABLE.name]
    return {
        "versions": built.versions,
        "actions": built.actions,
        "months": built.months,
        "counts": _as_json(built.counts),
        "summary": ", ".join(f"{fact[action]:,} {action}" for action in merge.ACTIONS if fact[action])
        or "no facts",
    }


def publish_step(job: Job) -> Record:
    """Step 6. What changed in Delta since the last publish goes to PostgreSQL, in one transaction."""
    resources, context = job.resources, job.context
    prepare(resources.warehouse)
    published = published_runs(resources.warehouse)
    pending = [
        run_id
        for run_id in resources.ledger.run_ids()
        if run_id not in published and resources.ledger.came_to_merge(run_id)
    ]
    months = sorted({month for run_id in pending for month in months_of_run(context, run_id)})
    result = publish(
        resources.session,
        resources.storage,
        resources.warehouse,
        run_id=job.run.run_id,
        pending_run_ids=pending,
        months=months,
        delta_versions={table.name: _version(job, table.path) for table in star.TABLES},
    )
    sent = {table.table: table.sent for table in result.tables}
    return {
        "runs": pending,
        "months": months,
        "sent": sent,
        "summary": f"{sum(sent.values()):,} changed rows sent" if pending else "nothing new to send",
    }


def check_step(job: Job) -> Record:
    """Step 7. Expectations over the star, and PostgreSQL = Delta in rows and money."""
    resources = job.resources
    validations = [
        suites.validate(table.name, delta.read(resources.session, resources.storage, table.path))
        for table in star.TABLES
    ]
    _warn(failure for validation in validations for failure in validation.failures)
    suites.stop_on_critical(validations)
    lake = merge.totals(job.context, fact_sales.TABLE, None, at=_version(job, fact_sales.TABLE.path))
    lake = [count.as_hop("delta_after") for count in lake]
    in_postgresql = [
        HopCount(
            hop="postgresql",
            retailer_id=total.retailer_id,
            business_date=str(total.business_date),
            currency=total.currency,
            rows=total.rows,
            money=total.money,
        )
        for total in star_totals(resources.warehouse)
    ]
    tie_out.require([tie_out.POSTGRESQL], [*lake, *in_postgresql])
    judged = sum(validation.judged for validation in validations)
    warnings = [str(failure) for validation in validations for failure in validation.failures]
    days = {count.business_date for count in lake}
    return {
        "warnings": warnings,
        "counts": _as_json(in_postgresql),
        "summary": f"{judged} expectations, {len(warnings)} warnings; PostgreSQL = Delta on {len(days)} days",
    }


def refresh_step(job: Job) -> Record:
    """Step 8. The six views flip together, after their sums were held against the star's."""
    refreshed = refresh(job.resources.warehouse)
    return {
        "views": {view.view: view.rows for view in refreshed.views},
        "summary": f"{len(refreshed.views)} views, {sum(view.rows for view in refreshed.views):,} rows; "
        "views = PostgreSQL",
    }


def _extract_retailer(job: Job, retailer_id: str) -> tuple[list[Unit], str | None]:
    """The units that were fetched, and why the others were not."""
    settings, fetched = job.resources.settings, list[Unit]()
    retailer = settings.retailers[retailer_id]
    try:
        service = open_service(retailer_id, settings, job.resources.secrets)
        for unit in job.run.units:
            if unit[0] != retailer_id:
                continue
            window = window_of(
                unit[1],
                time_zone=retailer.time_zone,
                overlap=timedelta(minutes=settings.extract.overlap_minutes),
                start_date=settings.start_date,
            )
            extract(
                service,
                job.resources.storage,
                retailer_id=retailer_id,
                window=window,
                run_id=job.run.run_id,
                on_page=lambda page: job.report.progress("extract", 0, f"{retailer_id} page {page.number}"),
            )
            fetched.append(unit)
            job.report.progress("extract", 1, f"{retailer_id} {unit[1]}")
    except RetailError as error:
        log.error("retailer failed", retailer=retailer_id, error=str(error))
        return fetched, str(error)
    except Exception as error:  # a fault in one service must not stop the other retailers
        log.exception("retailer failed", retailer=retailer_id)
        return fetched, f"{retailer_id}: unexpected {type(error).__name__}; see the log"
    return fetched, None


def _require_earlier_merge(job: Job) -> None:
    """The run that merged last may have been killed, or stopped, before its figures were proven: they are now.

    A table that was put back to what it held before that merge is right too.
    """
    resources = job.resources
    for run_id in reversed(resources.ledger.run_ids()):
        if run_id == job.run.run_id or not months_of_run(job.context, run_id):
            continue  # one without a plan came no further than this check, if so far
        if resources.ledger.step(run_id, "merge") is None:
            counts = merged_by(job.context, run_id)
            if tie_out.differences(tie_out.RESTORED, counts):
                tie_out.require([tie_out.DELTA], counts)
        return


def _nothing_landed(retailer_id: str) -> HopCount:
    return HopCount(
        hop="landed", retailer_id=retailer_id, business_date=None, currency=None, rows=0, money=Decimal(0)
    )


def _staged(job: Job) -> staging.Staged:
    record = job.recorded("stage")
    if record is None:
        raise RetailError(
            f"run {job.run.run_id} has staged nothing", hint="run `retail transform` for its dates"
        )
    return staging.Staged(record["lines_version"], record["sales_version"], job.counts("stage"))


def _version(job: Job, path: str) -> int:
    version = delta.version(job.resources.storage, path)
    if version is None:
        raise RetailError(
            f"the Delta table {path} is not there", hint="run `retail run` for at least one day first"
        )
    return version


def _as_json(counts: Iterable[HopCount]) -> list[dict[str, object]]:
    return [count.to_json() for count in counts]


def _rows(counts: Iterable[HopCount], hop: str) -> int:
    return sum(count.rows for count in counts if count.hop == hop)


def _warn(failures: Iterable[suites.Failure]) -> None:
    for failure in failures:
        if failure.severity != "critical":
            log.warning("expectation failed", suite=failure.suite, expectation=str(failure))
