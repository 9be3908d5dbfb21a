"""What of Shopify's orders must stand in a star that has seen all up to now: each entry of the ledger on its day."""

from retail_simulator.changes import DAY, Changes
from retail_simulator.sales import Book
from retail_simulator.shopify_ledger import Sale
from retail_simulator.shopify_orders import OrderState, state_of
from retail_simulator.shopify_products import Shelf
from retail_simulator.standing import Standing

# No order changes for longer than this.
LONGEST = 60 * DAY


def shopify_standing(book: Book, changes: Changes, first: int, last: int, *, now: int) -> Standing:
    """Rows and cents that happened in the seconds `first` to `last`, both included, as they stand at `now`.

    What is no sale of goods and shows in the ledger alone, tips and shipping, is not counted as left out.
    """
    sold = book.created_between(first, min(last, now))
    plain = book.totals(sold)
    stands = Standing()
    stands.rows["sale"], stands.cents["sale"] = plain.rows, plain.net
    shelf = Shelf(book)
    for position in changes.changed_among(book.created_between(first - LONGEST, min(last, now))):
        if position in sold:
            was = book.sold(position)
            stands.rows["sale"] -= len(was.lines)
            stands.cents["sale"] -= was.net
        _add(stands, state_of(book, shelf, position, now=now), first, min(last, now))
    return stands


def _add(stands: Standing, state: OrderState, first: int, last: int) -> None:
    cancelled = state.order.cancelled is not None
    for agreement in state.agreements:
        for sale in agreement.sales if first <= agreement.happened <= last else ():
            kind = _kind(sale)
            if kind is None:
                continue
            if state.order.kind == "test" or sale.line_type == "GIFT_CARD":
                stands.skipped["test_order" if state.order.kind == "test" else "gift_card"] += 1
            elif not cancelled:
                stands.rows[kind] += 1
                stands.cents[kind] += sale.net
            elif sale.action == "ORDER":
                stands.rows[kind] += 1


def _kind(sale: Sale) -> str | None:
    """The record's type; None for what is no goods."""
    if sale.line_type == "ADJUSTMENT" or (sale.action == "UPDATE" and sale.net < 0):
        return "refund"
    if sale.line_type not in ("PRODUCT", "GIFT_CARD"):
        return None
    return "return" if sale.action == "RETURN" else "sale"
