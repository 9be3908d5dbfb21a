"""A retailer no longer shows the first days that are due: its others come, and no later run waits for these."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import requests

from retail.cli.local import demo
from retail.config.secrets import Secrets
from retail.pipeline.workspace import Workspace
from tests.end_to_end.conftest import Truth
from tests.end_to_end.installation import Figures, Installation, told
from tests.kill.told import in_operations

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

# Walmart keeps 180 days: the windows of the 7th to the 9th begin before the 9th at noon.
CLOCK = datetime(2017, 1, 9, 12, tzinfo=UTC) + timedelta(days=180)
GONE = [date(2017, 1, day) for day in (7, 8, 9)]
KEPT = date(2017, 1, 10)
IN_PARTS = {"RETAIL_START_DATE": "2017-01-07", "RETAIL_RUNS__DAYS_A_RUN": "2"}


@pytest.fixture(scope="module")
def late() -> Iterator[str]:
    with demo.simulator(demo.demo_environment(), clock=CLOCK) as address:
        yield address


def test_days_that_a_retailer_no_longer_shows_are_told_once_and_passed_over(
    late: str, install: Callable[..., Installation], truth: Truth
) -> None:
    made = install("out_of_reach", address=late)

    said = told(made, "run", code=3, RETAIL_RUNS__UNTIL=str(KEPT), **IN_PARTS)
    assert len(_runs(made)) == 2
    assert "2 retailer-days are out of reach: from now on, runs without days skip them" in said
    in_operations("… FAILED, the others continued: … missing: … is out of reach; …", said)
    assert _of_retailers(made) == _less_gone(truth([*GONE, KEPT]))
    assert _checkpoints(made) == {"retailer_1": KEPT, "retailer_2": KEPT, "retailer_3": KEPT}
    assert "out of reach: retailer_2, 2017-01-07…2017-01-09 (3 days)" in told(made, "status", **IN_PARTS)

    told(made, "run", RETAIL_RUNS__UNTIL=str(KEPT), **IN_PARTS)
    assert len(_runs(made)) == 2
    following = KEPT + timedelta(days=1)
    told(made, "run", RETAIL_RUNS__UNTIL=str(following), **IN_PARTS)
    assert _of_retailers(made) == _less_gone(truth([*GONE, KEPT, following]))

    said = told(made, "backfill", "--date", str(GONE[0]), "--only", "retailer_2", code=3, **IN_PARTS)
    assert re.search(r"retailer_2 FAILED\b.*: 2017-01-07 ", said)
    assert "retail backfill" not in told(made, "status", **IN_PARTS)


def test_a_run_that_found_days_out_of_reach_and_was_not_ended_is_gone_on_with(
    late: str, install: Callable[..., Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = install("out_of_reach_failed", address=late)
    within = {**IN_PARTS, "RETAIL_RUNS__DAYS_A_RUN": "7", "RETAIL_RUNS__UNTIL": str(KEPT)}

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("retail.runs.ledger.Ledger.end", killed)
        told(made, "run", code=1, **within)
    assert " killed" in told(made, "status", **within)
    for task in ("ingest", "transform"):
        told(made, task, "--run-id", "night", **within)
    assert [*made.folder.glob("lake/ops/runs/*-night/steps/*")] == []
    assert " partial" in told(made, "status", **within)


def test_a_retailer_that_is_down_keeps_no_other_from_its_later_days(
    late: str, install: Callable[..., Installation], truth: Truth
) -> None:
    made = install("out_of_reach_and_down", address=late)
    two = ("--only", "retailer_1", "--only", "retailer_2")
    fault = {"retailer": "retailer_1", "kind": "500", "times": 1000}
    requests.post(f"{late}/simulator/faults", json=fault, timeout=10).raise_for_status()
    try:
        said = told(made, "run", *two, code=3, RETAIL_RUNS__UNTIL=str(KEPT), **IN_PARTS)
    finally:
        requests.delete(f"{late}/simulator/faults", timeout=10).raise_for_status()
    assert "retailer_1 FAILED" in said
    assert _of_retailers(made) == {
        key: value for key, value in truth([KEPT]).items() if key[0] == "retailer_2"
    }
    told(made, "run", *two, RETAIL_RUNS__UNTIL=str(KEPT), **IN_PARTS)
    assert _checkpoints(made) == {"retailer_1": KEPT, "retailer_2": KEPT, "retailer_3": None}


def _runs(made: Installation) -> list[Path]:
    return [*(made.folder / "lake/ops/runs").iterdir()]


def _less_gone(figures: Figures) -> Figures:
    gone = {("retailer_2", str(day)) for day in GONE}
    return {key: value for key, value in figures.items() if key not in gone}


def _of_retailers(made: Installation) -> Figures:
    """What the hour before the 10th brings of the 9th is no whole day."""
    return _less_gone(made.postgresql_figures())


def _checkpoints(made: Installation) -> dict[str, date | None]:
    with Workspace(made.settings, Secrets()) as workspace:
        return {each: workspace.ledger.checkpoint(each) for each in made.settings.retailers}
