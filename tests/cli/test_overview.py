"""The command that `retail status` names for what is due."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from retail.cli.doctor.finding import failed
from retail.cli.local.demo import demo_environment
from retail.cli.status.overview import show_status
from retail.config.secrets import Secrets
from retail.config.settings import home, load_settings
from retail.errors import ConfigurationError, ExtractError
from retail.pipeline.tasks import ALL_TASKS
from retail.pipeline.workspace import Workspace


@pytest.mark.parametrize(
    ("secrets", "named"),
    [({}, "retail demo --days 19"), (demo_environment(), "retail run")],
    ids=["no secrets, as after a demo", "the simulator's"],
)
def test_a_lake_of_the_demo_goes_on_by_the_demo(secrets: dict[str, str], named: str, tmp_path: Path) -> None:
    settings = load_settings(home() / "conf" / "local.toml")
    lake = settings.lake.model_copy(update={"url": str(tmp_path)})
    settings = settings.model_copy(update={"lake": lake})
    out = Console(record=True, width=200)
    with Workspace(settings, Secrets(secrets)) as workspace:
        day = ("retailer_1", date(2017, 1, 1))
        workspace.ledger.begin("20261201T000000Z-first", [day], tasks=ALL_TASKS, engine="sail")
        workspace.ledger.end("20261201T000000Z-first", "success")
        show_status(workspace, out)
    assert f"next: {named} " in out.export_text()


def test_a_retailer_that_is_not_asked_for_its_configuration_is_no_problem_of_its_own() -> None:
    not_asked = failed("retailer", "", ConfigurationError([]), retailer="retailer_1")
    refused = failed("retailer", "", ExtractError("", hint=""), retailer="retailer_1")
    wrong = failed("configuration", "", ConfigurationError([]))
    assert [each.is_consequence for each in (not_asked, refused, wrong)] == [True, False, False]
