"""The three catalogues: what is asked, and what an answer says of a product or store."""

import json

import pytest

from retail.errors import BadCursorError, ExtractError, RefusedError
from retail.sources.values.gtin import gtin14

NOW = "2017-01-10T12:00:00.000000Z"
US, CA = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2"


@pytest.fixture
def amazon(open_at):
    def at(url, **options):
        return open_at("retailer_1", url, options={"seller_id": "A1SELLER"} | options).catalog()

    return at


def told(catalog, products=(), stores=()):
    """Every record of all calls."""
    return [record for call in catalog.describe(list(products), list(stores)) for record in call]


def described(record):
    return (record.product_id, record.product_name, record.brand, record.category, record.gtin)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("036000291452", "00036000291452"),
        ("4006381333931", "04006381333931"),
        ("00036000291452", "00036000291452"),
        ("96385074", "00000096385074"),
        (" 036000291452 ", "00036000291452"),
        ("036000291453", None),
        ("36000291452", None),
        ("00000000000000", None),
        ("０36000291452", None),
        ("DOES NOT APPLY", None),
        ("", None),
        (None, None),
    ],
)
def test_a_gtin_has_14_digits_and_a_right_check_digit_or_is_none(given, expected):
    assert gtin14(given) == expected


def item(*skus, asin="B0C1EXAMP1", marketplace=US, numbers=(), **summary):
    identifiers = [{"identifierType": kind, "identifier": number} for kind, number in numbers]
    identifiers += [{"identifierType": "SKU", "identifier": sku} for sku in skus]
    return {
        "asin": asin,
        "identifiers": [{"marketplaceId": marketplace, "identifiers": identifiers}],
        "summaries": [
            {"marketplaceId": "ANOTHER", "brand": "Wrong"},
            {"marketplaceId": marketplace, **summary},
        ],
    }


def items(*found, token=None):
    return {
        "numberOfResults": len(found),
        "pagination": {"nextToken": token} if token else {},
        "items": list(found),
    }


def test_amazon_is_asked_for_twenty_skus_a_call_and_all_its_results(amazon, scripted, reply):
    server = scripted(reply(body=items()), reply(body=items()))
    skus = [f"SKU-{number}" for number in range(25)]

    records = told(amazon(server.url), skus)

    first, second = (request.query for request in server.seen)
    assert first == {
        "identifiers": ",".join(skus[:20]),
        "identifiersType": "SKU",
        "sellerId": "A1SELLER",
        "marketplaceIds": US,
        "includedData": "summaries,identifiers,classifications",
        "pageSize": "20",
    }
    assert second["identifiers"] == ",".join(skus[20:])
    assert server.seen[0].path == "/catalog/2022-04-01/items"
    assert [described(record) for record in records] == [(sku, None, None, None, None) for sku in skus]


def test_an_item_of_amazon_is_found_by_the_skus_it_repeats(amazon, scripted, reply):
    mug = item(
        "MUG-2", "MUG-1", numbers=[("EAN", "4006381333931"), ("UPC", "036000291452"), ("GTIN", "bad")],
        brand="Acme", itemName="Stoneware Mug", browseClassification={"displayName": "Mugs", "classificationId": "1"},
    )  # fmt: skip
    bowl = item("BOWL", "NOT ASKED") | {
        "classifications": [{"marketplaceId": US, "classifications": [{"displayName": "Bowls"}]}]
    }
    server = scripted(reply(body=items(mug, bowl)))

    records = {
        record.product_id: record for record in told(amazon(server.url), ["MUG-1", "LOST", "BOWL", "MUG-2"])
    }

    assert sorted(records) == ["BOWL", "LOST", "MUG-1", "MUG-2"]
    assert described(records["MUG-1"]) == ("MUG-1", "Stoneware Mug", "Acme", "Mugs", "04006381333931")
    assert described(records["MUG-2"])[1:] == described(records["MUG-1"])[1:]
    assert described(records["BOWL"]) == ("BOWL", None, None, "Bowls", None)
    assert described(records["LOST"]) == ("LOST", None, None, None, None)
    assert (records["MUG-1"].retailer_id, records["MUG-1"].fetched_at) == ("retailer_1", NOW)
    assert records["MUG-1"].source_ref == "GET /catalog/2022-04-01/items#B0C1EXAMP1"


def test_of_several_numbers_the_same_one_is_taken_in_any_order(amazon, scripted, reply):
    numbers = [("EAN", "4006381333931"), ("EAN", "9780306406157"), ("UPC", "036000291452")]
    server = scripted(
        *(reply(body=items(item("MUG", itemName="Mug", numbers=each))) for each in (numbers, numbers[::-1]))
    )

    found = {told(amazon(server.url), ["MUG"])[0].gtin for _ in range(2)}

    assert found == {"04006381333931"}


def test_further_pages_of_amazon_are_read_and_counted_as_calls(amazon, scripted, reply):
    server = scripted(
        reply(body=items(item("A", itemName="a"), token="t1")),
        reply(body=items(item("B", itemName="b"))),
    )

    calls = list(amazon(server.url).describe(["A", "B", "C"], []))

    assert [[record.product_id for record in call] for call in calls] == [["A"], ["B", "C"]]
    assert server.seen[1].query["pageToken"] == "t1"
    assert server.seen[1].query["identifiers"] == "A,B,C"


def test_what_one_marketplace_does_not_know_is_asked_of_the_next(amazon, scripted, reply):
    server = scripted(
        reply(body=items(item("A", itemName="a"))), reply(body=items(item("B", itemName="b", marketplace=CA)))
    )

    records = told(amazon(server.url, marketplace_ids=[US, CA]), ["A", "B"])

    assert {described(record)[:2] for record in records} == {("A", "a"), ("B", "b")}
    assert [(each.query["marketplaceIds"], each.query["identifiers"]) for each in server.seen] == [
        (US, "A,B"), (CA, "B"),
    ]  # fmt: skip


def test_a_sku_with_a_comma_is_asked_for_alone(amazon, scripted, reply):
    server = scripted(reply(body=items()), reply(body=items(item(itemName="Red, medium"))))

    records = told(amazon(server.url), ["A", "RED, M", "B"])

    assert [each.query["identifiers"] for each in server.seen] == ["A,B", "RED, M"]
    assert described(records[-1])[:2] == ("RED, M", "Red, medium")


def test_a_sku_that_amazon_refuses_does_not_keep_the_others_from_being_found(amazon, scripted, reply):
    refused = reply(400, {"errors": [{"code": "InvalidInput", "message": "Invalid 'sku' provided."}]})
    server = scripted(
        refused, reply(body=items(item("A", itemName="a"), item("B", itemName="b"))), refused, refused,
        reply(body=items(item("D", itemName="d"))),
    )  # fmt: skip

    records = told(amazon(server.url), ["A", "B", "C!", "D"])

    assert [each.query["identifiers"] for each in server.seen] == ["A,B,C!,D", "A,B", "C!,D", "C!", "D"]
    assert {record.product_id: record.product_name for record in records} == {
        "A": "a", "B": "b", "C!": None, "D": "d",
    }  # fmt: skip


def test_amazon_that_refuses_every_sku_is_a_failure_not_an_empty_catalogue(amazon, scripted, reply):
    server = scripted(endless=iter(lambda: reply(400, {"errors": [{"code": "InvalidInput"}]}), None))

    with pytest.raises(ExtractError, match="InvalidInput") as caught:
        told(amazon(server.url), [f"SKU-{number}" for number in range(100)])
    assert "seller_id" in caught.value.hint


def test_without_a_seller_id_amazon_has_no_catalogue(open_at):
    assert open_at("retailer_1", "http://127.0.0.1:9").catalog() is None


def test_amazon_is_asked_within_its_usage_plan(amazon, scripted, reply, time):
    server = scripted(endless=iter(lambda: reply(body=items()), None))

    told(amazon(server.url), [f"SKU-{number}" for number in range(200)])

    assert len(server.seen) == 10
    assert time.passed == pytest.approx((10 - 2) / 2, abs=0.1)


def walmart_item(sku, **told):
    return {"ItemResponse": [{"mart": "WALMART_US", "sku": sku, **told}], "totalItems": 1}


NO_ITEM = {"errors": [{"code": "CONTENT_NOT_FOUND.GMP_ITEM_QUERY_API", "description": "no such item"}]}


def test_walmart_is_asked_for_one_sku_a_call_whatever_stands_in_it(open_at, scripted, reply):
    server = scripted(
        reply(body=walmart_item("A/B ?&#1", productName="Mug", productType="Mugs", upc="036000291452", gtin="",
                                brand="Acme")),
        reply(404, NO_ITEM),
        reply(body=walmart_item("C", productName="Bowl", gtin="00036000291452", additionalAttributes={
            "nameValueAttribute": [{"name": "brand", "type": "STRING", "value": [{"value": "Bowl & Co"}]}]})),
    )  # fmt: skip

    calls = list(open_at("retailer_2", server.url).catalog().describe(["A/B ?&#1", "LOST", "C"], ["store"]))

    assert [described(record) for call in calls for record in call] == [
        ("A/B ?&#1", "Mug", "Acme", "Mugs", "00036000291452"),
        ("LOST", None, None, None, None),
        ("C", "Bowl", "Bowl & Co", None, "00036000291452"),
    ]
    assert len(calls) == 3
    assert server.seen[0].path == "/v3/items/A%2FB%20%3F%26%231"
    assert [each.query for each in server.seen] == [{"productIdType": "SKU"}] * 3
    assert "wm_sec.access_token" in server.seen[0].headers


def test_a_wrong_address_is_not_taken_for_an_empty_catalogue(open_at, scripted, reply):
    server = scripted(reply(404, {"message": "no such page"}))

    with pytest.raises(ExtractError, match="HTTP 404"):
        told(open_at("retailer_2", server.url).catalog(), ["A"])


def test_walmart_may_refuse_a_few_skus_but_not_all(open_at, scripted, reply):
    refused = reply(400, {"errors": [{"code": "INVALID_REQUEST_PARAM.GMP_ITEM_QUERY_API"}]})
    few = scripted(refused, reply(body=walmart_item("B", productName="b")))
    all_of_them = scripted(endless=iter(lambda: refused, None))

    records = told(open_at("retailer_2", few.url).catalog(), ["A", "B"])
    with pytest.raises(RefusedError):
        told(open_at("retailer_2", all_of_them.url).catalog(), ["A", "B", "C", "D", "E"])

    assert [described(record)[:2] for record in records] == [("A", None), ("B", "b")]
    assert len(all_of_them.seen) == 4


def variant(number, sku, barcode=None, **product):
    return {
        "id": f"gid://shopify/ProductVariant/{number}",
        "sku": sku,
        "barcode": barcode,
        "product": product,
    }


def answer(name, *nodes, cursor=None):
    page = {"pageInfo": {"hasNextPage": cursor is not None, "endCursor": cursor}, "nodes": list(nodes)}
    return {"data": {name: page}}


def asked(request):
    return json.loads(request.body)["variables"]


def test_variants_of_shopify_are_searched_by_exact_sku_and_the_oldest_is_taken(open_at, scripted, reply):
    found = [
        variant(12, "MUG", title="Newer mug"),
        variant(
            9,
            "MUG",
            "036000291452",
            title="Mug",
            vendor="Acme",
            productType="Cups",
            category={"name": "Mugs"},
        ),
        variant(10, "MUG", title="Newer mug"),
        variant(3, "mug", title="Another"),
        variant(4, "O'NEILL\\1", title="Hat", vendor="", productType="Hats", category=None),
    ]
    server = scripted(reply(body=answer("productVariants", *found)))

    records = told(open_at("retailer_3", server.url).catalog(), ["MUG", "O'NEILL\\1", "LOST"])

    assert [described(record) for record in records] == [
        ("MUG", "Mug", "Acme", "Mugs", "00036000291452"),
        ("O'NEILL\\1", "Hat", None, "Hats", None),
        ("LOST", None, None, None, None),
    ]
    assert asked(server.seen[0]) == {
        "first": 50, "after": None, "query": r"sku:'MUG' OR sku:'O\'NEILL\\1' OR sku:'LOST'",
    }  # fmt: skip


def test_skus_of_shopify_go_fifty_a_search_and_further_pages_count_as_calls(open_at, scripted, reply):
    server = scripted(
        reply(body=answer("productVariants", variant(1, "SKU-1", title="one"), cursor="c1")),
        reply(body=answer("productVariants", variant(2, "SKU-2", title="two"))),
        reply(body=answer("productVariants")),
    )
    skus = [f"SKU-{number}" for number in range(60)]

    calls = list(open_at("retailer_3", server.url).catalog().describe(skus, []))

    assert [len(call) for call in calls] == [0, 50, 10]
    assert [asked(each)["after"] for each in server.seen] == [None, "c1", None]
    named = {
        record.product_id: record.product_name for call in calls for record in call if record.product_name
    }
    assert named == {"SKU-1": "one", "SKU-2": "two"}


def test_lines_without_sku_are_found_by_variant_or_product_and_custom_ones_are_not_asked_for(
    open_at, scripted, reply
):
    nodes = [
        None,
        {"id": "gid://shopify/Product/7", "title": "Lamp", "vendor": "Acme", "productType": "Lamps"},
        variant(5, "", "4006381333931", title="Rug", vendor="Acme", productType=""),
    ]
    server = scripted(reply(body={"data": {"nodes": nodes}}))

    records = told(
        open_at("retailer_3", server.url).catalog(), ["variant-5", "product-7", "variant-6", "line-8"]
    )

    assert [described(record) for record in records] == [
        ("variant-5", "Rug", "Acme", None, "04006381333931"),
        ("product-7", "Lamp", "Acme", "Lamps", None),
        ("variant-6", None, None, None, None),
        ("line-8", None, None, None, None),
    ]
    assert asked(server.seen[0])["ids"] == [
        "gid://shopify/ProductVariant/5", "gid://shopify/Product/7", "gid://shopify/ProductVariant/6",
    ]  # fmt: skip


def test_locations_of_shopify_closed_ones_too_are_the_stores(open_at, scripted, reply):
    address = {"city": "Dayton", "provinceCode": "OH", "countryCode": "US"}
    server = scripted(
        reply(body=answer("locations", {"id": "gid://shopify/Location/1", "name": "Mall", "address": address},
                          {"id": "gid://shopify/Location/9", "name": "Unasked", "address": address}, cursor="c")),
        reply(body=answer("locations", {"id": "gid://shopify/Location/2", "name": "Closed", "address": None})),
    )  # fmt: skip

    records = told(open_at("retailer_3", server.url).catalog(), stores=["1", "2", "3"])

    assert [
        (each.store_id, each.store_name, each.store_city, each.store_region, each.store_country)
        for each in records
    ] == [
        ("1", "Mall", "Dayton", "OH", "US"),
        ("2", "Closed", None, None, None),
        ("3", None, None, None, None),
    ]
    assert "includeInactive: true" in json.loads(server.seen[0].body)["query"]


def test_a_query_that_shopify_refuses_is_a_failure_with_the_scopes_named(open_at, scripted, reply):
    server = scripted(
        reply(body={"data": None, "errors": [{"message": "Access denied for productVariants"}]})
    )

    with pytest.raises(ExtractError, match="Access denied") as caught:
        told(open_at("retailer_3", server.url).catalog(), ["A"])
    assert "read_products" in caught.value.hint


def test_a_cursor_of_shopify_that_does_not_advance_is_a_failure(open_at, scripted, reply):
    server = scripted(endless=iter(lambda: reply(body=answer("productVariants", cursor="c")), None))

    with pytest.raises(ExtractError, match="does not advance"):
        told(open_at("retailer_3", server.url).catalog(), ["A"])


@pytest.mark.parametrize("token", ["t1", {"value": "t2"}, 7, " "])
def test_a_token_of_amazon_that_repeats_or_is_none_is_no_last_page(amazon, scripted, reply, token):
    server = scripted(
        reply(body=items(item("A", itemName="a"), token="t1")),
        reply(body=items(item("B", itemName="b"), token=token)),
    )

    with pytest.raises(BadCursorError):
        list(amazon(server.url).describe(["A", "B", "C"], []))


def test_two_locations_of_shopify_with_one_number_are_one_store(open_at, scripted, reply):
    places = [{"id": "gid://shopify/Location/1", "name": name} for name in ("Main", "Annex")]
    page = {"pageInfo": {"hasNextPage": False}, "nodes": places}
    server = scripted(reply(body={"data": {"locations": page}}))

    found = list(open_at("retailer_3", server.url).catalog().describe([], ["1"]))

    assert {record.store_id for call in found for record in call} == {"1"}
