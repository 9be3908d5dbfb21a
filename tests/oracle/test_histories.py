"""Whatever happens in whatever order, the star is what a plain model says it must be, after every run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings
from pyspark.sql import SparkSession

from tests.oracle.histories import History, histories
from tests.oracle.playing import play

SEED = int(os.environ["RETAIL_TEST_SEED"])
ON_SAIL = pytest.mark.parametrize("engine", ["sail"], indirect=True)
ON_SPARK = pytest.mark.parametrize(
    "engine",
    [pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.xdist_group("spark")])],
    indirect=True,
)
# No database: what is tried depends on the seed alone.
_OF_HISTORIES = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
    report_multiple_bugs=False,
)


@pytest.mark.slow
@ON_SAIL
@seed(SEED)
@settings(_OF_HISTORIES, max_examples=60)
@given(history=histories())
def test_after_every_run_of_a_random_history_the_star_is_the_model_s(
    session: SparkSession, engine: str, tmp_path_factory: pytest.TempPathFactory, history: History
) -> None:
    play(history, session, engine, _folder(tmp_path_factory))


@pytest.mark.slow
@ON_SPARK
@seed(SEED)
@settings(_OF_HISTORIES, max_examples=3)
@given(history=histories(most_runs=2))
def test_after_every_run_on_spark_too(
    session: SparkSession, engine: str, tmp_path_factory: pytest.TempPathFactory, history: History
) -> None:
    play(history, session, engine, _folder(tmp_path_factory))


def _folder(factory: pytest.TempPathFactory) -> Path:
    return factory.mktemp("history") / "lake"
