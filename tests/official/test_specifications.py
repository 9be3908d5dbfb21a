"""Client and simulator against the retailers' own specifications."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import graphql
import pytest
import requests
from graphql import GraphQLSchema

from retail.config.settings import Settings
from retail.landing.land import Landed
from tests.official.conftest import need
from tests.official.prism import prism, routed

pytestmark = pytest.mark.slow

Fetch = Callable[[str, Settings], Landed]
SettingsAt = Callable[[str], Settings]


@pytest.mark.node
def test_neither_the_amazon_client_nor_the_simulator_breaks_the_orders_model(
    simulator: str, specs: Path, fetch: Fetch, settings_at: SettingsAt
) -> None:
    need("@stoplight/prism-cli")
    with (
        prism(specs / "amazon" / "orders_2026-01-01.json", simulator) as orders,
        routed({"/orders/": orders, "/": simulator}) as address,
    ):
        landed = fetch("retailer_1", settings_at(address))
        query = {"marketplaceIds": "X", "lastUpdatedAfter": "2017-01-01T00:00:00Z", "includedData": "PRICES"}
        refused = requests.get(f"{orders}/orders/2026-01-01/orders", params=query, timeout=30)
    assert refused.status_code == 422
    assert landed.rows > 1_000
    assert landed.counts == fetch("retailer_1", settings_at(simulator)).counts


@pytest.mark.node
def test_neither_the_walmart_client_nor_the_simulator_breaks_its_three_specifications(
    simulator: str, specs: Path, fetch: Fetch, settings_at: SettingsAt, tmp_path: Path
) -> None:
    need("@stoplight/prism-cli")
    folder = specs / "walmart"
    with (
        prism(folder / "orders.nullable.json", simulator) as orders,
        prism(folder / "us_mp_auth.json", simulator) as tokens,
        prism(as_it_is_answered(folder / "us_mp_returns.json", tmp_path), simulator) as returns,
        routed(
            {"/v3/orders": orders, "/v3/token": tokens, "/v3/returns": returns, "/": simulator}
        ) as address,
    ):
        landed = fetch("retailer_2", settings_at(address))
        refused = requests.get(f"{orders}/v3/orders", params={"limit": "1"}, timeout=30)
    assert refused.status_code == 422
    assert landed.rows > 1_000
    assert landed.counts == fetch("retailer_2", settings_at(simulator)).counts


def test_neither_the_shopify_client_nor_the_simulator_breaks_the_admin_schema(
    simulator: str, admin_schema: GraphQLSchema, fetch: Fetch, settings_at: SettingsAt
) -> None:
    seen: list[tuple[bytes, bytes]] = []
    with routed({"/": simulator}, seen) as address:
        landed = fetch("retailer_3", settings_at(address))
    exchanges = [(json.loads(asked), json.loads(told)) for asked, told in seen if asked.startswith(b"{")]

    assert landed.rows > 500
    assert {asked["query"].split("(")[0] for asked, _ in exchanges} >= {"query Orders", "query Ledger"}
    for asked, told in exchanges:
        document = graphql.parse(asked["query"])
        assert graphql.validate(admin_schema, document) == []
        # Run over the answer itself: what the schema does not allow in it is an error, what it lacks is null.
        result = graphql.execute(
            admin_schema, document, told["data"], variable_values=asked["variables"], type_resolver=kind_of
        )
        assert (result.errors, result.data) == (None, told["data"])


AGREEMENTS = {"ORDER": "Order", "ORDER_EDIT": "OrderEdit", "REFUND": "Refund", "RETURN": "Return"}
SALES = {
    "PRODUCT": "Product", "GIFT_CARD": "GiftCard", "TIP": "Tip", "SHIPPING": "ShippingLine", "ADJUSTMENT": "Adjustment",
    "DUTY": "Duty", "FEE": "Fee", "ADDITIONAL_FEE": "AdditionalFee",
}  # fmt: skip


def kind_of(value: dict[str, Any], _info: Any, _abstract: Any) -> str:
    """The type of an agreement or sale, which its own fields tell."""
    return (
        f"{SALES[value['lineType']]}Sale"
        if "lineType" in value
        else f"{AGREEMENTS[value['reason']]}Agreement"
    )


def as_it_is_answered(specification: Path, folder: Path) -> Path:
    """The specification of returns, mended where it is known to differ from Walmart.

    Its own description puts the token into WM_SEC.ACCESS_TOKEN, its scheme `bearer` makes Prism look elsewhere. And
    real answers hold null in optional fields, as the copy of the orders' specification here says already.
    """
    content = json.loads(specification.read_text(encoding="utf-8"))
    scheme = {"type": "apiKey", "in": "header", "name": "WM_SEC.ACCESS_TOKEN"}
    content["components"]["securitySchemes"]["accessToken"] = scheme
    allow_null(content)
    changed = folder / specification.name
    changed.write_text(json.dumps(content), encoding="utf-8")
    return changed


def allow_null(schema: Any) -> None:
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        allow_null(part)
    if isinstance(schema, dict) and isinstance(properties := schema.get("properties"), dict):
        for name in set(properties) - set(schema.get("required", [])):
            properties[name]["nullable"] = True
