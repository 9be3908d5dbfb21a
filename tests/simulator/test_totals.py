"""The simulator's word on what is true of orders that live on: the sum of all that is served, and its own use."""

from collections import Counter
from datetime import datetime
from decimal import Decimal

import pytest

pytestmark = pytest.mark.slow

FIRST, END = "2017-03-01T00:00:00Z", "2017-03-20T00:00:00Z"
DATA = "PROCEEDS,FULFILLMENT,CANCELLATION"
REBATES = ("PromoRebates", "PromotionalRebates")
NODES = ["SellerFulfilled", "WFSFulfilled", "3PLFulfilled"]


@pytest.fixture(scope="module")
def totals(living):
    return living.get("/simulator/totals", params={"from": FIRST, "to": END}).json()["retailers"]


def parts(item, kind):
    """Amounts of a kind of proceeds that belong to the goods."""
    for part in item.get("proceeds", {}).get("breakdowns", []):
        if part["type"] == kind:
            details = part.get("detailedBreakdowns")
            goods = [each["value"] for each in details or [] if each["subtype"] == "ITEM"]
            yield from (Decimal(each["amount"]) for each in (goods if details else [part["subtotal"]]))


def test_amazons_rows_and_money_are_those_served(living, totals):
    orders = living.amazon_orders(createdAfter=FIRST, createdBefore="2017-03-19T23:58:00Z", includedData=DATA)
    sales, money, skipped = 0, Decimal(0), {}
    for order in orders:
        status, items = order["fulfillment"]["fulfillmentStatus"], order["orderItems"]
        if order["salesChannel"]["channelName"] == "NON_AMAZON" or status == "PENDING":
            reason = "pending" if status == "PENDING" else "non_amazon"
            skipped[reason] = skipped.get(reason, 0) + len(items)
            continue
        sales += len(items)
        for item in items:
            if sum(item["fulfillment"].values()) or not item.get("cancellation"):
                money += sum(parts(item, "ITEM")) - abs(sum(parts(item, "DISCOUNT")))
    true = totals["retailer_1"]
    last_minutes = {"from": "2017-03-19T23:58:01Z", "to": END}
    late = living.get("/simulator/totals", params=last_minutes).json()["retailers"]["retailer_1"]
    assert late["records"]["sale"] == 0, "move the clock: an order was sold in the last two minutes"
    assert sales == true["records"]["sale"]
    assert money == Decimal(true["money"]["sale"])
    assert skipped == true["skipped"]
    assert skipped.keys() == {"pending", "non_amazon"}


def test_amazons_refunds_count_once_on_the_day_they_were_posted(living, totals):
    found = living.amazon_transactions(postedAfter=FIRST, postedBefore="2017-03-19T23:57:00Z")
    rows, units, money, tax = Counter(), Counter(), Counter(), Counter()
    for one in found:
        names = {each["relatedIdentifierName"] for each in one["relatedIdentifiers"]}
        if one["transactionType"] != "Refund" or "DEFERRED_TRANSACTION_ID" in names:
            continue
        for item in one["items"]:
            [context] = item["contexts"]
            kind = "return" if "quantityShipped" in context else "refund"
            rows[kind] += 1
            units[kind] -= context.get("quantityShipped", 0)
            # Where an item tells nothing, the transaction does, under the same names.
            for part in item["breakdowns"] or [
                each for side in one["breakdowns"] for each in side["breakdowns"] or []
            ]:
                amounts = {
                    each["breakdownType"]: each["breakdownAmount"] for each in part["breakdowns"] or [part]
                }
                for name, amount in amounts.items():
                    if name in ("OurPricePrincipal", "ProductCharges", "OurPriceDiscount", *REBATES):
                        money[kind] += amount["currencyAmount"]
                    elif name in ("OurPriceTax", "Tax"):
                        tax[kind] += amount["currencyAmount"]
    true = totals["retailer_1"]
    assert rows == {kind: true["records"][kind] for kind in ("return", "refund")}
    assert min(rows.values()) > 10
    assert money == {kind: Decimal(true["money"][kind]) for kind in rows}
    assert units == true["units"]
    assert tax == {kind: Decimal(cents) for kind, cents in true["tax"].items()}
    assert Decimal(true["money"]["net"]) == Decimal(true["money"]["sale"]) + money.total()


def test_walmarts_rows_and_money_are_those_served(living, totals):
    sales, money = 0, Decimal(0)
    for node in NODES:
        window = (
            f"?createdStartDate={FIRST}&createdEndDate=2017-03-19T23:59:59Z&limit=200&shipNodeType={node}"
        )
        for order in living.walmart_orders(window):
            for line in order["orderLines"]["orderLine"]:
                sales += 1
                money += kept_share(line)
    true = totals["retailer_2"]
    assert sales == true["records"]["sale"]
    assert money == Decimal(true["money"]["sale"])
    window = f"?returnCreationStartDate={FIRST}&returnCreationEndDate=2017-03-19T23:59:59Z&limit=200"
    returns = [line for one in living.walmart_returns(window) for line in one["returnOrderLines"]]
    done = [line for line in returns if line["refundedQty"]]
    paid_back = sum(refunded(line) for line in done)
    assert len(done) == true["records"]["return"] > 50
    assert -paid_back == Decimal(true["money"]["return"]) < 0
    assert true["records"]["refund"] > 10
    refund = Decimal(true["money"]["refund"])
    assert refund < 0
    assert money - paid_back + refund == Decimal(true["money"]["net"])
    assert true["skipped"] == {"open_return": len(returns) - len(done)}
    assert len(returns) > len(done)


def kept_share(line):
    total = Decimal(0)
    for charge in line["charges"]["charge"]:
        amount = charge["chargeAmount"]["amount"]
        if charge["chargeType"] == "PRODUCT":
            total += -abs(amount) if "Discount" in charge["chargeName"] else amount
    ordered = int(line["orderLineQuantity"]["amount"])
    statuses = line["orderLineStatuses"]["orderLineStatus"]
    gone = [int(each["statusQuantity"]["amount"]) for each in statuses if each["status"] == "Cancelled"]
    if not gone:
        return total
    return total * (ordered - sum(gone)) / ordered if ordered else Decimal(0)


def refunded(line):
    total = Decimal(0)
    for charge in line["charges"]:
        if charge["chargeCategory"] == "PRODUCT":
            amount = abs(charge["chargePerUnit"]["currencyAmount"])
            total += -amount if charge["isDiscount"] else amount
    return total * line["quantity"]["measurementValue"]


def test_shopifys_trials_and_gift_cards_are_counted_apart(totals, books):
    true = totals["retailer_3"]
    assert true["skipped"].keys() == {"test_order", "gift_card"}
    assert true["records"]["return"] > 30
    rows = sum(true["skipped"].values()) + true["records"]["sale"]
    assert abs(true["rows"] - rows) < 60  # lines that an edit has not added yet, prices that one raised


def test_shopifys_money_over_all_days_is_that_of_the_orders_as_they_stand(living, books):
    """A changed price and removed units have days of their own there; over all days they are in the order."""
    span = {"from": "2017-01-01T00:00:00Z", "to": END}
    true = living.get("/simulator/totals", params=span).json()["retailers"]["retailer_3"]
    now = int(datetime.fromisoformat(END).timestamp())
    orders = [books["retailer_3"].order(at, now=now) for at in books["retailer_3"].created_between(0, now)]
    kept = [order for order in orders if order.kind != "test" and order.cancelled is None]
    net = sum(line.kept_net for order in kept for line in order.lines if not line.gift_card)
    net -= sum(back.net for order in kept for back in order.returns)
    assert Decimal(true["money"]["net"]) == Decimal(net).scaleb(-2)
    assert Decimal(true["money"]["refund"]) < 0


def test_what_is_as_sold_is_still_told(living, simulator, totals):
    plain = simulator.get("/simulator/totals", params={"from": FIRST, "to": END}).json()["retailers"]
    for retailer, one in plain.items():
        assert one.items() <= totals[retailer].items()
        assert "records" not in one


def test_totals_change_as_time_goes_by(launch):
    moving = launch("--clock", "2017-03-07T00:00:00Z", "--changes", "--speed", "0")
    day = {"from": "2017-03-06T00:00:00Z", "to": "2017-03-07T00:00:00Z"}
    before = moving.get("/simulator/totals", params=day).json()["retailers"]
    moving.advance(30 * 86400)
    after = moving.get("/simulator/totals", params=day).json()["retailers"]
    for retailer in before:
        assert before[retailer]["net"] == after[retailer]["net"]
        assert before[retailer]["money"] != after[retailer]["money"]
    assert before["retailer_1"]["skipped"]["pending"] > 0
    assert "pending" not in after["retailer_1"]["skipped"]


def test_it_tells_its_own_use_of_time_and_the_requests_it_had(launch):
    running = launch("--clock", "2017-03-20T00:00:00Z")
    running.amazon(lastUpdatedAfter="2017-03-19T00:00:00Z")
    for sku in ("1", "2"):
        running.walmart("?productIdType=SKU", path=f"/v3/items/{sku}")
    usage = running.get("/simulator/usage").json()
    assert usage["cpu_seconds"] > 0
    assert usage["requests"] == {
        "retailer_1": {"/orders/2026-01-01/orders": 1},
        "retailer_2": {"/v3/items/{id}": 2},
        "retailer_3": {},
    }


def test_a_faster_clock_refills_what_was_throttled(launch):
    fast = launch("--clock", "2017-03-20T00:00:00Z", "--throttle", "--speed", "2000")
    window = {"lastUpdatedAfter": "2017-03-06T00:00:00Z", "lastUpdatedBefore": "2017-03-06T01:00:00Z"}
    statuses = [fast.amazon(**window).status_code for _ in range(40)]
    assert statuses.count(200) > 20
