"""What a call of `GET /v3/orders` asks for, and its cursors.

Rules are from Walmart's spec orders.json unless a comment names another source.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.datastructures import QueryParams

from retail_simulator.clock import instant_text, parse_instant

DAY = 24 * 3600
DEFAULT_LOOK_BACK = 7 * DAY
FARTHEST = 999_999

NODE_TYPES = ("SellerFulfilled", "WFSFulfilled", "3PLFulfilled")
LINE_STATUSES = ("Created", "Acknowledged", "Shipped", "Delivered", "Cancelled")
FLAGS = ("true", "false")
CURSOR_ONLY = ("hasMoreElements", "soIndex", "poIndex", "partnerId", "sellerId")
PARAMETERS = (
    "createdStartDate",
    "createdEndDate",
    "lastModifiedStartDate",
    "lastModifiedEndDate",
    "limit",
    "shipNodeType",
    "status",
    "purchaseOrderId",
    "customerOrderId",
    "productInfo",
    "replacementInfo",
)
SELLER = "partnerId=100009&sellerId=8"
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class InvalidRequestError(Exception):
    """A request that the order API refuses; `field` is the parameter at fault."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(description)
        self.field = field


@dataclass(frozen=True, slots=True)
class Search:
    """A request for orders, checked. Dates are seconds since 1970; None where the query left one out.

    `first_total` is how many orders the first page counted; None for the first page itself.
    """

    created: tuple[int | None, int | None]
    modified: tuple[int | None, int | None]
    limit: int
    skip: int
    first_total: int | None
    order_id: str | None
    node_type: str
    status: str | None
    with_type: bool


def read_search(query: QueryParams) -> Search:
    """What a query asks for; an InvalidRequestError when the API would not take it."""
    names = [name for name, _ in query.multi_items()]
    paging = "hasMoreElements" in names
    for name in names:
        if names.count(name) > 1:
            raise InvalidRequestError(name, f"{name} is given twice")
        if name not in PARAMETERS and not (paging and name in CURSOR_ONLY):
            raise InvalidRequestError(name, f"Unknown parameter {name}")
    if paging and not all(name in names for name in (*CURSOR_ONLY, "limit")):
        raise InvalidRequestError("nextCursor", "The cursor is not the one that was given out")
    for name, allowed in (("shipNodeType", NODE_TYPES), ("status", LINE_STATUSES), ("productInfo", FLAGS)):
        _check_choice(query, name, allowed)
    _check_choice(query, "replacementInfo", FLAGS)
    wanted_id = query.get("purchaseOrderId", query.get("customerOrderId"))
    return Search(
        created=(read_date(query, "createdStartDate"), read_date(query, "createdEndDate")),
        modified=(read_date(query, "lastModifiedStartDate"), read_date(query, "lastModifiedEndDate")),
        limit=read_whole(query, "limit", default=100, least=1, most=200),
        skip=read_whole(query, "poIndex", default=0, least=0, most=FARTHEST),
        first_total=read_whole(query, "soIndex", default=0, least=0, most=FARTHEST) if paging else None,
        order_id=wanted_id if wanted_id is None or wanted_id.isdecimal() else "0",
        node_type=query.get("shipNodeType", NODE_TYPES[0]),
        status=query.get("status"),
        with_type=query.get("replacementInfo") == "true",
    )


def _check_choice(query: QueryParams, name: str, allowed: tuple[str, ...]) -> None:
    if name in query and query[name] not in allowed:
        raise InvalidRequestError(name, f"{name} must be one of {', '.join(allowed)}")


def read_whole(query: QueryParams, name: str, *, default: int, least: int, most: int) -> int:
    """A whole number within its bounds."""
    text = query.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,6}", text) or not least <= int(text) <= most:
        raise InvalidRequestError(name, f"{name} must be a number from {least} to {most}")
    return int(text)


def read_date(query: QueryParams, name: str) -> int | None:
    """A date as seconds since 1970; None where it is not given."""
    text = query.get(name)
    if text is None:
        return None
    # Milliseconds are refused too (a public NetSuite connector that met it).
    try:
        if _DATE.fullmatch(text):
            return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
        if _TIME.fullmatch(text):
            return int(parse_instant(text).timestamp())
    except ValueError:
        pass
    raise InvalidRequestError(name, "Invalid Date format value")


def cursor(query: QueryParams, *, shown: int, total: int, limit: int, now: int) -> str | None:
    """The next page as a query string that begins with `?`, as the spec shows it; None on the last page."""
    if shown >= total:
        return None
    filters = [(name, value) for name, value in query.items() if name not in (*CURSOR_ONLY, "limit")]
    given = dict(filters)
    if "lastModifiedStartDate" in given and "lastModifiedEndDate" not in given:
        filters.append(("lastModifiedEndDate", instant_text(now)))
    if "lastModifiedStartDate" not in given and "createdEndDate" not in given:
        filters.append(("createdEndDate", instant_text(now)))
    if "lastModifiedStartDate" not in given and "createdStartDate" not in given:
        filters.append(("createdStartDate", instant_text(now - DEFAULT_LOOK_BACK)))
    rest = "".join(f"&{name}={value}" for name, value in filters)
    return f"?limit={limit}&hasMoreElements=true&soIndex={total}&poIndex={shown}&{SELLER}{rest}"
