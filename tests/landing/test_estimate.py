"""The plan before a backfill, held against what then happens."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import requests
from tests.sources.conftest import ENVIRONMENT

from retail.cli.local import demo
from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.lake.storage.local import LocalStorage
from retail.landing.estimate import plan
from retail.landing.fetch import extract
from retail.sources.http.messages import Clock
from retail.sources.registry import open_service
from retail.sources.window import window_of_unit

pytestmark = pytest.mark.slow

NOW = datetime(2017, 1, 20, tzinfo=UTC)
DAYS = [date(2017, 1, 2) + timedelta(days=n) for n in range(10)]
SMALL_PAGES: dict[str, dict[str, Any]] = {
    "retailer_1": {"page_size": 20},
    "retailer_2": {"page_size": 10},
    # 20 orders a page cost so much that ten days of them use up the shop's bucket.
    "retailer_3": {"page_size": 20},
}


@pytest.mark.parametrize("retailer_id", list(SMALL_PAGES))
def test_calls_and_minutes_come_within_a_factor_of_two_of_the_plan(
    settings_of: Callable[..., Settings], lake: LocalStorage, retailer_id: str
) -> None:
    slept: list[float] = []
    options = ("--changes", "--throttle", "--speed", "0")
    with demo.simulator({**os.environ, **ENVIRONMENT}, clock=NOW, options=options) as address:

        def sleep(seconds: float) -> None:
            # Whoever waits, waits at the retailer too.
            slept.append(seconds)
            asked = {"advance_seconds": seconds}
            requests.post(f"{address}/simulator/clock", json=asked, timeout=30).raise_for_status()

        def calls() -> int:
            usage = requests.get(f"{address}/simulator/usage", timeout=30).json()
            return sum(usage["requests"][retailer_id].values())

        clock = Clock(
            now=lambda: NOW + timedelta(seconds=sum(slept)), monotonic=lambda: sum(slept), sleep=sleep
        )
        settings = settings_of(address, options={retailer_id: SMALL_PAGES[retailer_id]})
        service = open_service(retailer_id, settings, Secrets(ENVIRONMENT), clock=clock)
        windows = [window_of_unit(settings, (retailer_id, day)) for day in DAYS]

        estimate = service.estimate(windows)
        asked = calls()
        assert asked == estimate.asked
        for window in windows:
            extract(service, lake, retailer_id=retailer_id, window=window, run_id="r1")

        made = calls() - asked
        assert (sum(slept) > 0) == (
            retailer_id != "retailer_2"
        )  # 5,000 calls a minute are enough for anyone here
        assert made / 2 <= estimate.calls <= made * 2
        assert sum(slept) / 2 <= estimate.quota_seconds <= sum(slept) * 2


def test_a_retailer_that_cannot_be_asked_is_named_and_the_others_are_planned(
    settings_of: Callable[..., Settings],
) -> None:
    with demo.simulator({**os.environ, **ENVIRONMENT}, clock=NOW) as address:
        settings = settings_of(address, tries=1)
        gone = settings.retailers["retailer_2"].model_copy(update={"base_url": "http://127.0.0.1:1"})
        settings.retailers["retailer_2"] = gone
        planned = plan(settings, Secrets(ENVIRONMENT), [(name, DAYS[0]) for name in settings.retailers])

    assert [each.failure is None for each in planned] == [True, False, True]
    assert "retailer_2: GET http://127.0.0.1:1/v3/orders: " in str(planned[1].failure)


def test_days_that_are_out_of_reach_or_not_over_keep_no_plan_from_being_made(
    settings_of: Callable[..., Settings],
) -> None:
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    with demo.simulator({**os.environ, **ENVIRONMENT}, clock=NOW + timedelta(days=180)) as address:
        settings = settings_of(address, tries=1)
        days = [("retailer_2", day) for day in (*DAYS, tomorrow)]
        (planned,) = plan(settings, Secrets(ENVIRONMENT), days)
        (of_tomorrow,) = plan(settings, Secrets(ENVIRONMENT), days[-1:])

    assert (planned.failure, planned.days) == (None, len(DAYS))
    assert of_tomorrow.failure == f"retailer_2: {tomorrow} has not ended there"
