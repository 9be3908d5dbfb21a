"""Literal SalesRecord lines, and a lake to stage them in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from retail.config.secrets import Secrets
from retail.lake.layout import raw_file
from retail.lake.storage.local import LocalStorage
from retail.pipeline.step_context import StepContext
from retail.pipeline.workspace import Workspace
from retail.records import SalesRecord
from retail.runs.ledger import Ledger
from tests.conftest import settings_for
from tests.steps import step_context

DAY = date(2017, 1, 5)


def record(**changes: Any) -> SalesRecord:
    """A good line of retailer_1, but for `changes`."""
    values = {
        "retailer_id": "retailer_1", "transaction_id": "t1", "line_id": "1", "record_type": "sale",
        "status": "completed", "sold_at": "2017-01-05T20:00:00.000000Z",
        "updated_at": "2017-01-05T20:00:00.000000Z", "business_date": "2017-01-05", "product_id": "p1",
        "product_name": "Mug", "customer_id": "c1", "store_id": "s1", "store_name": "Store 1",
        "quantity": "2", "unit_price": "5.00", "discount_amount": "0", "tax_amount": "0",
        "total_amount": "10.00", "currency": "USD", "source_ref": "payloads/x#/orders/0",
    }  # fmt: skip
    return SalesRecord(**{**values, **changes})


def answer(run_id: str, page: int = 1, *, day: date = DAY, place: int = 0) -> str:
    """A source_ref: what `run_id` fetched for the day, and where it stands on the page."""
    return f"payloads/retailer_1/date={day}/run={run_id}/page-{page:05d}.json.gz#/orders/{place}"


@pytest.fixture
def make_context(session: SparkSession, engine: str, tmp_path: Path) -> Callable[[str], StepContext]:
    """A context for a run id, all on one fresh lake."""
    storage = LocalStorage(tmp_path / "lake")
    settings = settings_for(engine, tmp_path / "lake")
    work = Workspace(settings, Secrets({}))
    work.__dict__ |= {"session": session, "storage": storage, "ledger": Ledger(storage)}
    return lambda run_id: step_context(work, run_id)


def write_raw(
    context: StepContext, lines: list[SalesRecord | str], *, retailer: str = "retailer_1", day: date = DAY
) -> None:
    """A raw file of these lines; a str stands as it is."""
    text = "".join((line if isinstance(line, str) else line.to_line()) + "\n" for line in lines)
    context.storage.write(raw_file(retailer, day), text.encode())
