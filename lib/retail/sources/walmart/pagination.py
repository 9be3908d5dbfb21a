"""The position of a walk over Walmart's lists: which list, which stretch of time in it, and how far in that stretch.

Walmart answers for each kind of ship node separately, and for returns at another address. It answers no query with more
than 10,000 orders completely, and pages by position in a list that may lose an entry meanwhile, so that another is
skipped. So a walk goes list by list and stretch by stretch. A stretch that holds too much, changed its number of
entries on the way or came up short is walked again in halves, down to a single page, which cannot change on the way.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Final

from retail.errors import BadCursorError, CursorExpiredError, ExtractError
from retail.sources.window import Window

# One call shows one kind of ship node only, SellerFulfilled by default; often most sales are WFS.
ORDER_LISTS: Final = ("SellerFulfilled", "WFSFulfilled", "3PLFulfilled")
RETURNS: Final = "returns"
# A list can grow while it is walked, but not to twice its size.
_MOST_TIMES: Final = 2
_A_PAGE: Final = 200
LISTS: Final = (*ORDER_LISTS, RETURNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in the walk. `start` and `end` bound the stretch, in UTC as sent to Walmart.

    `query` is Walmart's own next page, None for the first; `total` is the number of entries according to the stretch's
    first page, `seen` the number received so far; `moved` means that a later page gave another number.
    """

    of: str
    start: str
    end: str
    query: str | None = None
    total: int | None = None
    seen: int = 0
    moved: bool = False

    @classmethod
    def first(cls, window: Window) -> Place:
        """The start of the walk over a window."""
        return cls(of=LISTS[0], start=instant_text(window.start), end=instant_text(window.end))

    @classmethod
    def of_cursor(cls, cursor: str) -> Place:
        """The place that `cursor` names. Raises CursorExpiredError for a cursor of an earlier version."""
        try:
            return cls(**json.loads(cursor))
        except (ValueError, TypeError):
            raise CursorExpiredError(
                f"{cursor[:80]!r} is not a place in Walmart's lists", hint="the day is fetched from its start"
            ) from None

    @property
    def cursor(self) -> str:
        return json.dumps({name: value for name, value in asdict(self).items() if value is not None})

    @property
    def is_short(self) -> bool:
        """Whether fewer entries came than the list is said to have."""
        return self.seen < (self.total or 0)

    def halved(self) -> Place:
        """The first half of the stretch. Raises ExtractError for a stretch of one second."""
        start, end = datetime.fromisoformat(self.start), datetime.fromisoformat(self.end)
        half = (start + (end - start) / 2).replace(microsecond=0)
        if half <= start:
            raise ExtractError(
                f"Walmart has more {self.of} changed in the second {self.start} than one list returns",
                hint="fetch these with Walmart's reports; no query can select fewer of them",
            )
        return Place(of=self.of, start=self.start, end=instant_text(half))

    def counted(self, *, total: int, entries: int) -> Place:
        """The same place after its page returned that many entries and gave `total` as the size of the list."""
        first = total if self.total is None else self.total
        moved = self.moved or total != first
        return replace(self, total=first, seen=self.seen + entries, moved=moved)

    def after(self, query: str | None, window: Window) -> Place | None:
        """The place after a page that was counted in; None after the last list. Raises BadCursorError for no end."""
        if query is not None:
            if self.seen > _MOST_TIMES * ((self.total or 0) + _A_PAGE):
                raise BadCursorError(
                    f"Walmart's list {self.of}: {self.seen:,} entries came of {self.total or 0:,}; "
                    "its cursor leads in circles",
                    hint="run the same command again later; pages so far are kept",
                )
            return replace(self, query=query)
        if self.moved or (self.is_short and self.query is not None):
            return self.halved()
        if self.end < instant_text(window.end):
            return Place(of=self.of, start=self.end, end=instant_text(window.end))
        following = LISTS.index(self.of) + 1
        return None if following == len(LISTS) else replace(Place.first(window), of=LISTS[following])


def instant_text(instant: datetime) -> str:
    """An instant as Walmart's parameters take it; a bare date would be in an unknown time zone."""
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
