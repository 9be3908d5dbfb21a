"""A star of ten million facts: what the product made of the newest real sales, and copies of it in the months before.

python -m bench.large_lake SOURCE TARGET COPIES
"""

from __future__ import annotations

import os
import shutil
import sys
from datetime import date
from pathlib import Path
from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from tests.steps import step_context

from bench.ours import settings_of
from retail.config.secrets import Secrets
from retail.lake import delta
from retail.pipeline.step_context import StepContext
from retail.pipeline.workspace import Workspace
from retail.star.table import Table, surrogate_key, with_content_hash
from retail.star.tables import dim_customer, dim_date, fact_sales

# The newest 1,000,000 lines were sold from April to December: a copy is so many months older than the one before.
MONTHS: Final = 9


def copy_of(source: Path, target: Path) -> None:
    """The same lake in another folder, its files linked: Delta and the ledger never write into a file that is there."""
    shutil.copytree(source, target, copy_function=os.link)


def multiply(source: Path, target: Path, copies: int) -> None:
    """The lake `source` with so many copies of its facts, customers and days, each in months of its own."""
    copy_of(source, target)
    with Workspace(settings_of("sail", target), Secrets({})) as workspace:
        context = step_context(workspace, "copies")
        for number in range(1, copies + 1):
            _append_copy(context, number)


def _append_copy(context: StepContext, number: int) -> None:
    session, storage = context.session, context.storage
    facts = delta.read(session, storage, fact_sales.TABLE.path, at=_first_version(context, fact_sales.TABLE))
    customers = delta.read(
        session, storage, dim_customer.TABLE.path, at=_first_version(context, dim_customer.TABLE)
    ).where("customer_key <> -1")
    copied = customers.withColumnRenamed("customer_key", "copied_key").withColumn(
        "customer_id", F.sha2(F.concat("customer_id", F.lit(f"-{number}")), 256)
    )
    copied = copied.withColumn("customer_key", surrogate_key("retailer_id", "customer_id"))
    keys = copied.select(F.col("copied_key").alias("old_key"), F.col("customer_key").alias("new_key"))
    _append(
        context,
        dim_customer.TABLE,
        copied.drop("content_hash").transform(with_content_hash(dim_customer.TABLE)),
    )

    day = F.add_months("business_date", -MONTHS * number)
    shifted = (
        facts.join(F.broadcast(keys), F.col("customer_key") == F.col("old_key"), "left")
        .withColumn("customer_key", F.coalesce("new_key", "customer_key"))
        .withColumn("transaction_id", F.concat("transaction_id", F.lit(f"-{number}")))
        .withColumn("days", F.datediff("business_date", day))
        .withColumn("business_date", day)
        .withColumn("sold_at", F.expr("timestamp_seconds(unix_seconds(sold_at) - days * 86400)"))
        .withColumn("updated_at", F.col("sold_at"))
        .withColumn("sales_key", surrogate_key(*fact_sales.TABLE.natural_key))
        .withColumn("date_key", F.expr("cast(date_format(business_date, 'yyyyMMdd') AS int)"))
        .withColumn("business_month", F.date_format("business_date", "yyyy-MM"))
    )
    _append(context, fact_sales.TABLE, shifted)
    months = [_months_before(month, MONTHS * number) for month in _months(facts)]
    days = dim_date.derive(session, months).withColumn("changed_run_id", F.lit(context.run_id))
    _append(context, dim_date.TABLE, days)


def _append(context: StepContext, table: Table, rows: DataFrame) -> None:
    writer = rows.select(*table.columns).write.format("delta").mode("append")
    if table.partition:
        writer = writer.partitionBy(table.partition)
    writer.save(context.storage.engine_path(table.path))


def _first_version(context: StepContext, table: Table) -> int:
    """Behind the creation and the first load."""
    del context, table
    return 1


def _months(facts: DataFrame) -> list[str]:
    return sorted(row.business_month for row in facts.select("business_month").distinct().collect())


def _months_before(month: str, months: int) -> date:
    number = int(month[:4]) * 12 + int(month[5:]) - 1 - months
    return date(number // 12, number % 12 + 1, 1)


if __name__ == "__main__":
    multiply(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    print("{}")
