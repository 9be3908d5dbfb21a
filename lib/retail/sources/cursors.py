"""A retailer's cursor to the next page: text, or nothing at the end. Anything else would pass for the end."""

from __future__ import annotations

from typing import Final

from retail.errors import BadCursorError
from retail.sources.values.json_path import JSON, at

# The longest of the three retailers' have about 2,000 characters, and travel in the address of a request.
LONGEST: Final = 8_192
# Pages of one list within an answer, such as an order's lines: a hundred thousand lines.
MOST_PAGES: Final = 1_000
_HINT: Final = (
    "run the same command again; it continues after the last stored page. If it happens again, the retailer's format "
    "has changed: report it with the log"
)


def next_cursor(body: JSON, *path: str, retailer_id: str, empty_ends: bool = False) -> str | None:
    """The cursor at `path` of an answer, or None if the answer says that it is the last page.

    It says so by null, or by leaving the cursor or an object around it out; with `empty_ends` by an empty text too.
    Raises BadCursorError for anything else that is no cursor.
    """
    for end in range(1, len(path)):
        around = at(body, *path[:end])
        if around is None:
            return None
        if not isinstance(around, dict):
            raise bad_cursor(retailer_id, ".".join(path[:end]), "is not an object")
    found, name = at(body, *path), ".".join(path)
    if found is None or (empty_ends and found == ""):
        return None
    if not isinstance(found, str):
        raise bad_cursor(retailer_id, name, "is not text")
    if not found.strip() or not found.isprintable():
        raise bad_cursor(retailer_id, name, "is empty or not printable")
    if len(found) > LONGEST:
        raise bad_cursor(retailer_id, name, f"has more than {LONGEST:,} characters")
    return found


class SeenCursors:
    """The cursors of one walk, in which none may come twice; `what` is walked, in words."""

    def __init__(self, retailer_id: str, what: str) -> None:
        self._retailer_id, self._what = retailer_id, what
        self._seen: set[str] = set()

    def new(self, cursor: str) -> str:
        """The same cursor. Raises BadCursorError if it has occurred before, or if the walk has no end."""
        if cursor in self._seen or len(self._seen) >= MOST_PAGES:
            raise bad_cursor(self._retailer_id, f"the cursor of {self._what}", "does not advance")
        self._seen.add(cursor)
        return cursor


def bad_cursor(retailer_id: str, name: str, wrong: str) -> BadCursorError:
    """The error of a cursor that cannot be followed."""
    return BadCursorError(f"{retailer_id}: {name} {wrong}, so the next page cannot be asked for", hint=_HINT)
