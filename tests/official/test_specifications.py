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

from retail.cli.local import demo
from retail.config.settings import Settings
from retail.landing.land import Landed
from tests.official.conftest import need
from tests.official.prism import prism, routed

pytestmark = pytest.mark.slow

Fetch = Callable[[str, Settings], Landed]
SettingsAt = Callable[[str], Settings]


@pytest.mark.node
def test_neither_the_amazon_client_nor_the_simulator_breaks_the_models_of_orders_and_finances(
    simulator: str, specs: Path, fetch: Fetch, settings_at: SettingsAt, tmp_path: Path
) -> None:
    need("@stoplight/prism-cli")
    folder, seen = specs / "amazon", list[tuple[bytes, bytes]]()
    with (
        prism(folder / "orders_2026-01-01.json", simulator) as orders,
        prism(with_nulls(folder / "finances_2024-06-19.json", tmp_path), simulator) as finances,
        routed({"/finances/": finances}, seen) as ledger,
        routed({"/orders/": orders, "/finances/": ledger, "/": simulator}) as address,
    ):
        landed = fetch("retailer_1", settings_at(address))
        query = {"marketplaceIds": "X", "lastUpdatedAfter": "2017-01-01T00:00:00Z", "includedData": "PRICES"}
        refused = requests.get(f"{orders}/orders/2026-01-01/orders", params=query, timeout=30)
    assert refused.status_code == 422
    assert landed.rows > 1_000
    assert b"Refund Order" in b"".join(told for _, told in seen)
    assert landed.counts == fetch("retailer_1", settings_at(simulator)).counts


@pytest.mark.node
def test_the_simulator_keeps_to_amazons_models_of_finances_and_of_the_catalogue(
    simulator: str, specs: Path, tmp_path: Path
) -> None:
    need("@stoplight/prism-cli")
    models = specs / "amazon"
    keys = demo.demo_environment()
    form = {
        "grant_type": "refresh_token",
        "client_id": keys["RETAIL_RETAILER_1_CLIENT_ID"],
        "client_secret": keys["RETAIL_RETAILER_1_CLIENT_SECRET"],
        "refresh_token": keys["RETAIL_RETAILER_1_REFRESH_TOKEN"],
    }
    token = requests.post(f"{simulator}/auth/o2/token", data=form, timeout=30).json()["access_token"]
    with (
        prism(with_nulls(models / "finances_2024-06-19.json", tmp_path), simulator) as finances,
        prism(models / "catalogItems_2022-04-01.json", simulator) as catalogue,
    ):

        def ask(url: str, **query: str) -> requests.Response:
            return requests.get(url, params=query, headers={"x-amz-access-token": token}, timeout=60)

        ledger = f"{finances}/finances/2024-06-19/transactions"
        days = {"postedAfter": "2017-01-12T00:00:00Z", "postedBefore": "2017-01-15T00:00:00Z"}
        page = ask(ledger, **days).json()["payload"]
        found: list[dict[str, Any]] = page["transactions"]
        while page["nextToken"]:
            page = ask(ledger, **days, nextToken=page["nextToken"]).json()["payload"]
            found += page["transactions"]
        assert ask(ledger).json()["errors"][0]["code"] == "InvalidInput"
        assert ask(ledger, postedAfter="yesterday").status_code == 422

        skus = {context["sku"] for one in found for item in one["items"] for context in item["contexts"]}
        items = f"{catalogue}/catalog/2022-04-01/items"
        asked = {"marketplaceIds": "ATVPDKIKX0DER", "identifiersType": "SKU", "sellerId": "A1SELLER"}
        data = "summaries,identifiers,classifications"
        answer = ask(items, **asked, identifiers=",".join(sorted(skus)[:20]), includedData=data)
        assert ask(items, **asked, identifiers="1", includedData="prices").status_code == 422
    assert {one["transactionType"] for one in found} >= {"Shipment", "Refund", "Retrocharge", "Transfer"}
    assert len(found) > 300
    assert answer.json()["numberOfResults"] > 10


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


def with_nulls(model: Path, folder: Path) -> Path:
    """A model of Amazon's whose fields may be null, as in real answers; `nextToken` is null on the last page."""
    content = json.loads(model.read_text(encoding="utf-8"))
    named = content["definitions"]
    for part in [
        *named.values(),
        *(one for each in named.values() for one in each.get("properties", {}).values()),
    ]:
        if "type" in part:
            part["type"] = [part["type"], "null"]
    changed = folder / model.name
    changed.write_text(json.dumps(content), encoding="utf-8")
    return changed


def allow_null(schema: Any) -> None:
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        allow_null(part)
    if isinstance(schema, dict) and isinstance(properties := schema.get("properties"), dict):
        for name in set(properties) - set(schema.get("required", [])):
            properties[name]["nullable"] = True
