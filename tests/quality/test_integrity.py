"""A fact whose key leads nowhere is found, by the key, in the suite of the fact."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from retail.quality.suites.orphans import with_orphans


def keys(session: SparkSession, name: str, *found: int) -> DataFrame:
    return session.createDataFrame([(key,) for key in found], f"{name} long")


def test_each_key_is_looked_for_in_its_own_dimension(session: SparkSession) -> None:
    fact = session.createDataFrame(
        [(1, 10, 5), (2, 20, 6), (3, -1, 7)], "sales_key long, product_key long, store_key long"
    )
    dimensions = {
        "product_key": keys(session, "product_key", 10, -1),
        "store_key": keys(session, "store_key", 5, 6),
    }
    found = (
        with_orphans(fact, dimensions).select("sales_key", "orphan_product_key", "orphan_store_key").collect()
    )
    assert sorted(map(tuple, found)) == [(1, None, None), (2, 20, None), (3, None, 7)]


def test_a_dimension_that_holds_a_key_twice_doubles_no_fact(session: SparkSession) -> None:
    fact = session.createDataFrame([(1, 10)], "sales_key long, product_key long")
    assert with_orphans(fact, {"product_key": keys(session, "product_key", 10, 10)}).count() == 1
