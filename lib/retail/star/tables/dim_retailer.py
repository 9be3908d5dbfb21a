"""dim_retailer: the configured retailers, one row each."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession

from retail.config.settings import RetailerSettings
from retail.star.table import UNKNOWN_KEY, UNKNOWN_TEXT, Table, surrogate_key, with_content_hash

TABLE = Table(
    name="dim_retailer",
    key="retailer_key",
    natural_key=("retailer_id",),
    schema="retailer_key bigint, retailer_id string, retailer_name string, service string, time_zone string",
    versioned=False,
    unknown={"retailer_key": UNKNOWN_KEY, "retailer_id": UNKNOWN_TEXT, "retailer_name": "Unknown retailer"},
)


def derive(session: SparkSession, retailers: Mapping[str, RetailerSettings]) -> DataFrame:
    """One row per configured retailer."""
    rows = [(name, each.name, each.service, each.time_zone) for name, each in retailers.items()]
    schema = "retailer_id string, retailer_name string, service string, time_zone string"
    return (
        session.createDataFrame(rows, schema)
        .withColumn("retailer_key", surrogate_key("retailer_id"))
        .select(*TABLE.own_columns)
        .transform(with_content_hash(TABLE))
    )
