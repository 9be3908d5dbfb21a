"""What the responses hold beyond the sales is in the step's line and in its record."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from tests.conftest import settings_for
from tests.steps import step_context

from retail.config.secrets import Secrets
from retail.pipeline import extract_step
from retail.pipeline.workspace import Workspace
from retail.quality.suites import validation
from retail.sources.service import Page

UNIT = ("retailer_1", date(2017, 1, 1))


class RushedOrders:
    def pages(self, _window: object, _cursor: object) -> Iterator[Page]:
        yield Page({"orders": [{"rush": True}]}, None)


def test_a_watched_field_with_a_value_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract_step, "open_service", lambda *_, **__: RushedOrders())
    monkeypatch.setattr(extract_step, "sales_of", lambda *_: None)
    monkeypatch.setattr(extract_step, "watched_of", lambda *_: {"orders[].rush": "delivered at once"})
    monkeypatch.setattr(validation, "warm_up", lambda: None)
    with Workspace(settings_for("sail", tmp_path), Secrets({})) as workspace:
        run = workspace.ledger.begin("run-1", [UNIT], tasks=("ingest",), engine="sail")
        result = extract_step.extract_step(step_context(workspace, run))
    told = "retailer_1: orders[].rush has a value on 2017-01-01: delivered at once"
    assert result.warnings == [told]
    assert result.summary == f"1 retailer-days fetched; 1 watched fields with a value: {told}"
