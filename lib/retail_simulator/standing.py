"""What must stand in a star that has seen everything up to now: rows and cents of sales and returns.

An order counts with all that has become of it, at the time of its sale; a return counts at its own. Shopify's ledger
has a row for each correction and cut too, at the time of that: there the net of all time up to now is the same.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from retail_simulator.changes import Changes
from retail_simulator.orders import Order, dollars
from retail_simulator.sales import Book

# Why the rows of an order are no sale of this retailer's, or not yet.
REASONS = {"pending": "pending", "elsewhere": "non_amazon", "test": "test_order"}


@dataclass(slots=True)
class Standing:
    """Rows by record type, cents by record type, and rows left out by reason.

    Units and tax are given for Amazon's refunds only; they are as negative as the money.
    """

    rows: Counter[str] = field(default_factory=Counter)
    cents: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)
    tax: Counter[str] = field(default_factory=Counter)

    def add(self, order: Order) -> None:
        """The rows of an order's lines. A cancelled line is a row of nothing."""
        if order.kind in REASONS:
            self.skipped[REASONS[order.kind]] += len(order.lines)
            return
        for line in order.lines:
            if line.gift_card:
                self.skipped["gift_card"] += 1
            else:
                self.rows["sale"] += 1
                self.cents["sale"] += 0 if order.cancelled is not None else line.kept_net

    def as_json(self) -> dict[str, Any]:
        """For the answer: money as exact text."""
        kinds = ["sale", "return", *(["refund"] if self.rows["refund"] else [])]
        money = {kind: str(dollars(self.cents[kind])) for kind in kinds}
        told = {
            "records": {kind: self.rows[kind] for kind in kinds},
            "money": money | {"net": str(dollars(self.cents.total()))},
            "skipped": dict(sorted(self.skipped.items())),
        }
        if self.units:
            told["units"] = dict(sorted(self.units.items()))
            told["tax"] = {kind: str(dollars(cents)) for kind, cents in sorted(self.tax.items())}
        return told


def standing(book: Book, changes: Changes, first: int, last: int, *, now: int) -> Standing:
    """What was sold or came back in the seconds `first` to `last`, both included, as it stands at `now`."""
    stands = sales_standing(book, changes, first, last, now=now)
    for position in changes.returned_between(first, min(last, now)):
        for one in book.order(position, now=now).returns:
            if first <= one.returned <= last and one.refunded > now:
                stands.skipped["open_return"] += 1
            elif first <= one.returned <= last:
                stands.rows["return"] += 1
                stands.cents["return"] -= one.net
    for position in changes.paid_back_between(first, min(last, now)):
        money_back = book.order(position, now=now).money_back
        if money_back is not None:
            stands.rows["refund"] += 1
            stands.cents["refund"] -= money_back.cents
    return stands


def sales_standing(book: Book, changes: Changes, first: int, last: int, *, now: int) -> Standing:
    """What was sold in these seconds, as it stands at `now`; returns apart."""
    sold = book.created_between(first, min(last, now))
    plain = book.totals(sold)
    stands = Standing(rows=Counter(sale=plain.rows), cents=Counter(sale=plain.net))
    # Most orders are as sold: only the others are looked at one by one.
    for position in changes.changed_among(sold):
        was = book.sold(position)
        stands.rows["sale"] -= len(was.lines)
        stands.cents["sale"] -= was.net
        stands.add(book.order(position, now=now))
    return stands
