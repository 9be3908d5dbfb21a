"""Comparing a day with its retailer: what is kept as pages, and how a killed comparison goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, ClassVar

import pytest

from retail.errors import ExtractError
from retail.lake.layout import raw_file
from retail.lake.storage.local import LocalStorage
from retail.landing import payloads
from retail.landing.fetch import extract
from retail.landing.land import land
from retail.landing.reconcile import Compared, Comparison
from retail.records import SalesRecord
from retail.sources.service import Page, Skipped, unreadable
from retail.sources.window import Window

DAY = date(2017, 1, 5)
WINDOW = Window(DAY, datetime(2017, 1, 5, 7, tzinfo=UTC), datetime(2017, 1, 6, 8, tzinfo=UTC))
LATER = datetime(2017, 1, 9, tzinfo=UTC)


def line(order: str, amount: str = "10.00", source_ref: str = "p") -> SalesRecord:
    return SalesRecord(
        retailer_id="retailer_1", transaction_id=order, line_id="1", record_type="sale", status="completed",
        sold_at="2017-01-05T20:00:00.000000Z", updated_at="2017-01-05T20:00:00.000000Z",
        business_date="2017-01-05", product_id="p1", product_name="Mug", quantity="1", total_amount=amount,
        currency="USD", source_ref=source_ref,
    )  # fmt: skip


class Orders:
    """A retailer's orders in pages of one, and the Sales that read them. An order `pending-…` is no sale yet."""

    MAPPING_VERSION: ClassVar[int] = 1

    def __init__(self, *listed: str, hidden: tuple[str, ...] = ()) -> None:
        self.listed, self.hidden = listed, hidden
        self.asked: list[str | None] = []

    def pages(self, window: Window, cursor: str | None) -> Iterator[Page]:
        return self.created(window, cursor)

    def created(self, _window: Window, cursor: str | None) -> Iterator[Page]:
        self.asked.append(cursor)
        if not self.listed:
            yield Page({"orders": []}, None)
        for place in range(int(cursor or 0), len(self.listed)):
            following = str(place + 1) if place + 1 < len(self.listed) else None
            yield Page({"orders": [self.listed[place]]}, following)

    def require_reach(self, _window: Window) -> None:
        self.asked.append("reach")

    def find(self, transaction_id: str) -> Any:
        self.asked.append(transaction_id)
        return {"orders": [transaction_id]} if transaction_id in self.hidden else None

    def records(self, answer: Any, source: str) -> Iterator[SalesRecord | Skipped]:
        for place, order in enumerate(answer["orders"]):
            record = line(order, source_ref=f"{source}#/answer/orders/{place}")
            if order == "broken":
                yield unreadable("retailer_1", record.source_ref)
            else:
                yield Skipped("pending", record) if order.startswith("pending") else record


def comparison(lake: LocalStorage, run_id: str = "20170109T000000Z-b") -> Comparison:
    return Comparison(storage=lake, retailer_id="retailer_1", window=WINDOW, run_id=run_id, now=lambda: LATER)


def fetched(lake: LocalStorage, *listed: str) -> None:
    extract(Orders(*listed), lake, retailer_id="retailer_1", window=WINDOW, run_id="20170106T000000Z-a")  # type: ignore[arg-type]


def landed(lake: LocalStorage) -> dict[str | None, tuple[str, str, str]]:
    land(Orders(), lake, retailer_id="retailer_1", logical_date=DAY)
    lines = [json.loads(each) for each in lake.read(raw_file("retailer_1", DAY)).splitlines()]
    return {
        each["transaction_id"]: (each["status"], each["total_amount"], each["product_name"]) for each in lines
    }


SOLD, GONE = ("completed", "10.00", "Mug"), ("deleted", "0", "Mug")


def test_an_order_is_deleted_only_if_it_is_in_no_list_and_the_retailer_has_none_of_its_id(
    lake: LocalStorage,
) -> None:
    orders = Orders("a", "new", "pending-1", hidden=("b",))

    found = comparison(lake).compare(orders, orders, dict.fromkeys(("a", "b", "c", "pending-1"), True))

    assert found == Compared(
        listed=frozenset({"a", "new", "pending-1"}), missing=frozenset({"new"}), deleted=frozenset({"c"})
    )
    assert orders.asked == [None, "reach", "b", "c"]


def test_what_was_missing_lands_and_what_was_deleted_is_overwritten_until_it_is_there_again(
    lake: LocalStorage,
) -> None:
    fetched(lake, "a", "c")
    orders = Orders("a", "new")
    first = comparison(lake)
    first.compare(orders, orders, {"a": True, "c": True})
    first.withdraw([line("c")], status="deleted")

    assert landed(lake) == {"a": SOLD, "new": SOLD, "c": GONE}

    again = Orders("a", "c", "new")
    comparison(lake, "20170110T000000Z-c").compare(again, again, {"a": True, "new": True, "c": False})
    assert landed(lake) == {"a": SOLD, "new": SOLD, "c": SOLD}


def test_so_many_orders_are_not_deleted_at_once_unless_that_is_accepted(lake: LocalStorage) -> None:
    orders = Orders("a")
    known = {f"gone-{number}": True for number in range(6)} | {
        f"deleted-{number}": False for number in range(9)
    }

    with pytest.raises(ExtractError):
        comparison(lake).compare(orders, orders, known)

    found = comparison(lake).compare(orders, orders, known, accept_deletions=True)
    assert found.deleted == known.keys()
    five = {name: counts and name != "gone-0" for name, counts in known.items()}
    assert comparison(lake, "20170110T000000Z-c").compare(orders, orders, five).deleted == known.keys()


def test_a_resumed_comparison_asks_for_the_reach_again(lake: LocalStorage) -> None:
    orders = Orders("a")
    comparison(lake).compare(orders, orders, {"c": True})
    comparison(lake).compare(orders, orders, {"c": True})

    assert orders.asked == [None, "reach", "c", "reach", "c"]


def test_a_killed_comparison_continues_after_its_last_page(lake: LocalStorage) -> None:
    killed = Orders("a", "b", "c")
    first = next(killed.created(WINDOW, None))
    killed.created = lambda *_: iter([first])  # type: ignore[method-assign]
    comparison(lake).compare(killed, killed, {})
    whole = Orders("a", "b", "c")

    found = comparison(lake).compare(whole, whole, {})

    assert whole.asked == ["1"]
    assert found.listed == {"a", "b", "c"}


def test_a_comparison_makes_no_day_complete_and_takes_no_line_from_its_changes(lake: LocalStorage) -> None:
    fetched(lake, "broken", "a")
    orders = Orders("b")
    comparison(lake).compare(orders, orders, {})

    assert set(landed(lake)) == {None, "a", "b"}
    left = payloads.last(lake, "retailer_1", DAY)
    assert left is not None and not left.is_of(WINDOW)


@pytest.mark.parametrize("lines", [[], [line("c")]])
def test_without_lines_no_page_is_kept(lake: LocalStorage, lines: list[SalesRecord]) -> None:
    comparison(lake).withdraw(lines, status="deleted")

    assert len(payloads.keys(lake, "retailer_1", DAY)) == len(lines)
