"""Orders change while the lists that hold them are read: all days together are still what the retailer sold."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.sources.conftest import ENVIRONMENT

from retail.cli.local import demo
from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.lake.storage.local import LocalStorage
from retail.landing.fetch import extract
from retail.landing.land import land
from retail.sources.http.messages import Clock
from retail.sources.registry import open_service, sales_of
from retail.sources.window import window_of_unit

pytestmark = pytest.mark.slow

FIRST = date(2017, 1, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(8)]
# Behind the last day by just what Amazon wants; no order of the three changed in these minutes.
LAST_LOOK = datetime(2017, 1, 9, 0, 2, 30, tzinfo=UTC)
BEGIN = datetime(2017, 1, 2, 0, 2, 30, tzinfo=UTC)
# Between two pages; of a day that is just over, an order or two change in it.
A_PAGE_TAKES = timedelta(hours=1)

OPTIONS: dict[str, dict[str, Any]] = {
    "retailer_1": {"marketplace_ids": ["ATVPDKIKX0DER"], "page_size": 25},
    # Fewer than a day of SellerFulfilled orders holds, so that its stretches are halved.
    "retailer_2": {"page_size": 10, "most_entries": 80},
    "retailer_3": {"page_size": 25, "lines_page_size": 5, "most_objects": 60},
}
SERVICES = {"retailer_1": "amazon", "retailer_2": "walmart", "retailer_3": "shopify"}


@pytest.fixture
def address() -> Iterator[str]:
    """A simulator of its own, for its clock is moved; it shows Shopify's lists no farther than 60 orders."""
    options = ("--changes", "--speed", "0", "--shopify-most-objects", "60")
    with demo.simulator({**os.environ, **ENVIRONMENT}, clock=BEGIN, options=options) as found:
        yield found


def newest(lines: Iterator[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """One line a key, as the star keeps it."""
    kept: dict[tuple[str, str], dict[str, Any]] = {}
    for line in lines:
        key = (line["transaction_id"], line["line_id"])
        if key not in kept or line["updated_at"] >= kept[key]["updated_at"]:
            kept[key] = line
    return kept


@pytest.mark.parametrize("retailer_id", list(SERVICES))
def test_lists_that_move_while_they_are_read_lose_nothing(
    address: str, retailer_id: str, lake: LocalStorage
) -> None:
    now = [BEGIN]

    def move_to(instant: datetime) -> None:
        step = max(timedelta(0), min(instant, LAST_LOOK) - now[0])
        advance = {"advance_seconds": step.total_seconds()}
        requests.post(f"{address}/simulator/clock", json=advance, timeout=30)
        now[0] += step

    options = OPTIONS[retailer_id]
    if retailer_id == "retailer_1":
        options = {**options, "token_url": f"{address}/auth/o2/token"}
    settings = Settings(
        start_date=FIRST,
        lake={"url": "unused"},
        retailers={
            retailer_id: {
                "service": SERVICES[retailer_id], "name": "R", "base_url": address, "time_zone": "Etc/UTC",
                "options": options,
            }
        },
    )  # fmt: skip
    service = open_service(
        retailer_id, settings, Secrets(ENVIRONMENT), clock=Clock(now=lambda: now[0], sleep=lambda _: None)
    )
    pages = 0
    for day in DAYS:
        window = window_of_unit(settings, (retailer_id, day))
        move_to(window.end + timedelta(seconds=150))
        pages += extract(
            service,
            lake,
            retailer_id=retailer_id,
            window=window,
            run_id="r1",
            on_page=lambda _: move_to(now[0] + A_PAGE_TAKES),
        ).pages
    assert now[0] == LAST_LOOK
    landed = [
        land(sales_of(retailer_id, settings), lake, retailer_id=retailer_id, logical_date=day) for day in DAYS
    ]
    kept = newest(json.loads(line) for each in landed for line in lake.read(each.key).splitlines())
    of_days = [line for line in kept.values() if line["sold_at"] >= f"{FIRST}T00:00:00"]
    # Walmart shows the money of a return at the order's line too: that refund is worth nothing.
    sold = [line for line in of_days if (line["record_type"], line["status"]) != ("refund", "cancelled")]

    span = {"from": f"{FIRST}T00:00:00Z", "to": "2017-01-09T00:00:00Z"}
    true = requests.get(f"{address}/simulator/totals", params=span, timeout=30).json()["retailers"][
        retailer_id
    ]
    kinds = Counter(line["record_type"] for line in sold)
    assert pages > 30
    assert kinds == Counter({kind: count for kind, count in true["records"].items() if count})
    assert sum(Decimal(line["total_amount"]) for line in sold) == Decimal(true["money"]["net"])
    # Of Amazon it tells the units and the tax of what was refunded, too.
    for name, refunded in (("quantity", true.get("units", {})), ("tax_amount", true.get("tax", {}))):
        for kind, expected in refunded.items():
            found = [line for line in sold if line["record_type"] == kind]
            assert sum(Decimal(line[name]) for line in found) == Decimal(expected)


def test_a_walk_whose_page_token_expired_over_night_is_begun_anew_and_lands_the_whole_day(
    address: str, lake: LocalStorage, tmp_path: Path
) -> None:
    settings = Settings(
        start_date=FIRST,
        lake={"url": "unused"},
        retailers={
            "retailer_1": {
                "service": "amazon", "name": "R", "base_url": address, "time_zone": "Etc/UTC",
                "options": {**OPTIONS["retailer_1"], "token_url": f"{address}/auth/o2/token"},
            }
        },
    )  # fmt: skip
    window = window_of_unit(settings, ("retailer_1", FIRST))

    def walk(into: LocalStorage, run_id: str, *, killed_behind: int | None = None) -> int:
        def on_page(page: Any) -> None:
            if page.number == killed_behind:
                raise KeyboardInterrupt

        # A service of its own for each run, as each command has.
        service = open_service(
            "retailer_1", settings, Secrets(ENVIRONMENT), clock=Clock(sleep=lambda _: None)
        )
        return extract(
            service, into, retailer_id="retailer_1", window=window, run_id=run_id, on_page=on_page
        ).fetched

    with pytest.raises(KeyboardInterrupt):
        walk(lake, "r1", killed_behind=2)
    day_and_an_hour = {"advance_seconds": 25 * 3600}
    requests.post(f"{address}/simulator/clock", json=day_and_an_hour, timeout=30).raise_for_status()
    undisturbed = LocalStorage(tmp_path / "undisturbed")

    assert walk(lake, "r2") == walk(undisturbed, "r0") > 2
    newest_of, whole = (
        {
            (line["transaction_id"], line["line_id"])
            for line in map(json.loads, each.read(landed.key).splitlines())
        }
        for each in (lake, undisturbed)
        for landed in [
            land(sales_of("retailer_1", settings), each, retailer_id="retailer_1", logical_date=FIRST)
        ]
    )
    assert newest_of >= whole
