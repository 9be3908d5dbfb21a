"""A simulator whose orders live on, the pipeline's services before it, and the skip where a tool is not there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from retail.cli.local import demo
from retail.config.secrets import Secrets
from retail.config.settings import Settings, load_settings
from retail.lake.storage.local import LocalStorage
from retail.landing.fetch import extract
from retail.landing.land import Landed, land
from retail.sources.registry import open_service, sales_of
from retail.sources.window import window_of_unit
from tests.official.prism import missing_tool

DAY = date(2017, 1, 8)
CLOCK = datetime(2017, 1, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def simulator() -> Iterator[str]:
    with demo.simulator(
        demo.demo_environment(), clock=CLOCK, options=("--changes", "--speed", "0")
    ) as address:
        yield address


@pytest.fixture
def fetch(tmp_path: Path) -> Callable[[str, Settings], Landed]:
    """Fetches and lands one day of a retailer."""

    def fetched(retailer_id: str, settings: Settings) -> Landed:
        lake = LocalStorage(tmp_path / f"lake-{settings.retailers[retailer_id].base_url.rpartition(':')[2]}")
        service = open_service(retailer_id, settings, Secrets(demo.demo_environment()))
        window = window_of_unit(settings, (retailer_id, DAY))
        extract(service, lake, retailer_id=retailer_id, window=window, run_id="r1")
        return land(sales_of(retailer_id, settings), lake, retailer_id=retailer_id, logical_date=DAY)

    return fetched


@pytest.fixture
def settings_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Settings]:
    """The configuration of a laptop with every retailer at another address."""
    for name in [name for name in os.environ if name.startswith("RETAIL_") and "__" in name]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RETAIL_EXTRACT__TRIES", "2")  # a violation is the same at every try
    return lambda address: demo.pointed_at(load_settings(), address)


def need(tool: str) -> None:
    """Skip where a tool on Node is not there; CI sets a switch that makes this a failure."""
    reason = missing_tool(tool)
    if reason is not None:
        if os.environ.get("RETAIL_REQUIRE_NODE"):
            pytest.fail(f"RETAIL_REQUIRE_NODE is set, and {reason}")
        pytest.skip(reason)
