"""Amazon's Selling Partner API: `searchOrders` of Orders v2026-01-01, its catalogue and its ledger, and the tokens.

Rules are from the official model orders_2026-01-01.json unless a comment names another source.
"""

from bisect import bisect_right
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from retail_simulator import amazon_answers
from retail_simulator.access import AccessTokens, Credentials, TokenState, form_of, same
from retail_simulator.amazon_catalog import AmazonCatalog
from retail_simulator.amazon_finances import AmazonFinances
from retail_simulator.amazon_orders import Json, render, status_of
from retail_simulator.amazon_search import InvalidInputError, Search, paging_token, read_datasets, read_search
from retail_simulator.clock import SimulatedClock, instant_text
from retail_simulator.sales import Book
from retail_simulator.throttle import Bucket

REQUESTS_PER_SECOND = 0.0056
BURST = 20
# Those of getOrder.
ORDER_PER_SECOND = 0.5
ORDER_BURST = 30


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
        self._order_bucket = (
            Bucket(clock, capacity=ORDER_BURST, per_second=ORDER_PER_SECOND) if throttle else None
        )
        self._rate = REQUESTS_PER_SECOND if throttle else amazon_answers.WITHOUT_LIMIT
        self._catalog = AmazonCatalog(book, clock, throttle=throttle)
        self._finances = AmazonFinances(book, clock, throttle=throttle)

    def routes(self) -> list[Route]:
        """The paths played."""
        return [
            Route("/auth/o2/token", self.token, methods=["POST"]),
            Route("/orders/2026-01-01/orders", self.search_orders, methods=["GET"]),
            Route("/orders/2026-01-01/orders/{id}", self.get_order, methods=["GET"]),
            Route("/catalog/2022-04-01/items", self.search_catalog_items, methods=["GET"]),
            Route("/finances/2024-06-19/transactions", self.list_transactions, methods=["GET"]),
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

    async def search_catalog_items(self, request: Request) -> JSONResponse:
        """See AmazonCatalog."""
        refused = self._refuse(request.headers.get("x-amz-access-token"))
        return refused or self._catalog.search(request.query_params)

    async def list_transactions(self, request: Request) -> JSONResponse:
        """See AmazonFinances."""
        refused = self._refuse(request.headers.get("x-amz-access-token"))
        return refused or self._finances.page(request.query_params)

    async def get_order(self, request: Request) -> JSONResponse:
        """One order by its id."""
        refused = self._refuse(request.headers.get("x-amz-access-token"))
        if refused is not None:
            return refused
        if self._order_bucket is not None and not self._order_bucket.take():
            return amazon_answers.quota_exceeded()
        now = self._clock.now()
        try:
            datasets = read_datasets(request.query_params)
        except InvalidInputError as error:
            return amazon_answers.error(400, "InvalidInput", str(error), rate=ORDER_PER_SECOND)
        number = request.path_params["id"]
        position = self._book.position(int(number)) if number.isdecimal() else None
        if position is None or self._book.created(position) > now:
            return amazon_answers.error(404, "NotFound", f"Order {number} not found", rate=ORDER_PER_SECOND)
        order = self._book.order(position, now=now)
        body = {"order": render(order, datasets, living=self._book.changes is not None)}
        return JSONResponse(body, headers=amazon_answers.headers(ORDER_PER_SECOND))

    async def search_orders(self, request: Request) -> JSONResponse:
        """One page of orders, oldest change first."""
        refused = self._refuse(request.headers.get("x-amz-access-token"))
        if refused is not None:
            return refused
        if self._bucket is not None and not self._bucket.take():
            return amazon_answers.quota_exceeded()
        now = self._clock.now()
        try:
            search = read_search(request.query_params, now=now)
        except InvalidInputError as error:
            return amazon_answers.error(400, "InvalidInput", str(error), rate=self._rate)
        found = self._found(search, now=now)
        page = found[: search.page_size]
        orders = [self._book.order(position, now=now) for position in page]
        body: Json = {
            "orders": [
                render(order, search.datasets, living=self._book.changes is not None) for order in orders
            ],
            search.bound_name: instant_text(search.last),
        }
        if len(page) < len(found):
            shown = self._key(page[-1], search, now=now)
            token = paging_token(request.query_params, search, shown=shown, now=now)
            body["pagination"] = {"nextToken": token}
        return JSONResponse(body, headers=amazon_answers.headers(self._rate))

    def _found(self, search: Search, *, now: float) -> Sequence[int]:
        """The orders from the wanted page on."""
        if not search.matches:
            return []
        found: Sequence[int]
        if search.by_update:
            found = self._book.updated_between(search.first, search.last, now=now)
        else:
            found = self._book.created_between(search.first, search.last)
        if search.after is not None:
            found = found[bisect_right(found, search.after, key=lambda at: self._key(at, search, now=now)) :]
        if search.statuses:
            found = [at for at in found if status_of(self._book.order(at, now=now)) in search.statuses]
        return found

    def _key(self, position: int, search: Search, *, now: float) -> tuple[int, int]:
        time = self._book.updated(position, now=now) if search.by_update else self._book.created(position)
        return time, self._book.number(position)

    def _refuse(self, token: str | None) -> JSONResponse | None:
        if not token:
            return amazon_answers.unauthorized(None)
        state = self._tokens.state(token)
        return None if state is TokenState.VALID else amazon_answers.unauthorized(state)


def _oauth_error(status: int, error: str, description: str) -> JSONResponse:
    return JSONResponse({"error_description": description, "error": error}, status_code=status)
