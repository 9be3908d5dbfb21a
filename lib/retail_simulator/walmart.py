"""Walmart Marketplace US: the token service and `GET /v3/orders`.

Rules are from Walmart's specs orders.json and auth.json unless a comment names another source. The spec does
not say whether the ends of a date range belong to it: here both do, so that a client meets an order twice.
"""

import base64
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from retail_simulator.access import AccessTokens, Credentials, TokenState, form_of, same
from retail_simulator.clock import SimulatedClock
from retail_simulator.sales import Book
from retail_simulator.throttle import Bucket
from retail_simulator.walmart_answers import GATEWAY, Refusals
from retail_simulator.walmart_items import render_item
from retail_simulator.walmart_orders import node_type_of, render, statuses_of
from retail_simulator.walmart_returns import WalmartReturns
from retail_simulator.walmart_search import (
    DAY,
    DEFAULT_LOOK_BACK,
    InvalidRequestError,
    Search,
    cursor,
    read_search,
)

# Orders older than this are not to be had any more.
RETENTION = 180 * DAY
# The spec of 2023 says 20,000; Walmart's pages of 2026 say 10,000.
MOST_ORDERS = 10_000
# Walmart's rate for "All orders", as cited by two third parties; the official table needs a login.
REQUESTS_PER_MINUTE = 5_000


class Walmart:
    """One seller's account."""

    def __init__(
        self,
        book: Book,
        clock: SimulatedClock,
        credentials: Credentials,
        *,
        throttle: bool,
        most_orders: int | None = None,
    ) -> None:
        self._book = book
        self._clock = clock
        self._credentials = credentials
        self._most_orders = most_orders
        self._tokens = AccessTokens(clock, prefix="eyJraWQiOi", lifetime=900)
        rate = REQUESTS_PER_MINUTE / 60
        # One bucket for each of the APIs: orders, returns, items.
        self._buckets = [
            Bucket(clock, capacity=REQUESTS_PER_MINUTE, per_second=rate) if throttle else None
            for _ in range(3)
        ]
        self.refusals = Refusals(in_turn=book.changes is not None)
        self._returns = WalmartReturns(book, clock, self.refusals)

    def routes(self) -> list[Route]:
        """The paths played."""
        return [
            Route("/v3/token", self.token, methods=["POST"]),
            Route("/v3/orders", self.orders, methods=["GET"]),
            Route("/v3/returns", self.returns, methods=["GET"]),
            Route("/v3/items/{id:path}", self.item, methods=["GET"]),
        ]

    async def token(self, request: Request) -> JSONResponse:
        """Client credentials for an access token: Basic authentication and a form."""
        refused = self.refusals.header_missing(request.headers)
        if refused is not None:
            return refused
        if not self._known_client(request.headers.get("authorization", "")):
            return self.refusals.unauthorized("Invalid client id or client secret.")
        form = await form_of(request)
        if not form or form.get("grant_type") != "client_credentials":
            refusal = "grant_type must be client_credentials"
            return self.refusals.error(400, f"INVALID_REQUEST.{GATEWAY}", refusal, "grant_type")
        issued = {"access_token": self._tokens.issue(), "token_type": "Bearer"}
        return JSONResponse({**issued, "expires_in": self._tokens.lifetime})

    async def orders(self, request: Request) -> JSONResponse:
        """One page of orders, oldest change first."""
        refused = self._refuse(request, self._buckets[0])
        if refused is not None:
            return refused
        now = int(self._clock.now())
        try:
            search = read_search(request.query_params)
            found = self._found(search, now=now)
        except InvalidRequestError as error:
            return self.refusals.error(400, "INVALID_REQUEST.GMP_ORDER_API", str(error), error.field)
        # The cursor is a place in the list as it is now: an order that has left moves all behind it forward.
        served = len(found) if self._most_orders is None else min(len(found), self._most_orders)
        page = found[search.skip : min(search.skip + search.limit, served)]
        if not page:
            what = "Failed when called getAllOrders. Orders not found for given search parameters"
            return self.refusals.nothing_found("GMP_ORDER_API", what)
        shown, total = search.skip + len(page), len(found)
        following = None
        if shown < served:
            counted = total if search.first_total is None else search.first_total
            following = cursor(request.query_params, shown=shown, total=counted, limit=search.limit, now=now)
        meta = {"totalCount": total, "limit": search.limit, "nextCursor": following}
        living = self._book.changes is not None
        rendered = [
            render(self._book.order(position, now=now), with_type=search.with_type, living=living)
            for position in page
        ]
        body = {"list": {"meta": meta, "elements": {"order": rendered}}}
        return JSONResponse(body, headers=self.refusals.budget(self._buckets[0], self._clock))

    async def returns(self, request: Request) -> JSONResponse:
        """See WalmartReturns."""
        refused = self._refuse(request, self._buckets[1])
        headers = self.refusals.budget(self._buckets[1], self._clock)
        return refused or self._returns.page(request.query_params, headers)

    async def item(self, request: Request) -> JSONResponse:
        """One item of the seller's catalogue."""
        refused = self._refuse(request, self._buckets[2])
        if refused is not None:
            return refused
        if request.query_params.get("productIdType", "SKU") != "SKU":
            refusal = "the simulator plays productIdType=SKU only"
            return self.refusals.error(400, "INVALID_REQUEST.GMP_ITEM_QUERY_API", refusal, "productIdType")
        item = render_item(self._book.product(request.path_params["id"]))
        if item is None:
            return self.refusals.nothing_found("GMP_ITEM_QUERY_API", "Item not found for the given id")
        return JSONResponse(item, headers=self.refusals.budget(self._buckets[2], self._clock))

    def _known_client(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        try:
            given = base64.b64decode(encoded).decode() if scheme == "Basic" else ""
        except ValueError:
            return False
        client_id, _, secret = given.partition(":")
        known_id = same(client_id, self._credentials.retailer_2_client_id)
        return same(secret, self._credentials.retailer_2_client_secret) and known_id

    def _refuse(self, request: Request, bucket: Bucket | None) -> JSONResponse | None:
        refused = self.refusals.header_missing(request.headers)
        if refused is not None:
            return refused
        state = self._tokens.state(request.headers.get("wm_sec.access_token", ""))
        if state is not TokenState.VALID:
            return self.refusals.token(state)
        if bucket is not None and not bucket.take():
            return self.refusals.throttled(self.refusals.budget(bucket, self._clock))
        return None

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
        found = self._filtered(found, search, now=now)
        if self._most_orders is None and len(found) > MOST_ORDERS:
            refusal = f"More than {MOST_ORDERS} orders match; narrow the dates"
            raise InvalidRequestError("createdStartDate", refusal)
        return found

    def _filtered(self, found: Sequence[int], search: Search, *, now: int) -> Sequence[int]:
        """Those of a node type, and of a status if one is asked for."""
        if self._book.changes is None:
            as_sold = search.node_type == "SellerFulfilled" and search.status in (None, "Shipped")
            return found if as_sold else []
        found = [at for at in found if node_type_of(self._book.number(at)) == search.node_type]
        if search.status is None:
            return found
        return [at for at in found if search.status in statuses_of(self._book.order(at, now=now))]
