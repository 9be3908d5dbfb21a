"""Which times are asked of a retailer, day after day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import settings_for
from tests.steps import step_context

from retail.config.secrets import Secrets
from retail.lake.storage.local import LocalStorage
from retail.landing import payloads
from retail.pipeline.extract_step import extract_step
from retail.pipeline.workspace import Workspace
from retail.sources.service import Options, Page
from retail.sources.window import Window

NEW_YORK, LOS_ANGELES = "America/New_York", "America/Los_Angeles"


class NoSales:
    MAPPING_VERSION = 1


class Till:
    """A retailer without a sale, which lists changes at once."""

    Options = Options
    asked: list[tuple[datetime, datetime]]

    def __init__(self, *_: Any, **__: Any) -> None:
        """It needs nothing."""

    @classmethod
    def secret_names(cls, _: Any) -> tuple[str, ...]:
        return ()

    @classmethod
    def sales(cls, *_: Any) -> NoSales:
        return NoSales()

    def pages(self, window: Window, _: str | None) -> Iterator[Page]:
        self.asked.append((window.start, window.end))
        yield Page({"receipts": []}, None)


def asked(lake: Path, zone: str, *days: int) -> list[tuple[datetime, datetime]]:
    """What a run for these days of January asks for."""
    settings = settings_for("sail", lake)
    retailer = settings.retailers["retailer_1"].model_copy(
        update={"service": f"{__name__}:Till", "time_zone": zone, "look_back_hours": None}
    )
    extract = settings.extract.model_copy(update={"overlap_minutes": 0})
    settings = settings.model_copy(update={"retailers": {"retailer_1": retailer}, "extract": extract})
    Till.asked = []
    with Workspace(settings, Secrets({"RETAIL_CUSTOMER_PEPPER": "pepper" * 6})) as workspace:
        units = [("retailer_1", date(2017, 1, day)) for day in days]
        run_id = f"run-{days[0]}"
        run = workspace.ledger.begin(run_id, units, tasks=("ingest",), engine="sail")
        extract_step(step_context(workspace, run))
    return Till.asked


def at(day: int, hour: int) -> datetime:
    return datetime(2017, 1, day, hour, tzinfo=UTC)


def test_a_day_begins_where_the_one_before_ended_though_the_time_zone_was_moved_west(tmp_path: Path) -> None:
    assert asked(tmp_path, NEW_YORK, 2, 3) == [(at(2, 5), at(3, 5)), (at(3, 5), at(4, 5))]

    assert asked(tmp_path, LOS_ANGELES, 4, 5) == [(at(4, 5), at(5, 8)), (at(5, 8), at(6, 8))]
    assert asked(tmp_path, LOS_ANGELES, 6) == [(at(6, 8), at(7, 8))]


def test_hours_are_fetched_twice_where_the_time_zone_was_moved_east(tmp_path: Path) -> None:
    asked(tmp_path, LOS_ANGELES, 2)

    assert asked(tmp_path, NEW_YORK, 3) == [(at(3, 5), at(4, 5))]


def test_a_day_that_was_not_fetched_to_its_end_moves_no_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Till, "pages", lambda *_: iter([Page({"receipts": []}, "more")]))
    asked(tmp_path, NEW_YORK, 2)
    monkeypatch.undo()

    assert asked(tmp_path, LOS_ANGELES, 3) == [(at(3, 8), at(3, 8) + timedelta(days=1))]


def test_a_page_of_withdrawn_lines_hides_no_end(tmp_path: Path) -> None:
    asked(tmp_path, NEW_YORK, 3)
    storage = LocalStorage(tmp_path)
    last = payloads.last(storage, "retailer_1", date(2017, 1, 3))
    assert last is not None
    payloads.write(storage, replace(last, page=last.page + 1, kind=payloads.WITHDRAWN))

    assert asked(tmp_path, LOS_ANGELES, 4) == [(at(4, 5), at(5, 8))]
