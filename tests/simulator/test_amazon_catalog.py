"""Amazon's Catalog Items 2022-04-01 as the simulator plays it."""

import pytest

from retail_simulator.gtin import check_digit


@pytest.fixture(scope="module")
def token(simulator):
    return simulator.amazon_token().json()["access_token"]


@pytest.fixture(scope="module")
def skus(sql):
    found = sql("SELECT DISTINCT product_id FROM sales WHERE retailer = 'retailer_1' ORDER BY 1 LIMIT 400")
    return [str(sku) for (sku,) in found]


@pytest.fixture(scope="module")
def items(simulator, token, skus):
    found = []
    for start in range(0, len(skus), 20):
        found += simulator.amazon_items(skus[start : start + 20], token, pageSize=20).json()["items"]
    return found


def identifiers(item):
    [one] = item["identifiers"]
    return {each["identifierType"]: each["identifier"] for each in one["identifiers"]}


def test_most_products_are_known_and_some_are_not(items, skus):
    known = [identifiers(item)["SKU"] for item in items]
    assert set(known) < set(skus)
    assert 0.8 < len(known) / len(skus) < 1


def test_each_has_a_number_of_its_kinds_length_with_the_right_check_digit(items):
    lengths = {"UPC": 12, "EAN": 13, "GTIN": 14}
    kinds = set()
    for item in items:
        [(kind, number)] = [pair for pair in identifiers(item).items() if pair[0] != "SKU"]
        assert len(number) == lengths[kind]
        assert check_digit(number[:-1]) == number[-1]
        kinds.add(kind)
    assert kinds == lengths.keys()


def test_a_summary_has_brand_name_and_category(items):
    summaries = [item["summaries"][0] for item in items]
    assert {summary["marketplaceId"] for summary in summaries} == {"ATVPDKIKX0DER"}
    assert all(summary["itemName"] for summary in summaries)
    assert any(summary.get("brand") == "National" for summary in summaries)
    named = [summary["browseClassification"] for summary in summaries if "browseClassification" in summary]
    assert all(one["displayName"] and one["classificationId"].isdecimal() for one in named)


def test_only_summaries_come_unasked(simulator, token, skus):
    item = simulator.amazon_items(skus[:20], token, includedData=None).json()["items"][0]
    assert item.keys() == {"asin", "summaries"}


def test_ten_make_a_page_unless_more_are_asked_for(simulator, token, skus):
    first = simulator.amazon_items(skus[:20], token).json()
    assert first["numberOfResults"] > len(first["items"]) == 10
    more = {"pageToken": first["pagination"]["nextToken"]}
    second = simulator.amazon_items(skus[:20], token, **more).json()
    assert len(first["items"]) + len(second["items"]) == first["numberOfResults"]
    assert "nextToken" not in second["pagination"]
    whole = simulator.amazon_items(skus[:20], token, pageSize=20).json()
    assert whole["items"] == first["items"] + second["items"]


def test_unknown_products_are_no_error(simulator, token):
    answer = simulator.amazon_items(["no-such-sku", "007"], token)
    assert (answer.status_code, answer.json()["numberOfResults"], answer.json()["items"]) == (200, 0, [])


def test_the_rate_is_the_usage_plan_s_where_it_is_enforced(simulator, throttled):
    unlimited, limited = (each.amazon_items(["1"]) for each in (simulator, throttled))
    assert unlimited.headers["x-amzn-RateLimit-Limit"] == "1000.0"
    assert limited.headers["x-amzn-RateLimit-Limit"] == "2.0"


@pytest.mark.parametrize(
    "changes",
    [
        {"sellerId": None},
        {"marketplaceIds": None},
        {"marketplaceIds": "ATVPDKIKX0DER,A2EUQ1WTGCTBG2"},
        {"identifiersType": None},
        {"identifiersType": "ISBN-13"},
        {"identifiers": None},
        {"identifiers": ",".join(str(sku) for sku in range(21))},
        {"keywords": "milk"},
        {"includedData": "summaries,prices"},
        {"pageSize": 21},
        {"pageToken": "nowhere"},
    ],
)
def test_a_query_outside_the_rules_is_invalid_input(simulator, token, changes):
    refusal = simulator.amazon_items(["1082185"], token, **changes)
    assert refusal.status_code == 400
    assert refusal.json()["errors"][0]["code"] == "InvalidInput"


def test_it_wants_a_token(simulator):
    refusal = simulator.amazon_items(["1082185"], "Atza|unknown")
    assert refusal.status_code == 403
    assert refusal.json()["errors"][0]["code"] == "Unauthorized"


def test_two_requests_pass_at_once_and_then_two_a_second(launch):
    strict = launch("--clock", "2017-03-20T00:00:00Z", "--throttle")
    token = strict.amazon_token().json()["access_token"]
    statuses = [strict.amazon_items(["1082185"], token).status_code for _ in range(6)]
    assert statuses[:2] == [200, 200]
    assert 429 in statuses
    strict.advance(1)
    assert strict.amazon_items(["1082185"], token).status_code == 200
