"""What the star holds of orders, read back as the records that it came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from retail.pipeline.step_context import StepContext
from retail.star import held_lines
from tests.star.conftest import record
from tests.star.test_merge import ON_SAIL, merged

MakeContext = Callable[[str], StepContext]
START = datetime(2017, 1, 5, 20, tzinfo=UTC)
LINE = record(
    sold_at="2017-01-05T20:00:00.000000Z",
    updated_at="2017-01-05T20:00:00.000120Z",
    brand="Mugs & Co",
    store_city="Reno",
)


@pytest.mark.spark_nightly
def test_a_row_is_the_record_that_it_came_from(make_context: MakeContext) -> None:
    context = make_context("run-1")
    guest = record(transaction_id="t2", customer_id=None, store_id=None, store_name=None)
    merged(context, LINE, guest, record(transaction_id="other"))

    found = held_lines.lines_of(context, "retailer_1", {"t1", "t2"}, but="deleted")

    amounts = {"quantity": "2.000", "unit_price": "5.0000", "total_amount": "10.0000"}
    zeros = {"discount_amount": "0.0000", "tax_amount": "0.0000"}
    same = {**amounts, **zeros, "source_ref": ""}
    # The product is described by its newest line.
    assert found == [replace(LINE, **same), replace(guest, **same, brand="Mugs & Co")]


@ON_SAIL
def test_the_orders_sold_in_a_time_say_whether_they_count(make_context: MakeContext) -> None:
    context = make_context("run-1")
    deleted = record(transaction_id="gone", status="deleted", quantity="0", total_amount="0")
    before = record(transaction_id="before", sold_at="2017-01-05T19:59:59.999999Z")
    merged(context, LINE, deleted, before)

    def sold(start: datetime, end: datetime) -> dict[str, bool]:
        return held_lines.orders_sold(context, "retailer_1", start, end)

    second = timedelta(seconds=1)
    assert sold(START, START + second) == {"t1": True, "gone": False}
    assert sold(START - second, START) == {"before": True}
    assert held_lines.orders_sold(context, "retailer_2", START, START + second) == {}


@ON_SAIL
def test_a_deleted_row_has_a_hop_of_its_own(make_context: MakeContext) -> None:
    merged(make_context("run-1"), record(source_ref="payloads/r/date=2017-01-05/run=a/page-00001.json.gz#"))
    deleted = record(
        status="deleted", quantity="0", total_amount="0",
        source_ref="payloads/r/date=2017-01-05/run=b/page-00001.json.gz#",
    )  # fmt: skip

    built = merged(make_context("run-2"), deleted)

    hops = {count.hop: (count.rows, count.money) for count in built.counts if count.rows}
    assert (hops["deleted"], hops["updated_out"], hops["delta_after"]) == ((1, 0), (1, 10), (1, 0))
