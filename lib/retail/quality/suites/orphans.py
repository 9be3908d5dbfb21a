"""Columns by which a suite can check that every key of the fact leads to a row of its dimension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def with_orphans(fact: DataFrame, dimensions: Mapping[str, DataFrame]) -> DataFrame:
    """Adds `orphan_<key>` for each key column of `dimensions`: the fact's key if the dimension has no such row.

    It is null if the key leads to a row, as every key must; the fact's rows and their number stay the same.
    """
    for key, dimension in dimensions.items():
        there = F.broadcast(dimension.select(key).distinct().withColumn("_there", F.lit(True)))
        orphan = F.when(F.col("_there").isNull(), F.col(key))
        fact = fact.join(there, key, "left").withColumn(f"orphan_{key}", orphan).drop("_there")
    return fact
