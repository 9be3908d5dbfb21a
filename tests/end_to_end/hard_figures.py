"""Sales whose figures are hard to get right: raw lines of three retailers on one logical date.

Three calendar months and a gap, two currencies, returns on their own day, customers who only brought back, guests,
equal ranks, stores of one name, amounts of four places, and quotients that lie just between two of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta

from retail.records import SalesRecord

DAY = date(2017, 5, 5)
RETAILERS = ("retailer_1", "retailer_2", "retailer_3")
STORES = {"s1": "Store s1", "s2": "Store of one name", "s3": "Store of one name"}
_SEED = 8


def lines(retailer: str) -> list[SalesRecord]:
    """The retailer's lines: some at random, always the same, and those with a quotient of their own."""
    found = [*_anything(retailer), *_half_a_cent_of_a_percent(retailer), *_half_a_basket(retailer)]
    found += _almost_half_a_basket(retailer)
    return [*found, *_only_brought_back(retailer), _cancelled(retailer)]


def _anything(retailer: str) -> Iterator[SalesRecord]:
    chance = random.Random(f"{_SEED} {retailer}")  # noqa: S311 - figures, no secrets
    for number in range(120):
        kind = chance.choice(("sale", "sale", "sale", "return", "refund"))
        sign = "" if kind == "sale" else "-"
        quantity = "0" if kind == "refund" else chance.choice(("1", "2", "7", "0.125"))
        amount = chance.choice((999, 1250, 33_333, chance.randrange(1, 10**7)))
        yield _line(
            retailer,
            f"t{number // 3}",
            date(2017, 1, 1) + timedelta(days=chance.choice((0, 1, 30, 31, 40, 58, 100, 119))),
            amount=int(f"{sign}{amount}"),
            line_id=str(number),
            record_type=kind,
            quantity=quantity if kind == "refund" else sign + quantity,
            product_id=f"p{chance.randrange(12)}",
            customer_id=chance.choice((None, *map(_customer, range(1, 10)))),
            store_id=chance.choice((None, "s1", "s2", "s3")),
            currency=chance.choice(("USD", "USD", "CAD")),
            discount_amount=chance.choice((None, "0.5", "0.3333")),
            tax_amount=chance.choice((None, "1.0001")),
        )


def _half_a_cent_of_a_percent(retailer: str) -> Iterator[SalesRecord]:
    """MXN: from month to month -0.005 %, then 0.00499995 %: two places of them are -0.01 and 0.00."""
    amounts = (2_000_000_000, 1_999_900_000, 1_999_999_994)
    for month, amount in enumerate(amounts, start=1):
        yield _line(retailer, f"mxn{month}", date(2017, month, 15), amount=amount, currency="MXN")


def _half_a_basket(retailer: str) -> Iterator[SalesRecord]:
    """EUR: 0.0001 over two transactions is 0.00005, of which four places are 0.0001."""
    yield _line(retailer, "eur1", date(2017, 1, 20), amount=1, currency="EUR")
    yield _line(retailer, "eur2", date(2017, 1, 20), amount=0, currency="EUR")


def _almost_half_a_basket(retailer: str) -> Iterator[SalesRecord]:
    """JPY: 0.0050 over 101 transactions is 0.0000495…: six places of it would make 0.0001 of four."""
    for number in range(101):
        yield _line(retailer, f"jpy{number}", date(2017, 1, 20), amount=int(number < 50), currency="JPY")


def _only_brought_back(retailer: str) -> Iterator[SalesRecord]:
    """A customer, a product and a month without a sale."""
    values = {"record_type": "return", "quantity": "-1", "customer_id": _customer(99), "product_id": "back"}
    yield _line(retailer, "back", date(2017, 3, 3), amount=-12_345, line_id="r1", **values)
    yield _line(retailer, "back", date(2017, 3, 3), amount=-5, line_id="r2", currency="GBP", **values)


def _cancelled(retailer: str) -> SalesRecord:
    return _line(retailer, "never", date(2017, 1, 1), amount=0, status="cancelled", quantity="0")


def _customer(number: int) -> str:
    """As long as a pseudonym is."""
    return f"{number:064x}"


def _line(retailer: str, transaction: str, day: date, *, amount: int, **values: str | None) -> SalesRecord:
    """A line of `amount` ten-thousandths."""
    sign = "-" if amount < 0 else ""
    usual: dict[str, str | None] = {
        "line_id": "1", "record_type": "sale", "status": "completed", "product_id": "p0", "customer_id": _customer(0),
        "store_id": "s1", "quantity": "1", "currency": "USD",
    }  # fmt: skip
    named = usual | values
    return SalesRecord(
        retailer_id=retailer,
        transaction_id=transaction,
        line_id=named.pop("line_id"),
        record_type=named.pop("record_type"),
        status=named.pop("status"),
        sold_at=f"{day}T20:00:00.000000Z",
        updated_at=f"{day}T21:00:00.000000Z",
        business_date=str(day),
        product_name=f"Name of {named['product_id']}",
        category=f"Category {named['product_id'][-1]}" if named["product_id"] != "back" else None,
        store_name=STORES[named["store_id"]] if named["store_id"] else None,
        total_amount=f"{sign}{abs(amount) // 10_000}.{abs(amount) % 10_000:04}",
        source_ref=f"payloads/{retailer}/hard#/{transaction}/{named['currency']}",
        **named,
    )
