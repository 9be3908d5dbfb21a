"""The profile of a table: each column in figures, one query a table, no person or transaction named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from retail.lake.storage.local import LocalStorage
from retail.quality import profile
from retail.quality.profile import ColumnProfile

SCHEMA = (
    "sales_key bigint, transaction_id string, customer_id string, status string, brand string, quantity decimal(18,3), "
    "business_date date, sold_at timestamp, weekday int, source_ref string"
)


def sales(session: SparkSession) -> DataFrame:
    at = datetime(2017, 1, 5, 20, tzinfo=UTC)
    common = (at, 4, "payloads/x#/1")
    rows = [
        (1, "t1", "c" * 64, "completed", "Acme", Decimal("1.500"), date(2017, 1, 5), *common),
        (2, "t2", "d" * 64, "completed", "Acme", Decimal("2.500"), date(2017, 1, 6), *common),
        (3, "t3", None, "cancelled", None, Decimal("0.000"), date(2017, 1, 7), *common),
        (4, "t4", None, "completed", "Best", None, date(2017, 1, 8), *common),
    ]
    return session.createDataFrame(rows, SCHEMA)


def by_column(session: SparkSession, frame: DataFrame) -> dict[str, ColumnProfile]:
    return {each.column_name: each for each in profile.profile(session, "run-1", {"sales": frame})}


def test_each_column_has_its_figures(session: SparkSession) -> None:
    found = by_column(session, sales(session))
    told = {"run_id": "run-1", "table_name": "sales", "row_count": 4}
    assert found["quantity"] == ColumnProfile(
        **told, column_name="quantity", null_count=1, distinct_count=3, minimum="0.000", maximum="2.500",
        mean=1.333333,
    )  # fmt: skip
    assert found["brand"] == ColumnProfile(
        **told, column_name="brand", null_count=1, distinct_count=2, minimum="Acme", maximum="Best",
        top_values=(("Acme", 2), ("Best", 1)),
    )  # fmt: skip
    assert found["brand"].null_share == 0.25
    assert (found["business_date"].minimum, found["business_date"].maximum) == ("2017-01-05", "2017-01-08")
    assert (found["sold_at"].minimum, found["weekday"].mean) == ("2017-01-05T20:00:00Z", 4.0)


def test_of_customers_and_transactions_no_value_is_told_and_of_keys_nothing(session: SparkSession) -> None:
    found = by_column(session, sales(session))
    for name in ("customer_id", "transaction_id"):
        column = found[name]
        assert (column.minimum, column.maximum, column.top_values) == (None, None, ())
    assert (found["customer_id"].null_count, found["customer_id"].distinct_count) == (2, 2)
    assert not {"sales_key", "source_ref"} & set(found)


def test_of_many_values_the_five_commonest_are_told(session: SparkSession) -> None:
    rows = [(chr(ord("a") + n), None) for n in range(8) for _ in range(n + 1)]
    found = by_column(session, session.createDataFrame(rows, "category string, status string"))
    assert found["category"].top_values == (("h", 8), ("g", 7), ("f", 6), ("e", 5), ("d", 4))
    assert found["category"].distinct_count == 8
    assert (found["status"].null_count, found["status"].top_values) == (36, ())


def test_a_table_without_rows_has_a_profile_too(session: SparkSession) -> None:
    found = by_column(session, sales(session).where("false"))
    assert found["quantity"] == ColumnProfile(
        run_id="run-1",
        table_name="sales",
        column_name="quantity",
        row_count=0,
        null_count=0,
        distinct_count=0,
    )
    assert found["quantity"].null_share == 0


@pytest.fixture
def collected(session: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[DataFrame]]:
    """Every frame that was collected."""
    seen: list[DataFrame] = []
    kind: Any = type(session.range(1))
    collect = kind.collect

    def counting(frame: DataFrame) -> Any:
        seen.append(frame)
        return collect(frame)

    monkeypatch.setattr(kind, "collect", counting)
    yield seen


def test_a_table_s_profile_is_one_query_however_many_columns_it_has(
    session: SparkSession, collected: list[DataFrame]
) -> None:
    found = profile.profile(session, "run-1", {"sales": sales(session), "again": sales(session)})
    assert len(found) == 2 * 8
    assert len(collected) == 2


def test_what_is_kept_of_a_run_is_read_again_and_a_step_done_twice_replaces_it(
    session: SparkSession, tmp_path: Path
) -> None:
    lake = LocalStorage(tmp_path / "lake")
    assert profile.read(session, lake, ["20170105T000000Z-a"]) == []
    first = profile.profile(session, "20170105T000000Z-a", {"sales": sales(session)})
    second = profile.profile(session, "20170205T000000Z-b", {"sales": sales(session).where("brand = 'Acme'")})
    for found in (first, second, first):
        profile.write(session, lake, found)

    [kept, later] = profile.read(
        session, lake, ["20170105T000000Z-a", "20170205T000000Z-b", "20170305T000000Z-c"]
    )
    assert kept == sorted(first, key=lambda each: each.column_name)
    assert {each.row_count for each in later} == {2}
