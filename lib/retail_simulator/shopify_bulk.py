"""Shopify's bulk operations: a query without pages runs by itself, its answer is a file of JSON lines.

At the root the connection `orders` is played, below it `lineItems`, whose nodes are lines with `__parentId`. Only
with `groupObjects` they stand right behind their order.
"""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from graphql import GraphQLSchema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from retail_simulator.clock import SimulatedClock, instant_text
from retail_simulator.shopify_bulk_query import BulkQuery, BulkRefusedError, Json
from retail_simulator.shopify_schema import Resolvers, lines_of, number_of

MOST_AT_ONCE = 5
DAY = 86_400
# Orders a second, while an operation runs.
SPEED = 2000
STATES = ("CREATED", "RUNNING", "COMPLETED", "EXPIRED")
PATH = "/bulk-results"
BELOW = {"Order.lineItems": lines_of}


@dataclass(slots=True)
class Operation:
    """One operation over the orders as they stood when it began. It gets on with time, and with being asked after,
    so that no test needs to wait."""

    number: str
    query: BulkQuery
    text: str
    grouped: bool
    created: float
    positions: list[int]
    signature: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    asked: int = 0
    objects: int | None = None

    @property
    def completes(self) -> float:
        """When it is done, left alone."""
        return self.created + 2 + len(self.positions) / SPEED

    def state(self, now: float) -> str:
        """Its state now."""
        if now > self.completes + 7 * DAY:
            return "EXPIRED"
        by_time = 0 if now < self.created + 1 else 1 if now < self.completes else 2
        return STATES[max(by_time, min(2, self.asked - 1))]


class BulkOperations:
    """All operations that were run."""

    def __init__(self, clock: SimulatedClock, resolvers: Resolvers) -> None:
        self._clock = clock
        self._resolvers = resolvers
        self._operations: dict[str, Operation] = {}

    def routes(self) -> list[Route]:
        """Where the files are, which at Shopify is another host's address."""
        return [Route(PATH + "/{name}", self.download, methods=["GET"])]

    def run(self, _source: Any, info: Any, *, query: str, groupObjects: bool) -> Json:  # noqa: N803
        """Begin an operation."""
        schema: GraphQLSchema = info.schema
        now = self._clock.now()
        try:
            parsed = BulkQuery(schema, query)
        except BulkRefusedError as error:
            return _refused("INVALID", str(error), "query")
        if parsed.root.name != "QueryRoot.orders" or set(parsed.connection_names()) - set(BELOW):
            return _refused("INVALID", "not played by the simulator: this connection in bulk", "query")
        busy = sum(each.state(now) in ("CREATED", "RUNNING") for each in self._operations.values())
        if busy >= MOST_AT_ONCE:
            return _refused("LIMIT_REACHED", "Bulk operations limit reached. Please try again later.")
        positions = self._resolvers.positions(parsed.root.arguments.get("query"), now)
        operation = Operation(
            str(7_000_000_000 + len(self._operations)), parsed, query, groupObjects, now, positions
        )
        self._operations[operation.number] = operation
        return {"bulkOperation": self._render(operation, info.context), "userErrors": []}

    def get(self, _source: Any, info: Any, *, id: str) -> Json | None:
        """An operation as it stands."""
        operation = self._operations.get(number_of(id))
        if operation is None:
            return None
        operation.asked += 1
        return self._render(operation, info.context)

    async def download(self, request: Request) -> Response:
        """The file of an operation: the signature in its address opens it, and no token is wanted there."""
        operation = self._operations.get(request.path_params["name"].removesuffix(".jsonl"))
        if operation is None or request.query_params.get("signature") != operation.signature:
            return JSONResponse({"error": "no such object"}, status_code=404)
        if "x-shopify-access-token" in request.headers or "authorization" in request.headers:
            return JSONResponse({"error": "another host's token was sent here"}, status_code=400)
        if operation.state(self._clock.now()) != "COMPLETED":
            return JSONResponse({"error": "ExpiredToken"}, status_code=400)
        return StreamingResponse(self._file(operation), media_type="application/jsonl")

    def _file(self, operation: Operation) -> Iterator[bytes]:
        orders = self._resolvers.render_all(operation.positions, operation.created)
        found = operation.query.lines(orders, BELOW)
        while chunk := list(islice(found, 50)):
            if operation.grouped:
                lines = [line for order, children in chunk for line in (order, *children)]
            else:
                # Behind its parent is all that is promised of a child.
                lines = [order for order, _ in chunk]
                lines += [child for _, children in reversed(chunk) for child in children]
            yield "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode()

    def _objects(self, operation: Operation) -> int:
        """Orders and, where the query asks for them, line items."""
        if operation.objects is None:
            lines = 0
            if operation.query.connection_names():
                lines = self._resolvers.count_lines(operation.positions, operation.created)
            operation.objects = len(operation.positions) + lines
        return operation.objects

    def _render(self, operation: Operation, base_url: str) -> Json:
        state = operation.state(self._clock.now())
        name = f"{operation.number}.jsonl?signature={operation.signature}"
        done = state in ("COMPLETED", "EXPIRED")
        return {
            "__typename": "BulkOperation",
            "id": f"gid://shopify/BulkOperation/{operation.number}",
            "status": state,
            "type": "QUERY",
            "query": operation.text,
            "createdAt": instant_text(operation.created),
            "completedAt": instant_text(min(operation.completes, self._clock.now())) if done else None,
            "errorCode": None,
            "objectCount": str(self._objects(operation) if done else 0),
            "rootObjectCount": str(len(operation.positions) if done else 0),
            "partialDataUrl": None,
            "url": f"{base_url}{PATH}/{name}" if state == "COMPLETED" and operation.positions else None,
        }


def _refused(code: str, message: str, *path: str) -> Json:
    error = {"code": code, "field": [*path] or None, "message": message}
    return {"bulkOperation": None, "userErrors": [error]}
