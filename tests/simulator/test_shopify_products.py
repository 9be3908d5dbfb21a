"""Shopify's products and locations."""

import pytest

VARIANTS = """query($q: String, $n: Int!, $a: String) {
  productVariants(first: $n, query: $q, after: $a) {
    pageInfo { hasNextPage endCursor }
    nodes { id sku barcode product { id title vendor productType category { name fullName } } }
  }
}"""
LOCATIONS = """query($a: String) { locations(first: 20, after: $a, includeInactive: true, includeLegacy: true) {
  pageInfo { hasNextPage endCursor } nodes { id name address { city provinceCode countryCode } } } }"""


@pytest.fixture(scope="module")
def token(living):
    return living.shopify_token().json()["access_token"]


@pytest.fixture(scope="module")
def variants(living, token):
    """The first thousand."""
    found, after = [], None
    for _ in range(4):
        page = living.shopify(VARIANTS, token, n=250, a=after).json()["data"]["productVariants"]
        found += page["nodes"]
        after = page["pageInfo"]["endCursor"]
    return found


def test_a_variant_is_found_by_sku_with_its_product_and_a_valid_gtin(living, token, variants):
    listed = [each for each in variants if each["sku"]]
    search = " OR ".join(f"sku:'{each['sku']}'" for each in listed[:50])
    found = living.shopify(VARIANTS, token, q=search, n=250).json()["data"]["productVariants"]["nodes"]
    assert sorted(found, key=lambda each: each["id"]) == sorted(listed[:50], key=lambda each: each["id"])
    for each in listed:
        digits = [int(digit) for digit in each["barcode"]]
        assert len(digits) == 14
        assert sum(digit * (3, 1)[place % 2] for place, digit in enumerate(digits)) % 10 == 0
        category = each["product"]["category"]
        assert category is None or category["fullName"].endswith(category["name"])


def test_some_products_have_no_sku_and_are_found_by_id(living, token, variants):
    [first, *_] = [each for each in variants if each["sku"] == ""]
    number = first["id"].rsplit("/", 1)[1]
    ids = [first["id"], first["product"]["id"], "gid://shopify/ProductVariant/999999999999"]
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
    nodes = living.shopify(query, token, ids=ids).json()["data"]["nodes"]
    kinds = [{"__typename": "ProductVariant", "id": ids[0]}, {"__typename": "Product", "id": ids[1]}, None]
    assert nodes == kinds
    by_sku = living.shopify(VARIANTS, token, q=f"sku:'{number}'", n=5).json()["data"]["productVariants"]
    assert by_sku["nodes"] == []


def test_a_search_of_more_than_250_ids_and_an_unknown_term_are_errors(living, token):
    many = [f"gid://shopify/Product/{number}" for number in range(251)]
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert "maximum allowed of 250" in living.shopify(query, token, ids=many).json()["errors"][0]["message"]
    assert "errors" in living.shopify(VARIANTS, token, q="title:milk", n=5).json()


def test_locations_are_the_stores_that_sell_each_at_a_place(living, token, sql):
    found, after = {}, None
    while True:
        page = living.shopify(LOCATIONS, token, a=after).json()["data"]["locations"]
        found |= {node["id"]: node for node in page["nodes"]}
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    [(stores,)] = sql("SELECT count(DISTINCT store_id) FROM sales WHERE retailer = 'retailer_3'")
    assert len(found) == stores
    assert all(each["address"]["city"] and each["address"]["countryCode"] == "US" for each in found.values())
