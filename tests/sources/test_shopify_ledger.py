"""What Shopify's ledger of a changed order means, and when it is asked for."""

import json
import tomllib
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.test_shopify import WINDOW, page_of

from retail.errors import ExtractError
from retail.sources.service import Skipped
from retail.sources.shopify.ledger import needs_ledger
from retail.sources.shopify.mapping import ShopifySales
from retail.sources.values.json_path import at, dump, parse

RULES = Path(__file__).parents[2] / "conf" / "expectations" / "row_rules.toml"


def money(amount):
    return {"shopMoney": {"amount": amount, "currencyCode": "USD"}}


def line(number, **changes):
    return {
        "id": f"gid://shopify/LineItem/{number}",
        "sku": f"SKU-{number}",
        "title": f"Thing {number}",
        "vendor": "Clayworks",
        "quantity": 2,
        "currentQuantity": 1,
        "isGiftCard": False,
        "product": {"id": "gid://shopify/Product/1", "productType": "Mugs"},
        "variant": {"id": "gid://shopify/ProductVariant/1"},
        "originalTotalSet": money("20.00"),
        "originalUnitPriceSet": money("10.00"),
        "discountAllocations": [{"allocatedAmountSet": money("2.00")}],
        "taxLines": [{"priceSet": money("1.80")}],
    } | changes


def sale(
    number, action="ORDER", *, of="1", total="19.80", tax="1.80", discount="2.00", quantity=2, kind="PRODUCT"
):
    entry = {
        "id": f"gid://shopify/Sale/{number}",
        "actionType": action,
        "lineType": kind,
        "quantity": quantity,
        "totalAmount": money(total),
        "totalTaxAmount": money(tax),
        "totalDiscountAmountBeforeTaxes": money(discount),
    }
    return entry | ({"lineItem": {"id": f"gid://shopify/LineItem/{of}"}} if of else {})


def agreement(number, happened, *sales, reason="ORDER"):
    return {
        "id": f"gid://shopify/SalesAgreement/{number}",
        "happenedAt": happened,
        "reason": reason,
        "sales": {"nodes": [*sales]},
    }


PLACED = agreement(1, "2017-01-05T15:00:05Z", sale(11))
RETURNED = agreement(
    2,
    "2017-01-09T03:00:00Z",
    sale(21, "RETURN", total="-9.90", tax="-0.90", discount="-1.00", quantity=-1),
    reason="REFUND",
)


def order(*agreements, lines=("1",), **changes):
    return {
        "id": "gid://shopify/Order/7",
        "createdAt": "2017-01-05T15:00:05Z",
        "processedAt": "2017-01-05T15:00:00Z",
        "updatedAt": "2017-01-10T10:00:00Z",
        "cancelledAt": None,
        "test": False,
        "edited": True,
        "returnStatus": "NO_RETURN",
        "refunds": [],
        "totalTipReceivedSet": money("0.0"),
        "currencyCode": "USD",
        "taxesIncluded": False,
        "customer": {"id": "a-pseudonym"},
        "retailLocation": {"id": "gid://shopify/Location/367", "name": "Store 367"},
        "lineItems": {"nodes": [line(number) if isinstance(number, str) else number for number in lines]},
        "agreements": {"nodes": deepcopy([*agreements])},
    } | changes


def records(*orders):
    sales = ShopifySales(retailer_id="retailer_3", zone=ZoneInfo("America/New_York"))
    return list(sales.records(page_of(*orders), "p"))


def broken_rules(record):
    """The reasons for which staging would quarantine the record: a required field, or a row rule."""
    rules = [rule for rule in tomllib.loads(RULES.read_text())["rule"] if rule.get("severity") != "warning"]
    row = json.loads(record.to_line())
    missing = [
        name for name in ("product_id", "quantity", "total_amount", "line_id", "sold_at") if not row[name]
    ]
    typed = ", ".join(
        f"CAST(? AS {'DECIMAL(18,4)' if name in NUMBERS else 'VARCHAR'}) AS {name}" for name in row
    )
    selected = f"SELECT * REPLACE (CAST(business_date AS DATE) AS business_date) FROM (SELECT {typed})"
    for rule in rules:
        when = (
            rule["when"]
            .replace("RLIKE", "SIMILAR TO")
            .replace("to_date(sold_at)", "CAST(sold_at[:10] AS DATE)")
        )
        when = when.replace("datediff(business_date, ", "datediff('day', business_date, ")
        if duckdb.execute(f"SELECT count(*) FROM ({selected}) WHERE {when}", [*row.values()]).fetchone()[0]:
            missing.append(rule["reason"])
    return missing


NUMBERS = ("quantity", "unit_price", "discount_amount", "tax_amount", "total_amount")


def test_the_first_sale_of_a_line_is_the_same_row_as_before_the_order_changed():
    [before] = records({**order(), "edited": False})

    [after] = records(order(PLACED))

    assert after.source_ref == "p#/answer/data/orders/nodes/0/agreements/nodes/0/sales/nodes/0"
    same = {name: value for name, value in json.loads(before.to_line()).items() if name != "source_ref"}
    assert {name: json.loads(after.to_line())[name] for name in same} == same
    assert (after.line_id, after.sold_at, after.total_amount) == ("1", "2017-01-05T15:00:00.000000Z", "18.00")


def test_with_tax_in_the_price_too():
    taxed = {"taxesIncluded": True, "lines": (line("1", originalTotalSet=money("21.80")),)}
    [before] = records({**order(**taxed), "edited": False})

    [after] = records(order(PLACED, **taxed))

    fields = ("total_amount", "tax_amount", "discount_amount", "quantity", "unit_price")
    assert [getattr(after, name) for name in fields] == [getattr(before, name) for name in fields]
    assert (after.total_amount, after.tax_amount, after.unit_price) == ("18.00", "1.80", "10.9")


def test_a_return_is_a_negative_row_of_its_own_on_its_own_day():
    sold, back = records(order(PLACED, RETURNED))

    assert (back.record_type, back.line_id, back.product_id) == ("return", "21", sold.product_id)
    assert (back.quantity, back.total_amount, back.tax_amount) == ("-1", "-9.00", "-0.90")
    assert (back.discount_amount, back.unit_price) == ("1.00", "10.00")
    assert (back.sold_at, back.business_date) == ("2017-01-09T03:00:00.000000Z", "2017-01-08")
    assert back.updated_at == sold.updated_at == "2017-01-10T10:00:00.000000Z"
    assert (back.store_id, back.customer_id) == (sold.store_id, sold.customer_id)


def test_returned_units_are_negative_whatever_their_sign():
    positive = deepcopy(RETURNED)
    positive["sales"]["nodes"][0]["quantity"] = 1

    assert records(order(PLACED, positive))[1].quantity == "-1"


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (sale(21, "RETURN", total="-5.40", tax="-0.40", quantity=0), ("refund", "0", "-5.00", "SKU-1")),
        (sale(21, "RETURN", total="-5.40", tax="-0.40", quantity=None), ("refund", "0", "-5.00", "SKU-1")),
        (sale(21, "UPDATE", total="-3.24", tax="-0.24", quantity=None), ("refund", "0", "-3.00", "SKU-1")),
        (sale(21, "UPDATE", total="3.24", tax="0.24", quantity=0), ("sale", "0", "3.00", "SKU-1")),
        (sale(21, "UPDATE", total="3.24", tax="0.24", quantity=1), ("sale", "1", "3.00", "SKU-1")),
        (sale(21, "ORDER", total="10.80", tax="0.80", quantity=1), ("sale", "1", "10.00", "SKU-1")),
        (
            sale(21, "RETURN", total="-2.00", tax="0.00", quantity=None, kind="ADJUSTMENT", of=None),
            ("refund", "0", "-2.00", "adjustment"),
        ),
        (
            sale(21, "ORDER", total="2.00", tax="0.00", quantity=None, kind="ADJUSTMENT", of=None),
            ("sale", "0", "2.00", "adjustment"),
        ),
    ],
)
def test_what_an_entry_means(entry, told):
    _, record = records(order(PLACED, agreement(2, "2017-01-06T10:00:00Z", entry, reason="ORDER_EDIT")))

    assert (record.record_type, record.quantity, record.total_amount, record.product_id) == told
    assert (record.line_id, record.business_date) == ("21", "2017-01-06")
    assert broken_rules(record) == []


def test_a_discount_that_is_taken_back_is_in_the_amount_and_no_discount():
    back = sale(21, "UPDATE", total="1.08", tax="0.08", discount="-1.00", quantity=None)

    _, record = records(order(PLACED, agreement(2, "2017-01-06T10:00:00Z", back, reason="ORDER_EDIT")))

    assert (record.discount_amount, record.total_amount) == ("0", "1.00")


def test_a_line_that_an_edit_added_is_sold_when_it_was_added():
    added = agreement(2, "2017-01-07T10:00:00Z", sale(21, of="2"), reason="ORDER_EDIT")

    first, second = records(order(PLACED, added, lines=("1", "2")))

    assert (first.line_id, first.business_date) == ("1", "2017-01-05")
    assert (second.line_id, second.business_date, second.product_id) == ("2", "2017-01-07", "SKU-2")


def test_agreements_are_taken_by_their_time_whatever_their_order():
    again = agreement(
        2, "2017-01-07T10:00:00Z", sale(21, quantity=1, total="9.90", tax="0.90"), reason="ORDER_EDIT"
    )

    in_order, reversed_ = records(order(PLACED, again)), records(order(again, PLACED))

    assert [(each.line_id, each.total_amount) for each in in_order] == [("1", "18.00"), ("21", "9.00")]
    assert [(each.line_id, each.total_amount) for each in reversed_] == [("1", "18.00"), ("21", "9.00")]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("SHIPPING", "shipping"),
        ("TIP", "tip"),
        ("FEE", "fee"),
        ("ADDITIONAL_FEE", "fee"),
        ("DUTY", "duty"),
        ("GIFT_CARD", "gift_card"),
    ],
)
def test_what_is_no_sale_of_goods_is_skipped_by_reason_with_its_money(kind, reason):
    other = sale(12, kind=kind, of="2" if kind in ("TIP", "GIFT_CARD") else None, total="5.35", tax="0.35")
    placed = agreement(1, "2017-01-05T15:00:05Z", sale(11), other)

    sold, skipped = records(order(placed, lines=("1", "2") if kind in ("TIP", "GIFT_CARD") else ("1",)))

    assert isinstance(skipped, Skipped)
    assert (skipped.reason, skipped.record.total_amount) == (reason, "5.00")
    assert sold.total_amount == "18.00"


def test_the_records_of_a_ledger_add_up_to_what_the_order_is_worth():
    sold, *changes = records(
        order(
            PLACED,
            agreement(
                2, "2017-01-06T10:00:00Z", sale(21, "UPDATE", total="-3.24", tax="-0.24", quantity=None)
            ),
            RETURNED,
        )
    )

    assert sum(Decimal(each.total_amount) for each in (sold, *changes)) == Decimal("6.00")
    assert sum(Decimal(each.quantity) for each in (sold, *changes)) == 1
    assert [broken_rules(each) for each in (sold, *changes)] == [[], [], []]


def test_a_cancelled_order_cancels_its_lines_and_the_returns_before_it_but_not_its_own():
    own = agreement(
        3,
        "2017-01-10T10:00:00Z",
        sale(31, "RETURN", total="-9.90", tax="-0.90", quantity=-1),
        reason="REFUND",
    )

    line_, back = records(order(PLACED, RETURNED, own, cancelledAt="2017-01-10T10:00:00Z"))

    assert [(each.line_id, each.record_type, each.status) for each in (line_, back)] == [
        ("1", "sale", "cancelled"),
        ("21", "return", "cancelled"),
    ]
    assert {(each.quantity, each.total_amount) for each in (line_, back)} == {("0", "0")}
    assert back.business_date == "2017-01-08"
    assert [broken_rules(each) for each in (line_, back)] == [[], []]


@pytest.mark.parametrize(
    "broken",
    [
        {"agreements": None},
        {"agreements": {}},
        {"agreements": {"nodes": None}},
        {"agreements": {"nodes": [PLACED, None]}},
        {"agreements": {"nodes": [PLACED, agreement(2, "2017-01-06T10:00:00Z", None)]}},
        {"agreements": {"nodes": [PLACED, {**RETURNED, "sales": None}]}},
        {"agreements": {"nodes": [PLACED, agreement(2, "2017-01-06T10:00:00Z", sale(21, kind="UNKNOWN"))]}},
        {"agreements": {"nodes": [PLACED, agreement(2, "2017-01-06T10:00:00Z", sale(21, "UNKNOWN"))]}},
        {"agreements": {"nodes": [PLACED, agreement(2, "2017-01-06T10:00:00Z", sale(21, of="9"))]}},
        {"agreements": {"nodes": [agreement(2, None, sale(21), reason="ORDER_EDIT"), PLACED]}},
        {"agreements": {"nodes": [PLACED, agreement(2, "2017-01-06T10:00:00Z", sale(21, total=None))]}},
        {"agreements": {"nodes": [RETURNED]}},
    ],
)
def test_what_of_a_ledger_cannot_be_read_ends_in_quarantine_not_in_silence(broken):
    found = [each for each in records({**order(), **deepcopy(broken)}) if not isinstance(each, Skipped)]

    bad = [each for each in found if each.record_type is None or broken_rules(each)]
    assert len(bad) >= 1
    assert {each.transaction_id for each in found} == {"7"}


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, False),
        ({"edited": True}, True),
        ({"refunds": [{"id": "r", "createdAt": "2017-01-06T10:00:00Z"}]}, True),
        ({"returnStatus": "RETURNED"}, True),
        ({"totalTipReceivedSet": money("2.0")}, True),
        ({"test": True, "edited": True}, False),
        ({"cancelledAt": "2017-01-06T10:00:00Z"}, False),
        (
            {
                "cancelledAt": "2017-01-06T10:00:00Z",
                "refunds": [{"id": "r", "createdAt": "2017-01-06T10:00:00Z"}],
            },
            False,
        ),
        (
            {
                "cancelledAt": "2017-01-06T10:00:00Z",
                "refunds": [{"id": "r", "createdAt": "2017-01-06T09:59:59Z"}],
            },
            True,
        ),
        (
            {
                "cancelledAt": "2017-01-06T10:00:00Z",
                "refunds": [{"id": "r", "createdAt": "2017-01-06T10:00:00Z"}] * 2,
            },
            True,
        ),
        ({"cancelledAt": "2017-01-06T10:00:00Z", "refunds": [{"id": "r", "createdAt": None}]}, True),
        ({"cancelledAt": "2017-01-06T10:00:00Z", "edited": True}, True),
    ],
)
def test_the_ledger_is_asked_for_only_where_the_lines_alone_do_not_tell(changes, needed):
    assert needs_ledger({**order(), "edited": False, **changes}) is needed


def test_a_page_of_an_earlier_version_is_read_as_that_version_read_it():
    old = order()
    for name in ("edited", "returnStatus", "refunds", "totalTipReceivedSet", "agreements"):
        del old[name]

    [record] = records(old)

    assert (record.record_type, record.total_amount) == ("sale", "18.00")


JUNK = st.sampled_from(
    [
        None,
        True,
        "",
        "NaN",
        "-1",
        "1e999",
        0,
        -1,
        10**30,
        Decimal("NaN"),
        Decimal("Infinity"),
        [],
        {},
        [None],
        "\ud800",
    ]
)


def places(value, path=()):
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, each in inner:
        yield from places(each, (*path, step))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_whatever_is_in_a_ledger_no_other_order_suffers_and_nothing_raises(data):
    changed = order(PLACED, RETURNED, lines=("1", "2"))
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from([each for each in places(changed) if each]))
        holder = changed
        for step in path:
            holder = holder[step]
        holder[last] = deepcopy(data.draw(JUNK))
    [untouched] = records(order(PLACED))

    *found, second = records(*parse(dump([changed, order(PLACED)])))  # type: ignore[misc]

    assert second.total_amount == untouched.total_amount
    if not found:  # it is left out on purpose, and names no line that would be counted as skipped
        assert changed["test"] is True
        assert not changed["lineItems"]["nodes"]
    for each in found:
        record = each.record if isinstance(each, Skipped) else each
        record.to_line().encode()
        assert record.source_ref.startswith("p#/answer/data/orders/nodes/0")


ORDER_ID = order()["id"]


def connection(*agreements, cursor=None):
    edges = [{"cursor": f"a{each['id'].rsplit('/', 1)[1]}", "node": each} for each in agreements]
    info = {"hasNextPage": cursor is not None, "endCursor": cursor}
    return {"data": {"order": {"id": ORDER_ID, "agreements": {"pageInfo": info, "edges": edges}}}}


def paged(each, cursor=None):
    info = {"hasNextPage": cursor is not None, "endCursor": cursor}
    return {**each, "sales": {**each["sales"], "pageInfo": info}}


def asked_order(**changes):
    found = order(**changes)
    del found["agreements"]
    found["lineItems"]["pageInfo"] = {"hasNextPage": False, "endCursor": None}
    return found


def test_the_ledger_is_read_whole_agreements_and_their_sales(scripted, reply, open_at):
    second = agreement(2, "2017-01-06T10:00:00Z", sale(21))
    rest = agreement(2, "2017-01-06T10:00:00Z", sale(22))
    server = scripted(
        reply(body=page_of(asked_order(), asked_order(edited=False))),
        reply(body=connection(paged(PLACED), cursor="a1")),
        reply(body=connection(paged(second, cursor="s1"))),
        reply(body=connection(paged(rest))),
    )

    [page] = open_at("retailer_3", server.url).pages(WINDOW, None)

    ledger = at(page.answer, "data", "orders", "nodes", 0, "agreements", "nodes")
    assert [[each["id"][-2:] for each in at(one, "sales", "nodes")] for one in ledger] == [
        ["11"],
        ["21", "22"],
    ]
    assert at(page.answer, "data", "orders", "nodes", 1, "agreements") is None
    asked = [json.loads(seen.body)["variables"] for seen in server.seen[1:]]
    assert [(each["after"], each["agreements"], each["afterSale"]) for each in asked] == [
        (None, 10, None),
        ("a1", 10, None),
        ("a1", 1, "s1"),
    ]


@pytest.mark.parametrize(("meanwhile", "kept"), [("2017-01-06T20:00:00Z", 1), (None, 2)])
def test_what_happened_after_the_order_was_read_waits_until_the_order_comes_again(
    scripted, reply, open_at, meanwhile, kept
):
    asked = asked_order(updatedAt="2017-01-06T09:00:00Z")
    later = agreement(2, "2017-01-06T19:59:00Z", sale(21), reason="REFUND")
    ledger = connection(paged(PLACED), paged(later))
    ledger["data"]["order"]["updatedAt"] = meanwhile or asked["updatedAt"]
    server = scripted(reply(body=page_of(asked)), reply(body=ledger))

    [page] = open_at("retailer_3", server.url).pages(WINDOW, None)

    assert len(at(page.answer, "data", "orders", "nodes", 0, "agreements", "nodes")) == kept


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([connection(paged(PLACED), cursor="a1")] * 2, "the cursor of the agreements of .* does not advance"),
        (
            [connection(paged(PLACED, cursor="s1")), connection(paged(PLACED, cursor="s1"))],
            "the cursor of the sales of .* does not advance",
        ),
        (
            [connection(paged(PLACED, cursor="s1")), connection(paged(RETURNED))],
            "its ledger changed while it was read",
        ),
        ([{"data": {"order": None}, "errors": [{"message": "Internal error"}]}], "Shopify refuses the query"),
        ([{"data": None}], "Shopify refuses the query"),
        (
            [
                {
                    "data": {
                        "order": {**connection(paged(PLACED))["data"]["order"], "id": "gid://shopify/Order/8"}
                    }
                }
            ],
            "returned those of gid://shopify/Order/8",
        ),
        ([{"data": {"order": {"id": ORDER_ID, "agreements": None}}}], "requested agreements of order"),
    ],
)
def test_a_ledger_that_cannot_be_read_whole_is_an_error(scripted, reply, open_at, answers, message):
    bodies = [page_of(asked_order()), *answers]
    server = scripted(*(reply(body=each) for each in bodies))

    with pytest.raises(ExtractError, match=message):
        list(open_at("retailer_3", server.url).pages(WINDOW, None))


def test_an_order_that_was_deleted_while_it_was_read_sells_nothing(scripted, reply, open_at):
    server = scripted(reply(body=page_of(asked_order())), reply(body={"data": {"order": None}}))

    [page] = open_at("retailer_3", server.url).pages(WINDOW, None)

    records = list(
        ShopifySales(retailer_id="retailer_3", zone=ZoneInfo("America/New_York")).records(
            page.answer, "payloads/p.json.gz"
        )
    )
    assert [each.reason for each in records] == ["deleted"] * len(records) != []
