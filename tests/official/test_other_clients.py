"""Other people's clients read the simulator through all pages, and find what ours finds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from retail.cli.local import demo
from retail.config.secrets import Secrets
from retail.config.settings import Settings
from retail.lake.storage.local import LocalStorage
from retail.landing import payloads
from retail.landing.fetch import extract
from retail.sources.registry import open_service
from retail.sources.values.json_path import JSON, entries, text
from retail.sources.window import Window, window_of_unit
from tests.official.conftest import DAY, need
from tests.official.prism import NODE_MODULES

pytestmark = pytest.mark.slow

Answers = Callable[[str], tuple[Window, list[JSON]]]


@pytest.fixture
def ours(simulator: str, settings_at: Callable[[str], Settings], tmp_path: Path) -> Answers:
    """The window of a day, and the pages that our service reads of it."""

    def read(retailer_id: str) -> tuple[Window, list[JSON]]:
        settings, lake = settings_at(simulator), LocalStorage(tmp_path)
        window = window_of_unit(settings, (retailer_id, DAY))
        service = open_service(retailer_id, settings, Secrets(demo.demo_environment()))
        extract(service, lake, retailer_id=retailer_id, window=window, run_id="r1")
        return window, [payload.answer for _, payload in payloads.read_all(lake, retailer_id, DAY)]

    return read


def lines_by_order(pages: list[JSON], orders: tuple[str, ...], order_id: str, lines: tuple[str, ...]) -> Any:
    """How many lines each order has."""
    found = [order for page in pages for order in entries(page, *orders) or []]
    return {text(order, order_id): len(entries(order, *lines) or []) for order in found}


def test_the_client_that_amazon_publishes_reads_the_same_orders(simulator: str, ours: Answers) -> None:
    from spapi import SearchOrdersApi, SPAPIClient, SPAPIConfig

    window, pages = ours("retailer_1")
    keys = demo.demo_environment()
    config = SPAPIConfig(
        keys["RETAIL_RETAILER_1_CLIENT_ID"],
        keys["RETAIL_RETAILER_1_CLIENT_SECRET"],
        refresh_token=keys["RETAIL_RETAILER_1_REFRESH_TOKEN"],
        region="NA",
    )
    client = SPAPIClient(config, oauth_endpoint=f"{simulator}/auth/o2/token", endpoint=simulator)
    asked = {
        "marketplace_ids": ["ATVPDKIKX0DER"],
        "last_updated_after": window.start.isoformat().replace("+00:00", "Z"),
        "last_updated_before": (window.end - timedelta(seconds=1)).isoformat().replace("+00:00", "Z"),
        "max_results_per_page": 20,
        "included_data": ["PROCEEDS", "FULFILLMENT"],
    }
    found: dict[str, int] = {}
    api, token = SearchOrdersApi(client.api_client), None
    while True:
        page = api.search_orders(**asked, **({"pagination_token": token} if token else {}))
        found |= {order.order_id: len(order.order_items) for order in page.orders}
        token = page.pagination.next_token if page.pagination else None
        if token is None:
            break

    assert len(found) > 100
    assert found == lines_by_order(pages, ("orders",), "orderId", ("orderItems",))


@pytest.mark.node
def test_a_client_of_walmart_in_typescript_reads_the_same_orders(simulator: str, ours: Answers) -> None:
    need("@whitebox-co/walmart-marketplace-api")
    window, pages = ours("retailer_2")
    keys = demo.demo_environment()
    token = requests.post(
        f"{simulator}/v3/token",
        auth=(keys["RETAIL_RETAILER_2_CLIENT_ID"], keys["RETAIL_RETAILER_2_CLIENT_SECRET"]),
        data={"grant_type": "client_credentials"},
        headers={"WM_SVC.NAME": "x", "WM_QOS.CORRELATION_ID": "x", "Accept": "application/json"},
        timeout=30,
    ).json()["access_token"]
    span = [f"{instant:%Y-%m-%dT%H:%M:%SZ}" for instant in (window.start, window.end)]
    script = Path(__file__).with_name("walmart_orders.mjs")
    told = subprocess.run(
        ["node", str(script), str(NODE_MODULES), simulator, *span],
        input=token, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert len(found) > 100
    orders = ("list", "elements", "order")
    assert found == lines_by_order(pages, orders, "purchaseOrderId", ("orderLines", "orderLine"))


def test_the_client_that_shopify_publishes_reads_the_same_orders(simulator: str, ours: Answers) -> None:
    import shopify

    window, pages = ours("retailer_3")
    keys = demo.demo_environment()
    token = requests.post(
        f"{simulator}/admin/oauth/access_token",
        data={
            "grant_type": "client_credentials",
            "client_id": keys["RETAIL_RETAILER_3_CLIENT_ID"],
            "client_secret": keys["RETAIL_RETAILER_3_CLIENT_SECRET"],
        },
        timeout=30,
    ).json()["access_token"]
    start, end = (f"{instant:%Y-%m-%dT%H:%M:%SZ}" for instant in (window.start, window.end))
    query = """query Page($after: String, $search: String) {
      orders(first: 20, after: $after, query: $search, sortKey: UPDATED_AT) {
        pageInfo { hasNextPage endCursor }
        nodes { id lineItems(first: 250) { nodes { id } } }
      }
    }"""
    found: dict[str, int] = {}
    # ShopifyAPI 12.7 reads orders page by page over REST, which is legacy and not played; over GraphQL it
    # sends what it is given.
    shopify.ShopifyResource.set_site(f"{simulator}/admin/api/2026-10")
    shopify.ShopifyResource.set_headers({"X-Shopify-Access-Token": token})
    variables = {"search": f"updated_at:>='{start}' AND updated_at:<'{end}'"}
    while True:
        answer = json.loads(shopify.GraphQL().execute(query, variables))
        page = answer["data"]["orders"]
        found |= {order["id"]: len(order["lineItems"]["nodes"]) for order in page["nodes"]}
        if not page["pageInfo"]["hasNextPage"]:
            break
        variables["after"] = page["pageInfo"]["endCursor"]
    shopify.ShopifyResource.clear_session()

    assert len(found) > 100
    assert found == lines_by_order(pages, ("data", "orders", "nodes"), "id", ("lineItems", "nodes"))
