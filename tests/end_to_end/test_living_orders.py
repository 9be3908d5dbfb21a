"""The real program against retailers whose orders live on, throttle and run dry."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import requests

from retail.cli.local import demo
from retail.config.settings import home
from tests.end_to_end.installation import Installation

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.xdist_group("living_orders")]

FIRST, LAST = date(2017, 1, 1), date(2017, 1, 8)
# Behind the last day by just what Amazon wants; no order of the three changed in these minutes.
NOW = datetime(2017, 1, 9, 0, 2, 30, tzinfo=UTC)
IN_UTC = {f"RETAIL_RETAILERS__RETAILER_{n}__TIME_ZONE": "Etc/UTC" for n in (1, 2, 3)}
SECRETS = [name for name in demo.demo_environment() if name.startswith("RETAIL_RETAILER_")]

Install = Callable[..., Installation]


@pytest.fixture(scope="module")
def living() -> Iterator[str]:
    options = ("--changes", "--speed", "0")
    with demo.simulator(demo.demo_environment(), clock=NOW, options=options) as address:
        yield address


@pytest.fixture(scope="module")
def brought_in(install: Install, living: str) -> Installation:
    made = install("living_orders", address=living)
    ended = made.retail("run", "--from", str(FIRST), "--to", str(LAST), **IN_UTC)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return made


Standing = dict[tuple[str, str], tuple[dict[str, int], Decimal]]


def true_of(address: str) -> Standing:
    """Rows by kind and net money of each retailer and day, as the simulator knows them."""
    found: Standing = {}
    for day in (FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)):
        span = {"from": f"{day}T00:00:00Z", "to": f"{day + timedelta(days=1)}T00:00:00Z"}
        answer = requests.get(f"{address}/simulator/totals", params=span, timeout=30).json()
        for retailer_id, totals in answer["retailers"].items():
            rows = {kind: count for kind, count in totals["records"].items() if count}
            found[retailer_id, str(day)] = (rows, Decimal(totals["money"]["net"]))
    return found


def test_the_star_and_the_views_hold_every_row_and_cent_of_each_day_that_the_retailers_say_stands(
    brought_in: Installation, living: str
) -> None:
    true = true_of(living)
    rows: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    money: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in brought_in.delta("star/fact_sales").to_pylist():
        # Walmart shows the money of a return at the order's line too: that refund is worth nothing.
        if (row["record_type"], row["status"]) != ("refund", "cancelled"):
            rows[row["retailer_id"], str(row["business_date"])][row["record_type"]] += 1
        money[row["retailer_id"], str(row["business_date"])] += row["total_amount"]
    assert {group: (dict(rows[group]), money[group]) for group in true} == true
    with brought_in.postgresql() as cursor:
        cursor.execute(
            "SELECT retailer_id, business_date::text, net_amount FROM marts.mv_daily_sales WHERE business_date >= %s",
            [FIRST],
        )
        views = {(retailer_id, day): net for retailer_id, day, net in cursor.fetchall()}
    assert views == {group: net for group, (_, net) in true.items()}


def test_what_is_left_out_is_counted_by_reason(brought_in: Installation) -> None:
    [step] = (brought_in.folder / "lake" / "ops" / "runs").glob("*/steps/land.json")
    counts = json.loads(step.read_text(encoding="utf-8"))["counts"]
    reasons = {(count["retailer_id"], count["reason"]) for count in counts if count["hop"] == "skipped"}
    assert {
        ("retailer_1", "pending"), ("retailer_1", "non_amazon"), ("retailer_2", "open_return"),
        ("retailer_3", "test_order"), ("retailer_3", "gift_card"),
    } <= reasons  # fmt: skip


def test_a_mended_mapping_is_landed_again_without_a_call_and_without_a_secret(
    brought_in: Installation,
) -> None:
    before = amounts_of(brought_in)
    mended = {
        **IN_UTC,
        **dict.fromkeys(SECRETS, ""),
        "RETAIL_RETAILERS__RETAILER_1__SERVICE": "tests.end_to_end.mended:MendedAmazon",
        "RETAIL_RETAILERS__RETAILER_1__BASE_URL": "http://127.0.0.1:1",
        "PYTHONPATH": str(home()),
    }
    days = ("--from", str(FIRST), "--to", str(LAST), "--only", "retailer_1", "--run-id", "mended")
    for task in ("land", "transform", "check", "refresh"):
        ended = brought_in.retail(task, *days, **mended)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    after = brought_in.delta("star/dim_product").to_pylist()
    names = [row["product_name"] for row in after if row["retailer_id"] == "retailer_1" and not row["gtin"]]
    assert names == [name.upper() for name in names] != []
    assert amounts_of(brought_in) == before


def amounts_of(installation: Installation) -> dict[int, Decimal]:
    fact = installation.delta("star/fact_sales")
    return dict(zip(fact["sales_key"].to_pylist(), fact["total_amount"].to_pylist(), strict=True))


@pytest.fixture
def throttled() -> Iterator[str]:
    with demo.simulator(
        demo.demo_environment(), clock=NOW, options=("--throttle", "--speed", "0")
    ) as address:
        yield address


def test_a_run_that_does_not_wait_for_quota_keeps_its_pages_and_the_next_one_goes_on(
    install: Install, throttled: str
) -> None:
    made = install("no_wait", address=throttled)
    options = {
        "token_url": f"{throttled}/auth/o2/token", "marketplace_ids": ["ATVPDKIKX0DER"], "page_size": 5,
    }  # fmt: skip
    variables = {
        **IN_UTC,
        "RETAIL_RETAILERS__RETAILER_1__OPTIONS": json.dumps(options),
        "RETAIL_EXTRACT__MASTER_CALLS": "0",
    }
    day = ("--date", "2017-01-03", "--only", "retailer_1")

    first = made.retail("run", *day, "--no-wait", **variables)
    assert first.returncode == 1, first.stdout + first.stderr
    assert "2017-01-03 is missing: retailer_1: its quota is used up until " in first.stderr
    pages = {path: path.read_bytes() for path in made.folder.rglob("page-*.json.gz")}
    assert len(pages) == 20

    requests.post(f"{throttled}/simulator/clock", json={"advance_seconds": 7200}, timeout=30)
    second = made.retail("run", *day, "--no-wait", **variables)
    assert second.returncode == 0, second.stdout + second.stderr
    after = {path: path.read_bytes() for path in made.folder.rglob("page-*.json.gz")}
    assert len(after) > len(pages)
    assert pages.items() <= after.items()
    assert len({path.parent for path in after}) == 1, "the run that failed went on"
    span = {"from": "2017-01-03T00:00:00Z", "to": "2017-01-04T00:00:00Z"}
    true = requests.get(f"{throttled}/simulator/totals", params=span, timeout=30).json()["retailers"][
        "retailer_1"
    ]
    assert made.delta_figures()["retailer_1", "2017-01-03"] == (true["rows"], Decimal(true["net"]))


def test_a_plan_is_told_before_anything_is_fetched(install: Install, throttled: str) -> None:
    made = install("plan", address=throttled)
    told = made.retail("ingest", "--from", "2017-01-02", "--to", "2017-01-06", "--plan", **IN_UTC)
    assert told.returncode == 0, told.stdout + told.stderr
    for words in ("retailer_1", "retailer_2", "retailer_3", "calls", "20 calls at once, then one in 179 s"):
        assert words in told.stdout
    assert "Nothing was fetched" in told.stdout
    assert not list(made.folder.rglob("page-*.json.gz"))
