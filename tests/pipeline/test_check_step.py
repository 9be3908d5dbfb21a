"""What of the star a check judges: the months that were merged into, and the keys of the rows that were changed."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame, SparkSession

from retail import star
from retail.pipeline.check_step import judged

pytestmark = pytest.mark.parametrize("engine", ["sail"], indirect=True)

KEYS = [table.key for table in star.DIMENSIONS]
# Nothing of the fact but its row of month, run and number; each leads to nothing.
ROWS = [("2017-01", "run-1", 1), ("2017-01", "run-2", 2), ("2017-02", "run-1", 3), ("2017-02", "run-3", 4)]


@pytest.fixture
def tables(session: SparkSession) -> dict[str, DataFrame]:
    schema = "business_month string, changed_run_id string, " + ", ".join(f"{key} int" for key in KEYS)
    rows = [(month, run, *[number] * len(KEYS)) for month, run, number in ROWS]
    dimensions = {
        table.name: session.createDataFrame([(0,)], f"{table.key} int") for table in star.DIMENSIONS
    }
    return {"fact_sales": session.createDataFrame(rows, schema)} | dimensions


def numbers(frame: DataFrame) -> set[int]:
    return {row[KEYS[0]] for row in frame.collect()}


def test_a_check_that_stands_alone_judges_all(tables: dict[str, DataFrame]) -> None:
    found = judged(tables, None, None)
    assert numbers(found["fact_sales"]) == numbers(found["fact_keys"]) == {1, 2, 3, 4}


def test_a_run_s_months_are_judged_and_the_keys_of_what_runs_changed_in_them(
    tables: dict[str, DataFrame],
) -> None:
    found = judged(tables, ["2017-02"], ["run-3", "run-2"])
    assert numbers(found["fact_sales"]) == {3, 4}
    assert numbers(found["fact_keys"]) == {4}
    (row,) = found["fact_keys"].collect()
    assert {row[f"orphan_{key}"] for key in KEYS} == {4}


def test_a_run_that_merged_no_month_judges_no_fact(tables: dict[str, DataFrame]) -> None:
    assert set(judged(tables, [], ["run-4"])) == {table.name for table in star.DIMENSIONS}
