"""How Shopify pages through a connection: cursors that name a place in the order, and how far one may go.

A cursor holds the value sorted by and the id of the last node seen. It names a place, not a node: a node that moves
meanwhile leaves the others where they are, so that none is skipped and none comes twice.
"""

import base64
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from graphql import GraphQLError

Json = dict[str, Any]
Key = tuple[str | int, int]
Node = TypeVar("Node")

MOST_NODES = 250
# How far one list can be paged through (shopify.dev, API limits); beyond it filters or bulk operations must do.
MOST_OBJECTS = 25_000


def refuse(message: str) -> GraphQLError:
    """The error for a bad argument."""
    return GraphQLError(message, extensions={"code": "BAD_REQUEST"})


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments that every connection takes; `most` is how far its paging may go."""

    first: int | None
    after: str | None
    reverse: bool = False
    most: int = MOST_OBJECTS


def connection(
    nodes: Sequence[Node], asked: Asked, *, key: Callable[[Node], Key], render: Callable[[Node], Json]
) -> Json:
    """One page of the nodes, which come in ascending order of their keys: (value sorted by, id)."""
    size = _page_size(asked)
    start = 0 if asked.after is None else _behind(nodes, asked, key=key)
    if start + size > asked.most:
        raise refuse(
            f"Pagination is limited to {asked.most} objects. Add filters to narrow the results down."
        )
    stop = min(len(nodes), start + size)
    page = [nodes[_place(at, len(nodes), asked)] for at in range(start, stop)]
    rendered, cursors = [render(node) for node in page], [_cursor(key(node)) for node in page]
    return {
        "nodes": rendered,
        "edges": [{"cursor": at, "node": node} for at, node in zip(cursors, rendered, strict=True)],
        "pageInfo": {
            "hasNextPage": stop < len(nodes),
            "hasPreviousPage": start > 0,
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


def _page_size(asked: Asked) -> int:
    if asked.first is None:
        raise refuse("you must provide one of first or last")
    if asked.first > MOST_NODES:
        advice = "To query larger amounts of data with fewer limits, bulk operations should be used instead."
        raise refuse(f"first cannot exceed {MOST_NODES}. {advice}")
    if asked.first < 0:
        raise refuse("first must be zero or more")
    return asked.first


def _behind(nodes: Sequence[Node], asked: Asked, *, key: Callable[[Node], Key]) -> int:
    """How many nodes lie at or before the place that the cursor names."""
    last = _key_of(asked.after or "")
    if nodes and type(key(nodes[0])[0]) is not type(last[0]):
        raise refuse("Invalid cursor for current pagination sort.")
    if asked.reverse:
        return len(nodes) - bisect_left(nodes, last, key=key)
    return bisect_right(nodes, last, key=key)


def _place(at: int, count: int, asked: Asked) -> int:
    return count - 1 - at if asked.reverse else at


def _cursor(key: Key) -> str:
    value, number = key
    return base64.b64encode(json.dumps({"last_id": number, "last_value": value}).encode()).decode()


def _key_of(text: str) -> Key:
    try:
        found = json.loads(base64.b64decode(text, validate=True))
        value, number = found["last_value"], found["last_id"]
    except (ValueError, KeyError, TypeError):
        raise refuse(f"`after` is not a valid cursor: {text}") from None
    if not isinstance(number, int) or not isinstance(value, str | int):
        raise refuse(f"`after` is not a valid cursor: {text}")
    return value, number
