"""What transactions of Amazon's Finances give back of sales, and how their pages are walked."""

from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from retail.errors import CursorExpiredError, ExtractError
from retail.sources.amazon import finances
from retail.sources.amazon.mapping import AmazonSales
from retail.sources.service import Skipped
from retail.sources.values.json_path import parse
from retail.sources.window import Window

MARKETPLACE = "ATVPDKIKX0DER"
WINDOW = Window(date(2017, 1, 5), datetime(2017, 1, 5, 8, tzinfo=UTC), datetime(2017, 1, 6, 8, tzinfo=UTC))


def breakdown(kind, amount, *parts):
    return {"breakdownType": kind, "breakdownAmount": usd(amount), "breakdowns": list(parts) or None}


def usd(amount):
    return {"currencyAmount": amount, "currencyCode": "USD"}


def related(**ids):
    return [{"relatedIdentifierName": name, "relatedIdentifierValue": value} for name, value in ids.items()]


# Two of three mugs come back: 13.33 each, less a rebate of 2.00, with the shipping of 5.00.
BREAKDOWNS = [
    # Where Amazon collects the tax for the state, it stands there a second time, and its sum is 0.
    breakdown(
        "Tax",
        "-0.40",
        breakdown("OurPriceTax", "-2.46"),
        breakdown("ShippingTax", "-0.40"),
        breakdown("MarketplaceFacilitatorTax-Principal", "2.46"),
    ),
    breakdown("ProductCharges", "-26.66", breakdown("OurPricePrincipal", "-26.66")),
    breakdown("Shipping", "-5.00", breakdown("ShippingPrincipal", "-5.00")),
    breakdown(
        "PromoRebates", "2.50", breakdown("OurPriceDiscount", "2.00"), breakdown("ShippingDiscount", "0.50")
    ),
    breakdown("AmazonFees", "3.20", breakdown("Commission", "4.00", breakdown("Tax", "0.80"))),
]
ITEM = {
    "description": "Stoneware Mug",
    "totalAmount": usd("-29.32"),
    "relatedIdentifiers": [
        {
            "itemRelatedIdentifierName": "ORDER_ADJUSTMENT_ITEM_ID",
            "itemRelatedIdentifierValue": "6226957701205",
        }
    ],
    "breakdowns": BREAKDOWNS,
    "contexts": [{"contextType": "ProductContext", "sku": "MUG", "asin": "B0C1EXAMP1", "quantityShipped": 2}],
}
REFUND = {
    "transactionType": "Refund",
    "transactionId": "T-1",
    "transactionStatus": "RELEASED",
    "relatedIdentifiers": related(ORDER_ID="111-1", REFUND_ID="R-1"),
    "totalAmount": usd("-29.32"),
    "description": "Refund Order",
    "postedDate": "2017-01-06T05:00:00Z",
    "marketplaceDetails": {"marketplaceId": MARKETPLACE, "marketplaceName": "Amazon.com"},
    "items": [ITEM],
    "breakdowns": [
        breakdown("Sales", "-32.52", breakdown("Tax", "-2.86"), breakdown("ProductCharges", "-26.66")),
        breakdown("Expenses", "3.20", breakdown("AmazonFees", "3.20")),
    ],
}
WITHOUT_BREAKDOWNS = deepcopy(ITEM) | {"breakdowns": None}


def rows(*transactions, marketplaces=(MARKETPLACE,)):
    sales = AmazonSales(
        retailer_id="retailer_1",
        zone=ZoneInfo("America/Los_Angeles"),
        marketplaces=frozenset(marketplaces),
    )
    return list(sales.records({"payload": {"transactions": list(transactions)}}, "payloads/p.json.gz"))


def reason(**changes):
    [skipped] = rows(REFUND | changes)
    assert isinstance(skipped, Skipped)
    return skipped.reason


def test_a_refunded_item_is_a_return_of_its_units_on_the_day_it_was_posted():
    [row] = rows(REFUND)

    assert (row.transaction_id, row.line_id, row.record_type) == ("111-1", "T-1-6226957701205", "return")
    assert (row.sold_at, row.business_date) == ("2017-01-06T05:00:00.000000Z", "2017-01-05")
    assert (row.product_id, row.store_id, row.currency) == ("MUG", MARKETPLACE, "USD")
    # Goods less their rebate; the tax of goods alone; neither shipping nor fees.
    assert (row.quantity, row.unit_price, row.discount_amount) == ("-2", "13.33", "2.00")
    assert (row.total_amount, row.tax_amount) == ("-24.66", "-2.46")
    assert row.source_ref == "payloads/p.json.gz#/answer/payload/transactions/0/items/0"


def test_an_amount_is_read_with_all_its_digits():
    answer = parse(
        '{"transactions": [{"transactionType": "Refund", "transactionId": "T-1", "postedDate": "2017-01-06T05:00:00Z",'
        ' "relatedIdentifiers": [{"relatedIdentifierName": "ORDER_ID", "relatedIdentifierValue": "1"}],'
        ' "breakdowns": [{"breakdownType": "Product Charges", "breakdownAmount": {"currencyAmount": -0.10}}]}]}'
    )
    sales = AmazonSales(retailer_id="retailer_1", zone=ZoneInfo("UTC"))

    [row] = sales.records(answer, "p")

    # Neither an item nor `payload`, and the model's own spelling of the type.
    assert (row.record_type, row.product_id, row.total_amount) == ("refund", "adjustment", "-0.10")


def test_money_without_units_is_a_refund():
    product = ITEM["contexts"][0] | {"quantityShipped": None}

    [row] = rows(REFUND | {"items": [ITEM | {"contexts": [product]}]})

    assert (row.record_type, row.quantity, row.unit_price) == ("refund", "0", None)
    assert (row.total_amount, row.product_id) == ("-24.66", "MUG")


def test_money_that_comes_back_to_the_seller_is_a_sale_of_no_units():
    won = ITEM | {"breakdowns": [breakdown("ProductCharges", "26.66")]}

    [row] = rows(REFUND | {"transactionType": "Chargeback", "items": [won], "breakdowns": won["breakdowns"]})

    assert (row.record_type, row.quantity, row.total_amount) == ("sale", "0", "26.66")


def test_where_only_the_transaction_names_the_money_it_is_its_items():
    [row] = rows(REFUND | {"items": [WITHOUT_BREAKDOWNS], "breakdowns": BREAKDOWNS})

    assert (row.line_id, row.product_id, row.quantity) == ("T-1", "MUG", "-2")
    assert (row.total_amount, row.tax_amount) == ("-24.66", "-2.46")


def test_without_a_single_item_it_is_an_adjustment_of_the_order():
    parts = [
        breakdown("Tax", "-3.00"),
        breakdown("ProductCharges", "-20.00"),
        breakdown("Shipping", "-10.00"),
    ]
    several = [WITHOUT_BREAKDOWNS, WITHOUT_BREAKDOWNS]

    [row] = rows(REFUND | {"items": several, "breakdowns": [breakdown("Expenses", "-33.00", *parts)]})

    assert (row.line_id, row.product_id, row.record_type) == ("T-1", "adjustment", "refund")
    # A tax that is not broken down is shared out between goods and shipping.
    assert (row.total_amount, row.tax_amount) == ("-20.00", "-2")


def test_items_that_name_less_than_the_transaction_leave_the_rest_to_an_adjustment():
    whole = [breakdown("Sales", "-40.00", breakdown("ProductCharges", "-30.00"), breakdown("Tax", "-9.00"))]

    item, rest = rows(REFUND | {"breakdowns": whole})

    assert (item.total_amount, item.line_id) == ("-24.66", "T-1-6226957701205")
    assert (rest.total_amount, rest.tax_amount, rest.line_id) == ("-3.34", "0", "T-1")


@pytest.mark.parametrize(
    ("rebate", "total"),
    [
        ("5.00", "-30.00"),
        ("7.00", "-24.00"),
        ("0", "-30.00"),
    ],  # the shipping's own; goods and shipping's; none
)
def test_a_rebate_that_is_not_broken_down_is_the_shipping_s_or_shared(rebate, total):
    parts = [
        breakdown("ProductCharges", "-30.00"),
        breakdown("Shipping", "-5.00"),
        breakdown("PromotionalRebates", rebate),
    ]

    [row] = rows(REFUND | {"items": [ITEM | {"breakdowns": parts}], "breakdowns": parts})

    assert Decimal(row.total_amount) == Decimal(total)


def test_a_tax_that_happens_to_be_as_much_as_the_shipping_is_shared_all_the_same():
    parts = [breakdown("ProductCharges", "-15.00"), breakdown("Shipping", "-5.00"), breakdown("Tax", "-5.00")]

    [row] = rows(REFUND | {"items": [ITEM | {"breakdowns": parts}], "breakdowns": parts})

    assert Decimal(row.tax_amount) == Decimal("-3.75")


def test_tax_inside_of_the_charges_on_one_side_only_is_no_difference():
    inside = [
        breakdown(
            "ProductCharges", "-12.00", breakdown("OurPricePrincipal", "-10"), breakdown("OurPriceTax", "-2")
        )
    ]

    [row] = rows(
        REFUND
        | {"items": [ITEM | {"breakdowns": inside}], "breakdowns": [breakdown("ProductCharges", "-12.00")]}
    )

    assert (row.total_amount, row.tax_amount) == ("-10.00", "-2")


def test_units_of_a_refund_without_goods_did_not_come_back():
    [row] = rows(REFUND | {"items": [ITEM | {"breakdowns": [breakdown("Tax", "-2.00")]}], "breakdowns": None})

    assert (row.record_type, row.quantity, row.total_amount, row.tax_amount) == ("refund", "0", "0", "-2.00")


def test_what_a_transaction_does_not_name_is_found_elsewhere_or_left_out():
    bare = {"totalAmount": None, "marketplaceDetails": None}

    [row] = rows(REFUND | bare)

    assert (row.currency, row.store_id, row.total_amount) == ("USD", None, "-24.66")
    assert (
        reason(**bare, sellingPartnerMetadata={"marketplaceId": "A2EUQ1WTGCTBG2"})
        == finances.OTHER_MARKETPLACE
    )


def test_two_items_with_one_id_stay_two_rows():
    found = rows(REFUND | {"items": [ITEM, ITEM], "breakdowns": None})

    assert [row.line_id for row in found] == ["T-1-1", "T-1-2"]


def test_a_deferred_refund_counts_once_when_it_was_deferred():
    deferred = REFUND | {"transactionStatus": "DEFERRED"}
    released = REFUND | {
        "transactionId": "T-9",
        "postedDate": "2017-01-14T05:00:00Z",
        "relatedIdentifiers": related(ORDER_ID="111-1", DEFERRED_TRANSACTION_ID="T-1"),
    }
    afterwards = deferred | {
        "transactionStatus": "DEFERRED_RELEASED",
        "relatedIdentifiers": related(ORDER_ID="111-1", RELEASE_TRANSACTION_ID="T-9"),
    }

    first, second, skipped = rows(deferred, afterwards, released)

    assert (first.line_id, first.business_date, first.total_amount) == (
        "T-1-6226957701205",
        "2017-01-05",
        "-24.66",
    )
    assert (second.natural_key, second.updated_at) == (first.natural_key, first.updated_at)
    assert (skipped.reason, skipped.record.total_amount) == (finances.RELEASE, "-26.66")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"transactionType": "Shipment"}, finances.ORDER_PAYMENT),
        (
            {"transactionType": "FBAInventoryReimbursement", "relatedIdentifiers": None},
            finances.REIMBURSEMENT,
        ),
        ({"transactionType": "ServiceFee", "relatedIdentifiers": None}, finances.NO_SALE),
        (
            {"transactionType": "Retrocharge", "items": None, "breakdowns": [breakdown("Tax", "-1.00")]},
            finances.NO_SALE,
        ),
        (
            {"items": None, "breakdowns": [breakdown("Shipping", "-5.00"), breakdown("AmazonFees", "1.00")]},
            finances.NO_GOODS_REFUNDED,
        ),
        ({"marketplaceDetails": {"marketplaceId": "A2EUQ1WTGCTBG2"}}, finances.OTHER_MARKETPLACE),
    ],
)
def test_what_gives_back_no_goods_is_skipped_by_its_reason(changes, expected):
    assert reason(**changes) == expected


def test_goods_paid_back_under_a_name_that_is_not_known_are_a_refund_too():
    [row] = rows(REFUND | {"transactionType": "SomethingNew"})

    assert (row.record_type, row.total_amount) == ("return", "-24.66")


@pytest.mark.parametrize(
    "broken",
    [
        {"transactionId": None},
        {"relatedIdentifiers": None},
        {"items": [ITEM | {"breakdowns": [breakdown("ProductCharges", "free")]}]},
        {"items": [ITEM | {"breakdowns": [breakdown("ProductCharges", None)]}]},
        {
            "transactionType": "SomethingNew",
            "items": [ITEM | {"breakdowns": [breakdown("ProductCharges", "free")]}],
            "breakdowns": None,
        },
    ],
)
def test_a_refund_that_cannot_be_read_is_never_lost(broken):
    [row, *_] = rows(REFUND | broken)

    assert not isinstance(row, Skipped)
    assert None in (row.transaction_id, row.line_id, row.total_amount) or row.total_amount == "NaN"


def page(*transactions, token=None):
    return {"payload": {"transactions": list(transactions)} | ({"nextToken": token} if token else {})}


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (page(REFUND), ["/payload/transactions/0"]),
        ({"transactions": [REFUND]}, ["/transactions/0"]),
        ({"payload": {}}, []),
        ({}, []),
        ({"list": {}}, None),
    ],
)
def test_a_page_of_transactions_is_counted_apart_and_may_have_no_list(answer, found):
    sales = AmazonSales(retailer_id="retailer_1", zone=ZoneInfo("UTC"))
    assert sales.entries(answer) == found


def test_transactions_follow_the_orders_past_empty_pages(open_at, scripted, reply):
    answers = [page(token="n1"), page(REFUND, token="n2"), {"payload": {}}]
    server = scripted(reply(body={"orders": []}), transactions=[reply(body=each) for each in answers])

    pages = list(open_at("retailer_1", server.url).pages(WINDOW, None))

    assert [each.next_cursor for each in pages] == ["transactions:", "transactions:n2", None]
    asked = [seen.query for seen in server.seen_transactions]
    assert asked[0] == {"postedAfter": "2017-01-05T08:00:00Z", "postedBefore": "2017-01-06T08:00:00Z"}
    assert asked[1:] == [asked[0] | {"nextToken": "n1"}, asked[0] | {"nextToken": "n2"}]


def test_a_walk_resumes_among_the_transactions(open_at, scripted, reply):
    server = scripted(transactions=[reply(body=page(REFUND))])

    [last] = open_at("retailer_1", server.url).pages(WINDOW, "transactions:n1")

    assert (last.next_cursor, server.seen, server.seen_transactions[0].query["nextToken"]) == (None, [], "n1")


def test_a_token_that_amazon_no_longer_takes_has_the_day_walked_from_its_start(open_at, scripted, reply):
    server = scripted(transactions=[reply(400, {"errors": [{"code": "InvalidInput"}]})])

    with pytest.raises(CursorExpiredError):
        list(open_at("retailer_1", server.url).pages(WINDOW, "transactions:old"))


def test_empty_pages_in_a_circle_are_stopped(open_at, scripted, reply):
    endless = (reply(body=page(token=f"n{number % 3}")) for number in range(99))
    server = scripted(reply(body={"orders": []}), transactions=endless)

    with pytest.raises(ExtractError):
        list(open_at("retailer_1", server.url).pages(WINDOW, None))

    assert len(server.seen_transactions) == 4


def test_without_the_role_the_hint_names_it_and_the_option_that_does_without(open_at, scripted, reply):
    refused = {"errors": [{"code": "Unauthorized", "message": "Access to requested resource is denied."}]}
    server = scripted(reply(body={"orders": []}), transactions=[reply(403, refused)] * 2)

    with pytest.raises(ExtractError) as caught:
        list(open_at("retailer_1", server.url).pages(WINDOW, None))

    assert "retailers.retailer_1.options.refunds = false" in caught.value.hint
    server = scripted(reply(body={"orders": []}))
    [only] = open_at("retailer_1", server.url, options={"refunds": False}).pages(WINDOW, None)
    assert (only.next_cursor, server.seen_transactions) == (None, [])


def test_orders_look_back_a_day_and_transactions_two(open_at, scripted, reply):
    server = scripted(reply(body={"orders": []}))
    day = timedelta(days=1)
    window = Window(WINDOW.logical_date, WINDOW.start - 2 * day, WINDOW.end, 2 * day, WINDOW)

    list(open_at("retailer_1", server.url).pages(window, None))

    assert server.seen[0].query["lastUpdatedAfter"] == "2017-01-04T08:00:00Z"
    assert server.seen_transactions[0].query["postedAfter"] == "2017-01-03T08:00:00Z"


def test_the_plan_counts_orders_and_transactions_of_their_own_look_back(open_at, scripted, reply):
    orders = {"orders": [{"lastUpdatedTime": "2017-01-05T08:00:00Z"}] * 25}
    server = scripted(*[reply(body=orders)] * 4, transactions=[reply(body=page(REFUND, token="n"))])
    two_days = timedelta(days=2)
    window = Window(WINDOW.logical_date, WINDOW.start - two_days, WINDOW.end, two_days, WINDOW)

    estimate = open_at("retailer_1", server.url).estimate([window])

    # 100 orders in the day and the one before it: so 150 transactions with a second day, on pages of one.
    assert server.seen[0].query["lastUpdatedAfter"] == "2017-01-04T08:00:00Z"
    assert (estimate.orders, estimate.calls) == (100, 1 + 150)


def test_the_plan_counts_the_pages_of_transactions_and_their_quota(open_at, scripted, reply):
    orders = {"orders": [{"lastUpdatedTime": "2017-01-05T08:00:00Z"}] * 25}
    server = scripted(
        *[reply(body=orders)] * 4,
        transactions=[reply(body=page(token="e")), reply(body=page(*[REFUND] * 2, token="n"))],
    )

    estimate = open_at("retailer_1", server.url).estimate([WINDOW])

    # 100 orders on 1 page, and so as many transactions on 50; 8 more can be asked for at once.
    assert (estimate.calls, estimate.asked, estimate.quota_seconds) == (51, 6, 84)
