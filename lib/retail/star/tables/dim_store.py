"""dim_store: where it was sold: a store, a fulfilment node or a marketplace, one row per retailer and id."""

from __future__ import annotations

from pyspark.sql import DataFrame

from retail.star.master_data import preferring
from retail.star.table import UNKNOWN_KEY, UNKNOWN_TEXT, Table, newest_per, with_content_hash

TABLE = Table(
    name="dim_store",
    key="store_key",
    natural_key=("retailer_id", "store_id"),
    schema=(
        "store_key bigint, retailer_id string, store_id string, store_name string, "
        "store_city string, store_region string, store_country string"
    ),
    unknown={
        "store_key": UNKNOWN_KEY,
        "retailer_id": UNKNOWN_TEXT,
        "store_id": UNKNOWN_TEXT,
        "store_name": "Unknown store",
    },
)


def derive(lines: DataFrame, described: DataFrame | None = None) -> DataFrame:
    """One row per store that sold something: as its retailer's catalogue describes it, else from its newest line."""
    return (
        lines.where("store_id IS NOT NULL")
        .select(*TABLE.own_columns, *TABLE.order)
        .transform(with_content_hash(TABLE))
        .transform(newest_per(*TABLE.natural_key))
        .transform(preferring(described, TABLE))
    )
