"""Keys, content hashes and the choice of the newest, on small literal frames and on both engines."""

from __future__ import annotations

from datetime import UTC, datetime

from chispa import assert_df_equality
from pyspark.sql import SparkSession

from retail.star.table import UNKNOWN_KEY, content_hash, newest_per, optional_key, surrogate_key

# xxhash64 with Spark's seed 42, each column hashed with the hash before it as the seed.
KEY_OF_R1_P1 = 7295211652716045735


def test_a_surrogate_key_is_the_published_hash_on_both_engines(session: SparkSession) -> None:
    frame = session.createDataFrame([("retailer_1", "p1")], "retailer_id string, product_id string")
    found = frame.select(surrogate_key("retailer_id", "product_id").alias("key"))
    assert_df_equality(found, session.createDataFrame([(KEY_OF_R1_P1,)], "key long"), ignore_nullable=True)


def test_a_key_with_a_null_part_is_the_unknown_member_s(session: SparkSession) -> None:
    frame = session.createDataFrame([("r", None), (None, "s"), ("r", "s")], "a string, b string")
    keys = [row.key for row in frame.select(optional_key("a", "b").alias("key")).collect()]
    assert keys[:2] == [UNKNOWN_KEY, UNKNOWN_KEY]
    assert keys[2] != UNKNOWN_KEY


def test_a_value_that_moves_to_the_next_column_is_a_change(session: SparkSession) -> None:
    frame = session.createDataFrame(
        [("Austin", None), (None, "Austin"), ("Austin", None)], "city string, region string"
    )
    first, moved, same = (row.h for row in frame.select(content_hash("city", "region").alias("h")).collect())
    assert first != moved
    assert first == same


def test_the_newest_by_time_is_kept_and_of_one_time_the_greater_hash(session: SparkSession) -> None:
    schema = "key string, updated_at timestamp, content_hash long"
    early, late = datetime(2017, 1, 5, 20, tzinfo=UTC), datetime(2017, 1, 5, 21, tzinfo=UTC)
    frame = session.createDataFrame(
        [("a", early, 9), ("a", late, 1), ("b", early, 3), ("b", early, 5), ("c", late, 7), ("c", late, 7)],
        schema,
    )
    expected = session.createDataFrame([("a", late, 1), ("b", early, 5), ("c", late, 7)], schema)
    assert_df_equality(
        frame.transform(newest_per("key")), expected, ignore_row_order=True, ignore_nullable=True
    )
