"""Shopify's orders that live on after their sale, with the ledger of what became of them."""

from collections import Counter
from decimal import Decimal

import pytest

pytestmark = pytest.mark.slow

WEEK = "updated_at:>='2017-02-20T00:00:00Z' AND updated_at:<'2017-02-27T00:00:00Z'"
MONEY = "{ shopMoney { amount } }"
QUERY = f"""
query Orders($q: String!, $after: String) {{
  orders(first: 60, query: $q, after: $after, sortKey: UPDATED_AT) {{
    pageInfo {{ hasNextPage endCursor }}
    nodes {{
      id test createdAt updatedAt cancelledAt edited returnStatus taxesIncluded
      refunds(first: 5) {{ id createdAt totalRefundedSet {MONEY} }}
      totalTipReceivedSet {MONEY}
      lineItems(first: 250) {{ nodes {{
        id sku title quantity currentQuantity isGiftCard product {{ id }} variant {{ id }}
        originalTotalSet {MONEY} discountedTotalSet {MONEY}
        discountAllocations {{ allocatedAmountSet {MONEY} }} taxLines {{ priceSet {MONEY} }}
      }} }}
    }}
  }}
}}"""
LEDGER = f"""
query Ledger($id: ID!, $n: Int!, $after: String, $s: Int!, $afterSale: String) {{
  order(id: $id) {{ agreements(first: $n, after: $after) {{
    pageInfo {{ hasNextPage endCursor }}
    edges {{ cursor node {{
      __typename id happenedAt reason
      ... on RefundAgreement {{ refund {{ id }} }}
      sales(first: $s, after: $afterSale) {{
        pageInfo {{ hasNextPage endCursor }}
        nodes {{
          __typename id actionType lineType quantity totalAmount {MONEY} totalTaxAmount {MONEY}
          totalDiscountAmountBeforeTaxes {MONEY}
          ... on ProductSale {{ lineItem {{ id }} }}
        }}
      }}
    }} }}
  }} }}
}}"""


def cents(money_bag):
    return int(Decimal(money_bag["shopMoney"]["amount"]) * 100)


def net(sale):
    return cents(sale["totalAmount"]) - cents(sale["totalTaxAmount"])


@pytest.fixture(scope="module")
def token(living):
    return living.shopify_token().json()["access_token"]


@pytest.fixture(scope="module")
def orders(living, token):
    found, after = [], None
    while True:
        page = living.shopify(QUERY, token, q=WEEK, after=after).json()["data"]["orders"]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


@pytest.fixture(scope="module")
def ledger(living, token):
    """All agreements of an order, and the sales of each."""

    def read(order, agreements=50, sales=250):
        asked = {"id": order["id"], "n": agreements, "s": sales}
        connection = living.shopify(LEDGER, token, **asked).json()["data"]["order"]["agreements"]
        return [edge["node"] for edge in connection["edges"]]

    return read


def test_a_week_has_every_sort_of_order(orders):
    seen = Counter()
    for order in orders:
        seen["test"] += order["test"]
        seen["cancelled"] += order["cancelledAt"] is not None
        seen["edited"] += order["edited"]
        seen["refunded"] += bool(order["refunds"])
        seen["returned"] += order["returnStatus"] == "RETURNED"
        seen["taxes included"] += order["taxesIncluded"]
        seen["tip"] += cents(order["totalTipReceivedSet"]) > 0
        for line in order["lineItems"]["nodes"]:
            seen["gift card"] += line["isGiftCard"]
            seen["no sku"] += line["sku"] == ""
            seen["deleted product"] += line["sku"] is not None and line["product"] is None
    assert len(orders) > 500
    assert all(count >= 5 for count in seen.values()), seen


def test_the_ledger_adds_up_to_what_the_order_model_says(orders, ledger, books):
    book = books["retailer_3"]
    now = 1_489_968_000  # the clock of `living`: 2017-03-20
    compared = Counter()
    for order in orders[::4]:
        model = book.order(book.position(int(order["id"].rsplit("/", 1)[1])), now=now)
        worth = model.kept_net - sum(back.net for back in model.returns)
        goods = [
            sale
            for agreement in ledger(order)
            for sale in agreement["sales"]["nodes"]
            if sale["lineType"] in ("PRODUCT", "GIFT_CARD", "ADJUSTMENT")
        ]
        if order["cancelledAt"] is not None and not order["refunds"]:
            continue  # never paid: nothing to pay back
        assert sum(net(sale) for sale in goods) == worth, order["id"]
        units = sum(sale["quantity"] or 0 for sale in goods)
        goods_lines = [line for line in order["lineItems"]["nodes"] if line["title"] != "Tip"]
        assert units == sum(line["currentQuantity"] for line in goods_lines), order["id"]
        compared["changed" if order["edited"] or order["refunds"] else "plain"] += 1
    assert min(compared.values()) > 10


def test_tax_in_the_price_leaves_the_net_that_was_sold(orders, books):
    book, seen = books["retailer_3"], 0
    for order in orders:
        if not order["taxesIncluded"]:
            continue
        model = book.order(book.position(int(order["id"].rsplit("/", 1)[1])), now=1_489_968_000)
        lines = {line["id"].rsplit("/", 1)[1]: line for line in order["lineItems"]["nodes"]}
        for line in model.lines:
            told = lines[line.line_id]
            discount = sum(cents(each["allocatedAmountSet"]) for each in told["discountAllocations"])
            tax = sum(cents(each["priceSet"]) for each in told["taxLines"])
            assert cents(told["originalTotalSet"]) - discount - tax == line.net
            seen += tax > 0
    assert seen > 50


def test_agreements_tell_by_their_kind_what_happened(orders, ledger):
    kinds, sales = Counter(), Counter()
    for order in orders:
        if not (order["edited"] or order["refunds"] or order["returnStatus"] == "RETURNED"):
            continue
        told = ledger(order)
        assert [each["happenedAt"] for each in told] == sorted(each["happenedAt"] for each in told)
        assert (told[0]["__typename"], told[0]["reason"]) == ("OrderAgreement", "ORDER")
        kinds.update(each["__typename"] for each in told)
        edited = any(each["__typename"] == "OrderEditAgreement" for each in told)
        assert edited == order["edited"]
        refunds = [each["refund"]["id"] for each in told if each["__typename"] == "RefundAgreement"]
        assert refunds == [refund["id"] for refund in order["refunds"]]
        sales.update(
            (sale["__typename"], sale["actionType"]) for each in told for sale in each["sales"]["nodes"]
        )
    assert kinds.keys() == {"OrderAgreement", "OrderEditAgreement", "RefundAgreement", "ReturnAgreement"}
    assert {
        ("ProductSale", "ORDER"),
        ("ProductSale", "RETURN"),
        ("ProductSale", "UPDATE"),
        ("AdjustmentSale", "RETURN"),
        ("ShippingLineSale", "ORDER"),
        ("TipSale", "ORDER"),
    } <= sales.keys()


def test_a_page_of_one_agreement_and_one_sale_goes_through_the_whole_ledger(living, token, orders, ledger):
    order = max(orders, key=lambda each: each["edited"] and len(each["lineItems"]["nodes"]))
    whole = ledger(order)
    walked, after = [], None
    while True:
        found, sale_after = [], None
        while True:
            asked = {"id": order["id"], "n": 1, "after": after, "s": 1, "afterSale": sale_after}
            page = living.shopify(LEDGER, token, **asked).json()["data"]["order"]["agreements"]
            sales = page["edges"][0]["node"]["sales"]
            found += sales["nodes"]
            if not sales["pageInfo"]["hasNextPage"]:
                break
            sale_after = sales["pageInfo"]["endCursor"]
        walked.append(found)
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert walked == [each["sales"]["nodes"] for each in whole]
    assert len(walked) > 1


def test_an_order_that_moves_between_two_pages_takes_none_with_it_and_doubles_none(launch):
    day = "updated_at:>='2017-02-20T00:00:00Z' AND updated_at:<'2017-02-21T00:00:00Z'"
    query = "query($q: String!, $a: String) { orders(first: 7, query: $q, after: $a, sortKey: UPDATED_AT)"
    query += " { pageInfo { hasNextPage endCursor } nodes { id } } }"
    moving = launch("--clock", "2017-02-21T00:00:00Z", "--changes", "--speed", "0")
    token = moving.shopify_token().json()["access_token"]

    def walk(*, hours):
        found, after = [], None
        while True:
            page = moving.shopify(query, token, q=day, a=after).json()["data"]["orders"]
            found += [node["id"] for node in page["nodes"]]
            moving.advance(hours * 3600)
            if not page["pageInfo"]["hasNextPage"]:
                return found
            after = page["pageInfo"]["endCursor"]

    whole = walk(hours=0)
    walked = walk(hours=1)
    left = walk(hours=0)
    assert len(left) < len(whole) - 5
    assert len(walked) == len(set(walked))
    assert set(left) <= set(walked) <= set(whole)


def test_without_the_scope_for_all_orders_older_ones_are_missing_and_nothing_says_so(launch):
    narrow = launch("--clock", "2017-05-20T00:00:00Z", "--shopify-without-all-orders")
    answer = narrow.shopify_token().json()
    assert "read_all_orders" not in answer["scope"].split(",")
    query = (
        "query($q: String!) { ordersCount(query: $q) { count } orders(first: 9, query: $q) { nodes { id } } }"
    )
    counts = {}
    for day in ("2017-03-20", "2017-03-22"):
        search = f"updated_at:>='{day}T00:00:00Z' AND updated_at:<'{day}T23:00:00Z'"
        data = narrow.shopify(query, answer["access_token"], q=search).json()["data"]
        counts[day] = (data["ordersCount"]["count"], len(data["orders"]["nodes"]))
    assert counts["2017-03-20"] == (0, 0)
    assert counts["2017-03-22"][0] > 50
    scopes = "{ currentAppInstallation { accessScopes { handle } } }"
    told = narrow.shopify(scopes, answer["access_token"]).json()["data"]["currentAppInstallation"]
    assert "read_all_orders" not in {each["handle"] for each in told["accessScopes"]}
