"""What a merge reads: the files of the months concerned; of the others only the keys, and those in one column."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from pyspark.sql import functions as F

from retail import delta
from retail.quality.rules import load_row_rules
from retail.records import SalesRecord
from retail.runs.context import Context
from retail.star import fact_sales, merge, staging
from retail.star.build import build
from tests.star.conftest import DAY, record, write_raw

MakeContext = Callable[[str], Context]
FACT = fact_sales.TABLE
TYPES = dict(column.split() for column in FACT.full_schema.split(", "))


def sold_in(month: str, **changes: str) -> SalesRecord:
    sold_at = f"{month}-05T20:00:00.000000Z"
    values = {
        "sold_at": sold_at,
        "updated_at": sold_at,
        "business_date": sold_at[:10],
        "transaction_id": month,
    }
    return record(**{**values, **changes})


def staged(context: Context, *lines: SalesRecord) -> staging.Staged:
    write_raw(context, list(lines))
    return staging.stage(context, [("retailer_1", DAY)], row_rules=load_row_rules())


def data_files(context: Context, month: str) -> list[Path]:
    folder = Path(context.storage.engine_path(FACT.path)) / f"business_month={month}"
    return list(folder.glob("*.parquet"))


def test_counting_merging_and_reading_open_no_file_of_a_month_that_is_not_concerned(
    make_context: MakeContext,
) -> None:
    build(
        make_context("run-1"), staged(make_context("run-1"), *(sold_in(f"2017-{n:02}") for n in range(1, 7)))
    )
    context = make_context("run-2")
    later = {"updated_at": "2017-07-01T00:00:00.000000Z", "total_amount": "11.00"}
    day = staged(context, sold_in("2017-06", **later), sold_in("2017-06", transaction_id="new"))
    sales = delta.read(context.session, context.storage, staging.SALES, at=day.sales_version)
    rows = fact_sales.derive(sales)
    planned = merge.plan(context, FACT, rows)
    assert planned.partitions == ["2017-06"]
    for month in ("2017-01", "2017-02", "2017-03", "2017-04", "2017-05"):
        [file] = data_files(context, month)
        file.unlink()

    counts = merge.count_money(context, FACT, rows, planned)
    version = merge.into(context, FACT, rows, planned)
    after = merge.totals(context, FACT, planned.partitions, at=version)
    fact = delta.read(context.session, context.storage, FACT.path)
    changed = fact.where("business_month IN ('2017-06') AND changed_run_id = 'run-2'").collect()

    assert {(count.hop, count.rows) for count in counts} == {
        ("inserted", 1),
        ("updated_in", 1),
        ("updated_out", 1),
    }
    assert [(count.rows, count.money) for count in after] == [(2, Decimal("21.0000"))]
    assert {row.transaction_id for row in changed} == {"2017-06", "new"}


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
