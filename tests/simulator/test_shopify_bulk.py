"""Shopify's bulk operations."""

import json

import pytest

DAY = "updated_at:>='2017-03-06T00:00:00Z' AND updated_at:<'2017-03-07T00:00:00Z'"
RUN = """mutation($query: String!, $group: Boolean! = true) {
  bulkOperationRunQuery(query: $query, groupObjects: $group) {
    bulkOperation { id status url } userErrors { code field message }
  }
}"""
GET = "query($id: ID!) { bulkOperation(id: $id) { id status url rootObjectCount objectCount errorCode completedAt } }"
MONEY = "{ shopMoney { amount } }"
LINES = f"lineItems {{ edges {{ node {{ id sku discountAllocations {{ allocatedAmountSet {MONEY} }} }} }} }}"


def orders_with(fields, search=DAY):
    return f'{{ orders(query: "{search}") {{ edges {{ node {{ id updatedAt {fields} }} }} }} }}'


@pytest.fixture
def shop(launch):
    return launch("--clock", "2017-03-20T00:00:00Z", "--changes", "--speed", "0")


@pytest.fixture
def ask(shop):
    def answer(text, **variables):
        sent, token = {"query": text, "variables": variables}, shop.shopify_token().json()["access_token"]
        headers = {"X-Shopify-Access-Token": token}
        return shop.post("/admin/api/2026-10/graphql.json", json=sent, headers=headers).json()["data"]

    return answer


def run(ask, query, *, group=True):
    return ask(RUN, query=query, group=group)["bulkOperationRunQuery"]


def finished(ask, operation):
    states = []
    while True:
        found = ask(GET, id=operation["id"])["bulkOperation"]
        states.append(found["status"])
        if found["status"] == "COMPLETED":
            return states, found


def test_it_gets_on_by_being_asked_after_and_its_file_is_what_pages_give(shop, ask):
    begun = run(ask, orders_with(LINES))
    assert begun["userErrors"] == []
    assert (begun["bulkOperation"]["status"], begun["bulkOperation"]["url"]) == ("CREATED", None)
    states, done = finished(ask, begun["bulkOperation"])
    assert states == ["CREATED", "RUNNING", "COMPLETED"]

    lines = [json.loads(line) for line in shop.session.get(done["url"], timeout=20).text.splitlines()]
    orders, parent = {}, None
    for line in lines:
        if "__parentId" in line:
            assert line["__parentId"] == parent
            orders[parent].append(line["id"])
        else:
            parent = line["id"]
            orders[parent] = []
    paged = shop.shopify_orders(DAY)
    assert orders == {order["id"]: [line["id"] for line in order["lines"]] for order in paged}
    assert (int(done["rootObjectCount"]), int(done["objectCount"])) == (len(paged), len(lines))
    assert "discountAllocations" in lines[1]


def test_it_gets_on_with_time_too(shop, ask):
    operation = run(ask, orders_with(""))["bulkOperation"]
    shop.advance(60)
    assert ask(GET, id=operation["id"])["bulkOperation"]["status"] == "COMPLETED"


def test_ungrouped_children_stand_anywhere_behind_their_order(shop, ask):
    operation = run(ask, orders_with(LINES), group=False)["bulkOperation"]
    _, done = finished(ask, operation)
    seen, apart = set(), 0
    previous = None
    for line in map(json.loads, shop.session.get(done["url"], timeout=20).text.splitlines()):
        if "__parentId" in line:
            assert line["__parentId"] in seen
            apart += previous is not None and line["__parentId"] != previous
        seen.add(line["id"])
        previous = line.get("__parentId", line["id"])
    assert apart > 50


def test_where_nothing_matches_there_is_no_file(ask):
    never = "updated_at:>='2016-03-06T00:00:00Z' AND updated_at:<'2016-03-07T00:00:00Z'"
    _, done = finished(ask, run(ask, orders_with(LINES, never))["bulkOperation"])
    assert (done["url"], done["rootObjectCount"]) == (None, "0")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ shop { name } }", "at least one connection"),
        ('{ node(id: "gid://shopify/Order/1") { id } }', "`node`"),
        ("{ orders { edges { node { id nothing } } } }", "Invalid bulk query"),
        ("{ orders { pageInfo { hasNextPage } } }", "must select the nodes"),
        (orders_with(" ".join(f"a{n}: {LINES}" for n in range(5))), "more than 5 connections"),
        (
            orders_with(
                "lineItems { edges { node { id product { variants { nodes { id product { variants { nodes { id }"
                " } } } } } } } }"
            ),
            "nesting depth",
        ),
        (orders_with("agreements { nodes { id } }"), "Node interface"),
        ('mutation { bulkOperationRunQuery(query: "") { bulkOperation { id } } }', "Only queries"),
    ],
)
def test_a_query_that_may_not_run_in_bulk_is_a_user_error(ask, query, message):
    refused = run(ask, query)
    assert refused["bulkOperation"] is None
    assert refused["userErrors"][0]["code"] == "INVALID"
    assert message in refused["userErrors"][0]["message"]


def test_a_sixth_operation_at_once_is_refused(shop, ask):
    begun = [run(ask, orders_with("")) for _ in range(6)]
    assert [each["userErrors"][0]["code"] for each in begun if each["userErrors"]] == ["LIMIT_REACHED"]
    shop.advance(60)
    assert run(ask, orders_with(""))["userErrors"] == []


def test_the_file_opens_by_its_signature_alone_and_for_seven_days(shop, ask):
    operation = run(ask, orders_with(""))["bulkOperation"]
    _, done = finished(ask, operation)
    get = shop.session.get
    assert get(done["url"], timeout=20).status_code == 200
    assert get(done["url"].split("?")[0], timeout=20).status_code == 404
    assert get(done["url"], headers={"X-Shopify-Access-Token": "x"}, timeout=20).status_code == 400
    shop.advance(8 * 86_400)
    assert get(done["url"], timeout=20).status_code == 400
    expired = ask(GET, id=operation["id"])["bulkOperation"]
    assert (expired["status"], expired["url"]) == ("EXPIRED", None)
