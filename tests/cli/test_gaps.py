"""What is missing is a warning of the run, and `retail status` says no more than the run has judged."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console
from tests.conftest import settings_for
from tests.steps import step_context

from retail.cli.status.reconciliation import show_gaps, show_restated
from retail.config.secrets import Secrets
from retail.errors import ConfigurationError
from retail.pipeline import check_step
from retail.pipeline.workspace import Workspace
from retail.quality.gaps import Gap

DAYS = [date(2017, 1, n) for n in range(1, 5)]
RETAILERS = ("retailer_1", "retailer_2", "retailer_3")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A ledger with one run, of all retailers' first day, that did not end."""
    with Workspace(settings_for("sail", tmp_path), Secrets({})) as made:
        made.ledger.begin("run-1", [(each, DAYS[0]) for each in RETAILERS], tasks=["check"], engine="sail")
        yield made


def told(workspace: Workspace, run_id: str | None = None) -> str:
    out = Console(file=io.StringIO(), width=200)
    show_gaps(workspace, out, run_id)
    return out.file.getvalue()  # type: ignore[attr-defined]


def checked(workspace: Workspace, **record: object) -> None:
    workspace.ledger.end_step("run-1", "check", dict(record), seconds=1)


def never_loaded(workspace: Workspace, run_id: str) -> list[str]:
    return check_step._never_loaded(step_context(workspace, workspace.ledger.run(run_id)))


def test_a_day_that_this_run_brings_is_not_missing(workspace: Workspace) -> None:
    assert never_loaded(workspace, "run-1") == []


def test_a_retailer_that_stays_away_is_a_warning_of_the_run(workspace: Workspace) -> None:
    workspace.ledger.mark_done([(each, DAYS[0]) for each in RETAILERS], "run-1")
    workspace.ledger.mark_done([("retailer_1", DAYS[2])], "run-2")
    workspace.ledger.begin("run-3", [("retailer_1", DAYS[1])], tasks=["check"], engine="sail")
    assert never_loaded(workspace, "run-3") == [
        "gaps: retailer_2: never loaded: 2017-01-02, 2017-01-03",
        "gaps: retailer_3: never loaded: 2017-01-02, 2017-01-03",
    ]


def test_a_retailer_that_this_run_could_not_read_is_a_warning_of_it(workspace: Workspace) -> None:
    extracted = [("retailer_1", str(DAYS[0])), ("retailer_2", str(DAYS[0]))]
    workspace.ledger.end_step("run-1", "extract", {"extracted": extracted, "failed": {}}, seconds=1)
    assert never_loaded(workspace, "run-1") == ["gaps: retailer_3: never loaded: 2017-01-01"]


def test_days_that_never_came_are_shown_up_to_the_last_of_any_retailer(workspace: Workspace) -> None:
    checked(workspace, gaps=[], gaps_in_all=0)
    workspace.ledger.mark_done([(each, DAYS[0]) for each in RETAILERS], "run-1")
    workspace.ledger.mark_done([(each, DAYS[1]) for each in RETAILERS[:2]], "run-2")
    text = told(workspace)
    assert "No store that sells on nearly every day was silent" in text
    assert "retailer_3: never loaded: 2017-01-02\n" in text
    assert "retailer_1: never" not in text


@pytest.mark.parametrize("record", [None, {}, {"warnings": []}])
def test_a_run_that_judged_no_gaps_does_not_say_that_there_are_none(
    workspace: Workspace, record: dict[str, object] | None
) -> None:
    if record is not None:
        checked(workspace, **record)
    with pytest.raises(ConfigurationError, match="run run-1 has no gap report") as refused:
        told(workspace, "run-1")
    assert refused.value.exit_code == 2


def test_gaps_that_were_cut_from_the_record_are_told(workspace: Workspace) -> None:
    gap = Gap("retailer_1", "2017-01-01", "s1", "Main Street", 28, 28).to_json()
    checked(workspace, gaps=[gap] * 2, gaps_in_all=1_500)
    assert "and 1,498 more that the run did not record" in told(workspace)
    checked(workspace, gaps=[gap] * 2, gaps_in_all=2)
    assert "more that" not in told(workspace)


def test_what_an_unknown_run_restated_is_refused(workspace: Workspace) -> None:
    with pytest.raises(ConfigurationError, match="--run nonsense: there is no such run"):
        show_restated(workspace, Console(file=io.StringIO()), "nonsense")


def test_the_check_warns_of_what_never_came_and_counts_every_gap(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_step, "_tie_out", lambda _: ([], {}))
    silent = [Gap("retailer_1", "2017-01-02", f"s{n}", None, 28, 28) for n in range(1_200)]
    monkeypatch.setattr(check_step, "judge_lake", lambda _: check_step.Findings([], [], [], silent, []))
    workspace.ledger.begin("run-2", [("retailer_1", DAYS[1])], tasks=["check"], engine="sail")
    workspace.ledger.mark_done([(each, DAYS[0]) for each in RETAILERS], "run-1")
    result = check_step.check_step(step_context(workspace, workspace.ledger.run("run-2")))
    assert "gaps: retailer_2: never loaded: 2017-01-02" in result.warnings
    assert (len(result.gaps or []), result.gaps_in_all) == (1_000, 1_200)
