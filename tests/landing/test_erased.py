"""Erased customers stay erased: in a page that is stored later, and in one that comes from a backup."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from retail.errors import StorageError
from retail.lake import layout
from retail.lake.storage.local import LocalStorage
from retail.landing import customers, erased, payloads
from retail.landing.land import land
from retail.landing.payloads import Payload
from retail.sources.walmart.mapping import WalmartSales

DAY = date(2017, 1, 5)
JO, KIM = "a" * 64, "b" * 64


def order(number: int, customer: str | None) -> dict[str, Any]:
    line = {"lineNumber": "1", "item": {"sku": "s"}, "statusDate": 1483639200000}
    return {
        "purchaseOrderId": f"o{number}",
        "customerEmailId": customer,
        "orderDate": 1483639200000,
        "orderLines": {"orderLine": [line]},
    }


def page(*orders: dict[str, Any], run_id: str = "r1", retailer_id: str = "retailer_2") -> Payload:
    return Payload(
        retailer_id=retailer_id,
        run_id=run_id,
        walk=f"{run_id}/1",
        walk_page=1,
        logical_date=DAY.isoformat(),
        window_start="2017-01-05T06:00:00.000000Z",
        window_end="2017-01-06T06:00:00.000000Z",
        page=1,
        fetched_at="2017-01-20T00:00:00.000000Z",
        next_cursor=None,
        answer={"list": {"elements": {"order": [*orders]}}},
    )


def landed(lake: LocalStorage) -> bytes:
    sales = WalmartSales(retailer_id="retailer_2", zone=ZoneInfo("America/Chicago"))
    return lake.read(land(sales, lake, retailer_id="retailer_2", logical_date=DAY).key)


def test_a_page_is_stored_without_the_link_to_an_erased_customer_of_that_retailer(lake: LocalStorage) -> None:
    erased.add(lake, [("retailer_2", JO)])
    key = payloads.write(lake, page(order(1, JO), order(2, KIM)))
    other = payloads.write(lake, page(order(1, JO), retailer_id="retailer_3"))
    assert key is not None
    assert other is not None
    assert payloads.read(lake, key).answer == page(order(1, None), order(2, KIM)).answer
    assert payloads.read(lake, other).answer == page(order(1, JO)).answer


def test_a_page_from_a_backup_lands_without_the_link(lake: LocalStorage) -> None:
    payloads.write(lake, page(order(1, JO), order(2, KIM)))
    before = landed(lake)
    erased.add(lake, [("retailer_2", JO)])

    assert landed(lake) == before.replace(f'"{JO}"'.encode(), b"null")


def test_what_is_unlinked_in_place_is_what_landing_makes_of_the_unlinked_page(lake: LocalStorage) -> None:
    payloads.write(lake, page(order(1, JO), order(2, KIM)))
    landed(lake)
    by = customers.each(customers.unlinked(frozenset({JO})))
    for prefix in (layout.payload_folder("retailer_2"), layout.raw_folder("retailer_2")):
        keys = customers.to_change(lake, prefix, by)
        assert len(keys) == 1
        customers.change(lake, keys, by)
        assert customers.to_change(lake, prefix, by) == []
    raw = lake.read(layout.raw_file("retailer_2", DAY))

    assert JO.encode() not in raw
    assert landed(lake) == raw


def test_a_pseudonym_goes_from_keys_and_longer_texts_too() -> None:
    text = f'{{"a":"{JO}","{JO}":1,"b":["{JO}"],"c":"of {JO}","cut off":"{JO[:-1]}'.encode()
    assert customers.unlinked(frozenset({JO}))(text + JO[-1:].encode()) == (
        b'{"a":null,"":1,"b":[null],"c":"of ","cut off":"'
    )


def test_a_list_that_was_damaged_stops_instead_of_bringing_links_back(lake: LocalStorage) -> None:
    lake.write(layout.ERASED, b"[]")
    with pytest.raises(StorageError):
        payloads.write(lake, replace(page(order(1, JO)), run_id="r2"))
    assert list(lake.list("payloads/")) == []
