"""Whatever a retailer sends in the place of what it should, no line stops the others and none vanishes."""

from copy import deepcopy
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retail.sources.amazon.mapping import AmazonSales
from retail.sources.service import Skipped
from retail.sources.shopify.mapping import ShopifySales
from retail.sources.values.json_path import dump, parse
from retail.sources.walmart.mapping import WalmartSales

pytestmark = pytest.mark.slow

USD = {"amount": "10.00", "currencyCode": "USD"}
BAG = {"shopMoney": USD}
AMAZON = {
    "orders": [
        {
            "orderId": "1",
            "createdTime": "2017-01-05T10:00:00Z",
            "lastUpdatedTime": "2017-01-05T10:00:00Z",
            "salesChannel": {"channelName": "AMAZON", "marketplaceId": "M"},
            "fulfillment": {"fulfillmentStatus": "SHIPPED"},
            "packages": [{"packageItems": [{"orderItemId": "1"}], "shipFromAddress": {"name": "S"}}],
            "orderItems": [
                {
                    "orderItemId": "1",
                    "quantityOrdered": 2,
                    "product": {"sellerSku": "A", "price": {"unitPrice": USD}},
                    "proceeds": {
                        "breakdowns": [
                            {"type": "ITEM", "subtotal": USD},
                            {"type": "TAX", "detailedBreakdowns": [{"subtype": "ITEM", "value": USD}]},
                            {"type": "DISCOUNT", "subtotal": USD},
                        ]
                    },
                    "fulfillment": {"quantityFulfilled": 2},
                    "cancellation": {"cancellationExecution": None},
                }
            ],
        }
    ]
    * 2
}
WALMART = {
    "list": {
        "elements": {
            "order": [
                {
                    "purchaseOrderId": "1",
                    "orderDate": 1483610400000,
                    "shipNode": {"id": "1", "name": "N"},
                    "orderLines": {
                        "orderLine": [
                            {
                                "lineNumber": "1",
                                "item": {"sku": "A"},
                                "charges": {
                                    "charge": [
                                        {
                                            "chargeType": "PRODUCT",
                                            "chargeName": "ItemPrice",
                                            "chargeAmount": {"amount": Decimal("10.00"), "currency": "USD"},
                                            "tax": {"taxAmount": {"amount": Decimal("1.00")}},
                                        }
                                    ]
                                },
                                "orderLineQuantity": {"amount": "3"},
                                "statusDate": 1483610400000,
                                "orderLineStatuses": {
                                    "orderLineStatus": [
                                        {"status": "Shipped", "statusQuantity": {"amount": "2"}},
                                        {"status": "Cancelled", "statusQuantity": {"amount": "1"}},
                                    ]
                                },
                            }
                        ]
                    },
                }
            ]
            * 2
        }
    }
}
SHOPIFY = {
    "data": {
        "orders": {
            "nodes": [
                {
                    "id": "gid://shopify/Order/1",
                    "processedAt": "2017-01-05T10:00:00Z",
                    "updatedAt": "2017-01-05T10:00:00Z",
                    "taxesIncluded": True,
                    "retailLocation": {"id": "gid://shopify/Location/1"},
                    "lineItems": {
                        "nodes": [
                            {
                                "id": "gid://shopify/LineItem/1",
                                "quantity": 2,
                                "product": {"id": "gid://shopify/Product/1"},
                                "originalTotalSet": BAG,
                                "originalUnitPriceSet": BAG,
                                "discountAllocations": [{"allocatedAmountSet": BAG}],
                                "taxLines": [{"priceSet": BAG}],
                            }
                        ]
                    },
                }
            ]
            * 2
        }
    }
}
CASES = {
    "amazon": (AmazonSales(retailer_id="r", zone=ZoneInfo("UTC")), AMAZON, ("orders",)),
    "walmart": (
        WalmartSales(retailer_id="r", zone=ZoneInfo("UTC"), charges_are_per_unit=True),
        WALMART,
        ("list", "elements", "order"),
    ),
    "shopify": (ShopifySales(retailer_id="r", zone=ZoneInfo("UTC")), SHOPIFY, ("data", "orders", "nodes")),
}
JUNK = st.sampled_from(
    [
        None, True, "", " ", "NaN", "-1", "1e999", "9" * 50, "\ud800", 0, -1, 10**30, Decimal("NaN"), Decimal("-0.0"),
        Decimal("1E+999999"), Decimal("1E-400"), Decimal("Infinity"), [], {}, [None], {"id": {}},
        "9999-12-31T23:59:59Z",
    ]
)  # fmt: skip


def places(value, path=()):
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, each in inner:
        yield from places(each, (*path, step))


def ref_of(each):
    return (each.record if isinstance(each, Skipped) else each).source_ref


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_change_to_the_first_order_leaves_the_second_as_it_was_and_loses_no_line(name, data):
    sales, good, way = CASES[name]
    answer = deepcopy(good)
    orders = answer
    for step in way:
        orders = orders[step]
    orders[0] = deepcopy(orders[0])
    untouched = list(sales.records(good, "p"))[1]  # type: ignore[attr-defined]

    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from([each for each in places(orders[0], (0,)) if each]))
        holder = orders
        for step in path:
            holder = holder[step]
        holder[last] = deepcopy(data.draw(JUNK))

    *records, second = sales.records(parse(dump(answer)), "p")  # type: ignore[attr-defined]
    assert second == untouched
    lines = orders[0]
    for step in {
        "amazon": ["orderItems"],
        "walmart": ["orderLines", "orderLine"],
        "shopify": ["lineItems", "nodes"],
    }[name]:
        lines = lines.get(step) if isinstance(lines, dict) else None
    assert len(records) == (len(lines) if isinstance(lines, list) and lines else 1)
    pointer, of_second = sales.entries(answer)  # type: ignore[attr-defined]
    assert [each.startswith(f"p#/answer{pointer}") for each in map(ref_of, records)] == [True] * len(records)
    assert ref_of(second).startswith(f"p#/answer{of_second}/")
    for each in records:
        record = each.record if isinstance(each, Skipped) else each
        record.to_line().encode()
        assert record.source_ref.startswith("p#/answer/")
