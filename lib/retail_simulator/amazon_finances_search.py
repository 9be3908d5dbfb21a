"""What a call of `listTransactions` asks for, and its paging tokens.

Rules are from the official model finances_2024-06-19.json unless a comment names another source.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from math import ceil

from starlette.datastructures import QueryParams

from retail_simulator.amazon_search import NEWEST_ALLOWED, InvalidInputError
from retail_simulator.changes import DAY
from retail_simulator.clock import parse_instant

LONGEST = 180 * DAY
STATUSES = frozenset({"DEFERRED", "RELEASED", "DEFERRED_RELEASED"})
RELATED = frozenset({"ORDER_ID", "FINANCIAL_EVENT_GROUP_ID"})
PARAMETERS = frozenset(
    {
        "postedAfter",
        "postedBefore",
        "marketplaceId",
        "transactionStatus",
        "relatedIdentifierName",
        "relatedIdentifierValue",
        "nextToken",
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: after the transaction `shown`, its time and id, of those posted up to `last`.

    `behind_empty` says that the page before had nothing.
    """

    shown: tuple[int, str]
    last: int
    behind_empty: bool


@dataclass(frozen=True, slots=True)
class FinancesSearch:
    """A request for transactions, checked. Times are whole seconds since 1970, both included."""

    first: int
    last: int
    is_too_long: bool
    status: str | None
    marketplace_id: str | None
    order_id: str | None
    group_id: str | None
    place: Place | None

    @property
    def shown(self) -> tuple[int, str]:
        """Behind what the page begins."""
        return (self.first, "") if self.place is None else self.place.shown


def read_finances_search(query: QueryParams, *, now: float) -> FinancesSearch:
    """What a query asks for; an InvalidInputError when the API would not take it."""
    names = [name for name, _ in query.multi_items()]
    for name in names:
        if name not in PARAMETERS or names.count(name) > 1:
            raise InvalidInputError(f"Invalid or repeated parameter: {name}")
    related = _related(query)
    # The message is the one of the model's example.
    if "postedAfter" not in query and related is None:
        raise InvalidInputError("Start date cannot be null")
    status = query.get("transactionStatus")
    if status is not None and status not in STATUSES:
        raise InvalidInputError(f"transactionStatus: no such value: {status}")
    newest = now - NEWEST_ALLOWED
    after, before = _instant(query, "postedAfter", newest), _instant(query, "postedBefore", newest)
    if after is not None and before is not None and before <= after:
        raise InvalidInputError("postedBefore must be later than postedAfter")
    place = _read_paging_token(query) if "nextToken" in query else None
    last = ceil(newest if before is None else before) - 1 if place is None else place.last
    return FinancesSearch(
        first=0 if after is None else ceil(after),
        last=last,
        is_too_long=after is not None and last + 1 - after > LONGEST,
        status=status,
        marketplace_id=query.get("marketplaceId"),
        order_id=related if query.get("relatedIdentifierName") == "ORDER_ID" else None,
        group_id=related if query.get("relatedIdentifierName") == "FINANCIAL_EVENT_GROUP_ID" else None,
        place=place,
    )


def paging_token(query: QueryParams, place: Place) -> str:
    """The token for the page at `place`, good for the same arguments alone."""
    parts = [*place.shown, place.last, place.behind_empty]
    return base64.urlsafe_b64encode(json.dumps([*parts, _digest(query, parts)]).encode()).decode()


def _read_paging_token(query: QueryParams) -> Place:
    try:
        *parts, digest = json.loads(base64.urlsafe_b64decode(query["nextToken"]))
        if digest == _digest(query, parts):
            posted, name, last, behind_empty = parts
            return Place((int(posted), str(name)), int(last), bool(behind_empty))
    except (ValueError, TypeError):
        pass
    raise InvalidInputError("nextToken is invalid, or another argument differs from the first request")


def _digest(query: QueryParams, parts: list[object]) -> str:
    others = sorted(item for item in query.multi_items() if item[0] != "nextToken")
    return hashlib.sha256(json.dumps([others, parts]).encode()).hexdigest()[:24]


def _related(query: QueryParams) -> str | None:
    name, value = query.get("relatedIdentifierName"), query.get("relatedIdentifierValue")
    if name is None and value is None:
        return None
    if name not in RELATED or not value:
        raise InvalidInputError(
            "relatedIdentifierName must be ORDER_ID or FINANCIAL_EVENT_GROUP_ID, with a value"
        )
    return value


def _instant(query: QueryParams, name: str, newest: float) -> float | None:
    if name not in query:
        return None
    try:
        instant = parse_instant(query[name]).timestamp()
    except ValueError as error:
        raise InvalidInputError(f"{name}: {error}") from None
    if instant >= newest:
        raise InvalidInputError(f"{name} must be more than two minutes before the request")
    return instant
