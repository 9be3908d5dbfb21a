"""dim_product: what was sold, one row per retailer and SKU."""

from __future__ import annotations

from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

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


# Some refunds name a SKU only. Older than every sale, such a line adds a product and describes none that has a name.
BEFORE_ALL: Final = "TIMESTAMP '1970-01-01 00:00:00'"
_CHANGED_AT: Final = f"CASE WHEN product_name IS NULL THEN {BEFORE_ALL} ELSE updated_at END"


def derive(lines: DataFrame, described: DataFrame | None = None) -> DataFrame:
    """One row per product sold: as its retailer's catalogue describes it, else from its newest line with a name."""
    return (
        lines.select(*TABLE.own_columns, *TABLE.order)
        .withColumn("updated_at", F.expr(_CHANGED_AT))
        .transform(with_content_hash(TABLE))
        .transform(newest_per(*TABLE.natural_key))
        .transform(preferring(described, TABLE))
    )
