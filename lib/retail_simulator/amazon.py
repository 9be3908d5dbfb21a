"""Amazon's Selling Partner API: `searchOrders` of Orders v2026-01-01, and the tokens of Login with Amazon.

Rules are from the official model orders_2026-01-01.json unless a comment names another source.
"""

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from retail_simulator.access import AccessTokens, Credentials, TokenState, form_of, same
from retail_simulator.amazon_orders import MARKETPLACE_ID, Json, render
from retail_simulator.clock import SimulatedClock, instant_text, parse_instant
from retail_simulator.sales import Book
from retail_simulator.throttle import Bucket

REQUESTS_PER_SECOND = 0.0056
BURST = 20
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
    """A request for orders, checked. Times are whole seconds since 1970, both included."""

    by_update: bool
    first: int
    last: int
    skip: int
    page_size: int
    datasets: frozenset[str]
    matches: bool

    @property
    def bound_name(self) -> str:
        """The field that tells which upper bound was used."""
        return "lastUpdatedBefore" if self.by_update else "createdBefore"


class Amazon:
    """One selling partner's account, with one application authorised for it."""

    def __init__(
        self, book: Book, clock: SimulatedClock, credentials: Credentials, *, throttle: bool
    ) -> None:
        self._book = book
        self._clock = clock
        self._credentials = credentials
        self._tokens = AccessTokens(clock, prefix="Atza|", lifetime=3600)
        self._bucket = Bucket(clock, capacity=BURST, per_second=REQUESTS_PER_SECOND) if throttle else None

    def routes(self) -> list[Route]:
        """The paths played."""
        return [
            Route("/auth/o2/token", self.token, methods=["POST"]),
            Route("/orders/2026-01-01/orders", self.search_orders, methods=["GET"]),
        ]

    async def token(self, request: Request) -> JSONResponse:
        """Exchange the refresh token for an access token. Errors are shaped as OAuth has them."""
        form = await form_of(request)
        if not form or "grant_type" not in form:
            refusal = "The request is missing a required parameter : grant_type"
            return _oauth_error(400, "invalid_request", refusal)
        if form["grant_type"] != "refresh_token":
            refusal = "The authorization grant type is not supported by the authorization server"
            return _oauth_error(400, "unsupported_grant_type", refusal)
        client = self._credentials
        known_id = same(form.get("client_id"), client.retailer_1_client_id)
        if not (same(form.get("client_secret"), client.retailer_1_client_secret) and known_id):
            return _oauth_error(401, "invalid_client", "Client authentication failed")
        if not same(form.get("refresh_token"), client.retailer_1_refresh_token):
            refusal = "The request has an invalid grant parameter : refresh_token"
            return _oauth_error(400, "invalid_grant", refusal)
        return JSONResponse(
            {
                "access_token": self._tokens.issue(),
                "refresh_token": form["refresh_token"],
                "token_type": "bearer",
                "expires_in": self._tokens.lifetime,
            }
        )

    async def search_orders(self, request: Request) -> JSONResponse:
        """One page of orders, oldest change first."""
        refused = self._refuse(request.headers.get("x-amz-access-token"))
        if refused is not None:
            return refused
        now = self._clock.now()
        try:
            search = read_search(request.query_params, now=now)
        except InvalidInputError as error:
            return _error(400, "InvalidInput", str(error))
        found: Sequence[int] = []
        if search.matches and search.by_update:
            found = self._book.updated_between(search.first, search.last, now=now)
        elif search.matches:
            found = self._book.created_between(search.first, search.last)
        page = found[search.skip : search.skip + search.page_size]
        body: Json = {
            "orders": [render(self._book.order(position, now=now), search.datasets) for position in page],
            search.bound_name: instant_text(search.last),
        }
        if search.skip + len(page) < len(found):
            token = _paging_token(request.query_params, search, now=self._clock.now())
            body["pagination"] = {"nextToken": token}
        return JSONResponse(body, headers=_headers(rate=True))

    def _refuse(self, token: str | None) -> JSONResponse | None:
        denied = "Access to requested resource is denied."
        if not token:
            return _error(403, "Unauthorized", denied, "Access token is missing in the request header.")
        state = self._tokens.state(token)
        if state is TokenState.EXPIRED:
            return _error(403, "Unauthorized", denied, "The access token you provided has expired.")
        if state is TokenState.UNKNOWN:
            details = "The access token you provided is revoked, malformed or invalid."
            return _error(403, "Unauthorized", denied, details)
        if self._bucket is not None and not self._bucket.take():
            return _error(429, "QuotaExceeded", "You exceeded your quota for the requested resource.")
        return None


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
    skip = 0
    if "paginationToken" in query:
        skip, last = _read_paging_token(query, now=now)
    wanted = [(marketplaces, MARKETPLACE_ID), (statuses, "SHIPPED"), (fulfillers, "MERCHANT")]
    matches = all(not chosen or has in chosen for chosen, has in wanted)
    return Search(by_update, first, last, skip, int(size), frozenset(datasets), matches)


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


def _paging_token(query: QueryParams, search: Search, *, now: float) -> str:
    # Holds all it needs, so that a client can go on after a restart, as it can at Amazon.
    parts = (search.skip + search.page_size, search.last, int(now))
    return base64.urlsafe_b64encode(json.dumps([*parts, _digest(query, *parts)]).encode()).decode()


def _read_paging_token(query: QueryParams, *, now: float) -> tuple[int, int]:
    try:
        skip, last, issued, digest = json.loads(base64.urlsafe_b64decode(query["paginationToken"]))
        genuine = digest == _digest(query, skip, last, issued)
    except (ValueError, TypeError):
        genuine = False
    if not genuine:
        raise InvalidInputError(
            "paginationToken is invalid, or another parameter differs from the first request"
        )
    if now - issued > PAGING_TOKEN_LIFETIME:
        raise InvalidInputError("paginationToken has expired")
    return int(skip), int(last)


def _oauth_error(status: int, error: str, description: str) -> JSONResponse:
    return JSONResponse({"error_description": description, "error": error}, status_code=status)


def _error(status: int, code: str, message: str, details: str = "") -> JSONResponse:
    body = {"errors": [{"code": code, "message": message, "details": details}]}
    return JSONResponse(body, status_code=status, headers=_headers(rate=status == 400))


def _headers(*, rate: bool) -> dict[str, str]:
    # The model declares the rate limit on 200, 400 and 404, not on 403 and 429.
    limit = {"x-amzn-RateLimit-Limit": str(REQUESTS_PER_SECOND)} if rate else {}
    return {"x-amzn-RequestId": str(uuid.uuid4()), **limit}
