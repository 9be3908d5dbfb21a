"""fact_sales: one row per line of a transaction, return or refund; the grain of the star."""

from __future__ import annotations

from pyspark.sql import DataFrame

from retail.star.table import Table

TABLE = Table(
    name="fact_sales",
    key="sales_key",
    natural_key=("retailer_id", "transaction_id", "line_id"),
    schema=(
        "sales_key bigint, retailer_id string, transaction_id string, line_id string, record_type string, "
        "status string, date_key int, product_key bigint, customer_key bigint, store_key bigint, "
        "retailer_key bigint, business_date date, sold_at timestamp, updated_at timestamp, "
        "quantity decimal(18,3), unit_price decimal(18,4), discount_amount decimal(18,4), "
        "tax_amount decimal(18,4), total_amount decimal(18,4), currency string, source_ref string, "
        "business_month string"
    ),
    partition="business_month",
)


def derive(staged: DataFrame) -> DataFrame:
    """The staged rows as facts."""
    return staged.select(*TABLE.own_columns, "mapping_version", "fetch_order", "content_hash")
