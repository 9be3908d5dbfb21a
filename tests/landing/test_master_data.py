"""Looking up master data: what is asked for, once, in which order, for how long, and what is landed of it."""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from retail.config.settings import ExtractSettings
from retail.errors import ExtractError, RefusedError
from retail.landing.master_data import Deadline, LookedUp, TimeIsUpError, look_up
from retail.records import ProductRecord, StoreRecord
from retail.sources.http.messages import Clock
from retail.sources.values.timestamps import utc_text

NOW = datetime(2017, 1, 10, 12, tzinfo=UTC)
FOLDER = "raw/master-data/products/retailer_1/"


@dataclass
class Catalogue:
    """Knows the products of `names`, answers `size` ids a call, and fails before call number `fails`."""

    names: dict[str, str] = field(default_factory=dict)
    stores: dict[str, str] = field(default_factory=dict)
    size: int = 1
    fails: int | None = None
    error: ExtractError = field(default_factory=lambda: ExtractError("retailer_1: gone", hint="wait"))
    at: datetime = NOW
    calls: list[list[str]] = field(default_factory=list)
    takes: float = 0.0
    time: object = None

    def describe(self, products, stores):
        ids = [*stores, *products]
        for start in range(0, len(ids), self.size):
            asked = ids[start : start + self.size]
            if self.fails == len(self.calls) + 1:
                raise self.error
            self.calls.append(asked)
            if self.takes:
                self.time.passed += self.takes  # type: ignore[attr-defined]
            yield [self._store(name) if name in stores else self._product(name) for name in asked]

    def _product(self, name):
        return ProductRecord(
            retailer_id="retailer_1", product_id=name, product_name=self.names.get(name),
            fetched_at=utc_text(self.at), source_ref="x",
        )  # fmt: skip

    def _store(self, name):
        return StoreRecord(
            retailer_id="retailer_1", store_id=name, store_name=self.stores.get(name),
            fetched_at=utc_text(self.at), source_ref="x",
        )  # fmt: skip


def sold(*products, stores=()):
    """What the lines of some sales name."""
    return {"products": Counter(products), "stores": Counter(stores)}


@pytest.fixture
def ask(lake, time):
    def run(catalogue, named, *, run_id="run-1", seconds=60.0, at=NOW, **settings):
        clock = Clock(now=lambda: at, monotonic=lambda: time.passed, sleep=time.sleep)
        return look_up(
            catalogue, lake, ExtractSettings(**settings), retailer_id="retailer_1", named=named, run_id=run_id,
            deadline=Deadline(seconds, clock),
        )  # fmt: skip

    return run


def landed(lake, folder=FOLDER):
    return [json.loads(line) for key in lake.list(folder) for line in lake.read(key).splitlines()]


def test_what_the_sales_name_is_asked_for_the_most_sold_first_and_landed(lake, ask):
    named = sold("a-rare", "often", "often", stores=["s1"])
    catalogue = Catalogue({"often": "Mug", "a-rare": "Plate"}, {"s1": "Downtown"})

    assert ask(catalogue, named) == LookedUp(retailer_id="retailer_1", found=3)
    assert catalogue.calls == [["s1"], ["often"], ["a-rare"]]
    assert list(lake.list("raw/master-data/")) == [
        f"{FOLDER}run=run-1/products-00001.json",
        "raw/master-data/stores/retailer_1/run=run-1/stores-00001.json",
    ]
    assert [(line["product_id"], line["product_name"]) for line in landed(lake)] == [
        ("often", "Mug"), ("a-rare", "Plate"),
    ]  # fmt: skip


def test_ids_with_anything_in_them_are_known_again(ask):
    named = sold('a"b', "back\\slash", "Ünïcode 猫", "line\nbreak", "carriage\rreturn", "line\u2028separator")

    assert (ask(Catalogue(), named).asked, ask(Catalogue(), named, run_id="run-2").known) == (6, 6)


def test_nothing_is_asked_for_twice_in_later_runs(ask):
    ask(Catalogue({"p1": "Mug", "p2": "Plate"}), sold("p1", "p2"))
    later = Catalogue({"p3": "Bowl"})

    looked_up = ask(later, sold("p1", "p2", "p3"), run_id="run-2")

    assert later.calls == [["p3"]]
    assert (looked_up.known, looked_up.found, looked_up.left) == (2, 1, 0)


def test_what_the_catalogue_does_not_know_is_remembered_and_asked_for_again_after_a_month(lake, ask):
    named = sold("p1")
    assert ask(Catalogue(), named).missing == 1
    assert [(line["product_id"], line["product_name"]) for line in landed(lake)] == [("p1", None)]

    early, late = Catalogue(), Catalogue({"p1": "Mug"})
    assert ask(early, named, run_id="run-2", at=NOW + timedelta(days=29)).known == 1
    assert ask(late, named, run_id="run-3", at=NOW + timedelta(days=31)).found == 1
    assert (early.calls, late.calls) == ([], [["p1"]])


def test_a_run_makes_no_more_calls_than_it_may_and_the_next_goes_on(ask):
    named = sold(*(f"p{number}" for number in range(5)))
    first, second = Catalogue(), Catalogue()

    assert (
        ask(first, named, master_calls=3).left,
        ask(second, named, run_id="run-2", master_calls=3).left,
    ) == (2, 0)
    assert (len(first.calls), len(second.calls)) == (3, 2)


def test_no_call_is_made_where_none_may_be(lake, ask):
    catalogue = Catalogue()

    assert ask(catalogue, sold("p1"), master_calls=0).left == 1
    assert (catalogue.calls, list(lake.list("raw/master-data/"))) == ([], [])


def test_a_run_asks_no_longer_than_it_may(ask, time):
    catalogue = Catalogue(takes=4.0, time=time)

    looked_up = ask(catalogue, sold("p1", "p2", "p3", "p4", "p5"), seconds=10)

    assert (len(catalogue.calls), looked_up.left, looked_up.failure) == (3, 2, None)


def test_nobody_sleeps_beyond_the_deadline(time):
    deadline = Deadline(10, time.clock())

    deadline.clock.sleep(6)
    with pytest.raises(TimeIsUpError):
        deadline.clock.sleep(6)
    assert (time.slept, deadline.is_over) == ([6], False)


def test_time_that_is_up_is_no_failure(ask):
    looked_up = ask(Catalogue(fails=2, error=TimeIsUpError("over", hint="")), sold("p1", "p2"))

    assert (looked_up.missing, looked_up.left, looked_up.failure) == (1, 1, None)


def test_a_catalogue_that_fails_is_a_warning_and_what_it_told_is_kept(lake, ask):
    with capture_logs() as logs:
        looked_up = ask(Catalogue({"p1": "Mug"}, fails=2), sold("p1", "p2", "p3"))

    assert (looked_up.found, looked_up.left) == (1, 2)
    assert looked_up.failure == "retailer_1: gone\n  next: wait"
    assert len(landed(lake)) == 1
    [warning] = logs
    assert (warning["log_level"], warning["unknown_still"]) == ("warning", 2)


def test_a_catalogue_that_may_not_be_read_says_which_right_is_missing(ask):
    error = RefusedError("retailer_1: HTTP 403", hint="allowed to read orders?", status=403)

    failure = ask(Catalogue(fails=1, error=error), sold("p1")).failure

    assert "Product Listing" in failure and "orders" not in failure


def test_a_killed_run_does_not_ask_again_for_what_is_written(lake, ask):
    named = sold(*(f"p{number:03}" for number in range(250)))
    killed, resumed = Catalogue(size=60, fails=4, error=KeyboardInterrupt()), Catalogue(size=60)  # type: ignore[arg-type]

    with pytest.raises(KeyboardInterrupt):
        ask(killed, named)
    looked_up = ask(resumed, named)

    asked = [name for call in killed.calls + resumed.calls for name in call]
    assert len(asked) == len(set(asked)) == 250
    assert (looked_up.known, looked_up.missing, looked_up.left) == (180, 70, 0)
    assert len(landed(lake)) == 250
    names = [key.rsplit("/")[-1] for key in lake.list(FOLDER)]
    assert names == sorted(set(names)) and len(names) > 2


def test_a_broken_line_tells_nothing_and_stops_nothing(lake, ask):
    good = ProductRecord(
        retailer_id="retailer_1",
        product_id="p2",
        product_name="Mug",
        fetched_at=utc_text(NOW),
        source_ref="x",
    )
    broken = ['{"product_id":"p1"', "null", "[]", '{"product_id":"p1","fetched_at":1}']
    lake.create(f"{FOLDER}run=old/products-00001.json", "\n".join([*broken, good.to_line()]).encode())
    catalogue = Catalogue({"p1": "Plate"})

    looked_up = ask(catalogue, sold("p1", "p2"))

    assert (catalogue.calls, looked_up.known) == ([["p1"]], 1)


def test_no_address_of_a_person_is_landed_with_a_name(lake, ask):
    ask(Catalogue({"p1": "Mug, ask jo@example.com"}, {"s1": "jo@example.com"}), sold("p1", stores=["s1"]))

    lines = [*landed(lake), *landed(lake, "raw/master-data/stores/retailer_1/")]
    assert [line for line in lines if "@" in json.dumps(line)] == []


def test_a_part_number_in_a_name_is_no_phone_number(lake, ask):
    ask(Catalogue({"p1": "Whirlpool 285-753-1000"}), sold("p1"))

    assert [line["product_name"] for line in landed(lake)] == ["Whirlpool 285-753-1000"]
