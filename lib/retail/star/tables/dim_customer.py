"""dim_customer: who bought, one row per retailer and pseudonym. No personal data reaches the lake."""

from __future__ import annotations

from pyspark.sql import DataFrame

from retail.star.table import UNKNOWN_KEY, UNKNOWN_TEXT, Table, newest_per, with_content_hash

TABLE = Table(
    name="dim_customer",
    key="customer_key",
    natural_key=("retailer_id", "customer_id"),
    schema="customer_key bigint, retailer_id string, customer_id string",
    unknown={"customer_key": UNKNOWN_KEY, "retailer_id": UNKNOWN_TEXT, "customer_id": UNKNOWN_TEXT},
)


def derive(lines: DataFrame) -> DataFrame:
    """One row per customer; lines of guests belong to the unknown member."""
    return (
        lines.where("customer_id IS NOT NULL")
        .select(*TABLE.own_columns, *TABLE.order)
        .transform(with_content_hash(TABLE))
        .transform(newest_per(*TABLE.natural_key))
    )
