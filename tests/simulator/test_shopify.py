"""Shopify's Admin GraphQL as the simulator plays it."""

import re
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import graphql
import pytest

SEARCH = "updated_at:>='2017-03-06T00:00:00Z' AND updated_at:<'2017-03-07T00:00:00Z'"
IDS = "query($q: String, $n: Int, $a: String) { orders(first: $n, query: $q, after: $a) { nodes { id } } }"
SDL = Path(__file__).parents[2] / "lib" / "retail_simulator" / "shopify.graphql"


def cents(money_bag):
    return int(Decimal(money_bag["shopMoney"]["amount"]) * 100)


def discount(line):
    return sum(cents(allocation["allocatedAmountSet"]) for allocation in line["discountAllocations"])


@pytest.fixture(scope="module")
def orders(simulator):
    return simulator.shopify_orders(SEARCH)


@pytest.fixture(scope="module")
def token(simulator):
    return simulator.shopify_token().json()["access_token"]


def test_client_credentials_give_a_token_for_a_day_with_its_scope(simulator):
    answer = simulator.shopify_token().json()
    assert answer["expires_in"] == 86_399
    assert {"read_orders", "read_all_orders"} <= set(answer["scope"].split(","))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_id": "wrong"}, "application_cannot_be_found"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
    ],
)
def test_wrong_credentials_are_refused(simulator, changes, error):
    refusal = simulator.shopify_token(**changes)
    assert refusal.status_code in (400, 401)
    assert refusal.json()["error"] == error


def test_a_missing_unknown_or_expired_token_is_a_401(simulator, throttled):
    missing = simulator.post("/admin/api/2026-10/graphql.json", json={"query": "{ shop { name } }"})
    unknown = simulator.shopify("{ shop { name } }", "shpat_unknown")
    old = throttled.shopify_token().json()["access_token"]
    throttled.advance(86_399)
    expired = throttled.shopify("{ shop { name } }", old)
    assert [answer.status_code for answer in (missing, unknown, expired)] == [401, 401, 401]
    assert "Invalid API key or access token" in unknown.json()["errors"]


def test_a_body_without_a_query_is_a_400(simulator, token):
    path, headers = "/admin/api/2026-10/graphql.json", {"X-Shopify-Access-Token": token}
    assert simulator.post(path, json={"q": "{ shop { name } }"}, headers=headers).status_code == 400
    assert simulator.post(path, data="{", headers=headers).status_code == 400


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ orders(first: 1) { nodes { id total_price } } }", "Cannot query field 'total_price'"),
        ('{ orders(first: 1, status: "any") { nodes { id } } }', "Unknown argument 'status'"),
        ("{ orders(first: 1, sortKey: UPDATED) { nodes { id } } }", "UPDATED"),
        ("{ orders(first: 1) ", "Syntax Error"),
        ("{ orders { nodes { id } } }", "you must provide one of first or last"),
        ("{ orders(first: 251) { nodes { id } } }", "first cannot exceed 250"),
        ('{ orders(first: 1, after: "xyz") { nodes { id } } }', "cursor"),
        ('{ order(id: "12345") { id } }', "Invalid global id"),
        ("mutation { orderDelete(id: 1) { id } }", "Cannot query field 'orderDelete'"),
    ],
)
def test_a_bad_query_is_answered_with_a_graphql_error_in_a_200(simulator, token, query, message):
    answer = simulator.shopify(query, token)
    assert answer.status_code == 200
    assert message in answer.json()["errors"][0]["message"]
    assert not any((answer.json().get("data") or {}).values())


@pytest.mark.parametrize(
    "search",
    [
        "updated_at:>=2017-03-06T00:00:00Z",
        "updated_at:'2017-03-06T00:00:00Z'",
        "updated_at:>='2017-03-06'",
        "updated_at:>='2017-03-06T00:00:00+01:00'",
        "status:any",
        f"{SEARCH} OR created_at:>'2017-03-06T00:00:00Z'",
    ],
)
def test_a_search_that_is_not_quoted_utc_times_joined_by_and_is_an_error(simulator, token, search):
    answer = simulator.shopify(IDS, token, q=search, n=1).json()
    assert answer["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert answer["data"] is None


def test_the_four_comparisons_mean_what_they_say(simulator, token, orders):
    at = orders[3]["updatedAt"]

    def count(operator):
        limits = f"{SEARCH} AND created_at:{operator}'{at}'"
        answer = simulator.shopify(IDS, token, q=limits, n=250).json()
        return len(answer["data"]["orders"]["nodes"])

    same_second = sum(order["updatedAt"] == at for order in orders)
    assert count("<=") + count(">") == len(orders)
    assert count("<") + count(">=") == len(orders)
    assert count("<=") - count("<") == same_second


def test_sorting_by_id_and_in_reverse(simulator, token, orders):
    query = "query($q: String) { orders(first: 250, query: $q, %s) { nodes { id } } }"
    true = [order["id"] for order in orders]

    def ids(arguments):
        nodes = simulator.shopify(query % arguments, token, q=SEARCH).json()["data"]["orders"]["nodes"]
        return [node["id"] for node in nodes]

    assert ids("sortKey: UPDATED_AT, reverse: true") == true[::-1]
    assert ids("sortKey: ID") == sorted(true, key=lambda one: int(one.rpartition("/")[2]))


def test_a_cursor_of_another_sort_is_refused(simulator, token):
    query = "{ orders(first: 1, sortKey: %s %s) { nodes { id } pageInfo { endCursor } } }"
    page = simulator.shopify(query % ("ID", ""), token).json()["data"]["orders"]
    after = f', after: "{page["pageInfo"]["endCursor"]}"'
    assert "data" in simulator.shopify(query % ("ID", after), token).json()
    refusal = simulator.shopify(query % ("UPDATED_AT", after), token).json()
    assert "Invalid cursor for current pagination sort" in refusal["errors"][0]["message"]


def test_pages_of_any_size_bring_every_order_and_line_once(simulator, orders):
    in_small_pages = simulator.shopify_orders(SEARCH, first=9, lines=4)
    assert [order["id"] for order in in_small_pages] == [order["id"] for order in orders]
    assert [order["lines"] for order in in_small_pages] == [order["lines"] for order in orders]
    ids = [line["id"] for order in orders for line in order["lines"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("day", [date(2017, 1, 1), date(2017, 3, 6), date(2017, 3, 18)])
def test_a_days_rows_and_money_are_those_of_the_parquet_file(simulator, sql, day):
    end = day + timedelta(days=1)
    search = f"updated_at:>='{day}T00:00:00Z' AND updated_at:<'{end}T00:00:00Z'"
    lines = [line for order in simulator.shopify_orders(search) for line in order["lines"]]
    served = (
        len(lines),
        sum(line["quantity"] for line in lines),
        sum(cents(line["discountedTotalSet"]) for line in lines),
        sum(discount(line) for line in lines),
    )
    true = sql(
        "SELECT count(*), sum(quantity), sum(net), sum(discount) FROM sales"
        " WHERE retailer = 'retailer_3' AND sold_at >= $start AND sold_at < $end",
        start=day,
        end=end,
    )
    assert [served] == true


def test_the_discount_is_what_lies_between_original_and_discounted_total(orders):
    lines = [line for order in orders for line in order["lines"]]
    reduced = [line for line in lines if line["discountAllocations"]]
    assert 0 < len(reduced) < len(lines)
    for line in lines:
        assert cents(line["originalTotalSet"]) - discount(line) == cents(line["discountedTotalSet"])
        assert line["taxLines"] == []
    for line in reduced:
        assert len(line["discountAllocations"]) == 1
        assert discount(line) > 0


def test_a_line_tells_its_variant(orders):
    for line in (line for order in orders for line in order["lines"]):
        assert line["variant"] == {"id": f"gid://shopify/ProductVariant/{line['sku']}", "sku": line["sku"]}


def test_a_line_without_quantity_is_served(simulator, token, sql):
    [(order_id, product)] = sql(
        "SELECT order_id, product_id FROM sales WHERE retailer = 'retailer_3' AND quantity = 0"
        " AND sold_at < DATE '2017-03-19' ORDER BY sold_at DESC, product_id LIMIT 1"
    )
    query = "query($id: ID!) { order(id: $id) { lineItems(first: 250) { nodes { sku quantity } } } }"
    answer = simulator.shopify(query, token, id=f"gid://shopify/Order/{order_id}").json()
    assert {"sku": str(product), "quantity": 0} in answer["data"]["order"]["lineItems"]["nodes"]


def test_an_order_tells_time_customer_and_store(orders, sql):
    true = sql(
        "SELECT DISTINCT 'gid://shopify/Order/' || order_id, 'gid://shopify/Customer/' || household_id,"
        " 'gid://shopify/Location/' || store_id, 'Store ' || store_id,"
        " strftime(sold_at, '%Y-%m-%dT%H:%M:%SZ') FROM sales"
        " WHERE retailer = 'retailer_3' AND sold_at::DATE = DATE '2017-03-06'"
    )
    served = {
        (
            order["id"],
            order["customer"]["id"],
            order["retailLocation"]["id"],
            order["retailLocation"]["name"],
            order["processedAt"],
        )
        for order in orders
    }
    assert served == set(true)
    assert {order["sourceName"] for order in orders} == {"pos"}


def test_an_order_of_the_future_or_of_another_retailer_is_not_there(simulator, token, sql):
    [(future,)] = sql("SELECT max(order_id) FROM sales WHERE retailer = 'retailer_3'")
    [(foreign,)] = sql("SELECT min(order_id) FROM sales WHERE retailer = 'retailer_1'")
    for number in (future, foreign, "9" * 30):
        answer = simulator.shopify(f'{{ order(id: "gid://shopify/Order/{number}") {{ id }} }}', token)
        assert answer.json()["data"] == {"order": None}


@pytest.mark.parametrize(
    ("query", "points"),
    [
        ("{ shop { ianaTimezone currencyCode } }", 1),
        ("{ orders(first: 250) { nodes { id } } }", 13),
        ("query($n: Int = 250) { orders(first: $n) { edges { node { id } } pageInfo { endCursor } } }", 13),
        ("{ orders(first: 250) { nodes { id lineItems(first: 250) { nodes { id } } } } }", 156),
        (
            "{ orders(first: 250) { nodes { customer { id } retailLocation { id } product: lineItems(first: 250)"
            " { nodes { product { id } originalTotalSet { shopMoney { amount } } } } } } }",
            2 + 11 * (1 + 1 + 1 + 2 + 11 * 2),
        ),
        (
            "{ orders(first: 250) { nodes { lineItems(first: 250) { nodes { variant { id } } } } } }",
            2 + 11 * (1 + 2 + 11 * 2),
        ),
    ],
)
def test_a_query_costs_what_was_measured_at_shopify(simulator, token, query, points):
    cost = simulator.shopify(query, token).json()["extensions"]["cost"]
    assert cost["requestedQueryCost"] == points
    assert 0 < cost["actualQueryCost"] <= points
    assert cost["throttleStatus"]["restoreRate"] == 100.0


def test_a_query_of_more_than_a_thousand_points_is_refused(simulator, token):
    lines = "lineItems(first: 250) { nodes { id product { id } taxLines { title } } }"
    query = f"{{ orders(first: 250) {{ nodes {{ id a: {lines} b: {lines} c: {lines} }} }} }}"
    answer = simulator.shopify(query, token).json()
    assert answer.keys() == {"errors"}
    assert answer["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"
    assert answer["errors"][0]["extensions"]["cost"] > answer["errors"][0]["extensions"]["maxCost"] == 1000


def test_an_empty_bucket_throttles_in_a_200_and_tells_how_long_to_wait(throttled):
    lines = "lineItems(first: 250) { nodes { id product { id } taxLines { title } } }"
    query = f"{{ orders(first: 250) {{ nodes {{ id a: {lines} b: {lines} }} }} }}"
    token = throttled.shopify_token().json()["access_token"]
    answers = [throttled.shopify(query, token) for _ in range(12)]
    assert {answer.status_code for answer in answers} == {200}
    refusal = next(answer.json() for answer in answers if "errors" in answer.json())
    assert "data" not in refusal
    assert refusal["errors"][0]["extensions"]["code"] == "THROTTLED"
    cost = refusal["extensions"]["cost"]
    status = cost["throttleStatus"]
    assert cost["actualQueryCost"] is None
    throttled.advance((cost["requestedQueryCost"] - status["currentlyAvailable"]) / status["restoreRate"])
    assert "errors" not in throttled.shopify(query, token).json()


def test_every_type_field_and_argument_is_as_in_shopifys_schema(specs):
    ours = graphql.parse(SDL.read_text())
    names = {node.name.value for node in ours.definitions if hasattr(node, "name")}
    official_text = (specs / "shopify" / "admin_2026-10.graphql").read_text()
    blocks = re.findall(
        r"^(?:type|enum|interface) (\w+)[^{\n]*\{\n.*?^\}", official_text, re.DOTALL | re.MULTILINE
    )
    assert names - {"DateTime", "Decimal", "URL", "UnsignedInt64"} <= set(blocks)
    wanted = "|".join(sorted(names))
    pattern = rf"^(?:type|enum|interface) (?:{wanted})\b[^{{\n]*\{{\n.*?^\}}"
    found = re.finditer(pattern, official_text, re.DOTALL | re.MULTILINE)
    official = graphql.parse("\n".join(match[0] for match in found))

    def described(document):
        """Type.field(argument): type = default, one for each that the document has."""
        lines = set()
        for node in document.definitions:
            for value in getattr(node, "values", None) or ():
                lines.add(f"{node.name.value}.{value.name.value}")
            for one in getattr(node, "fields", None) or ():
                path = f"{node.name.value}.{one.name.value}"
                lines.add(f"{path}: {graphql.print_ast(one.type)}")
                for argument in one.arguments or ():
                    default = graphql.print_ast(argument.default_value) if argument.default_value else "none"
                    kind = graphql.print_ast(argument.type)
                    lines.add(f"{path}({argument.name.value}): {kind} = {default}")
        return lines

    assert described(ours) - described(official) == set()
