"""Shopify's Admin API 2026-10: tokens for client credentials, and GraphQL over the orders of one shop.

The schema beside this file is a part of the official one; graphql-core parses, validates and runs queries.
A refused query is answered with status 200 and the error in the body. The shapes of refusals are as recorded
on a live shop (2026-07); so are the bucket of 20 times the restore rate and the charge at actual cost.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
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
from retail_simulator.sales import Book
from retail_simulator.shopify_bulk import BulkOperations
from retail_simulator.shopify_cost import MOST_POINTS, CostedQuery
from retail_simulator.shopify_orders import SHOP, Json
from retail_simulator.shopify_schema import Resolvers, Shop
from retail_simulator.throttle import Bucket

VERSION = "2026-10"
# The standard plan.
POINTS_PER_SECOND = 100
LIMITS_PAGE = "https://shopify.dev/api/usage/rate-limits"


class Shopify:
    """One shop with one custom app installed."""

    def __init__(
        self,
        book: Book,
        clock: SimulatedClock,
        credentials: Credentials,
        *,
        throttle: bool,
        shop: Shop | None = None,
    ) -> None:
        self._shop = shop or Shop()
        self._credentials = credentials
        self._tokens = AccessTokens(clock, prefix="shpat_", lifetime=86_399)
        rate = POINTS_PER_SECOND
        self._bucket = Bucket(clock, capacity=20 * rate, per_second=rate)
        self._throttle = throttle
        resolvers = Resolvers(book, clock, self._shop)
        self._bulk = BulkOperations(clock, resolvers)
        self._schema = resolvers.schema(self._bulk.run, self._bulk.get)
        scopes = [{"handle": each, "description": each} for each in self._shop.scopes]
        installation = {"id": "gid://shopify/AppInstallation/1", "accessScopes": scopes}
        self._root = {"shop": SHOP, "currentAppInstallation": installation}
        self._parsed = lru_cache(maxsize=64)(self._parse)

    def routes(self) -> list[Route]:
        """The paths played."""
        return [
            Route("/admin/oauth/access_token", self.token, methods=["POST"]),
            Route(f"/admin/api/{VERSION}/graphql.json", self.graphql, methods=["POST"]),
            *self._bulk.routes(),
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
        issued = {"access_token": self._tokens.issue(), "scope": ",".join(self._shop.scopes)}
        return JSONResponse({**issued, "expires_in": self._tokens.lifetime})

    async def graphql(self, request: Request) -> JSONResponse:
        """Run one query."""
        if not self._lets_in(request.headers.get("x-shopify-access-token", "")):
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
        base_url = str(request.base_url).rstrip("/")
        answer = self._answer(body["query"], variables, body.get("operationName"), base_url)
        return JSONResponse(answer, headers={"x-shopify-api-version": VERSION})

    def _lets_in(self, token: str) -> bool:
        if self._shop.access_token and same(token, self._shop.access_token):
            return True
        return self._tokens.state(token) is TokenState.VALID

    def _answer(self, query: str, variables: Mapping[str, Any], name: str | None, base_url: str) -> Json:
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
        result = self._run(document, variables, name, base_url)
        actual = min(requested, costed.actual(result.data) if result.data else 0)
        if self._throttle:
            self._bucket.give_back(requested - actual)
        return {**result.formatted, "extensions": self._cost(requested, actual)}

    def _run(
        self, document: DocumentNode, variables: Mapping[str, Any], name: str | None, base_url: str
    ) -> ExecutionResult:
        return execute_sync(
            self._schema,
            document,
            self._root,
            base_url,
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
