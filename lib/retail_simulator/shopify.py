"""Shopify's Admin API 2026-10: tokens for client credentials, and GraphQL over the orders of one shop.

The schema beside this file is a part of the official one; graphql-core parses, validates and runs queries.
A refused query is answered with status 200 and the error in the body. The shapes of refusals are as recorded
on a live shop (2026-07); so are the bucket of 20 times the restore rate and the charge at actual cost.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    execute_sync,
    get_operation_ast,
    parse,
    validate,
)
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from retail_simulator.access import AccessTokens, Credentials, TokenState, form_of, same
from retail_simulator.clock import SimulatedClock
from retail_simulator.sales import Book, Line
from retail_simulator.shopify_cost import MOST_POINTS, CostedQuery
from retail_simulator.shopify_orders import LINES, SHOP, Json, render, render_line
from retail_simulator.shopify_search import (
    cursor,
    found,
    in_order,
    last_id,
    order_after,
    order_cursor,
    page_bounds,
    refuse,
)
from retail_simulator.throttle import Bucket

VERSION = "2026-10"
# The standard plan.
POINTS_PER_SECOND = 100
LIMITS_PAGE = "https://shopify.dev/api/usage/rate-limits"
ORDER_ID = "gid://shopify/Order/"


class Shopify:
    """One shop with one custom app installed, scope `read_all_orders` included."""

    def __init__(
        self, book: Book, clock: SimulatedClock, credentials: Credentials, *, throttle: bool
    ) -> None:
        self._book = book
        self._clock = clock
        self._credentials = credentials
        self._tokens = AccessTokens(clock, prefix="shpat_", lifetime=86_399)
        rate = POINTS_PER_SECOND
        self._bucket = Bucket(clock, capacity=20 * rate, per_second=rate)
        self._throttle = throttle
        self._schema = self._playable_schema()
        self._parsed = lru_cache(maxsize=64)(self._parse)

    def routes(self) -> list[Route]:
        """The paths played."""
        return [
            Route("/admin/oauth/access_token", self.token, methods=["POST"]),
            Route(f"/admin/api/{VERSION}/graphql.json", self.graphql, methods=["POST"]),
        ]

    async def token(self, request: Request) -> JSONResponse:
        """Client credentials for an access token of a day."""
        form = await form_of(request)
        if not form or form.get("grant_type") != "client_credentials":
            return _oauth_error(400, "unsupported_grant_type", "grant_type must be client_credentials")
        if not same(form.get("client_id"), self._credentials.retailer_3_client_id):
            refusal = "No application with that API key could be found"
            return _oauth_error(400, "application_cannot_be_found", refusal)
        if not same(form.get("client_secret"), self._credentials.retailer_3_client_secret):
            return _oauth_error(401, "invalid_client", "Client authentication failed")
        scope = "read_all_orders,read_orders,read_products"
        issued = {"access_token": self._tokens.issue(), "scope": scope}
        return JSONResponse({**issued, "expires_in": self._tokens.lifetime})

    async def graphql(self, request: Request) -> JSONResponse:
        """Run one query."""
        if self._tokens.state(request.headers.get("x-shopify-access-token", "")) is not TokenState.VALID:
            refusal = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            return JSONResponse({"errors": refusal}, status_code=401)
        try:
            body = await request.json()
        except ValueError:
            return JSONResponse({"errors": "Bad Request"}, status_code=400)
        if not isinstance(body, dict) or not isinstance(body.get("query"), str):
            missing = {"query": "Required parameter missing or invalid"}
            return JSONResponse({"errors": missing}, status_code=400)
        variables = body.get("variables") or {}
        if not isinstance(variables, dict):
            return JSONResponse({"errors": {"variables": "must be an object"}}, status_code=400)
        answer = self._answer(body["query"], variables, body.get("operationName"))
        return JSONResponse(answer, headers={"x-shopify-api-version": VERSION})

    def _answer(self, query: str, variables: Mapping[str, Any], name: str | None) -> Json:
        document, errors = self._parsed(query)
        if document is None or errors:
            return {"errors": [error.formatted for error in errors]}
        operation = get_operation_ast(document, name)
        if operation is None:
            return {"errors": [{"message": "An operation name is required"}]}
        costed = CostedQuery(self._schema, document, operation, variables)
        requested = costed.requested()
        if requested > MOST_POINTS:
            return _too_costly(requested)
        if self._throttle and not self._bucket.take(requested):
            return self._throttled(requested)
        result = self._run(document, variables, name)
        actual = min(requested, costed.actual(result.data) if result.data else 0)
        if self._throttle:
            self._bucket.give_back(requested - actual)
        return {**result.formatted, "extensions": self._cost(requested, actual)}

    def _run(self, document: DocumentNode, variables: Mapping[str, Any], name: str | None) -> ExecutionResult:
        return execute_sync(
            self._schema,
            document,
            {"shop": SHOP},
            variable_values=dict(variables),
            operation_name=name,
            field_resolver=lambda source, info, **_: source[info.field_name],
        )

    def _parse(self, query: str) -> tuple[DocumentNode | None, list[GraphQLError]]:
        try:
            document = parse(query)
        except GraphQLError as error:
            return None, [error]
        return document, validate(self._schema, document)

    def _cost(self, requested: int, actual: int | None) -> Json:
        status = {
            "maximumAvailable": float(self._bucket.capacity),
            "currentlyAvailable": int(self._bucket.level),
            "restoreRate": float(self._bucket.per_second),
        }
        cost = {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}
        return {"cost": cost}

    def _throttled(self, requested: int) -> Json:
        extensions = {"code": "THROTTLED", "documentation": LIMITS_PAGE}
        error = {"message": "Throttled", "extensions": extensions}
        return {"errors": [error], "extensions": self._cost(requested, None)}

    def _playable_schema(self) -> GraphQLSchema:
        schema = build_schema(Path(__file__).with_name("shopify.graphql").read_text(encoding="utf-8"))
        for type_name, field, resolve in (
            ("QueryRoot", "orders", self._orders),
            ("QueryRoot", "order", self._order),
            ("Order", "lineItems", _line_items),
        ):
            cast(GraphQLObjectType, schema.type_map[type_name]).fields[field].resolve = resolve
        return schema

    def _orders(
        self,
        _source: Any,
        _info: Any,
        *,
        sortKey: str,  # noqa: N803 - the argument's name in the schema
        reverse: bool,
        first: int | None = None,
        after: str | None = None,
        query: str | None = None,
    ) -> Json:
        matching = found(self._book, query, now=int(self._clock.now()))
        ordered = in_order(self._book, matching, sort_key=sortKey, reverse=reverse)
        last_seen = order_after(self._book, ordered, after, sort_key=sortKey)
        start, stop = page_bounds(len(ordered), first, last_seen)
        page = ordered[start:stop]
        nodes = [render(self._book.order(position)) for position in page]
        cursors = [order_cursor(self._book, position, sort_key=sortKey) for position in page]
        return _connection(nodes, cursors, more_before=start > 0, more_after=stop < len(ordered))

    def _order(self, _source: Any, _info: Any, *, id: str) -> Json | None:
        number = id.removeprefix(ORDER_ID)
        if not id.startswith(ORDER_ID) or not number.isdecimal():
            raise refuse(f"Invalid global id '{id}'")
        position = self._book.position(int(number))
        if position is None or self._book.updated(position) > self._clock.now():
            return None
        return render(self._book.order(position))


def _line_items(
    source: Json,
    _info: Any,
    *,
    reverse: bool,
    first: int | None = None,
    after: str | None = None,
) -> Json:
    lines: tuple[Line, ...] = source[LINES][::-1] if reverse else source[LINES]
    numbers = [int(line.line_id) for line in lines]
    last_seen = None if after is None else last_id(after)
    if last_seen is not None and last_seen not in numbers:
        raise refuse("Invalid cursor for current pagination sort.")
    start, stop = page_bounds(len(lines), first, None if last_seen is None else numbers.index(last_seen))
    nodes = [render_line(line) for line in lines[start:stop]]
    cursors = [cursor(number, number) for number in numbers[start:stop]]
    return _connection(nodes, cursors, more_before=start > 0, more_after=stop < len(lines))


def _connection(nodes: list[Json], cursors: list[str], *, more_before: bool, more_after: bool) -> Json:
    return {
        "nodes": nodes,
        "edges": [{"cursor": at, "node": node} for at, node in zip(cursors, nodes, strict=True)],
        "pageInfo": {
            "hasNextPage": more_after,
            "hasPreviousPage": more_before,
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


def _too_costly(cost: int) -> Json:
    message = (
        f"Query cost is {cost}, which exceeds the single query max cost limit ({MOST_POINTS}).\n\n"
        "See https://shopify.dev/docs/api/usage/rate-limits for how the cost of a query is calculated.\n"
    )
    extensions = {
        "code": "MAX_COST_EXCEEDED",
        "cost": cost,
        "maxCost": MOST_POINTS,
        "documentation": LIMITS_PAGE,
    }
    return {"errors": [{"message": message, "extensions": extensions}]}


def _oauth_error(status: int, error: str, description: str) -> JSONResponse:
    return JSONResponse({"error": error, "error_description": description}, status_code=status)
