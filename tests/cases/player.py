"""A server that plays cases: it holds what the case says, and filters it by each request as the API does.

Each case has an address of its own, `http://127.0.0.1:PORT/CASE`. What the case leaves out is answered as empty.
"""

from __future__ import annotations

import copy
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from graphql import FieldNode, OperationDefinitionNode, parse, value_from_ast_untyped

Answers = dict[str, Any]
Reply = tuple[int, Any]

AMAZON_ORDERS: Final = "GET /orders/2026-01-01/orders"
AMAZON_TRANSACTIONS: Final = "GET /finances/2024-06-19/transactions"
_SHOPIFY_TERM: Final = re.compile(r"(\w+):(>=|<=|<|>)?'?([^'\s]+)'?")


@dataclass
class Held:
    """What the API of one case holds, and its clock."""

    service: str
    answers: Answers = field(default_factory=dict)
    now: datetime = datetime(2026, 11, 24, tzinfo=UTC)


@dataclass
class Player:
    """The server's address, and by name what each case's API holds now; requests that it cannot play are kept."""

    address: str
    held: dict[str, Held]
    not_played: list[str] = field(default_factory=list)


@contextmanager
def playing() -> Iterator[Player]:
    """A server that plays whatever its player holds."""
    player = Player("", {})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        def _answer(self, body: bytes) -> None:
            parts = urlsplit(self.path)
            _, name, *rest = parts.path.split("/")
            held = player.held[name]
            try:
                status, answer = _SERVICES[held.service](
                    held, f"{self.command} /{'/'.join(rest)}", dict(parse_qsl(parts.query.lstrip("?"))), body
                )
            except Exception as error:
                player.not_played.append(f"{name}: {self.command} {self.path}: {error!r}")
                status, answer = 501, {"errors": "this server cannot play that"}
            data = json.dumps(answer).encode()
            self.send_response_only(status)
            self.send_header("Date", format_datetime(held.now, usegmt=True))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    player.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield player
    finally:
        server.shutdown()
        server.server_close()


def _instant(text: str | None, default: datetime) -> datetime:
    return default if text is None else datetime.fromisoformat(text).astimezone(UTC)


_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def _amazon(held: Held, request: str, query: dict[str, str], body: bytes) -> Reply:
    if request == "POST /auth/o2/token":
        return 200, {"access_token": "Atza|case", "token_type": "bearer", "expires_in": 3600}
    if request == AMAZON_TRANSACTIONS:
        answer = held.answers.get(request) or {}
        found = (answer.get("payload") or answer).get("transactions") or []
        first, end = _instant(query.get("postedAfter"), _FIRST), _instant(query.get("postedBefore"), _LAST)
        return 200, {"transactions": [t for t in found if first <= _instant(t["postedDate"], _LAST) < end]}
    assert request == AMAZON_ORDERS, request
    orders = (held.answers.get(request) or {"orders": []})["orders"]
    for name, of in (("createdTime", "created"), ("lastUpdatedTime", "lastUpdated")):
        first, last = _instant(query.get(f"{of}After"), _FIRST), _instant(query.get(f"{of}Before"), _LAST)
        orders = [order for order in orders if first <= _instant(order[name], _LAST) <= last]
    markets = query["marketplaceIds"].split(",")
    return 200, {"orders": [order for order in orders if order["salesChannel"]["marketplaceId"] in markets]}


def _walmart(held: Held, request: str, query: dict[str, str], body: bytes) -> Reply:
    if request == "POST /v3/token":
        return 200, {"access_token": "case", "token_type": "Bearer", "expires_in": 900}
    if request == "GET /v3/returns":
        returns = (held.answers.get(request) or {}).get("returnOrders") or []
        returns = [each for each in returns if _is_between(query, "returnLastModified", _return_times(each))]
        returns = [
            each
            for each in returns
            if _is_between(query, "returnCreation", [_instant(each["returnOrderDate"], _LAST)])
        ]
        returns = [
            each for each in returns if query.get("customerOrderId") in (None, each.get("customerOrderId"))
        ]
        return _walmart_list(
            returns, {"meta": {"totalCount": len(returns), "limit": 200}, "returnOrders": returns}
        )
    assert request == "GET /v3/orders", request
    found = held.answers.get(f"{request}?shipNodeType={query.get('shipNodeType', 'SellerFulfilled')}") or {}
    orders = found.get("list", {}).get("elements", {}).get("order") or []
    orders = [
        order
        for order in orders
        if _is_between(query, "created", [_moment(order["orderDate"])])
        and _is_between(
            query, "lastModified", [_moment(line["statusDate"]) for line in order["orderLines"]["orderLine"]]
        )
        and query.get("purchaseOrderId") in (None, order["purchaseOrderId"])
        and query.get("customerOrderId") in (None, order.get("customerOrderId"))
    ]
    meta = {"totalCount": len(orders), "limit": 200}
    return _walmart_list(orders, {"list": {"meta": meta, "elements": {"order": orders}}})


def _walmart_list(found: list[Any], answer: Any) -> Reply:
    return (200, answer) if found else (404, {"errors": [{"code": "CONTENT_NOT_FOUND.GMP_ORDER_API"}]})


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _return_times(order: Any) -> list[datetime]:
    times = [order.get("returnOrderDate")]
    for line in order["returnOrderLines"]:
        times += [
            line.get("statusTime"),
            *(t.get("statusTime") for t in line.get("currentTrackingStatuses") or []),
        ]
    return [_instant(each, _LAST) for each in times if each]


def _is_between(query: dict[str, str], of: str, times: list[datetime]) -> bool:
    """Whether the last of the times lies within what is asked for."""
    first, last = _instant(query.get(f"{of}StartDate"), _FIRST), _instant(query.get(f"{of}EndDate"), _LAST)
    return first <= max(times) <= last


def _shopify(held: Held, request: str, query: dict[str, str], body: bytes) -> Reply:
    if request == "POST /admin/oauth/access_token":
        return 200, {"access_token": "case", "scope": "read_orders,read_all_orders", "expires_in": 86399}
    assert request.endswith("graphql.json"), request
    asked = json.loads(body)
    (operation,) = (
        each for each in parse(asked["query"]).definitions if isinstance(each, OperationDefinitionNode)
    )
    variables = asked.get("variables") or {}
    data: dict[str, Any] = {}
    for selected in operation.selection_set.selections:
        assert isinstance(selected, FieldNode)
        arguments = {
            each.name.value: value_from_ast_untyped(each.value, variables) for each in selected.arguments
        }
        included = all(
            value_from_ast_untyped(each.arguments[0].value, variables) for each in selected.directives
        )
        if included:
            data[selected.name.value] = _root(held.answers, selected.name.value, arguments)
    return 200, {"data": data}


def _root(answers: Answers, name: str, arguments: dict[str, Any]) -> Any:
    if name == "order":
        return _order(answers, arguments["id"])
    if name == "events":
        events = _nodes(answers, "events")
        return _whole({"nodes": [each for each in events if _matches(each, arguments.get("query"))]})
    orders = [each for each in _nodes(answers, "orders") if _matches(each, arguments.get("query"))]
    if name == "ordersCount":
        return {"count": len(orders), "precision": "EXACT"}
    assert name == "orders", name
    return _whole({"nodes": orders})


def _nodes(answers: Answers, name: str) -> list[Any]:
    found = answers.get(f"POST graphql.json {name}") or {"data": {name: {"nodes": []}}}
    nodes: list[Any] = found["data"][name]["nodes"]
    return nodes


def _order(answers: Answers, number: str) -> Any:
    """One order: as it is asked for by its id where the case has that, else as it is in the list."""
    by_id = answers.get("POST graphql.json order") or {}
    if number in by_id:
        return _whole(by_id[number]["data"]["order"])
    listed = [each for each in _nodes(answers, "orders") if each["id"] == number]
    return _whole(listed[0]) if listed else None


def _matches(node: Any, search: str | None) -> bool:
    """Whether the node is what a search in Shopify's syntax means: terms joined by AND."""
    for name, operator, wanted in _SHOPIFY_TERM.findall(search or ""):
        value = node[re.sub(r"_(\w)", lambda found: str(found[1]).upper(), name)]
        if not operator:
            if str(value).lower().rsplit("/", 1)[-1] != wanted.lower():
                return False
            continue
        there, limit = _instant(value, _LAST), _instant(wanted, _LAST)
        if not {">=": there >= limit, ">": there > limit, "<": there < limit, "<=": there <= limit}[operator]:
            return False
    return True


def _whole(node: Any) -> Any:
    """The node with the edges and page info of its connections, which cases leave out."""
    if isinstance(node, list):
        return [_whole(each) for each in node]
    if not isinstance(node, dict):
        return node
    whole = {name: _whole(value) for name, value in copy.copy(node).items()}
    if "nodes" in whole:
        whole["edges"] = [{"cursor": str(place), "node": each} for place, each in enumerate(whole["nodes"])]
        whole["pageInfo"] = {"hasNextPage": False, "endCursor": None}
    return whole


_SERVICES: Final[dict[str, Callable[[Held, str, dict[str, str], bytes], Reply]]] = {
    "amazon": _amazon,
    "walmart": _walmart,
    "shopify": _shopify,
}
