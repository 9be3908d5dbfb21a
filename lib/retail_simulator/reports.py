"""What each retailer's own report says of the goods: a settlement of Amazon's and Walmart's, Shopify's sales report.

Made from the orders themselves. Shipping shows at Shopify alone, whose total sales contain it; fees, transfers and
taxes withheld are in no line here.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from retail_simulator.amazon_ledger import AmazonLedger, Entry
from retail_simulator.amazon_orders import extras_of
from retail_simulator.amazon_transactions import refunded_tax
from retail_simulator.changes import DAY, Changes
from retail_simulator.clock import instant_text
from retail_simulator.orders import Line, Order, dollars
from retail_simulator.sales import Book
from retail_simulator.shopify_ledger import Sale, Traits
from retail_simulator.shopify_orders import agreements_of
from retail_simulator.shopify_standing import LONGEST
from retail_simulator.walmart_orders import tax_of
from retail_simulator.walmart_returns import tax_per_unit

PRICE, TAX, PROMOTION = "ItemPrice/Principal", "ItemPrice/Tax", "Promotion/Principal"
FOUR_DECIMALS = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Posting:
    """An amount in a line of a report; times are seconds since 1970.

    `posted` is when the report has it, `happened` when the goods were ordered or the money was given back. `cancelled`
    says that the whole order was called off.
    """

    line: str
    amount: Decimal
    posted: int
    happened: int
    cancelled: bool = False


def amazon_settlement(book: Book, _changes: Changes, first: int, last: int, *, now: int) -> Iterator[Posting]:
    """Shipments when they were posted, and refunds: a deferred one is settled when it is released."""
    for entry in AmazonLedger(book).between(first, min(last, now)):
        if entry.kind == "Shipment" and entry.order is not None:
            yield from _shipped(entry.order, entry.posted)
        elif entry.release is None:
            yield from _refunded(entry)


def walmart_settlement(book: Book, changes: Changes, first: int, last: int, *, now: int) -> Iterator[Posting]:
    """Sales when they were shipped, and refunds when the money went back."""
    end = min(last, now)
    for position in changes.sent_between(first, end):
        order, sent = book.order(position, now=now), changes.sent(position)
        for line in order.lines if order.cancelled is None else ():
            yield Posting("Sale/Product Price", dollars(line.kept_net), sent, order.created)
            yield Posting("Sale/Product tax", _kept_tax(line), sent, order.created)
    for position in changes.returned_between(first - DAY, end):
        for one in book.order(position, now=now).returns:
            if first <= one.refunded <= end:
                at = (one.refunded, one.returned)
                yield Posting("Refund/Product Price", dollars(-one.net), *at)
                yield Posting("Refund/Product tax", dollars(-tax_per_unit(one) * one.quantity), *at)
    for position in changes.paid_back_between(first, end):
        back = book.order(position, now=now).money_back
        if back is not None:
            yield Posting("Refund/Product Price", dollars(-back.cents), back.paid, back.paid)


def shopify_sales(book: Book, changes: Changes, first: int, last: int, *, now: int) -> Iterator[Posting]:
    """Each sale on its day and what takes some of it back on the day of that: a return, an edit, a cancellation.

    Trials, gift cards and tips are in none of its columns.
    """
    earlier = changes.changed_among(book.created_between(first - LONGEST, first - 1))
    for position in (*earlier, *book.created_between(first, min(last, now))):
        order = book.order(position, now=now)
        # A cancellation takes the sale back even where no money was paid yet.
        traits = replace(Traits.of(order.order_id), refunded_when_cancelled=True)
        for agreement in agreements_of(book, position, order, traits) if order.kind != "test" else ():
            at = agreement.happened
            for sale in agreement.sales if first <= at <= min(last, now) else ():
                for column, cents in _columns(sale).items():
                    yield Posting(column, dollars(cents), at, at, cancelled=order.cancelled is not None)


Report = Callable[..., Iterator[Posting]]
REPORTS: dict[str, Report] = {
    "retailer_1": amazon_settlement,
    "retailer_2": walmart_settlement,
    "retailer_3": shopify_sales,
}


def as_json(postings: Iterable[Posting]) -> list[dict[str, Any]]:
    """Sums by line and days, for the answer: money as exact text."""
    sums: dict[tuple[str, str, str, bool], Decimal] = defaultdict(Decimal)
    for each in postings:
        days = instant_text(each.posted)[:10], instant_text(each.happened)[:10]
        sums[*days, each.line, each.cancelled] += each.amount
    names = ("posted", "happened", "line", "cancelled")
    return [
        dict(zip(names, key, strict=True)) | {"amount": str(amount)} for key, amount in sorted(sums.items())
    ]


def _shipped(order: Order, posted: int) -> Iterator[Posting]:
    for line in order.lines:
        yield Posting(f"Order/{PRICE}", dollars(line.kept_net + line.kept_discount), posted, order.created)
        yield Posting(f"Order/{PROMOTION}", dollars(-line.kept_discount), posted, order.created)
        yield Posting(f"Order/{TAX}", dollars(extras_of(line).item_tax), posted, order.created)


def _refunded(entry: Entry) -> Iterator[Posting]:
    for one in entry.returns:
        yield Posting(f"Refund/{PRICE}", dollars(-one.net - one.discount), entry.posted, one.returned)
        yield Posting(f"Refund/{PROMOTION}", dollars(one.discount), entry.posted, one.returned)
        yield Posting(f"Refund/{TAX}", dollars(-refunded_tax(one)), entry.posted, one.returned)


def _columns(sale: Sale) -> dict[str, int]:
    """The report's columns that an entry adds to, in cents."""
    if sale.line_type == "SHIPPING":
        return {"shipping_charges": sale.net, "taxes": sale.tax, "total_sales": sale.net + sale.tax}
    if sale.line_type not in ("PRODUCT", "ADJUSTMENT"):
        return {}
    of_every = {"net_sales": sale.net, "taxes": sale.tax, "total_sales": sale.net + sale.tax}
    if sale.action == "RETURN" or sale.net < 0:
        return {"returns": sale.net} | of_every
    # A discount that an edit takes back makes the sale greater, and no discount smaller.
    discount = max(0, sale.discount)
    return {"gross_sales": sale.net + discount, "discounts": -discount} | of_every


def _kept_tax(line: Line) -> Decimal:
    """Units that were cancelled take their tax with them, which may leave less than a cent."""
    tax = dollars(tax_of(line) or 0)
    return (tax * line.kept_quantity / line.quantity).quantize(FOUR_DECIMALS) if line.quantity else tax
