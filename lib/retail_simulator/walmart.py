"""Walmart Marketplace US: the token service and `GET /v3/orders`.

Rules are from Walmart's specs orders.json and auth.json unless a comment names another source. The spec does
not say whether the ends of a date range belong to it: here both do, so that a client meets an order twice.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from retail_simulator.access import AccessTokens, Credentials, TokenState, form_of, same
from retail_simulator.clock import SimulatedClock, instant_text, parse_instant
from retail_simulator.sales import Book
from retail_simulator.throttle import Bucket
from retail_simulator.walmart_orders import Json, render

DAY = 24 * 3600
# Orders older than this are not to be had any more.
RETENTION = 180 * DAY
DEFAULT_LOOK_BACK = 7 * DAY
# The spec of 2023 says 20,000; Walmart's pages of 2026 say 10,000.
MOST_ORDERS = 10_000
# Walmart's rate for "All orders", as cited by two third parties; the official table needs a login.
REQUESTS_PER_MINUTE = 5_000

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
    """A request for orders, checked. Dates are seconds since 1970; None where the query left one out."""

    created: tuple[int | None, int | None]
    modified: tuple[int | None, int | None]
    limit: int
    skip: int
    order_id: str | None
    possible: bool
    with_type: bool


class Walmart:
    """One seller's account."""

    def __init__(
        self, book: Book, clock: SimulatedClock, credentials: Credentials, *, throttle: bool
    ) -> None:
        self._book = book
        self._clock = clock
        self._credentials = credentials
        self._tokens = AccessTokens(clock, prefix="eyJraWQiOi", lifetime=900)
        rate = REQUESTS_PER_MINUTE / 60
        self._bucket = Bucket(clock, capacity=REQUESTS_PER_MINUTE, per_second=rate) if throttle else None

    def routes(self) -> list[Route]:
        """The paths played."""
        return [
            Route("/v3/token", self.token, methods=["POST"]),
            Route("/v3/orders", self.orders, methods=["GET"]),
        ]

    async def token(self, request: Request) -> JSONResponse:
        """Client credentials for an access token: Basic authentication and a form."""
        refused = _header_missing(request.headers)
        if refused is not None:
            return refused
        if not self._known_client(request.headers.get("authorization", "")):
            return _unauthorized("Invalid client id or client secret.")
        form = await form_of(request)
        if not form or form.get("grant_type") != "client_credentials":
            refusal = "grant_type must be client_credentials"
            return _error(400, "INVALID_REQUEST.GMP_GATEWAY_API", refusal, "grant_type")
        issued = {"access_token": self._tokens.issue(), "token_type": "Bearer"}
        return JSONResponse({**issued, "expires_in": self._tokens.lifetime})

    async def orders(self, request: Request) -> JSONResponse:
        """One page of orders, oldest change first."""
        token = request.headers.get("wm_sec.access_token", "")
        refused = _header_missing(request.headers) or self._refuse(token)
        if refused is not None:
            return refused
        now = int(self._clock.now())
        try:
            search = read_search(request.query_params)
            found = self._found(search, now=now)
        except InvalidRequestError as error:
            return _error(400, "INVALID_REQUEST.GMP_ORDER_API", str(error), error.field)
        page = found[search.skip : search.skip + search.limit]
        if not page:
            return _nothing_found()
        shown = search.skip + len(page)
        cursor = _cursor(request.query_params, shown=shown, total=len(found), limit=search.limit, now=now)
        meta = {"totalCount": len(found), "limit": search.limit, "nextCursor": cursor}
        rendered = [
            render(self._book.order(position, now=now), with_type=search.with_type) for position in page
        ]
        return JSONResponse({"list": {"meta": meta, "elements": {"order": rendered}}}, headers=self._budget())

    def _known_client(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        try:
            given = base64.b64decode(encoded).decode() if scheme == "Basic" else ""
        except ValueError:
            return False
        client_id, _, secret = given.partition(":")
        known_id = same(client_id, self._credentials.retailer_2_client_id)
        return same(secret, self._credentials.retailer_2_client_secret) and known_id

    def _refuse(self, token: str) -> JSONResponse | None:
        state = self._tokens.state(token)
        if state is TokenState.UNKNOWN:
            return _unauthorized("Unauthorized token or incorrect authorization header.")
        if state is TokenState.EXPIRED:
            # As the client python-walmart expects it; another report has 401 here.
            return _error(400, "INVALID_TOKEN.GMP_GATEWAY_API", "Invalid or expired access token")
        if self._bucket is not None and not self._bucket.take():
            refusal = "Request threshold violated"
            return _error(429, "REQUEST_THRESHOLD_VIOLATED.GMP_GATEWAY_API", refusal, headers=self._budget())
        return None

    def _budget(self) -> dict[str, str]:
        if self._bucket is None:
            return {}
        left = self._bucket.level
        replenished = self._clock.now() + max(0.0, 1 - left) / self._bucket.per_second
        return {
            "x-current-token-count": str(int(left)),
            "x-next-replenish-time": str(int(replenished * 1000)),
        }

    def _found(self, search: Search, *, now: int) -> Sequence[int]:
        oldest = now - RETENTION
        created_from, created_to = search.created
        modified_from, modified_to = search.modified
        # The spec gives createdStartDate this default; it is not said to hold beside lastModifiedStartDate.
        if created_from is None and modified_from is None and search.order_id is None:
            created_from = now - DEFAULT_LOOK_BACK
        found = self._book.matching(
            created=(max(oldest, created_from or oldest), min(now, created_to or now)),
            updated=(modified_from or oldest, min(now, modified_to or now)),
            now=now,
        )
        if search.order_id is not None:
            position = self._book.position(int(search.order_id))
            found = [position] if position is not None and position in found else []
        if not search.possible:
            found = []
        if len(found) > MOST_ORDERS:
            refusal = f"More than {MOST_ORDERS} orders match; narrow the dates"
            raise InvalidRequestError("createdStartDate", refusal)
        return found


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
    here = query.get("shipNodeType", "SellerFulfilled") == "SellerFulfilled"
    return Search(
        created=(_date(query, "createdStartDate"), _date(query, "createdEndDate")),
        modified=(_date(query, "lastModifiedStartDate"), _date(query, "lastModifiedEndDate")),
        limit=_whole(query, "limit", default=100, least=1, most=200),
        skip=_whole(query, "poIndex", default=0, least=0, most=MOST_ORDERS),
        order_id=wanted_id if wanted_id is None or wanted_id.isdecimal() else "0",
        possible=here and query.get("status", "Shipped") == "Shipped",
        with_type=query.get("replacementInfo") == "true",
    )


def _check_choice(query: QueryParams, name: str, allowed: tuple[str, ...]) -> None:
    if name in query and query[name] not in allowed:
        raise InvalidRequestError(name, f"{name} must be one of {', '.join(allowed)}")


def _whole(query: QueryParams, name: str, *, default: int, least: int, most: int) -> int:
    text = query.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,6}", text) or not least <= int(text) <= most:
        raise InvalidRequestError(name, f"{name} must be a number from {least} to {most}")
    return int(text)


def _date(query: QueryParams, name: str) -> int | None:
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


def _cursor(query: QueryParams, *, shown: int, total: int, limit: int, now: int) -> str | None:
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


def _header_missing(headers: Mapping[str, str]) -> JSONResponse | None:
    for name in ("WM_SVC.NAME", "WM_QOS.CORRELATION_ID"):
        if not headers.get(name.lower()):
            return _error(400, "INVALID_REQUEST_HEADER.GMP_GATEWAY_API", f"Header {name} is missing", name)
    # Without it the API answers in XML, which is not played.
    if "application/json" not in headers.get("accept", ""):
        refusal = "Accept must be application/json"
        return _error(400, "INVALID_REQUEST_HEADER.GMP_GATEWAY_API", refusal, "Accept")
    return None


def _unauthorized(info: str) -> JSONResponse:
    return _error(401, "UNAUTHORIZED.GMP_GATEWAY_API", "Unauthorized", "UNAUTHORIZED", info=info)


def _nothing_found() -> JSONResponse:
    # Walmart's answer when no order matches (recorded by the client walmart-marketplace).
    description = "Failed when called getAllOrders. Orders not found for given search parameters"
    info = "Requested content could not be found."
    return _error(404, "CONTENT_NOT_FOUND.GMP_ORDER_API", description, info=info, severity="INFO")


def _error(
    status: int,
    code: str,
    description: str,
    field: str | None = None,
    *,
    info: str | None = None,
    severity: str = "ERROR",
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    error: Json = {
        "code": code,
        "field": field,
        "description": description,
        "info": info or description,
        "severity": severity,
        "category": "DATA",
        "causes": [],
        "errorIdentifiers": {},
    }
    return JSONResponse({"error": [error]}, status_code=status, headers=headers)
