"""What the star holds of a retailer's orders, as the records that would say the same."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from retail.lake import delta
from retail.records import DELETED, FIELDS, TYPES, SalesRecord
from retail.runs.lake_context import LakeContext
from retail.star.table import UNKNOWN_KEY, Table
from retail.star.tables import dim_customer, dim_product, dim_store, fact_sales

_DIMENSIONS = (dim_product.TABLE, dim_customer.TABLE, dim_store.TABLE)
_OF_THE_PAGE = ("source_ref", "mapping_version")


def orders_sold(context: LakeContext, retailer_id: str, start: datetime, end: datetime) -> dict[str, bool]:
    """The transactions sold from `start` up to, but not including, `end`, and whether they count.

    One that does not count is deleted; cancelled ones are left out.
    """
    if delta.version(context.storage, fact_sales.TABLE.path) is None:
        return {}
    fact = delta.read(context.session, context.storage, fact_sales.TABLE.path)
    # The zone of the business date may be a day away from UTC; reading two months at most saves the others.
    months = sorted({f"{at:%Y-%m}" for at in (start - timedelta(days=1), end + timedelta(days=1))})
    rows = (
        fact.where(F.col("business_month").isin(months))
        .where((F.col("retailer_id") == retailer_id) & (F.col("record_type") == "sale"))
        .where(F.col("status").isin("completed", DELETED))
        .where((F.col("sold_at") >= F.lit(start)) & (F.col("sold_at") < F.lit(end)))
        .groupBy("transaction_id")
        .agg(F.max(F.col("status") == "completed").alias("counts"))
        .collect()
    )
    return {row.transaction_id: row.counts for row in rows}


def lines_of(
    context: LakeContext, retailer_id: str, transactions: Collection[str], *, but: str
) -> list[SalesRecord]:
    """All rows of these transactions whose status is not `but`, with their products, customers and stores."""
    if not transactions or delta.version(context.storage, fact_sales.TABLE.path) is None:
        return []
    fact = delta.read(context.session, context.storage, fact_sales.TABLE.path)
    rows = (
        fact.where(F.col("retailer_id") == retailer_id)
        .where(F.col("transaction_id").isin(sorted(transactions)))
        .where(F.col("status") != but)
    )
    for table in _DIMENSIONS:
        rows = rows.join(_members(context, table), table.key, "left")
    texts = [_as_text(name) for name in FIELDS if name not in _OF_THE_PAGE]
    found = rows.select(*texts).orderBy("transaction_id", "line_id").collect()
    return [SalesRecord(**row.asDict(), source_ref="") for row in found]


def _members(context: LakeContext, table: Table) -> DataFrame:
    """The dimension without its unknown member, which stands for no id."""
    members = delta.read(context.session, context.storage, table.path)
    own = [name for name in table.own_columns if name != "retailer_id"]
    return members.where(F.col(table.key) != UNKNOWN_KEY).select(*own)


def _as_text(name: str) -> Column:
    """The column as a record has it: times in UTC with microseconds."""
    if TYPES.get(name) == "timestamp":
        seconds = F.date_format(name, "yyyy-MM-dd'T'HH:mm:ss")
        micros = F.lpad((F.unix_micros(name) % 1_000_000).cast("string"), 6, "0")
        return F.concat(seconds, F.lit("."), micros, F.lit("Z")).alias(name)
    return F.col(name).cast("string").alias(name)
