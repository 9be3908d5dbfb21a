"""Shopify's notation for ids and money."""

from __future__ import annotations

from decimal import Decimal

from retail.sources.values import money
from retail.sources.values.json_path import JSON, at, text


def number_of(node: JSON, *path: str) -> str | None:
    """The number in a node's global id: `gid://shopify/Order/123` is 123, as in the REST API."""
    found = text(node, *path, "id")
    return None if found is None else found.rsplit("/", 1)[-1] or None


def shop_money(node: JSON, name: str) -> Decimal | None:
    """An amount in the shop's currency, in which all of a shop's sales can be summed."""
    return money.number(at(node, name, "shopMoney", "amount"))
