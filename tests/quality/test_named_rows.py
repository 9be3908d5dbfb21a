"""The rows that break an expectation are named where they can be; that they cannot stops nothing."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import SparkSession
from structlog.testing import capture_logs
from tests.quality.conftest import WriteSuite

from retail.quality.suites import named_rows, validation

pytestmark = pytest.mark.parametrize("engine", ["sail"], indirect=True)

SCHEMA = "store_key long, store_name string"
ROWS = [(1, "aa"), (2, "b")]


def query(where: str) -> dict[str, Any]:
    query = f"SELECT * FROM {{batch}} WHERE {where}"
    return {
        "type": "unexpected_rows_expectation",
        "severity": "warning",
        "kwargs": {"unexpected_rows_query": query},
    }


def observed(session: SparkSession) -> list[str]:
    frame = session.createDataFrame(ROWS, SCHEMA)
    return [
        failure.observed
        for failure in validation.validate("dim_store.mine", frame, named_by=("store_key",)).failures
    ]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("stroe_key > 1", "stroe_key"),
        ("store_name RLIKE '^a{1}'", "The query contains a positional placeholder"),
    ],
)
def test_a_query_that_cannot_be_judged_is_a_failure_of_its_suite_that_says_why(
    where: str, said: str, session: SparkSession, suite: WriteSuite
) -> None:
    suite("dim_store.mine", query(where), query("store_key = 2"))
    broken, fine = observed(session)
    assert said in broken
    assert fine == "observed_value 1: 2"


def test_a_doubled_brace_is_a_brace_when_rows_are_named_too(session: SparkSession, suite: WriteSuite) -> None:
    suite("dim_store.mine", query("store_name RLIKE '^a{{2}}$'"))
    assert observed(session) == ["observed_value 1: 1"]


def test_rows_that_cannot_be_named_are_a_warning_in_the_log_with_the_suite_s_name(
    session: SparkSession, suite: WriteSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("ann@example.com")

    monkeypatch.setattr(named_rows, "_rows_of_query", broken)
    suite("dim_store.mine", query("store_key = 2"))
    with capture_logs() as logs:
        assert observed(session) == ["observed_value 1"]
    assert [(each["suite"], each["error"]) for each in logs] == [("dim_store.mine", "RuntimeError")]
