"""dim_product: what was sold, one row per retailer and SKU."""

from __future__ import annotations

from pyspark.sql import DataFrame

from retail.star.master_data import preferring
from retail.star.table import UNKNOWN_KEY, UNKNOWN_TEXT, Table, newest_per, with_content_hash

TABLE = Table(
    name="dim_product",
    key="product_key",
    natural_key=("retailer_id", "product_id"),
    schema=(
        "product_key bigint, retailer_id string, product_id string, product_name string, "
        "brand string, category string, gtin string"
    ),
    unknown={
        "product_key": UNKNOWN_KEY,
        "retailer_id": UNKNOWN_TEXT,
        "product_id": UNKNOWN_TEXT,
        "product_name": "Unknown product",
    },
)


def derive(lines: DataFrame, described: DataFrame | None = None) -> DataFrame:
    """One row per product sold: as its retailer's catalogue describes it, else from its newest line."""
    return (
        lines.select(*TABLE.own_columns, *TABLE.order)
        .transform(with_content_hash(TABLE))
        .transform(newest_per(*TABLE.natural_key))
        .transform(preferring(described, TABLE))
    )
