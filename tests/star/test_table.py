"""Keys, content hashes and the choice of the newest, on small literal frames and on both engines."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from chispa import assert_df_equality
from pyspark.sql import SparkSession

from retail.star.table import UNKNOWN_KEY, content_hash, newest_per, optional_key, surrogate_key
from tests.oracle.rows import hash_of
from tests.oracle.xxhash64 import Bigint

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


PLATE = {
    "retailer_id": "retailer_1",
    "product_id": "p1",
    "product_name": "Plate – «large»",
    "brand": None,
    "weight": Decimal("-0.125"),
    "pieces": 12,
    "shelf_key": Bigint(7295211652716045735),
    "is_fresh": True,
    "first_sold": date(2016, 12, 31),
    "updated_at": datetime(2017, 1, 5, 20, 0, 0, 500000, tzinfo=UTC),
}
PLATE_SCHEMA = (
    "retailer_id string, product_id string, product_name string, brand string, weight decimal(18,3), pieces int, "
    "shelf_key bigint, is_fresh boolean, first_sold date, updated_at timestamp"
)
HASH_OF_PLATE = 6400536611033486079


def hashes(session: SparkSession, schema: str, *rows: tuple[object, ...]) -> list[int]:
    # Spark takes no subclass of int.
    plain = [tuple(int(value) if isinstance(value, Bigint) else value for value in row) for row in rows]
    frame = session.createDataFrame(plain, schema)
    return [row.h for row in frame.select(content_hash(*frame.columns).alias("h")).collect()]


def test_the_content_hash_of_a_row_of_every_type_is_this_number_on_both_engines_and_in_the_model(
    session: SparkSession,
) -> None:
    assert hashes(session, PLATE_SCHEMA, tuple(PLATE.values())) == [HASH_OF_PLATE]
    assert hash_of(PLATE) == HASH_OF_PLATE


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, 42),
        ({"a": "x"}, -344798038152457413),
        ({"a": ""}, -858850354350936843),
        ({"b": "x"}, -2837088784758201675),
        ({"a": "x", "b": "y"}, -2392716299389491756),
    ],
    ids=str,
)
def test_these_contents_have_these_hashes(session: SparkSession, row: dict[str, str], expected: int) -> None:
    assert hashes(session, "b string, a string", (row.get("b"), row.get("a"))) == [expected]
    assert hash_of(row) == expected


def test_a_column_that_is_null_in_a_row_is_not_in_its_hash(session: SparkSession) -> None:
    (before,) = hashes(session, "a string, c string", ("x", "z"))
    with_null, with_value = hashes(session, "a string, b string, c string", ("x", None, "z"), ("x", "y", "z"))
    assert with_null == before != with_value


def test_a_renamed_column_changes_the_hash_of_a_row_that_has_a_value_in_it_and_of_no_other(
    session: SparkSession,
) -> None:
    rows = (("x", "y"), ("x", None))
    valued, empty = hashes(session, "a string, b string", *rows)
    renamed, still_empty = hashes(session, "a string, colour string", *rows)
    assert (renamed != valued, still_empty) == (True, empty)


def test_where_the_columns_stand_is_no_content(session: SparkSession) -> None:
    assert hashes(session, "a string, b int", ("x", 1)) == hashes(session, "b int, a string", (1, "x"))


def test_no_two_contents_run_together(session: SparkSession) -> None:
    schema = "a string, aa string, b string, c string"
    found = hashes(
        session,
        schema,
        ("x", None, None, None), (None, "x", None, None), (None, None, "x", None), ("ax", None, None, None),
        ("x", None, "c", None), ("xb", None, "c", None), ("x", None, None, "c"), ("xbc", None, None, None),
        ("b", None, "x", None), ("", None, None, None), ("", None, "", None), (None, None, None, None),
    )  # fmt: skip
    assert len(set(found)) == len(found)


def test_the_newest_by_time_is_kept_then_by_mapping_then_by_answer_then_by_hash(
    session: SparkSession,
) -> None:
    schema = "key string, updated_at timestamp, mapping_version int, fetch_order string, content_hash long"
    early, late = datetime(2017, 1, 5, 20, tzinfo=UTC), datetime(2017, 1, 5, 21, tzinfo=UTC)
    kept = [
        ("a", late, 1, "run-1 2017-01-05 00001", 1),
        ("b", early, 2, "run-1 2017-01-05 00001", 1),
        ("c", early, 1, "run-2 2017-01-05 00001", 1),
        ("d", early, 1, "run-1 2017-01-06 00001", 1),
        ("e", early, 1, "run-1 2017-01-05 00002", 1),
        ("f", early, 1, "run-1 2017-01-05 00001", 5),
        ("g", early, 1, "run-1 2017-01-05 00001", 7),
    ]
    others = [
        ("a", early, 2, "run-9 2017-01-05 00009", 9),
        ("b", early, 1, "run-9 2017-01-05 00009", 9),
        ("c", early, 1, "run-1 2017-01-09 00009", 9),
        ("d", early, 1, "run-1 2017-01-05 00009", 9),
        ("e", early, 1, "run-1 2017-01-05 00001", 9),
        ("f", early, 1, "run-1 2017-01-05 00001", 3),
        ("g", early, 1, "run-1 2017-01-05 00001", 7),
    ]
    found = session.createDataFrame([*others, *kept], schema).transform(newest_per("key"))
    assert_df_equality(
        found, session.createDataFrame(kept, schema), ignore_row_order=True, ignore_nullable=True
    )
