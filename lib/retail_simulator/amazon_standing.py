"""What of Amazon must stand in a star that has seen all up to now: orders, and refunds on the day of their posting."""

from retail_simulator.amazon_ledger import AmazonLedger, keeps_the_goods
from retail_simulator.amazon_transactions import refunded_tax
from retail_simulator.changes import Changes
from retail_simulator.sales import Book
from retail_simulator.standing import Standing, sales_standing


def amazon_standing(book: Book, changes: Changes, first: int, last: int, *, now: int) -> Standing:
    """Rows, units and cents of the seconds `first` to `last`, both included, as the lists show them at `now`.

    Money that goes back without the goods is a refund, else a return. One that is deferred counts once, when it was
    first posted; its release is no other.
    """
    stands = sales_standing(book, changes, first, last, now=now)
    ledger, end = AmazonLedger(book), min(last, now)
    entries = [entry for at in changes.returned_between(first, end) for entry in ledger.of_order(at)]
    for entry in entries:
        counts = entry.releases is None and first <= entry.posted <= end and entry.listed <= now
        for one in entry.returns if counts else ():
            kind = "refund" if keeps_the_goods(one) else "return"
            stands.rows[kind] += 1
            stands.units[kind] -= 0 if kind == "refund" else one.quantity
            stands.cents[kind] -= one.net
            stands.tax[kind] -= refunded_tax(one)
    return stands
