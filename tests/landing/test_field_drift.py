"""A field that no answer had before, or that comes as another type, is told once, and kept as it came."""

import json
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from retail.errors import StorageError
from retail.landing import payloads
from retail.landing.fetch import extract
from retail.landing.field_drift import ENOUGH, PayloadFields
from retail.landing.land import land
from retail.sources.registry import open_service, sales_of
from retail.sources.service import Page, Skipped
from retail.sources.values.json_path import parse
from retail.sources.window import Window, window_of

DAY = date(2017, 1, 5)
KEY = "ops/payload-fields/retailer_1.json"


def fields_of(lake, run_id, retailer_id="retailer_1", *, killed=(), watched=None):
    """As a run sees them; the runs in `killed` did not come to the record of their step."""
    return PayloadFields(
        lake, retailer_id, run_id, has_ended=lambda other: other not in killed, watched=watched or {}
    )


def seen(lake, run_id, *answers, day=DAY, killed=()):
    """What a run tells after it has seen these answers; the first of the many that it takes to learn."""
    fields = fields_of(lake, run_id, killed=killed)
    for answer in [*answers, *[{"records": [{}] * ENOUGH}] * (run_id == "r1")]:
        fields.look(answer, day)
    return [str(each) for each in fields.keep()]


def order(**changes):
    return {"orders": [{"id": "1", "total": {"amount": "9.50"}, "lines": [{"sku": "a"}]} | changes]}


def test_the_first_run_learns_and_tells_nothing(lake):
    assert seen(lake, "r1", order(), order(gift=True)) == []
    kept = json.loads(lake.read(KEY))
    assert kept["learned_by"] == "r1"
    assert kept["fields"]["orders[].lines[].sku"] == {
        "types": ["text"], "first_seen": "2017-01-05", "run_id": "r1"
    }  # fmt: skip
    assert sorted(kept["fields"]) == [
        "orders", "orders[].gift", "orders[].id", "orders[].lines", "orders[].lines[].sku", "orders[].total",
        "orders[].total.amount", "records",
    ]  # fmt: skip


def test_runs_of_empty_days_learn_on_until_one_has_seen_enough(lake):
    for run_id in ("e1", "e2"):
        assert seen(lake, run_id, {"orders": []}, {"orders": []}) == []
    assert seen(lake, "r1", order()) == []
    assert seen(lake, "r2", order(gift=True)) == ["retailer_1: orders[].gift (boolean) is new on 2017-01-05"]


def test_what_many_small_runs_saw_is_enough_in_the_end(lake):
    for number in range(ENOUGH // 2):  # two records each
        assert seen(lake, f"s{number}", order()) == []
    assert len(seen(lake, "late", order(gift=True))) == 1


def test_a_page_that_a_run_is_shown_again_when_it_goes_on_counts_once(lake):
    page = {"records": [{}] * (ENOUGH * 3 // 4)}
    for _ in range(2):
        assert seen(lake, "s1", page) == []
    assert seen(lake, "s2", order()) == []  # still learning: nothing of it is told as new


def test_a_run_that_learned_and_was_killed_before_its_end_has_not_learned_for_others(lake):
    seen(lake, "r1", order())
    assert seen(lake, "r2", order(gift=True), killed=["r1"]) == []
    assert len(seen(lake, "r3", order(rush=True), killed=["r1"])) == 1


def test_what_a_killed_run_found_new_is_told_by_itself_when_it_goes_on(lake):
    seen(lake, "r1", order())
    gift = "retailer_1: orders[].gift (boolean) is new on 2017-01-05"
    rush = "retailer_1: orders[].rush (boolean) is new on 2017-01-05"
    assert seen(lake, "r2", order(gift=True)) == [gift]
    assert seen(lake, "r2", order(gift=True, rush=True), killed=["r2"]) == [gift, rush]
    assert seen(lake, "r3", order(gift=True, rush=True)) == []


def test_what_a_killed_run_found_new_is_told_once_by_the_one_after_it(lake):
    seen(lake, "r1", order())
    told = seen(lake, "r2", order(gift=True))
    assert seen(lake, "r3", order(), killed=["r2"]) == told
    assert seen(lake, "r4", order(), killed=["r2"]) == []


def test_a_new_field_is_told_once_with_the_day_it_came(lake):
    seen(lake, "r1", order())
    later = DAY + timedelta(3)
    told = seen(
        lake, "r2", order(), order(loyalty={"tier": "gold"}), order(loyalty={"tier": "red"}), day=later
    )
    assert told == [
        "retailer_1: orders[].loyalty (object) is new on 2017-01-08",
        "retailer_1: orders[].loyalty.tier (text) is new on 2017-01-08",
    ]
    assert seen(lake, "r3", order(loyalty={"tier": "gold"})) == []
    assert "gold" not in lake.read(KEY).decode()


def test_another_type_is_told_once_and_null_is_of_every_type(lake):
    seen(lake, "r1", order())
    assert seen(lake, "r2", order(total=None), order(lines=None), order(id=7)) == [
        "retailer_1: orders[].id is number since 2017-01-05, was text"
    ]
    assert seen(lake, "r3", order(id=7), order(id=Decimal("7.5")), order()) == []
    assert seen(lake, "r4", order(id=[7])) == [
        "retailer_1: orders[].id is list since 2017-01-05, was text or number",
        "retailer_1: orders[].id[] (number) is new on 2017-01-05",
    ]


@pytest.mark.parametrize(
    ("value", "is_told"),
    [
        *((value, True) for value in ("7", 7, Decimal("0.01"), True, "no number")),
        *((value, False) for value in (None, "", " ", "0.00", 0, Decimal("0.00"), False, [], {})),
    ],
)
def test_a_watched_field_is_told_by_every_run_that_sees_a_value(lake, value, is_told):
    for run_id in ("r1", "r2"):
        fields = fields_of(lake, run_id, watched={"orders[].lines[].weight": "sold by weight"})
        for days in (2, 1):
            fields.look(order(lines=[{"sku": "a"}, {"sku": "b", "weight": value}]), DAY + timedelta(days))
        assert [str(each) for each in fields.with_value()] == [
            "retailer_1: orders[].lines[].weight has a value on 2017-01-06: sold by weight"
        ] * is_told


def test_ids_as_names_of_fields_are_folded_and_the_file_does_not_grow_with_them(lake):
    seen(lake, "r1", order())
    by_id = [order(prices={f"10{n}": {"usd": n}, f"ann{n}@example.com": {}}) for n in range(2_000)]
    names = [order(labels={f"label_{n}": n}) for n in range(2_000)]
    told = seen(lake, "r2", *by_id, *names)
    assert "retailer_1: orders[].prices.*.usd (number) is new on 2017-01-05" in told
    assert len(told) < 110
    assert b"example" not in lake.read(KEY)
    assert seen(lake, "r3", order(labels={"another": 1})) == []


@pytest.mark.parametrize("answer", [None, "text", 7, [], [[1, [2]]], {}, {"a": [[{"b": 1}]]}, {"": {"": 1}}])
def test_no_answer_is_too_odd(lake, answer):
    assert seen(lake, "r1", answer) == []


def test_what_is_nested_without_end_is_seen_so_far(lake):
    deep = lists = None
    for _ in range(900):
        deep, lists = {"a": deep}, [lists]
    assert seen(lake, "r1", deep, lists) == []
    assert len(json.loads(lake.read(KEY))["fields"]) < 100


def test_an_odd_shape_is_learned_though_its_place_has_seen_too_many(lake):
    many = [{f"f{n}": 1, f"g{n % 7}": "x"} for n in range(90)] * 2
    answers = [{"orders": [{**one, **two}]} for one in many for two in many[:9]]
    seen(lake, "r1", *answers)
    assert seen(lake, "r2", {"orders": [{"f1": "text"}]}) == [
        "retailer_1: orders[].f1 is text since 2017-01-05, was number"
    ]


def test_a_damaged_file_says_what_to_do(lake):
    lake.write(KEY, b"{")
    with pytest.raises(StorageError, match=r"payload-fields/retailer_1\.json is damaged"):
        fields_of(lake, "r2")


class NewFieldService:
    def pages(self, _window, _cursor):
        yield Page(order(loyalty_tier="gold"), None)


def test_the_payload_keeps_what_is_new(lake):
    seen(lake, "r1", order())
    fields = fields_of(lake, "r2")
    window = Window(DAY, datetime(2017, 1, 5, 7, tzinfo=UTC), datetime(2017, 1, 6, 7, tzinfo=UTC))
    extract(NewFieldService(), lake, retailer_id="retailer_1", window=window, run_id="r2", look=fields.look)
    assert [each.path for each in fields.keep()] == ["orders[].loyalty_tier"]
    assert payloads.last(lake, "retailer_1", DAY).answer == order(loyalty_tier="gold")


class KilledService:
    """Two pages, and on the way to the second the process is killed, once."""

    def __init__(self):
        self.alive = False

    def pages(self, _window, cursor):
        if cursor is None:
            yield Page(order(loyalty_tier="gold"), "2")
        if not self.alive:
            raise KeyboardInterrupt
        yield Page(order(), None)


@pytest.mark.parametrize("run_id", ["r2", "r3"])
def test_pages_from_before_a_kill_are_looked_at_by_the_run_that_goes_on(lake, run_id):
    seen(lake, "r1", order())
    window = Window(DAY, datetime(2017, 1, 5, 7, tzinfo=UTC), datetime(2017, 1, 6, 7, tzinfo=UTC))
    service, lost = KilledService(), fields_of(lake, "r2")
    with pytest.raises(KeyboardInterrupt):
        extract(service, lake, retailer_id="retailer_1", window=window, run_id="r2", look=lost.look)
    service.alive, fields = True, fields_of(lake, run_id)
    extract(service, lake, retailer_id="retailer_1", window=window, run_id=run_id, look=fields.look)
    assert [each.path for each in fields.keep()] == ["orders[].loyalty_tier"]


def as_other_types(value):
    """Numbers that came as text come as numbers, and numbers as text; ids with them."""
    if isinstance(value, dict):
        return {key: as_other_types(held) for key, held in value.items()}
    if isinstance(value, list):
        return [as_other_types(held) for held in value]
    if isinstance(value, str) and value.replace(".", "", 1).isdecimal():
        return parse(value) if not value.startswith("0") or value.startswith("0.") else value
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    return value


def unlike(before, after):
    """Fields of two records, or of what was skipped, that differ though staging would take them both."""
    one, other = (asdict(each.record if isinstance(each, Skipped) else each) for each in (before, after))
    differ = [(name, one[name], other[name]) for name in one if one[name] != other[name]]
    # What is missing is quarantined, and so is a time that is none.
    return [each for each in differ if each[2] and (not each[0].endswith("_at") or each[2].endswith("Z"))]


@pytest.mark.parametrize("retailer_id", ["retailer_1", "retailer_2", "retailer_3"])
def test_amounts_and_ids_that_come_as_another_type_are_read_right_or_quarantined_and_told(
    retailer_id, simulator, settings_of, secrets, lake
):
    settings = settings_of(simulator)
    day = date(2017, 12, 20)
    zone = settings.retailers[retailer_id].time_zone
    window = window_of(day, time_zone=zone, overlap=timedelta(0), start_date=settings.start_date)
    first = fields_of(lake, "r1", retailer_id)
    extract(
        open_service(retailer_id, settings, secrets), lake, retailer_id=retailer_id, window=window,
        run_id="r1", look=first.look,
    )  # fmt: skip
    assert first.keep() == []
    sales = sales_of(retailer_id, settings)
    land(sales, lake, retailer_id=retailer_id, logical_date=day)
    second = fields_of(lake, "r2", retailer_id)
    read, wrong = 0, []
    for key, payload in payloads.read_all(lake, retailer_id, day):
        other = as_other_types(payload.answer)
        second.look(other, day)
        both = zip(sales.records(payload.answer, key), sales.records(other, key), strict=True)
        for before, after in both:
            assert isinstance(before, Skipped) == isinstance(after, Skipped)
            read += 1
            wrong += unlike(before, after)
    assert read > 500
    assert wrong[:3] == []
    assert any(" since " in str(each) for each in second.keep())
