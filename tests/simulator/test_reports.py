"""The retailers' own reports against the simulator's word on the same days."""

from datetime import datetime
from decimal import Decimal

import pytest

from retail_simulator.changes import DAY

pytestmark = pytest.mark.slow

# What happened on these days is posted within six more.
FIRST, END = "2017-03-01", "2017-03-10"
# The lines whose sum is the net.
NET = {
    "retailer_1": ("/ItemPrice/Principal", "/Promotion/Principal"),
    "retailer_2": ("/Product Price",),
    "retailer_3": ("gross_sales", "discounts", "returns"),
}


@pytest.mark.parametrize("retailer", NET)
def test_a_report_s_goods_by_the_day_they_were_ordered_or_given_back_are_that_day_s_net(living, retailer):
    span = {"from": f"{FIRST}T00:00:00Z", "to": f"{END}T00:00:00Z"}
    totals = living.get("/simulator/totals", params=span).json()["retailers"][retailer]
    query = {"retailer": retailer, **span, "to": "2017-03-16T00:00:00Z"}
    lines = living.get("/simulator/report", params=query).json()["lines"]
    of_the_days = [line for line in lines if line["happened"] < END and not line["cancelled"]]
    net = sum(
        Decimal(line["amount"])
        for line in of_the_days
        if line["happened"] >= FIRST and line["line"].endswith(NET[retailer])
    )
    assert net == Decimal(totals["money"]["net"])


def test_a_cancelled_order_is_sold_on_its_day_and_taken_back_on_the_day_of_its_cancellation(living, books):
    query = {"retailer": "retailer_3", "from": f"{FIRST}T00:00:00Z", "to": f"{END}T00:00:00Z"}
    lines = living.get("/simulator/report", params=query).json()["lines"]
    amounts = {name: Decimal(0) for name in ("gross_sales", "discounts", "returns")}
    for line in lines:
        if line["cancelled"] and line["line"] in amounts:
            amounts[line["line"]] += Decimal(line["amount"])

    book, (first, end) = books["retailer_3"], (seconds(FIRST), seconds(END))
    orders = [book.order(at) for at in book.created_between(first - 3 * DAY, end - 1)]
    cancelled = [order for order in orders if order.cancelled is not None]
    sold = sum(order.net for order in cancelled if first <= order.created < end)
    taken_back = sum(order.net for order in cancelled if first <= order.cancelled < end)
    assert amounts["gross_sales"] + amounts["discounts"] == Decimal(sold) / 100 > 0
    assert amounts["returns"] == -Decimal(taken_back) / 100 != -Decimal(sold) / 100


def seconds(day):
    return int(datetime.fromisoformat(f"{day}T00:00:00Z").timestamp())


def test_without_a_retailer_whose_orders_live_on_there_is_no_report(living):
    span = {"from": "2017-03-01T00:00:00Z", "to": "2017-03-02T00:00:00Z"}
    assert living.get("/simulator/report", params=span).status_code == 400
    assert living.get("/simulator/report", params={"retailer": "retailer_1"}).status_code == 400
