"""The steps of staging as pure functions, on literal frames: parse, judge, good, keys."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession

from retail.records import RowRule, SalesRecord
from retail.star.row_checks import judge
from retail.star.staging import good, newest_version, parse, with_keys
from tests.star.conftest import DAY, record

RULES = [RowRule(reason="negative quantity on a sale", when="record_type = 'sale' AND quantity < 0")]


def raw(session: SparkSession, *lines: SalesRecord | str) -> DataFrame:
    rows = [(line if isinstance(line, str) else line.to_line(), "retailer_1", DAY) for line in lines]
    return session.createDataFrame(rows, "value string, from_retailer string, logical_date date")


def test_text_becomes_typed_values_and_what_is_none_becomes_null(session: SparkSession) -> None:
    lines = raw(session, record(quantity="0.5", total_amount="-1.25"), record(quantity="NaN", sold_at="soon"))
    found = parse(lines).select("quantity", "total_amount", "sold_at", "raw_quantity", "raw_sold_at")
    at = datetime(2017, 1, 5, 20, tzinfo=UTC)
    expected = session.createDataFrame(
        [
            (Decimal("0.500"), Decimal("-1.2500"), at, "0.5", "2017-01-05T20:00:00.000000Z"),
            (None, Decimal("10.0000"), None, "NaN", "soon"),
        ],
        "quantity decimal(18,3), total_amount decimal(18,4), sold_at timestamp, raw_quantity string, "
        "raw_sold_at string",
    )
    assert_df_equality(found, expected, ignore_nullable=True)


def test_every_reason_is_given_and_only_a_bad_line_is_kept_as_it_came(session: SparkSession) -> None:
    bad = record(quantity="-1", currency=None)
    judged = raw(session, record(), bad, bad.to_line()[:40]).transform(parse).transform(judge(RULES))
    expected = session.createDataFrame(
        [
            (None, ""),
            (bad.to_line(), "missing currency; negative quantity on a sale"),
            (bad.to_line()[:40], "unreadable JSON"),
        ],
        "value string, reasons string",
    )
    assert_df_equality(judged.select("value", "reasons"), expected, ignore_nullable=True)


def test_what_no_rule_refused_goes_on_without_its_raw_line(session: SparkSession) -> None:
    schema = "transaction_id string, value string, reasons string"
    lines = session.createDataFrame([("t1", None, ""), ("t2", "{…}", "bad quantity")], schema)
    assert_df_equality(good(lines), session.createDataFrame([("t1",)], "transaction_id string"))


def test_the_date_key_and_month_follow_the_business_date(session: SparkSession) -> None:
    lines = raw(session, record(business_date="2017-01-05")).transform(parse).transform(judge([]))
    row = lines.transform(with_keys).collect()[0]
    assert (row.date_key, row.business_month, row.business_date) == (20170105, "2017-01", date(2017, 1, 5))


def test_where_a_line_was_read_from_is_no_content(session: SparkSession) -> None:
    lines = raw(session, record(), record(source_ref="elsewhere#/0"), record(tax_amount="1"))
    hashes = [
        row.content_hash for row in lines.transform(parse).transform(judge([])).transform(with_keys).collect()
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_line_s_answer_is_known_by_the_run_the_day_and_the_page(session: SparkSession) -> None:
    refs = [
        "payloads/retailer_1/date=2017-01-05/run=20170106T010000Z-3fa9c1/page-00012.json.gz#/orders/3",
        "payloads/retailer_1/date=2017-01-05/run=by-hand_1.a/page-123456.json.gz#/a\nb",
        "elsewhere#/payloads/x/date=1/run=2/page-3",
        "",
    ]
    lines = raw(session, *(record(source_ref=ref) for ref in refs))
    keyed = lines.transform(parse).transform(judge([])).transform(with_keys)
    assert {row.source_ref: row.fetch_order for row in keyed.collect()} == dict(
        zip(
            refs,
            ["20170106T010000Z-3fa9c1 2017-01-05 00012", "by-hand_1.a 2017-01-05 123456", "", ""],
            strict=True,
        )
    )


def test_a_line_without_a_mapping_version_is_of_version_0(session: SparkSession) -> None:
    lines = raw(session, record(mapping_version=None), record(mapping_version="12"))
    keyed = lines.transform(parse).transform(judge([])).transform(with_keys)
    assert [row.mapping_version for row in keyed.collect()] == [0, 12]


def test_single_keys_pass_and_of_a_repeated_one_the_newest(session: SparkSession) -> None:
    schema = (
        "retailer_id string, transaction_id string, line_id string, sales_key long, updated_at timestamp, "
        "mapping_version int, fetch_order string, content_hash long, source_ref string"
    )
    early, late = datetime(2017, 1, 5, 20, tzinfo=UTC), datetime(2017, 1, 5, 21, tzinfo=UTC)
    single, newest = (
        ("r", "t1", "1", 1, early, 1, "a", 1, "2017-01-05"),
        ("r", "t2", "1", 2, late, 1, "a", 4, "2017-01-06"),
    )
    older, same = (
        ("r", "t2", "1", 2, early, 1, "b", 8, "2017-01-07"),
        ("r", "t2", "1", 2, late, 1, "a", 4, "2017-01-05"),
    )
    sales = session.createDataFrame([single, older, same, newest], schema)
    expected = session.createDataFrame([single, newest], schema)
    found = newest_version(sales).select(*sales.columns)
    assert_df_equality(found, expected, ignore_row_order=True, ignore_nullable=True)
