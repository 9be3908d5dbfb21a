"""Good answers of every parser of outside data, to be made bad."""

from __future__ import annotations

import json
from typing import Any

from retail.config.settings import home
from retail.records import FIELDS
from tests.sources.test_amazon_finances import REFUND
from tests.sources.test_any_input import AMAZON, SHOPIFY, WALMART
from tests.sources.test_shopify_ledger import line, sale
from tests.sources.test_walmart_returns import RETURN

_INFO = {"hasNextPage": True, "endCursor": "c1"}
_LAST = {"hasNextPage": False, "endCursor": None}


def _plain(value: Any) -> Any:
    """As JSON has it: the tests write amounts as Decimal."""
    return json.loads(json.dumps(value, default=float))


def _shopify(info: Any, **order: Any) -> Any:
    nodes = [{**each, **order} for each in SHOPIFY["data"]["orders"]["nodes"]]
    orders = {"pageInfo": info, "nodes": nodes}
    cost = {
        "requestedQueryCost": 60,
        "throttleStatus": {"maximumAvailable": 2000, "currentlyAvailable": 1900, "restoreRate": 100},
    }
    return {"data": {"orders": orders, "ordersCount": {"count": 2}}, "extensions": {"cost": cost}}


_AGREEMENT = {
    "id": "a1",
    "happenedAt": "2017-01-05T10:00:00Z",
    "reason": "ORDER",
    "sales": {"pageInfo": _LAST, "nodes": [sale(1), sale(2, "RETURN", quantity=-1)]},
}
_LEDGER = {
    "id": "gid://shopify/Order/1",
    "updatedAt": "2017-01-05T10:00:00Z",
    "agreements": {"pageInfo": _LAST, "edges": [{"cursor": "e1", "node": _AGREEMENT}]},
}
_ORDER_LINES = [
    {
        "id": "gid://shopify/Order/1",
        "updatedAt": "2017-01-05T10:00:00Z",
        "processedAt": "2017-01-05T10:00:00Z",
    },
    {**line(1), "__parentId": "gid://shopify/Order/1"},
    {"id": "gid://shopify/Order/2", "edited": True, "updatedAt": "2017-01-05T10:00:00Z"},
    {**line(2), "__parentId": "gid://shopify/Order/2"},
]
_META = {"totalCount": 2, "limit": 200, "nextCursor": None}
_NUMBERS = [
    {"identifierType": "SKU", "identifier": "A"},
    {"identifierType": "EAN", "identifier": "4006381333931"},
]
_ITEM = {
    "asin": "B1",
    "identifiers": [
        {"marketplaceId": "ATVPDKIKX0DER", "identifiers": _NUMBERS}
    ],
    "summaries": [{"marketplaceId": "ATVPDKIKX0DER", "itemName": "Tea", "brand": "B"}],
}  # fmt: skip

ANSWERS: dict[str, tuple[Any, ...]] = {
    name: tuple(map(_plain, each))
    for name, each in {
        "amazon": (
            AMAZON,
            {**AMAZON, "pagination": {"nextToken": "t1"}},
            {"payload": {"transactions": [REFUND], "nextToken": "t2"}},
            {"errors": [{"code": "InvalidInput", "message": "no", "details": ""}]},
        ),
        "finances": (
            {"orders": []},
            {"payload": {"transactions": [REFUND, REFUND], "nextToken": None}},
            {"transactions": [REFUND], "nextToken": "t1"},
        ),
        "walmart": (
            {"list": {"meta": _META, **WALMART["list"]}},
            {"list": {"meta": {**_META, "totalCount": 9, "nextCursor": "?n=1"}, **WALMART["list"]}},
            {"meta": {**_META, "nextCursor": ""}, "returnOrders": [RETURN]},
            {"error": [{"code": "CONTENT_NOT_FOUND.GMP_ORDER_API"}]},
        ),
        "shopify": (
            _shopify(_INFO),
            _shopify(_LAST, edited=True),
            {"data": {"order": _LEDGER}},
            {"data": {"orders": None}, "errors": [{"message": "no", "extensions": {"code": "THROTTLED"}}]},
        ),
        "bulk": (_ORDER_LINES,),
        "amazon_catalog": ({"items": [_ITEM], "pagination": {"nextToken": "t1"}}, {"items": [_ITEM]}),
        "walmart_catalog": ({"ItemResponse": [{"sku": "A", "productName": "Tea", "gtin": "00012345678905"}]},),
        "shopify_catalog": (
            {"data": {"locations": {"pageInfo": _LAST, "nodes": [{"id": "gid://shopify/Location/1", "name": "S"}]}}},
            {"data": {"productVariants": {"pageInfo": _INFO, "nodes": [{"id": "g/1", "sku": "A", "barcode": "1"}]}}},
            {"data": {"nodes": [{"id": "gid://shopify/ProductVariant/1", "barcode": "1", "product": {"title": "T"}}]}},
        ),
        "raw_lines": ([dict.fromkeys(FIELDS, "x"), {"total_amount": "1.00", "source_ref": "p#/answer/orders/0"}],),
        "configuration": ((home() / "conf" / "local.toml").read_text(), (home() / "conf" / "aws.toml").read_text()),
    }.items()
}  # fmt: skip
