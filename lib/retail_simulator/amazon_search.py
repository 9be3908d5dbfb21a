"""What a call of `searchOrders` asks for, and its paging tokens.

Rules are from the official model orders_2026-01-01.json unless a comment names another source.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from math import ceil, floor

from starlette.datastructures import QueryParams

from retail_simulator.amazon_orders import MARKETPLACE_ID
from retail_simulator.clock import parse_instant

# Paging tokens are good for a day (developer documentation, not in the model).
PAGING_TOKEN_LIFETIME = 24 * 3600
NEWEST_ALLOWED = 120

DATASETS = frozenset(
    {
        "BUYER",
        "RECIPIENT",
        "PROCEEDS",
        "EXPENSE",
        "PROMOTION",
        "CANCELLATION",
        "FULFILLMENT",
        "PACKAGES",
        "TAX",
        "PAYMENT",
        "FULFILLMENT_ORDERS",
    }
)
STATUSES = frozenset(
    {
        "PENDING_AVAILABILITY",
        "PENDING",
        "UNSHIPPED",
        "PARTIALLY_SHIPPED",
        "SHIPPED",
        "CANCELLED",
        "UNFULFILLABLE",
    }
)
FULFILLERS = frozenset({"MERCHANT", "AMAZON"})
PARAMETERS = frozenset(
    {
        "createdAfter",
        "createdBefore",
        "lastUpdatedAfter",
        "lastUpdatedBefore",
        "fulfillmentStatuses",
        "marketplaceIds",
        "fulfilledBy",
        "maxResultsPerPage",
        "paginationToken",
        "includedData",
    }
)


class InvalidInputError(Exception):
    """A request that the API answers with 400 InvalidInput."""


@dataclass(frozen=True, slots=True)
class Search:
    """A request for orders, checked. Times are whole seconds since 1970, both included.

    `after` is the time and number of the last order of the page before; None for the first page. `statuses` empty
    means any.
    """

    by_update: bool
    first: int
    last: int
    after: tuple[int, int] | None
    page_size: int
    datasets: frozenset[str]
    statuses: frozenset[str]
    matches: bool

    @property
    def bound_name(self) -> str:
        """The field that tells which upper bound was used."""
        return "lastUpdatedBefore" if self.by_update else "createdBefore"


def read_search(query: QueryParams, *, now: float) -> Search:
    """What a query asks for; an InvalidInputError when the API would not take it."""
    names = [name for name, _ in query.multi_items()]
    for name in names:
        if name not in PARAMETERS or names.count(name) > 1:
            raise InvalidInputError(f"Invalid or repeated parameter: {name}")
    by_update, first, last = _window(query, now=now)
    datasets = _choices(query, "includedData", DATASETS)
    statuses = _choices(query, "fulfillmentStatuses", STATUSES)
    fulfillers = _choices(query, "fulfilledBy", FULFILLERS)
    marketplaces = _list(query, "marketplaceIds")
    if len(marketplaces) > 50:
        raise InvalidInputError("marketplaceIds: at most 50")
    size = query.get("maxResultsPerPage", "100")
    if not re.fullmatch(r"[0-9]{1,3}", size) or not 1 <= int(size) <= 100:
        raise InvalidInputError("maxResultsPerPage must be between 1 and 100")
    after = None
    if "paginationToken" in query:
        *after_last, last = _read_paging_token(query, now=now)
        after = (after_last[0], after_last[1])
    wanted = [(marketplaces, MARKETPLACE_ID), (fulfillers, "MERCHANT")]
    return Search(
        by_update=by_update,
        first=first,
        last=last,
        after=after,
        page_size=int(size),
        datasets=frozenset(datasets),
        statuses=frozenset(statuses),
        matches=all(not chosen or has in chosen for chosen, has in wanted),
    )


def read_datasets(query: QueryParams) -> frozenset[str]:
    """The data sets that a request for one order wants; an InvalidInputError when the API would not take it."""
    for name, _ in query.multi_items():
        if name != "includedData":
            raise InvalidInputError(f"Invalid or repeated parameter: {name}")
    return frozenset(_choices(query, "includedData", DATASETS))


def _window(query: QueryParams, *, now: float) -> tuple[bool, int, int]:
    by_update = "lastUpdatedAfter" in query
    if by_update == ("createdAfter" in query):
        raise InvalidInputError("Provide exactly one of createdAfter and lastUpdatedAfter")
    used, other = ("lastUpdated", "created") if by_update else ("created", "lastUpdated")
    if f"{other}Before" in query:
        raise InvalidInputError(f"{other}Before cannot be combined with {used}After")
    after = _instant(query, f"{used}After")
    newest = now - NEWEST_ALLOWED
    if f"{used}Before" not in query:
        return by_update, ceil(after), floor(newest)
    before = _instant(query, f"{used}Before")
    if before < after:
        raise InvalidInputError(f"{used}Before must be equal to or after {used}After")
    if before > newest:
        # The real answer gives no reason (amzn/selling-partner-api-models issue 326).
        raise InvalidInputError("Invalid Input")
    return by_update, ceil(after), floor(before)


def _instant(query: QueryParams, name: str) -> float:
    # Times with an offset were refused in v0 (amzn/selling-partner-api-models issue 3324).
    try:
        return parse_instant(query[name]).timestamp()
    except ValueError as error:
        raise InvalidInputError(f"{name}: {error}") from None


def _list(query: QueryParams, name: str) -> list[str]:
    return query[name].split(",") if name in query else []


def _choices(query: QueryParams, name: str, allowed: frozenset[str]) -> list[str]:
    given = _list(query, name)
    for value in given:
        if value not in allowed:
            raise InvalidInputError(f"{name}: no such value: {value}")
    return given


def _digest(query: QueryParams, *parts: int) -> str:
    others = sorted(item for item in query.multi_items() if item[0] != "paginationToken")
    return hashlib.sha256(json.dumps([others, parts]).encode()).hexdigest()[:24]


def paging_token(query: QueryParams, search: Search, *, shown: tuple[int, int], now: float) -> str:
    """The token for the page after the one that ends with the order `shown`, its time and its number.

    It names an order, not a place: orders that move while pages are read push no other onto the wrong page. It holds
    all it needs, so that a client can go on after a restart, as it can at Amazon.
    """
    parts = (*shown, search.last, int(now))
    return base64.urlsafe_b64encode(json.dumps([*parts, _digest(query, *parts)]).encode()).decode()


def _read_paging_token(query: QueryParams, *, now: float) -> tuple[int, int, int]:
    try:
        time, number, last, issued, digest = json.loads(base64.urlsafe_b64decode(query["paginationToken"]))
        genuine = digest == _digest(query, time, number, last, issued)
    except (ValueError, TypeError):
        genuine = False
    if not genuine:
        raise InvalidInputError(
            "paginationToken is invalid, or another parameter differs from the first request"
        )
    if now - issued > PAGING_TOKEN_LIFETIME:
        raise InvalidInputError("paginationToken has expired")
    return int(time), int(number), int(last)
