"""The catalogues are called after landing, for what the sales name, with what the extract left of each quota."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from tests.conftest import settings_for
from tests.steps import step_context

from retail.config.secrets import Secrets
from retail.pipeline import describe_step
from retail.pipeline.step_context import StepContext
from retail.pipeline.step_results import ExtractResult, LandResult
from retail.pipeline.workspace import Workspace
from retail.runs.counts import HopCount
from retail.sources.http.rate_limit import QuotaPolicy

UNIT = ("retailer_1", date(2017, 1, 1))


def landed_rows(rows: int) -> LandResult:
    count = HopCount(
        hop="landed",
        retailer_id="retailer_1",
        business_date="2017-01-01",
        currency="USD",
        rows=rows,
        money=Decimal(0),
    )
    return LandResult(counts=[count])


@pytest.fixture
def context(tmp_path: Path) -> Iterator[StepContext]:
    """A run that has fetched one day of one retailer."""
    with Workspace(settings_for("sail", tmp_path), Secrets({})) as workspace:
        run = workspace.ledger.begin("run-1", [UNIT], tasks=("ingest",), engine="sail")
        workspace.ledger.end_step("run-1", "extract", ExtractResult(extracted=[UNIT]).to_json(), seconds=0)
        yield step_context(workspace, run)


def landed(context: StepContext, result: LandResult) -> None:
    context.ledger.end_step("run-1", "land", result.to_json(), seconds=0)


def test_it_is_due_for_fetched_sales(context: StepContext) -> None:
    landed(context, landed_rows(2))
    assert describe_step.is_due(context)


def test_it_is_not_due_where_nothing_was_landed(context: StepContext) -> None:
    landed(context, landed_rows(0))
    assert not describe_step.is_due(context)


def test_it_is_not_due_where_no_call_is_allowed(context: StepContext) -> None:
    landed(context, landed_rows(2))
    extract = context.settings.extract.model_copy(update={"master_calls": 0})
    settings = context.settings.model_copy(update={"extract": extract})
    assert not describe_step.is_due(replace(context, settings=settings))


def test_it_is_not_due_where_pages_were_only_landed_again(context: StepContext) -> None:
    landed(context, landed_rows(2))
    context.ledger.forget_step("run-1", "extract")
    assert not describe_step.is_due(context)


def test_a_catalogue_spends_what_the_extract_left_and_waits_even_if_the_run_does_not(
    context: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[QuotaPolicy] = []

    def open_service(*_: object, quota_policy: QuotaPolicy, **__: object) -> object:
        given.append(quota_policy)
        return object()

    monkeypatch.setattr(describe_step, "open_service", open_service)
    monkeypatch.setattr(describe_step, "catalog_of", lambda _: None)
    of_extract = context.quotas["retailer_1"] = QuotaPolicy(waits=False)
    spent = of_extract.bucket("orders", burst=10, per_second=1, monotonic=lambda: 0.0)
    spent.spend(7)
    landed(context, landed_rows(2))

    result = describe_step.describe_step(context)

    (policy,) = given
    assert policy.waits
    left = policy.bucket("orders", burst=10, per_second=1, monotonic=lambda: 0.0).available
    assert (left, result.looked_up) == (3, [])
