"""Which orders and variants a call means: Shopify's search syntax and sort keys."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor

from retail_simulator.clock import instant_text, parse_instant
from retail_simulator.sales import Book
from retail_simulator.shopify_paging import Key, refuse

DAY = 86_400
# How far back an application sees orders that has not the scope `read_all_orders`.
REACH_DAYS = 60
_TERM = re.compile(r"(updated_at|created_at|processed_at):(>=|<=|>|<)(['\"])([^'\"]+)\3")
_AND = re.compile(r"\s+AND\s+|\s+")
_OR = re.compile(r"\s+OR\s+")
_ATTRIBUTE = re.compile(r"(sku|id|product_id|barcode):(?:\"([^\"]*)\"|'([^']*)'|([^\s\"']+))")


@dataclass(frozen=True, slots=True)
class Listed:
    """Positions of orders in the order asked for, and the key that each is sorted by."""

    positions: Sequence[int]
    key: Callable[[int], Key]


def found(book: Book, query: str | None, *, now: float, all_orders: bool) -> Sequence[int]:
    """Positions of the orders that match `query` as they stand at `now`, oldest change first.

    Only comparisons of quoted UTC times joined by AND are understood. Shopify takes an unquoted time apart at
    its colons and answers something else without an error; here it is an error. Without `all_orders` the older
    orders are left out, and nothing says so.
    """
    bounds = {"updated_at": [0, int(now)], "created_at": [oldest(now, all_orders=all_orders), int(now)]}
    for term in filter(None, _AND.split((query or "").strip())):
        match = _TERM.fullmatch(term)
        if match is None:
            raise refuse(f"search term not played by the simulator: {term}")
        _narrow(bounds["updated_at" if match[1] == "updated_at" else "created_at"], match[2], match[4])
    (first, last), (born_first, born_last) = bounds["updated_at"], bounds["created_at"]
    return book.matching(created=(born_first, born_last), updated=(first, last), now=now)


def oldest(now: float, *, all_orders: bool) -> int:
    """From which second of creation on orders are shown."""
    return 0 if all_orders else int(now) - REACH_DAYS * DAY


def _narrow(bounds: list[int], operator: str, text: str) -> None:
    try:
        instant = parse_instant(text).timestamp()
    except ValueError as error:
        raise refuse(str(error)) from None
    if operator == ">=":
        bounds[0] = max(bounds[0], ceil(instant))
    elif operator == ">":
        bounds[0] = max(bounds[0], floor(instant) + 1)
    elif operator == "<=":
        bounds[1] = min(bounds[1], floor(instant))
    else:
        bounds[1] = min(bounds[1], ceil(instant) - 1)


def listed(book: Book, positions: Sequence[int], *, sort_key: str, now: float) -> Listed:
    """The positions, which come oldest change first, as `sortKey` wants them."""
    if sort_key == "ID":
        return Listed(sorted(positions, key=book.number), lambda at: (book.number(at), book.number(at)))
    if sort_key == "UPDATED_AT":
        return Listed(positions, lambda at: (instant_text(book.updated(at, now=now)), book.number(at)))
    in_order = positions if isinstance(positions, range) else sorted(positions)
    return Listed(in_order, lambda at: (instant_text(book.created(at)), book.number(at)))


def attributes(query: str) -> list[tuple[str, str]]:
    """The pairs of attribute and value that a search of variants joins by OR; quoted values may hold blanks."""
    pairs = []
    for term in filter(None, _OR.split(query.strip())):
        match = _ATTRIBUTE.fullmatch(term.strip().removeprefix("(").removesuffix(")"))
        if match is None:
            raise refuse(f"search term not played by the simulator: {term}")
        pairs.append((match[1], next(value for value in match.groups()[1:] if value is not None)))
    return pairs
