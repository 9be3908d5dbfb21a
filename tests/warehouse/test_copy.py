from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from psycopg2 import sql

from retail.warehouse.connection import Warehouse
from retail.warehouse.publish.copy import copy
from tests.warehouse.conftest import Query

pytestmark = pytest.mark.postgres

TARGET = sql.Identifier("public", "target")


def sent(warehouse: Warehouse, rows: pa.Table) -> int:
    with warehouse.connect("copy") as connection:
        return copy(connection, rows, TARGET)


def test_every_text_arrives_as_it_is_and_null_is_not_the_empty_string(
    warehouse: Warehouse, query: Query
) -> None:
    texts = [
        "", None, " ", "NULL", "\\N", "\\.", "a\n\\.\nb", "\\.\n", "\n", "\r\n", "\t", "a,b;c", '"', '""', 'say "hi"',
        "'", "\\", "\\\\n", "C:\\new", "Ünïcödé", "日本語", "🛒👩‍👩‍👧", "e\u0301", "\u00a0", "\u2028", "\x01\x7f",
        "true", "1e5", "x" * 100_000,
    ]  # fmt: skip
    query("CREATE TABLE public.target (n integer, text text, other text)")
    rows = pa.table(
        {"n": list(range(len(texts))), "text": texts, "other": pa.array(texts[::-1], pa.string_view())}
    )
    assert sent(warehouse, rows) == len(texts)
    assert query("SELECT text, other FROM public.target ORDER BY n") == list(
        zip(texts, texts[::-1], strict=True)
    )
    assert query("SELECT count(*) FROM public.target WHERE text IS NULL") == [(1,)]


def test_a_nul_character_which_postgresql_cannot_hold_is_shown_as_replaced(
    warehouse: Warehouse, query: Query
) -> None:
    query("CREATE TABLE public.target (text text)")
    sent(warehouse, pa.table({"text": ["a\x00b", None, ""]}))
    assert query("SELECT text FROM public.target") == [("a\ufffdb",), (None,), ("",)]


def test_decimals_are_exact_to_the_last_digit(warehouse: Warehouse, query: Query) -> None:
    amounts = [
        "0.0001",
        "-0.0001",
        "99999999999999.9999",
        "-99999999999999.9999",
        "0.1",
        "12345678901234.5678",
        "0",
    ]
    decimals = [Decimal(amount) for amount in amounts]
    query("CREATE TABLE public.target (amount numeric(18, 4))")
    sent(warehouse, pa.table({"amount": pa.array([*decimals, None], pa.decimal128(18, 4))}))
    assert query("SELECT amount FROM public.target") == [(amount,) for amount in [*decimals, None]]


def test_times_are_the_same_instants_and_days_the_same_days(warehouse: Warehouse, query: Query) -> None:
    instants = [
        datetime(2017, 1, 5, 23, 59, 59, 999999, UTC),
        datetime(2017, 3, 12, 2, 30, tzinfo=UTC),  # an hour that America's clocks leave out
        datetime(1970, 1, 1, tzinfo=UTC),
        None,
    ]
    days = [date(2016, 2, 29), None, date(1, 1, 1), date(9999, 12, 31)]
    query("CREATE TABLE public.target (instant timestamptz, day date, flag boolean, key bigint)")
    rows = {
        "instant": pa.array(instants, pa.timestamp("us", "UTC")),
        "day": days,
        "flag": [True, False, None, True],
        "key": [2**63 - 1, -(2**63), None, 0],
    }
    sent(warehouse, pa.table(rows))
    assert query("SELECT * FROM public.target") == list(
        zip(*[pa.array(v).to_pylist() for v in rows.values()], strict=True)
    )


def test_columns_go_by_name_and_no_rows_are_no_work(warehouse: Warehouse, query: Query) -> None:
    query("CREATE TABLE public.target (a text, b text)")
    assert sent(warehouse, pa.table({"b": ["2"], "a": ["1"]})) == 1
    assert sent(warehouse, pa.table({"b": pa.array([], pa.string())})) == 0
    assert query("SELECT a, b FROM public.target") == [("1", "2")]


def test_many_rows_go_through_in_chunks(warehouse: Warehouse, query: Query) -> None:
    query("CREATE TABLE public.target (n bigint, text text)")
    rows = pa.table({"n": range(50_000), "text": [f"row {n}" for n in range(50_000)]})
    assert sent(warehouse, rows) == 50_000
    assert query("SELECT count(DISTINCT n), sum(n), max(text) FROM public.target") == [
        (50_000, 1_249_975_000, "row 9999")
    ]
