"""How far one goes in Shopify's lists, and how many they hold."""

import base64
import json

import pytest

DAY = "updated_at:>='2017-03-06T00:00:00Z' AND updated_at:<'2017-03-07T00:00:00Z'"
PAGE = """query($q: String, $n: Int!, $a: String) {
  orders(first: $n, query: $q, after: $a, sortKey: UPDATED_AT) { pageInfo { hasNextPage endCursor } nodes { id } }
}"""


@pytest.fixture(scope="module")
def token(simulator):
    return simulator.shopify_token().json()["access_token"]


def test_orders_are_counted_up_to_a_limit(simulator, token):
    query = "query($q: String, $l: Int) { ordersCount(query: $q, limit: $l) { count precision } }"
    whole = len(simulator.shopify_orders(DAY))
    exact = simulator.shopify(query, token, q=DAY, l=None).json()["data"]["ordersCount"]
    limited = simulator.shopify(query, token, q=DAY, l=20).json()["data"]["ordersCount"]
    assert exact == {"count": whole, "precision": "EXACT"}
    assert limited == {"count": 20, "precision": "AT_LEAST"}


def test_nobody_pages_beyond_the_limit_of_objects(launch):
    small = launch("--clock", "2017-03-20T00:00:00Z", "--shopify-most-objects", "40")
    token, after = small.shopify_token().json()["access_token"], None
    for _ in range(2):
        page = small.shopify(PAGE, token, q=DAY, n=20, a=after).json()["data"]["orders"]
        assert page["pageInfo"]["hasNextPage"]
        after = page["pageInfo"]["endCursor"]
    refusal = small.shopify(PAGE, token, q=DAY, n=20, a=after).json()
    assert "limited to 40 objects" in refusal["errors"][0]["message"]


def test_a_cursor_is_good_whoever_it_names(simulator, token):
    """Its value and id are a place in the order, not a node that must still be there."""
    page = simulator.shopify(PAGE, token, q=DAY, n=20).json()["data"]["orders"]
    named = json.loads(base64.b64decode(page["pageInfo"]["endCursor"]))
    gone = base64.b64encode(json.dumps({**named, "last_id": named["last_id"] + 1}).encode()).decode()
    behind = simulator.shopify(PAGE, token, q=DAY, n=20, a=page["pageInfo"]["endCursor"]).json()["data"]
    assert simulator.shopify(PAGE, token, q=DAY, n=20, a=gone).json()["data"] == behind


def test_a_static_token_opens_the_shop_for_good(launch, monkeypatch):
    monkeypatch.setenv("RETAIL_RETAILER_3_ACCESS_TOKEN", "shpat_static")
    running = launch("--clock", "2017-03-20T00:00:00Z")
    running.advance(10 * 365 * 86_400)
    assert running.shopify("{ shop { name } }", "shpat_static").json()["data"] == {
        "shop": {"name": "retailer_3"}
    }
    assert running.shopify("{ shop { name } }", "shpat_other").status_code == 401
