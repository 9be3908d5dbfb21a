"""Cursors that never end: the last page of a query names itself as the next one."""

import json
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

from starlette.types import Scope

# Stands for "the first page again" where a retailer's first page has no token of its own.
ENDLESS = "ZW5kbGVzcw=="
Json = dict[str, Any]


def is_first_page(scope: Scope, request: bytes) -> bool:
    """Whether the request asks for the beginning of a list: it has no token, cursor or offset."""
    query = parse_qs(scope["query_string"].decode())
    if query.keys() & {"paginationToken", "nextToken", "hasMoreElements", "offset"}:
        return False
    variables = json.loads(request).get("variables") or {} if request else {}
    return not any(text for name, text in variables.items() if "after" in name or "cursor" in name)


def without_endless_token(scope: Scope) -> Scope:
    """The request as the retailer would know it."""
    pairs = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
    known = [pair for pair in pairs if pair not in (("paginationToken", ENDLESS), ("nextToken", ENDLESS))]
    return scope if len(known) == len(pairs) else {**scope, "query_string": urlencode(known).encode()}


def name_itself(body: bytes, retailer: str, scope: Scope, request: bytes) -> bytes:
    """The answer, with the request that made it as its next page if it is a last page."""
    answer = json.loads(body)
    if retailer == "retailer_1":
        _amazon(answer, scope)
    elif retailer == "retailer_2":
        _walmart(answer, scope)
    else:
        _shopify(answer, request)
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


def _amazon(answer: Json, scope: Scope) -> None:
    query = parse_qs(scope["query_string"].decode())
    if "orders" in answer and "pagination" not in answer:
        answer["pagination"] = {"nextToken": query.get("paginationToken", [ENDLESS])[0]}
    elif "payload" in answer and not answer["payload"]["nextToken"]:
        answer["payload"]["nextToken"] = query.get("nextToken", [ENDLESS])[0]


def _walmart(answer: Json, scope: Scope) -> None:
    meta = answer.get("list", answer).get("meta")
    if meta is not None and not meta["nextCursor"]:
        meta["nextCursor"] = "?" + scope["query_string"].decode()


def _shopify(answer: Json, request: bytes) -> None:
    page = ((answer.get("data") or {}).get("orders") or {}).get("pageInfo")
    if page is None or page.get("hasNextPage"):
        return
    variables = json.loads(request).get("variables") or {}
    asked = [text for name, text in variables.items() if text and ("after" in name or "cursor" in name)]
    # The first page has no cursor that leads to it: it names the empty page behind it, and that one itself.
    page |= {"hasNextPage": True, "endCursor": asked[0] if asked else page.get("endCursor")}
