"""What a day reads: the files of the months concerned; of the others a merge's plan the keys, and those in one column.

Only the comparison of all of Delta with all of PostgreSQL reads more, on purpose (docs/decisions/0013).
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from retail.lake import delta, layout
from retail.pipeline import check_step
from retail.pipeline.step_context import StepContext
from retail.quality import profile
from retail.quality.rules import load_row_rules
from retail.records import SalesRecord
from retail.star import merge, staging
from retail.star.build import build
from retail.star.tables import fact_sales
from tests.oracle.histories import Run
from tests.oracle.playing import Lake, settings_of
from tests.star.conftest import DAY, record, write_raw
from tests.steps import step_context

MakeContext = Callable[[str], StepContext]
FACT = fact_sales.TABLE
TYPES = dict(column.split() for column in FACT.full_schema.split(", "))


OTHER_MONTHS = ("2017-01", "2017-02", "2017-03", "2017-04", "2017-05")


def sold_in(month: str, *, day: int = 5, **changes: str) -> SalesRecord:
    sold_at = f"{month}-{day:02}T20:00:00.000000Z"
    values = {
        "sold_at": sold_at,
        "updated_at": sold_at,
        "business_date": sold_at[:10],
        "transaction_id": month,
        "customer_id": "0" * 64,
    }
    return record(**{**values, **changes})


def staged(context: StepContext, *lines: SalesRecord) -> staging.Staged:
    write_raw(context, list(lines))
    return staging.stage(context, [("retailer_1", DAY)], row_rules=load_row_rules())


def sold_before() -> list[SalesRecord]:
    """Four lines in each of the other months, so that their keys lie on both sides of any other; and one in June."""
    others = [
        sold_in(month, transaction_id=f"{month}-{number}") for month in OTHER_MONTHS for number in range(4)
    ]
    return [*others, sold_in("2017-06")]


def forget_statistics(context: StepContext) -> None:
    """Of what lies in its files the fact's log tells no more: nothing but the month keeps one from being opened."""
    log = Path(context.storage.engine_path(FACT.path)) / "_delta_log"
    for commit in log.glob("*.json"):
        actions = [json.loads(line) for line in commit.read_text().splitlines()]
        for action in actions:
            action.get("add", {}).pop("stats", None)
        commit.write_text("".join(json.dumps(action) + "\n" for action in actions))
    for checksum in log.glob("*.crc"):
        checksum.unlink()


def delete_files(context: StepContext, *months: str) -> None:
    there = delta.table(context.storage, FACT.path).file_uris()
    for month in months:
        [file] = [Path(uri) for uri in there if f"business_month={month}/" in uri]
        file.unlink()


@pytest.mark.spark_nightly
def test_planning_counting_merging_and_reading_open_no_file_of_a_month_that_is_not_concerned(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_context("run-1")
    build(first, staged(first, *sold_before()))
    forget_statistics(first)
    context = make_context("run-2")
    later = {"updated_at": "2017-07-01T00:00:00.000000Z", "total_amount": "11.00"}
    day = staged(context, sold_in("2017-06", **later), sold_in("2017-06", transaction_id="new"))  # type: ignore[arg-type]
    sales = delta.read(context.session, context.storage, layout.STAGED_SALES, at=day.sales_version)
    rows = fact_sales.derive(sales)
    found = merge.months_held(context, FACT, rows, version=1).collect()
    delete_files(context, *OTHER_MONTHS)
    # The look-up of keys reads every month, by design: the plan is given what it found.
    held = context.session.createDataFrame(found, "business_month string")
    monkeypatch.setattr(merge, "months_held", lambda *_, **__: held)

    planned = merge.plan(context, FACT, rows)
    counts = merge.count_money(context, FACT, rows, planned)
    version = merge.into(context, FACT, rows, planned)
    after = merge.totals(context.session, context.storage, FACT, planned.partitions, at=version)
    fact = delta.read(context.session, context.storage, FACT.path)
    changed = fact.where("business_month IN ('2017-06') AND changed_run_id = 'run-2'").collect()

    assert planned.partitions == ["2017-06"]
    assert (planned.rows["inserted"], planned.rows["updated"]) == (1, 1)
    assert {(count.hop, count.rows) for count in counts} == {
        ("inserted", 1),
        ("updated_in", 1),
        ("updated_out", 1),
    }
    assert [(count.rows, count.money) for count in after] == [(2, Decimal("21.0000"))]
    assert {row.transaction_id for row in changed} == {"2017-06", "new"}


@pytest.mark.spark_nightly
@pytest.mark.slow
def test_the_check_opens_no_file_of_a_month_that_is_not_concerned(
    session: SparkSession, engine: str, tmp_path: Path
) -> None:
    lake = Lake(session, settings_of(engine, tmp_path / "lake"))
    ledger = lake.workspace.ledger
    earlier, unit = ("retailer_1", DAY), ("retailer_1", date(2017, 6, 30))
    lake.land(earlier, [line.to_line() for line in sold_before()])
    lake.play(Run(landed=(), units=(earlier,)), "run-1")
    forget_statistics(step_context(lake.workspace, "run-1"))
    ledger.end_step("run-1", "check", {}, seconds=0)
    lake.land(unit, [sold_in("2017-06", day=30, transaction_id="new").to_line()])
    lake.play(Run(landed=(), units=(unit,)), "run-2")
    context = step_context(lake.workspace, ledger.run("run-2"))
    delete_files(context, *OTHER_MONTHS)

    found = check_step.judge_lake(context)

    assert found.months == ["2017-06"]
    # What cannot be read is, to Great Expectations, an expectation that fails.
    assert [failure for validation in found.validations for failure in validation.failures] == []
    assert {"fact_sales", "fact_keys", "daily_sales"} <= {
        validation.suite for validation in found.validations
    }
    assert found.silent == []
    [kept] = profile.read(session, lake.workspace.storage, ["run-2"])
    assert {each.row_count for each in kept if each.table_name == "fact_sales"} == {1}


def test_of_the_other_months_a_plan_reads_the_key_alone(make_context: MakeContext) -> None:
    context = make_context("run-1")
    merge.create(context, FACT)
    values = [(1, "2017-01"), (2, "2017-02")]
    keys = context.session.createDataFrame(values, "sales_key bigint, business_month string")
    others = [F.lit(None).cast(kind).alias(name) for name, kind in TYPES.items() if name not in keys.columns]
    delta.replace(
        keys.select("*", *others).select(*FACT.columns),
        context.storage,
        FACT.path,
        partition_by=["business_month"],
    )
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        merge.months_held(context, FACT, keys.where("sales_key = 2"), version=1).explain()

    # Sail names the columns in `projection`, Spark in `ReadSchema`; Spark cuts the place of the files short.
    lines = [line for line in shown.getvalue().splitlines() if "parquet" in line]
    [scan] = [line for line in lines if "fact_" in line or "ReadSchema" in line]
    [read] = re.findall(r"projection=\[(.*?)\]|ReadSchema: struct<(.*?)>", scan)
    columns = re.findall(r"(\w+)[@:]", "".join(read))
    assert set(columns) <= {"sales_key", "business_month"}
