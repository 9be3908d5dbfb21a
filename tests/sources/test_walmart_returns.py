from copy import deepcopy
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from retail.sources.service import Skipped
from retail.sources.walmart.mapping import WalmartSales

USD = "USD"


def money(amount):
    return {"currencyAmount": Decimal(amount), "currencyUnit": USD}


LINE = {
    "returnOrderLineNumber": 2,
    "purchaseOrderId": "1796277083023",
    "purchaseOrderLineNumber": 1,
    "item": {"sku": "COASTER-4PK", "productName": "Cork Coasters, 4 pack"},
    "charges": [
        {
            "chargeCategory": "PRODUCT",
            "chargeName": "ItemPrice",
            "chargePerUnit": money("12.50"),
            "isDiscount": False,
            "isBillable": True,
            "tax": [{"taxName": "Tax1", "taxPerUnit": money("1.13")}],
        },
        {
            "chargeCategory": "PRODUCT",
            "chargeName": "SubscriptionDiscount",
            "chargePerUnit": money("0.50"),
            "isDiscount": True,
            "isBillable": True,
        },
        {"chargeCategory": "FEE", "chargeName": "Restocking", "chargePerUnit": money("3.00")},
        {"chargeCategory": "PRODUCT", "chargePerUnit": money("99.00"), "isBillable": False},
    ],
    "quantity": {"unitOfMeasure": "EACH", "measurementValue": 3},
    "refundedQty": 2,
    "status": "COMPLETED",
    "statusTime": "2017-01-12T02:20:51.000Z",
}
RETURN = {
    "returnOrderId": "103738048909818825",
    "customerEmailId": "a-pseudonym",
    "returnType": "REFUND",
    "returnOrderDate": "2017-01-10T03:01:08.000Z",
    "returnOrderLines": [LINE],
}


def normalised(**changes):
    order = deepcopy(RETURN)
    for name, value in changes.items():
        (order if name in RETURN else order["returnOrderLines"][0])[name] = value
    sales = WalmartSales(retailer_id="retailer_2", zone=ZoneInfo("America/Chicago"))
    return list(sales.records({"meta": {}, "returnOrders": [order]}, "payloads/p.json.gz"))


def test_a_return_is_a_row_of_its_own_on_its_own_day_with_what_went_back():
    [back] = normalised()

    assert (back.transaction_id, back.line_id) == ("1796277083023", "103738048909818825-2")
    assert (back.record_type, back.status, back.product_id) == ("return", "completed", "COASTER-4PK")
    assert (back.sold_at, back.business_date) == ("2017-01-10T03:01:08.000000Z", "2017-01-09")
    assert back.updated_at == "2017-01-12T02:20:51.000000Z"
    assert (back.quantity, back.total_amount, back.tax_amount) == ("-2", "-24.00", "-2.26")
    assert (back.unit_price, back.discount_amount, back.currency) == ("12.50", "1.00", USD)
    assert back.customer_id == "a-pseudonym"
    assert back.source_ref == "payloads/p.json.gz#/answer/returnOrders/0/returnOrderLines/0"


@pytest.mark.parametrize(
    "changes",
    [
        {"refundedQty": 0},
        {"refundedQty": 0, "status": "INITIATED"},
        {"refundedQty": None, "status": "INITIATED"},
    ],
)
def test_until_money_went_back_a_return_is_open_and_skipped(changes):
    [skipped] = normalised(**changes)

    assert isinstance(skipped, Skipped)
    assert (skipped.reason, Decimal(skipped.record.total_amount)) == ("open_return", 0)


def test_without_a_number_of_refunded_units_a_completed_return_counts_all_of_them():
    [back] = normalised(refundedQty=None)

    assert (back.quantity, back.total_amount) == ("-3", "-36.00")


def test_goods_that_were_replaced_come_back_without_money():
    [back] = normalised(returnType="REPLACEMENT", refundedQty=0)

    assert (back.quantity, back.total_amount, back.tax_amount) == ("-3", "0.00", "0.00")


def test_a_return_that_was_called_off_gives_nothing_back_and_keeps_its_key():
    [back] = normalised(returnCancellationReason="found it")

    assert (back.status, back.quantity, back.total_amount) == ("cancelled", "0", "0")
    assert back.line_id == "103738048909818825-2"


def test_a_return_order_that_is_none_is_landed_for_the_quarantine():
    [back] = normalised(returnOrderLines="none")

    assert (back.transaction_id, back.line_id) == (None, "103738048909818825")


def test_a_return_has_changed_when_the_tracking_of_its_units_has():
    tracked = [{"status": "COMPLETED", "statusTime": "2017-01-13T01:00:00.000Z"}, {"status": "COMPLETED"}]

    [back] = normalised(currentTrackingStatuses=tracked)

    assert back.updated_at == "2017-01-13T01:00:00.000000Z"


def event(number, tag, day=11):
    return {"sequenceNo": number, "eventTag": tag, "eventTime": f"2017-01-{day}T00:00:00Z"}


CALLED_OFF = [event(1, "RETURN_CANCELLED"), event(0, "RETURN_INITIATED")]


@pytest.mark.parametrize(
    ("events", "refunded", "status"),
    [
        (CALLED_OFF, None, "cancelled"),
        (CALLED_OFF, 0, "cancelled"),
        (CALLED_OFF, 2, "completed"),
        ([*CALLED_OFF, event(2, "RETURN_COMPLETED")], None, "completed"),
        ([event(None, "RETURN_INITIATED", 10), event(None, "RETURN_CANCELLED", 11)], None, "cancelled"),
        ([event(None, "RETURN_CANCELLED", 10), event(None, "RETURN_INITIATED", 11)], None, "completed"),
    ],
)
def test_the_last_event_tells_whether_a_completed_return_was_called_off(events, refunded, status):
    [record] = normalised(returnTrackingDetail=events, refundedQty=refunded)

    assert record.status == status
    assert (record.quantity == "0") == (status == "cancelled")


def units(status, number):
    return {"status": status, "quantity": {"unitOfMeasure": "EACH", "measurementValue": number}}


@pytest.mark.parametrize(
    ("of_line", "of_units", "quantity"),
    [
        (None, [units("COMPLETED", 3)], "-3"),
        (None, [units("COMPLETED", 1), units("INITIATED", 2)], "-1"),
        ("INITIATED", [units("COMPLETED", 2), units("INITIATED", 1)], "-2"),
        ("COMPLETED", [units("COMPLETED", 1)], "-3"),
        ("COMPLETED", [], "-3"),
    ],
)
def test_the_state_of_a_return_stands_in_two_places_and_both_are_read(of_line, of_units, quantity):
    [record] = normalised(status=of_line, currentTrackingStatuses=of_units, refundedQty=None)

    assert record.quantity == quantity


def test_the_last_penny_of_price_and_tax_comes_back_once_and_only_with_the_last_unit():
    charge = {**LINE["charges"][0], "excessCharge": money("0.01")}
    charge["tax"] = [{"taxPerUnit": money("0.33"), "excessTax": money("0.01")}]

    [whole] = normalised(charges=[charge], refundedQty=3)
    [part] = normalised(charges=[charge], refundedQty=2)

    assert (whole.total_amount, whole.tax_amount) == ("-37.51", "-1.00")
    assert (part.total_amount, part.tax_amount) == ("-25.00", "-0.66")
