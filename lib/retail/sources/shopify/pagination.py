"""The position of a walk through a shop's orders, as text from which a later run resumes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Final

from retail.errors import CursorExpiredError, ExtractError
from retail.sources.cursors import bad_cursor, next_cursor
from retail.sources.values.json_path import JSON, at, entries, text
from retail.sources.values.timestamps import from_iso, is_normal
from retail.sources.window import Window

_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Paged:
    """A walk by pages: the query for changes from `since` on, with `seen` orders received, up to the cursor `after`.

    With `by_creation` the query is for orders created since then.
    """

    since: str
    after: str | None = None
    seen: int = 0
    by_creation: bool = False

    @classmethod
    def of(cls, window: Window) -> Paged:
        """The start of a window."""
        return cls(f"{window.start:{_TIME}}")

    @classmethod
    def created(cls, window: Window) -> Paged:
        """The start of a window of creation."""
        return cls(f"{window.start:{_TIME}}", by_creation=True)

    def search(self, window: Window) -> str:
        """The search from `since` to the window's end. Sorted by change, oldest first."""
        name = "created_at" if self.by_creation else "updated_at"
        # Without the quotes Shopify silently splits the time at its colons.
        return f"{name}:>='{self.since}' AND {name}:<'{window.end:{_TIME}}'"

    def after_orders(
        self, orders: list[JSON], cursor: str | None, *, page_size: int, most: int, retailer_id: str
    ) -> Paged | None:
        """The place of the walk after these orders; None at its end.

        Shopify does not allow paging beyond `most` objects of one query. Before that, a new query begins at the last
        order's change; that order and others of the same second come twice, which landing evens out.
        """
        if cursor is None:
            return None
        seen = self.seen + len(orders)
        if seen + page_size <= most:
            return replace(self, after=cursor, seen=seen)
        if self.by_creation:
            raise ExtractError(
                f"{retailer_id}: more than {most:,} orders were created in one day; Shopify does not page "
                "through that many",
                hint="compare this day with Shopify's own reports; other days and retailers are not affected",
            )
        since = from_iso(text(orders[-1], "updatedAt")) if orders else None
        if since is None or not is_normal(since):
            raise ExtractError(
                f"{retailer_id}: the last order of a page has no valid `updatedAt`, so a query that exceeds "
                f"Shopify's limit of {most:,} objects cannot be split",
                hint="set options.bulk_from_orders, so that such days are read by a bulk operation",
            )
        # Searches support whole seconds only.
        since = f"{since[:19]}Z"
        if since <= self.since:
            raise ExtractError(
                f"{retailer_id}: more than {most:,} orders changed in the one second {since}; Shopify does not "
                "page through that many",
                hint="set options.bulk_from_orders, so that such days are read by a bulk operation",
            )
        return Paged(since)

    @property
    def cursor(self) -> str:
        place = {"since": self.since, "after": self.after, "seen": self.seen}
        return json.dumps(place | ({"by_creation": True} if self.by_creation else {}))


@dataclass(frozen=True, slots=True)
class Bulk:
    """A walk through the file of a bulk operation, with `done` orders stored."""

    operation: str
    done: int = 0

    @property
    def cursor(self) -> str:
        return json.dumps({"bulk": self.operation, "done": self.done})


def place_of(cursor: str, *, retailer_id: str) -> Paged | Bulk:
    """The place that a cursor names. Raises CursorExpiredError for a cursor of an earlier version."""
    try:
        found = json.loads(cursor)
        if "bulk" in found:
            return Bulk(str(found["bulk"]), int(found["done"]))
        return Paged(str(found["since"]), found["after"], int(found["seen"]), bool(found.get("by_creation")))
    except (ValueError, KeyError, TypeError):
        raise CursorExpiredError(
            f"{retailer_id}: the cursor of the last page is not one of this version's",
            hint="the day is fetched from its start",
        ) from None


def page_cursor(connection: JSON, *, retailer_id: str) -> str | None:
    """The cursor of a connection's next page; None on the last one. Raises BadCursorError if either is not said."""
    more = at(connection, "pageInfo", "hasNextPage")
    if not isinstance(more, bool):
        raise bad_cursor(retailer_id, "pageInfo.hasNextPage", "is neither true nor false")
    cursor = next_cursor(connection, "pageInfo", "endCursor", retailer_id=retailer_id) if more else None
    if more and cursor is None:
        raise bad_cursor(retailer_id, "pageInfo.endCursor", "is missing")
    return cursor


def orders_of(answer: JSON) -> list[JSON]:
    """The orders of one page."""
    return entries(answer, "data", "orders", "nodes") or []
