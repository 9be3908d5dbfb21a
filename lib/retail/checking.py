"""Step 7 of a run: what the star holds is judged, and PostgreSQL holds the same."""

from __future__ import annotations

from pyspark.sql import functions as F

from retail import delta, star
from retail.job import Job, Record, as_json
from retail.quality import suites, tie_out
from retail.records import HopCount
from retail.star import fact_sales, merge
from retail.star.build import months_of_run
from retail.warehouse.totals import star_totals


def check_step(job: Job) -> Record:
    """Expectations over the star, and PostgreSQL = Delta in rows and money.

    The fact is judged in the months that runs have merged into since the last check.
    """
    months = months_to_judge(job)
    validations = _expectations(job, months)
    counts = _tie_out(job)
    judged = sum(validation.judged for validation in validations)
    warnings = [str(failure) for validation in validations for failure in validation.failures]
    days = {count.business_date for count in counts}
    return {
        "months": months,
        "warnings": warnings,
        "counts": as_json(counts),
        "summary": f"{judged} expectations, {len(warnings)} warnings; PostgreSQL = Delta on {len(days)} days",
    }


def months_to_judge(job: Job) -> list[str] | None:
    """Months (`YYYY-MM`) merged into by this run, and by those before it back to the last that was checked.

    None is all of them: for a check that stands alone, outside a run that merged.
    """
    ledger = job.resources.ledger
    if job.recorded("merge") is None:
        return None
    months = set(months_of_run(job.context, job.run.run_id))
    for run_id in reversed(ledger.run_ids()):
        if run_id == job.run.run_id:
            continue
        if ledger.step(run_id, "check") is not None:
            break
        months.update(months_of_run(job.context, run_id))
    return sorted(months)


def _expectations(job: Job, months: list[str] | None) -> list[suites.Validation]:
    """Raises GateError where a critical one does not hold."""
    validations = []
    for table in star.TABLES:
        rows = delta.read(job.resources.session, job.resources.storage, table.path)
        if table is fact_sales.TABLE and months is not None:
            rows = rows.where(F.col("business_month").isin(months))
        validations.append(suites.validate(table.name, rows))
    suites.warn(validations)
    suites.stop_on_critical(validations)
    return validations


def _tie_out(job: Job) -> list[HopCount]:
    """Rows and money in PostgreSQL, held against all of Delta. Raises TieOutError where they differ.

    What is given is for the run's tie-out ledger: the months that it merged into, or all and Delta's where it did not.
    """
    at = delta.require_version(job.resources.storage, fact_sales.TABLE.path)
    lake = [count.as_hop("delta_after") for count in merge.totals(job.context, fact_sales.TABLE, None, at=at)]
    in_postgresql = star_totals(job.resources.warehouse)
    tie_out.require([tie_out.POSTGRESQL], [*lake, *in_postgresql])
    if job.recorded("merge") is None:
        return [*lake, *in_postgresql]
    months = months_of_run(job.context, job.run.run_id)
    return [count for count in in_postgresql if str(count.business_date)[:7] in months]
