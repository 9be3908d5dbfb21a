"""A month of the star against the report that each retailer itself makes of it: what docs/RETAILER_REPORTS.md says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import requests

from retail.cli.local import demo
from retail.config.secrets import Secrets
from retail.config.settings import home
from retail.warehouse.connection import open_warehouse
from tests import psql
from tests.end_to_end.installation import Installation
from tests.end_to_end.test_living_orders import IN_UTC

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.nightly]

FIRST, LAST = date(2017, 2, 1), date(2017, 2, 28)
# Three days after its sale no order is cancelled, cut or corrected any more, and every one is shipped.
NOW = datetime(2017, 3, 4, 0, 2, 30, tzinfo=UTC)
# So many days later each refund of the month is released.
LATER = timedelta(days=10)
# Of what a report has, these are no goods.
SHIPPING = "shipping_charges"

Sums = dict[tuple[str, str], Decimal]  # (day, line) → money


@dataclass(frozen=True, kw_only=True)
class Line:
    """A sum in a retailer's report; `posted` is the report's day, `happened` that of the order, or of the refund."""

    posted: str
    happened: str
    line: str
    cancelled: bool
    amount: Decimal


@pytest.fixture(scope="module")
def living() -> Iterator[str]:
    options = ("--changes", "--speed", "0")
    with demo.simulator(demo.demo_environment(), clock=NOW, options=options) as address:
        yield address


@pytest.fixture(scope="module")
def month(install: Callable[..., Installation], living: str) -> Installation:
    """The days from the month's first up to today, a week and a day at a time; then ten days pass."""
    made = install("reports", address=living)
    for first in (FIRST + timedelta(days=n) for n in range(0, 31, 8)):
        last = min(first + timedelta(days=7), NOW.date() - timedelta(days=1))
        ended = made.retail("run", "--from", str(first), "--to", str(last), **IN_UTC)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    later = {"advance_seconds": LATER.total_seconds()}
    requests.post(f"{living}/simulator/clock", json=later, timeout=30).raise_for_status()
    return made


def theirs(address: str, retailer: str) -> list[Line]:
    """What the retailer's report says from the month's first day up to now."""
    span = {"from": f"{FIRST}T00:00:00Z", "to": f"{NOW + LATER:%Y-%m-%d}T00:00:00Z"}
    query = {"retailer": retailer, **span}
    answer = requests.get(f"{address}/simulator/report", params=query, timeout=120).json()
    return [Line(**{**line, "amount": Decimal(line["amount"])}) for line in answer["lines"]]


def ours(installation: Installation, service: str, retailer: str) -> list[dict[str, str]]:
    with open_warehouse(installation.settings.warehouse, Secrets({})) as warehouse:
        return psql.report(service, warehouse, retailer=retailer, first=FIRST, last=LAST)


def is_in_the_month(day: str) -> bool:
    return str(FIRST) <= day <= str(LAST)


def added_up(amounts: Iterable[tuple[str, str, Decimal]]) -> Sums:
    """Sums by day and line, without those of 0."""
    sums: Sums = defaultdict(Decimal)
    for day, line, amount in amounts:
        sums[day, line] += amount
    return {key: amount for key, amount in sums.items() if amount}


def are_on_the_page(*figures: Decimal) -> None:
    page = (home() / "docs" / "RETAILER_REPORTS.md").read_text(encoding="utf-8")
    assert [figure for figure in figures if f"{figure:,.2f}" not in page] == []


def by_line(amounts: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for line, amount in amounts:
        sums[line] += amount
    return dict(sums)


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """A report of sales that were shipped: who makes it, the SQL's columns that name a line, and the lines.

    `goods` are the lines of goods sold and of goods given back.
    """

    retailer: str
    service: str
    columns: tuple[str, ...]
    amount: str
    lines: set[str]
    goods: tuple[str, str]


SETTLEMENTS = [
    Settlement(
        retailer="retailer_1",
        service="amazon",
        columns=("transaction-type", "amount-type", "amount-description"),
        amount="amount",
        lines={
            f"{kind}/{line}"
            for kind in ("Order", "Refund")
            for line in ("ItemPrice/Principal", "ItemPrice/Tax", "Promotion/Principal")
        },
        goods=("Order/ItemPrice/Principal", "Refund/ItemPrice/Principal"),
    ),
    Settlement(
        retailer="retailer_2",
        service="walmart",
        columns=("Transaction Type", "Amount Type"),
        amount="Amount",
        lines={f"{kind}/{line}" for kind in ("Sale", "Refund") for line in ("Product Price", "Product tax")},
        goods=("Sale/Product Price", "Refund/Product Price"),
    ),
]


@pytest.mark.parametrize("settlement", SETTLEMENTS, ids=lambda each: each.service)
def test_a_settlement_has_the_same_goods_and_a_month_of_it_differs_by_what_was_posted_beyond_its_borders(
    month: Installation, living: str, settlement: Settlement
) -> None:
    here = [
        (
            row["business_date"],
            "/".join(row[name] for name in settlement.columns),
            Decimal(row[settlement.amount]),
        )
        for row in ours(month, settlement.service, settlement.retailer)
    ]
    there = theirs(living, settlement.retailer)
    of_the_month = [each for each in there if is_in_the_month(each.happened)]
    assert added_up((each.happened, each.line, each.amount) for each in of_the_month) == added_up(here)

    later = by_line((each.line, each.amount) for each in of_the_month if not is_in_the_month(each.posted))
    posted = [each for each in there if is_in_the_month(each.posted)]
    earlier = by_line((each.line, each.amount) for each in posted if each.happened < str(FIRST))
    settled = by_line((each.line, each.amount) for each in posted)
    counted = by_line((line, money) for _, line, money in here)
    assert settled.keys() == counted.keys() == settlement.lines
    assert counted == {
        line: settled[line] + later.get(line, Decimal(0)) - earlier.get(line, Decimal(0))
        for line in settlement.lines
    }
    sold, given_back = settlement.goods
    assert earlier[sold] > 0 < later[sold]
    assert earlier[given_back] < 0
    are_on_the_page(counted[sold], settled[sold], later[sold], earlier[sold])


def test_shopifys_report_has_the_same_columns_and_cancelled_orders_besides(
    month: Installation, living: str
) -> None:
    here = added_up(
        (row["day"], name, Decimal(row[name]))
        for row in ours(month, "shopify", "retailer_3")
        for name in row
        if name not in ("day", "currency")
    )
    there = [each for each in theirs(living, "retailer_3") if is_in_the_month(each.posted)]
    kept = added_up((each.posted, each.line, each.amount) for each in there if not each.cancelled)
    days = {day for day, _ in kept}
    without_shipping = added_up(
        (
            day,
            "total_sales_without_shipping",
            kept[day, "total_sales"] - kept.get((day, SHIPPING), Decimal(0)),
        )
        for day in days
    )
    columns = {key: money for key, money in kept.items() if key[1] not in ("total_sales", SHIPPING)}
    assert here == columns | without_shipping

    # A cancelled order is sold on its day there, and taken back on another one; here it never counts.
    cancelled = [each for each in there if each.cancelled]
    worth = by_line((each.line, each.amount) for each in cancelled)
    assert worth["gross_sales"] > 0
    net = added_up((each.posted, each.line, each.amount) for each in cancelled if each.line == "net_sales")
    everything = added_up((each.posted, each.line, each.amount) for each in there if each.line == "net_sales")
    assert everything == added_up(
        (day, line, money)
        for sums in (here, net)
        for (day, line), money in sums.items()
        if line == "net_sales"
    )
    assert min(net.values()) < 0 < max(net.values())
    are_on_the_page(
        by_line((line, money) for (_, line), money in here.items())["net_sales"],
        by_line((line, money) for (_, line), money in everything.items())["net_sales"],
        worth["gross_sales"] + worth["discounts"],
        -worth["returns"],
    )
