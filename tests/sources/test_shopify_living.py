"""The service against the simulator with orders that live on: what is landed is what the retailer says is true."""

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import requests
from tests.sources.conftest import ENVIRONMENT
from tests.sources.test_shopify_ledger import broken_rules

from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.lake.storage.local import LocalStorage
from retail.landing import payloads
from retail.landing.fetch import extract
from retail.landing.land import land
from retail.sources.registry import open_service, sales_of
from retail.sources.service import Skipped
from retail.sources.shopify.mapping import ShopifySales
from retail.sources.window import Window

pytestmark = pytest.mark.slow

FIRST, DAYS = date(2017, 2, 6), 8


class Shop:
    """A simulator whose clock stands still."""

    def __init__(self, url):
        self.url = url

    def advance(self, **time):
        seconds = timedelta(**time).total_seconds()
        requests.post(
            f"{self.url}/simulator/clock", json={"advance_seconds": seconds}, timeout=20
        ).raise_for_status()

    def truth(self, first, end):
        span = {"from": f"{first}T00:00:00Z", "to": f"{end}T00:00:00Z"}
        answer = requests.get(f"{self.url}/simulator/totals", params=span, timeout=60)
        return answer.json()["retailers"]["retailer_3"]


@pytest.fixture(scope="session")
def start_shop():
    """Starts simulators with changes, at a time, with further arguments; ended with the session."""
    running = []

    def start(clock, *arguments):
        command = [sys.executable, "-m", "retail_simulator", "--port", "0", "--clock", clock, "--changes"]
        command += ["--speed", "0", "--exit-with-parent", *arguments]
        process = subprocess.Popen(
            command,
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return Shop(json.loads(process.stdout.readline())["listening"])

    yield start
    for process in running:
        process.terminate()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()


@pytest.fixture(scope="session")
def shop(start_shop):
    """It is the midnight behind the last of the days."""
    return start_shop(f"{FIRST + timedelta(DAYS)}T00:00:00Z", "--shopify-most-objects", "200")


@pytest.fixture
def open_shop(settings_of, secrets, time):
    """The service in fake time; Etc/UTC, so that days are the simulator's."""

    def build(shop, **options):
        settings = settings_of(shop.url, options={"retailer_3": options})
        return open_service("retailer_3", settings, secrets, clock=time.clock())

    return build


def window(first, days):
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    return Window(first, start, start + timedelta(days))


def told(pages):
    """All records of some pages but those left out, the newest of each key; and rows left out by reason."""
    sales = ShopifySales(retailer_id="retailer_3", zone=ZoneInfo("Etc/UTC"))
    kept, skipped = {}, Counter()
    for page in pages:
        for each in sales.records(page.answer, "p"):
            if isinstance(each, Skipped):
                skipped[each.reason] += 1
                continue
            assert None not in each.natural_key
            other = kept.get(each.natural_key)
            if other is None or each.updated_at >= other.updated_at:  # type: ignore[operator]
                kept[each.natural_key] = each
    return kept, skipped


def content(records):
    """The records without the places that they were read from."""
    return {key: {**json.loads(each.to_line()), "source_ref": ""} for key, each in records.items()}


def sums(records):
    rows, money = Counter(), Counter()
    for each in records:
        rows[each.record_type] += 1
        money[each.record_type] += Decimal(each.total_amount)  # type: ignore[assignment]
    return dict(rows), dict(money)


def true_sums(truth):
    money = {kind: Decimal(truth["money"][kind]) for kind in truth["records"]}
    return truth["records"] | {"refund": truth["records"].get("refund", 0)}, money


def test_day_by_day_while_orders_change_the_star_gets_what_is_true(start_shop, open_shop):
    """Each day is read at its end: rows of days before are overwritten by their own keys, and nothing counts twice."""
    shop, pages = start_shop(f"{FIRST}T00:00:00Z"), []
    for day in range(DAYS):
        shop.advance(days=1)
        pages += open_shop(shop).pages(window(FIRST + timedelta(day), 1), None)

    kept, skipped = told(pages)

    days = [each for each in kept.values() if each.sold_at >= f"{FIRST}"]
    truth = shop.truth(FIRST, FIRST + timedelta(DAYS))
    rows, money = sums(each for each in days if date.fromisoformat(each.business_date) >= FIRST)
    # What was sold before the first day and changed since is there too, and not in the truth of these days.
    assert money == pytest.approx(true_sums(truth)[1])
    assert {kind: rows[kind] for kind in ("return", "sale")} == {
        kind: truth["records"][kind] for kind in ("return", "sale")
    }
    assert rows["refund"] > 2
    assert {"test_order", "gift_card", "tip", "shipping"} <= skipped.keys()
    statuses = Counter(each.status for each in kept.values())
    assert statuses["cancelled"] > 5


WHOLE = window(FIRST, DAYS)


@pytest.fixture(scope="module")
def by_pages(shop):
    """All days read as one window, by pages."""
    options = {"most_objects": 200, "bulk_from_orders": 0}
    retailer = {"service": "shopify", "name": "Shop", "base_url": shop.url, "time_zone": "Etc/UTC"}
    settings = Settings(
        start_date=FIRST, lake={"url": "unused"}, retailers={"retailer_3": {**retailer, "options": options}}
    )
    return told(open_service("retailer_3", settings, Secrets(ENVIRONMENT)).pages(WHOLE, None))


def test_every_record_passes_the_row_rules(by_pages):
    kept, _ = by_pages

    unlike = {(each.record_type, each.status, each.quantity == "0"): each for each in kept.values()}
    changed = [each for each in kept.values() if each.record_type != "sale" or each.status == "cancelled"]
    assert len(unlike) >= 5
    assert {key: broken_rules(each) for key, each in unlike.items()} == {key: [] for key in unlike}
    assert [broken_rules(each) for each in changed[::20]] == [[]] * len(changed[::20])


def test_a_limit_of_objects_costs_no_order(shop, open_shop, by_pages):
    """The shop lets nobody page beyond 200 objects."""
    days = (open_shop(shop).pages(window(FIRST + timedelta(day), 1), None) for day in range(DAYS))

    assert content(by_pages[0]) == content(told(page for pages in days for page in pages)[0])
    assert len({key[1] for key in by_pages[0]}) > 500


def test_in_bulk_and_by_pages_the_same_is_told(shop, open_shop, by_pages):
    pages = list(open_shop(shop, bulk_from_orders=500).pages(WHOLE, None))

    in_bulk, skipped = told(pages)
    assert content(in_bulk) == content(by_pages[0])
    assert skipped.keys() == by_pages[1].keys()
    sizes = [len(page.answer["data"]["orders"]["nodes"]) for page in pages]
    assert (sizes[0], set(sizes[1:-1]), 0 < sizes[-1] <= 250) == (0, {250}, True)
    assert pages[-1].next_cursor is None


def test_a_bulk_read_that_was_killed_goes_on_with_the_same_operation(shop, open_shop, by_pages):
    walk = open_shop(shop, bulk_from_orders=500).pages(WHOLE, None)
    before = [next(walk) for _ in range(3)]
    walk.close()

    behind = list(open_shop(shop, bulk_from_orders=500).pages(WHOLE, before[-1].next_cursor))

    operations = {json.loads(page.next_cursor)["bulk"] for page in [*before, *behind[:-1]]}
    assert len(operations) == 1
    assert json.loads(before[-1].next_cursor)["done"] == 500
    ids = [order["id"] for page in [*before, *behind] for order in page.answer["data"]["orders"]["nodes"]]
    assert len(ids) == len(set(ids))
    assert content(told([*before, *behind])[0]) == content(by_pages[0])


def test_landed_as_files_no_row_and_no_cent_is_lost_and_no_person_is_in_them(
    shop, settings_of, secrets, time, tmp_path
):
    settings = settings_of(shop.url, options={"retailer_3": {"bulk_from_orders": 50}})
    day, lake = FIRST + timedelta(DAYS - 1), LocalStorage(tmp_path)
    service = open_service("retailer_3", settings, secrets, clock=time.clock())

    extract(service, lake, retailer_id="retailer_3", window=window(day, 1), run_id="r1")
    landed = land(sales_of("retailer_3", settings), lake, retailer_id="retailer_3", logical_date=day)

    pages = [payload for _, payload in payloads.read_all(lake, "retailer_3", day)]
    assert len(pages) == 2  # the operation, and its orders
    assert landed.rows > 500
    assert {count.hop for count in landed.counts} == {"fetched", "skipped", "landed"}
    everything = "".join(str(page.answer) for page in pages)
    assert "shopify/Customer" not in everything
    assert "shpat_" not in everything
