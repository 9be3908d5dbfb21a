"""The suites of `conf/expectations/` against frames that are good but for one thing."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.conftest import settings_for

from retail import star
from retail.config.settings import home
from retail.errors import ConfigurationError, GateError
from retail.lake.engine import open_session
from retail.quality.suites import validation
from retail.star.table import Table

SCHEMA = (
    "sales_key long, retailer_id string, transaction_id string, line_id string, product_key long, "
    "store_key long, customer_key long, date_key int, sold_at timestamp, updated_at timestamp, "
    "business_date date, quantity decimal(18,3), total_amount decimal(18,4), currency string, "
    "record_type string, status string, product_name string, customer_id string"
)
GOOD: dict[str, Any] = {
    "sales_key": 1, "retailer_id": "retailer_1", "transaction_id": "t1", "line_id": "1", "product_key": 2,
    "store_key": 3, "customer_key": 4, "date_key": 20170105, "sold_at": datetime(2017, 1, 5, 20, tzinfo=UTC),
    "updated_at": datetime(2017, 1, 5, 20, tzinfo=UTC), "business_date": date(2017, 1, 5), "quantity": Decimal("2.000"),
    "total_amount": Decimal("10.0000"), "currency": "USD", "record_type": "sale", "status": "completed",
    "product_name": "Mug", "customer_id": "c1",
}  # fmt: skip


def frame(session: SparkSession, *rows: dict[str, Any]) -> DataFrame:
    return session.createDataFrame([tuple({**GOOD, **row}.values()) for row in rows], SCHEMA)


def test_good_rows_pass(session: SparkSession) -> None:
    found = validation.validate("staged_sales", frame(session, {}, {"sales_key": 9}))
    assert found.failures == []
    assert found.judged == 19


@pytest.mark.parametrize(
    ("wrong", "expectation"),
    [
        ({"transaction_id": None}, "expect_column_values_to_not_be_null(column=transaction_id"),
        ({"total_amount": None}, "expect_column_values_to_not_be_null(column=total_amount"),
        ({"record_type": "gift"}, "expect_column_values_to_be_in_set(column=record_type"),
        ({"status": "pending"}, "expect_column_values_to_be_in_set(column=status"),
    ],
)
def test_one_bad_row_stops_the_run_and_is_named(
    wrong: dict[str, Any], expectation: str, session: SparkSession
) -> None:
    found = validation.validate("staged_sales", frame(session, {}, {}, wrong))
    with pytest.raises(GateError) as caught:
        validation.stop_on_critical([found])
    assert expectation in str(caught.value)
    assert "unexpected_count 1" in str(caught.value)


def test_a_warning_is_reported_and_stops_nothing(session: SparkSession) -> None:
    found = validation.validate("staged_sales", frame(session, {}, {"product_name": None}))
    assert [failure.severity for failure in found.failures] == ["warning"]
    validation.stop_on_critical([found])


def test_a_condition_leaves_out_the_rows_it_is_not_for(session: SparkSession) -> None:
    cancelled = {"quantity": Decimal(0), "status": "cancelled"}
    assert validation.validate("staged_sales", frame(session, {}, cancelled, cancelled)).failures == []
    (found,) = validation.validate("staged_sales", frame(session, {}, {"quantity": Decimal(0)})).failures
    assert found.expectation.startswith("expect_column_values_to_be_between(column=quantity")


def test_a_key_that_is_not_unique_in_a_dimension_is_critical(session: SparkSession) -> None:
    schema = "retailer_key long, retailer_id string, retailer_name string"
    twice = session.createDataFrame([(1, "retailer_1", "A"), (1, "retailer_2", "B")], schema)
    found = validation.validate("dim_retailer", twice)
    assert [failure.expectation for failure in found.critical] == [
        "expect_column_values_to_be_unique(column=retailer_key)"
    ]


def test_a_natural_key_that_is_not_unique_is_critical_though_the_surrogate_keys_are(
    session: SparkSession,
) -> None:
    schema = "product_key long, retailer_id string, product_id string, product_name string, gtin string, "
    schema += "changed_run_id string"
    rows = [(1, "retailer_1", "A", "Mug", None, "r"), (2, "retailer_1", "A", "Mug", None, "r")]
    found = validation.validate(
        "dim_product", session.createDataFrame(rows, schema), named_by=("product_key",)
    )
    assert [failure.expectation for failure in found.critical] == [
        "expect_compound_columns_to_be_unique(column_list=['retailer_id', 'product_id'])"
    ]


def test_the_rows_that_break_an_expectation_are_named_and_their_values_told_nowhere(
    session: SparkSession,
) -> None:
    schema = "customer_key long, retailer_id string, customer_id string"
    rows = [(1, "retailer_1", "a" * 64), (2, "retailer_1", "ann@example.com")]
    found = validation.validate(
        "dim_customer", session.createDataFrame(rows, schema), named_by=("customer_key",)
    )
    (failure,) = found.critical
    assert failure.observed == "unexpected_count 1, element_count 2: 2"
    assert "ann" not in json.dumps([failure.observed, found.result])


def test_what_is_sold_in_one_currency_does_not_hide_what_is_given_back_in_another(
    session: SparkSession,
) -> None:
    given_back = {"currency": "CAD", "total_amount": Decimal(-1), "record_type": "return"}
    few = [given_back | {"currency": "EUR"}] * 19  # too few to be judged by their sum
    rows = frame(session, {}, *[given_back] * 20, *few)
    found = validation.validate("fact_sales", rows, named_by=("retailer_id",))
    (failure,) = [each for each in found.failures if "sum(total_amount)" in each.expectation]
    assert (failure.severity, failure.observed) == ("warning", "observed_value 1: retailer_1")


def test_a_second_suite_for_a_table_is_a_file_and_no_code(
    session: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(home() / "conf", tmp_path / "conf")
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path))
    suite = {"name": "x", "expectations": [
        {"type": "unexpected_rows_expectation", "severity": "warning",
         "kwargs": {"unexpected_rows_query": "SELECT * FROM {batch} WHERE quantity > 100"}},
    ]}  # fmt: skip
    (tmp_path / "conf/expectations/staged_sales.finance.json").write_text(json.dumps(suite))
    validation.read_all()
    assert validation.of("staged_sales") == ["staged_sales", "staged_sales.finance"]
    found = validation.validate("staged_sales.finance", frame(session, {}, {"quantity": Decimal(101)}))
    assert [(failure.severity, failure.observed) for failure in found.failures] == [
        ("warning", "observed_value 1")
    ]


def test_a_query_runs_in_the_session_of_its_frame_though_the_process_has_another(
    session: SparkSession, tmp_path: Path
) -> None:
    assert session.range(1).count() == 1
    with open_session(settings_for("sail", tmp_path)) as other:
        twice = frame(other, {}, {"line_id": "2"})
        found = validation.validate("fact_sales", twice)
    (failure,) = (each for each in found.critical if "{batch}" in each.expectation)
    assert "SELECT sales_key FROM" in failure.expectation
    assert "not found" not in failure.observed


def test_a_suite_for_nothing_that_is_judged_is_a_configuration_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(home() / "conf", tmp_path / "conf")
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path))
    (tmp_path / "conf/expectations/dim_shop.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"dim_shop\.json: no table to check has that name"):
        validation.read_all()


def test_an_expectation_over_a_column_that_is_not_there_fails_and_says_so(session: SparkSession) -> None:
    found = validation.validate("dim_retailer", session.createDataFrame([(1,)], "retailer_key long"))
    assert any("retailer_name" in failure.observed for failure in found.critical)


@pytest.mark.parametrize("table", star.TABLES, ids=lambda table: table.name)
def test_every_table_of_the_star_has_a_suite_over_its_own_columns(table: Table) -> None:
    path = home() / "conf" / "expectations" / f"{table.name}.json"
    expectations = json.loads(path.read_text())["expectations"]
    columns = {each["kwargs"]["column"] for each in expectations if "column" in each["kwargs"]}
    queries = " ".join(each["kwargs"].get("unexpected_rows_query", "") for each in expectations)
    assert table.key in columns or f"GROUP BY {table.key} HAVING count(*) > 1" in queries
    assert all(each["severity"] in ("critical", "warning", "info") for each in expectations)
    assert columns <= set(table.columns)
    compound = [each["kwargs"].get("column_list") for each in expectations]
    unique = [
        [each["kwargs"].get("column")] for each in expectations if each["type"].endswith("to_be_unique")
    ]
    natural = list(table.natural_key)
    assert natural in [*compound, *unique] or f"GROUP BY {', '.join(natural)} HAVING count(*) > 1" in queries


def test_every_key_of_the_fact_is_judged() -> None:
    judged = {
        each["kwargs"]["column"] for each in validation._read("fact_keys") if each["severity"] == "critical"
    }
    assert judged == {f"orphan_{table.key}" for table in star.DIMENSIONS}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not an expectation suite"),
        ("{}", "is not an expectation suite"),
        (
            '{"name": "x", "expectations": [{"type": "a", "kwargs": {}}]}',
            r"expectations\.0\.severity: Field required",
        ),
        (
            '{"name": "x", "expectations": [{"type": "expect_magic", "kwargs": {}, "severity": "info"}]}',
            "expect_magic",
        ),
        (None, "cannot be read"),
    ],
)
def test_a_broken_suite_is_a_clear_configuration_error(
    text: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "conf" / "expectations"
    folder.mkdir(parents=True)
    if text is not None:
        (folder / "dim_store.json").write_text(text)
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match=said):
        validation.load("dim_store")


def test_the_shape_of_every_suite_is_seen_before_a_run_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        "staged_sales",
        *(table.name for table in star.TABLES),
        "fact_keys",
        "daily_sales",
    ) == validation.SUITES
    validation.read_all()
    shutil.copytree(home() / "conf", tmp_path / "conf")
    for name in ("dim_store", "fact_sales"):
        (tmp_path / "conf/expectations" / f"{name}.json").write_text("{")
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path))
    with pytest.raises(ConfigurationError) as caught:
        validation.read_all()
    assert len(caught.value.problems) == 2
