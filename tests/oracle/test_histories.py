"""Whatever happens in whatever order, the star is what a plain model says it must be, after every run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, seed, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from retail import records
from retail.quality.rules import load_row_rules
from tests.oracle.histories import (
    UNITS,
    History,
    RetailerDay,
    histories,
    history_of_every_fault,
    landed_files,
)
from tests.oracle.lines import REQUIRED, TYPED, parsed, warnings
from tests.oracle.model import Model
from tests.oracle.playing import play
from tests.oracle.rows import KEYS

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
@settings(_OF_HISTORIES, max_examples=5)
@example(history=history_of_every_fault())
@given(history=histories())
def test_after_every_run_of_a_random_history_the_star_is_the_model_s(
    session: SparkSession, engine: str, tmp_path_factory: pytest.TempPathFactory, history: History
) -> None:
    play(history, session, engine, _folder(tmp_path_factory))


@pytest.mark.nightly
@ON_SAIL
@seed(SEED + 1)
@settings(_OF_HISTORIES, max_examples=60)
@given(history=histories())
def test_after_every_run_of_many_random_histories(
    session: SparkSession, engine: str, tmp_path_factory: pytest.TempPathFactory, history: History
) -> None:
    play(history, session, engine, _folder(tmp_path_factory))


@pytest.mark.nightly
@ON_SPARK
@settings(_OF_HISTORIES, max_examples=1, phases=[Phase.explicit])
@example(history=history_of_every_fault())
@given(history=histories(most_runs=2))
def test_after_every_run_on_spark_too(
    session: SparkSession, engine: str, tmp_path_factory: pytest.TempPathFactory, history: History
) -> None:
    play(history, session, engine, _folder(tmp_path_factory))


@pytest.mark.nightly
@ON_SPARK
@seed(SEED)
@settings(_OF_HISTORIES, max_examples=3)
@given(history=histories(most_runs=2))
def test_after_every_run_of_random_histories_on_spark(
    session: SparkSession, engine: str, tmp_path_factory: pytest.TempPathFactory, history: History
) -> None:
    play(history, session, engine, _folder(tmp_path_factory))


@seed(SEED)
@settings(_OF_HISTORIES, max_examples=100)
@given(files=landed_files(), order=st.permutations(UNITS))
def test_the_model_s_star_is_the_same_whatever_the_order_of_the_days_and_how_they_are_cut_into_runs(
    files: dict[RetailerDay, list[str]], order: list[RetailerDay]
) -> None:
    in_order, in_another, at_once = (Model([("retailer_1", "One", "shop", "UTC")]) for _ in range(3))
    for model, units in ((in_order, UNITS), (in_another, [*order, order[0]])):
        for number, unit in enumerate(units):
            model.run(f"run-{number}", {unit: _without_critical(files[unit])})
    at_once.run("run-1", {unit: _without_critical(lines) for unit, lines in files.items()})

    assert _content(in_another) == _content(in_order) == _content(at_once)


def _without_critical(lines: list[str]) -> list[str]:
    """A critical line would stop the run before the star."""
    return [line for line in lines if "@" not in line]


def _content(model: Model) -> dict[str, list[dict[str, object]]]:
    """The star, less which run changed a row and which of two equal answers it names."""
    left_out = {"changed_run_id", "source_ref"}
    return {
        table: [
            {name: value for name, value in row.items() if name not in left_out}
            for _, row in sorted(model.rows(table).items())
        ]
        for table in KEYS
    }


def test_every_row_rule_and_every_refusal_of_the_schema_has_its_fault_in_the_histories() -> None:
    found: set[str] = set()
    for run in history_of_every_fault().runs:
        for unit, lines in run.landed:
            for line in lines:
                values, reasons = parsed(line.text(unit, 0), unit[0])
                found |= {*reasons, *warnings(values)}
    of_the_schema = {"unreadable JSON", "retailer_id is not the folder's"}
    of_the_schema |= {f"missing {name}" for name in REQUIRED} | {f"bad {name}" for name in TYPED}
    of_keys = ("is longer than 1,000 bytes", "has a NUL character")
    of_the_schema |= {f"{name} {wrong}" for name in records.KEY_TEXTS for wrong in of_keys}
    noted = {records.ONE_KEY, records.AHEAD, records.TAX_OPTION}
    assert found == of_the_schema | noted | {rule.reason for rule in load_row_rules()}
    assert (set(REQUIRED), set(TYPED)) == (set(records.REQUIRED), set(records.TYPES))


def _folder(factory: pytest.TempPathFactory) -> Path:
    return factory.mktemp("history") / "lake"
