"""Which orders a call of `orders` means: Shopify's search syntax, sort keys and cursors."""

import base64
import json
import re
from collections.abc import Sequence
from math import ceil, floor
from typing import Any

from graphql import GraphQLError

from retail_simulator.clock import instant_text, parse_instant
from retail_simulator.sales import Book

MOST_NODES = 250
_TERM = re.compile(r"(updated_at|created_at|processed_at):(>=|<=|>|<)(['\"])([^'\"]+)\3")
_AND = re.compile(r"\s+AND\s+|\s+")


def refuse(message: str) -> GraphQLError:
    """The error for a bad argument."""
    return GraphQLError(message, extensions={"code": "BAD_REQUEST"})


def found(book: Book, query: str | None, *, now: int) -> Sequence[int]:
    """Positions of the orders that match `query` and were known by `now`.

    Only comparisons of quoted UTC times joined by AND are understood. Shopify takes an unquoted time apart at
    its colons and answers something else without an error; here it is an error.
    """
    bounds = {"updated_at": [0, now], "created_at": [0, now]}
    for term in filter(None, _AND.split((query or "").strip())):
        match = _TERM.fullmatch(term)
        if match is None:
            raise refuse(f"search term not played by the simulator: {term}")
        _narrow(bounds["updated_at" if match[1] == "updated_at" else "created_at"], match[2], match[4])
    (first, last), (oldest, newest) = bounds["updated_at"], bounds["created_at"]
    return book.matching(created=(oldest, newest), updated=(first, last), now=now)


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


def in_order(book: Book, positions: Sequence[int], *, sort_key: str, reverse: bool) -> Sequence[int]:
    """The positions as `sortKey` and `reverse` want them."""
    by_id = sort_key == "ID"
    ordered: Sequence[int] = sorted(positions, key=book.number) if by_id else positions
    return ordered[::-1] if reverse else ordered


def page_bounds(count: int, first: int | None, after: int | None) -> tuple[int, int]:
    """From where to where a page goes, given the index of the node that `after` names."""
    if first is None:
        raise refuse("you must provide one of first or last")
    if first > MOST_NODES:
        advice = "To query larger amounts of data with fewer limits, bulk operations should be used instead."
        raise refuse(f"first cannot exceed {MOST_NODES}. {advice}")
    if first < 0:
        raise refuse("first must be zero or more")
    start = 0 if after is None else after + 1
    return start, min(count, start + first)


def order_cursor(book: Book, position: int, *, sort_key: str) -> str:
    """A cursor as Shopify makes them: the id and the value sorted by, in base64."""
    number = book.number(position)
    value: Any = number if sort_key == "ID" else instant_text(book.updated(position))
    return cursor(number, value)


def order_after(book: Book, ordered: Sequence[int], text: str | None, *, sort_key: str) -> int | None:
    """The index in `ordered` of the order that a cursor names."""
    if text is None:
        return None
    position = book.position(last_id(text))
    if position is None or position not in ordered or text != order_cursor(book, position, sort_key=sort_key):
        raise refuse("Invalid cursor for current pagination sort.")
    return ordered.index(position)


def cursor(number: int, value: Any) -> str:
    """The cursor of a node."""
    return base64.b64encode(json.dumps({"last_id": number, "last_value": value}).encode()).decode()


def last_id(text: str) -> int:
    """The id in a cursor."""
    try:
        return int(json.loads(base64.b64decode(text, validate=True))["last_id"])
    except (ValueError, KeyError, TypeError):
        raise refuse(f"`after` is not a valid cursor: {text}") from None
