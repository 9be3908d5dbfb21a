"""Staging: what is good is typed and keyed, what is bad goes to quarantine with its reason, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from pyspark.sql import Row

from retail.errors import ConfigurationError, StorageError
from retail.lake import delta, layout
from retail.pipeline.step_context import StepContext
from retail.quality.rules import load_row_rules
from retail.records import REQUIRED, RowRule, SalesRecord
from retail.star import staging
from tests.star.conftest import DAY, record, write_raw

MakeContext = Callable[[str], StepContext]
UNITS = [("retailer_1", DAY)]


def stage(
    context: StepContext, lines: list[SalesRecord | str], rules: list[RowRule] | None = None
) -> staging.Staged:
    write_raw(context, lines)
    return staging.stage(context, UNITS, row_rules=load_row_rules() if rules is None else rules)


def rows(context: StepContext, table: str) -> list[Row]:
    return delta.read(context.session, context.storage, table).collect()


def money(staged: staging.Staged, hop: str) -> tuple[int, Decimal]:
    counts = [count for count in staged.counts if count.hop == hop]
    return sum(c.rows for c in counts), sum((c.money for c in counts), Decimal(0))


BAD_LINES: list[tuple[SalesRecord | str, str]] = [
    (record(transaction_id=None), "missing transaction_id"),
    (record(line_id=""), "missing line_id"),
    (record(total_amount="NaN"), "bad total_amount"),
    (record(total_amount="1e3"), "bad total_amount"),
    (record(total_amount="10.00001"), "bad total_amount"),
    (record(total_amount="123456789012"), "bad total_amount"),
    (record(quantity="two"), "bad quantity"),
    (record(sold_at="2017-13-05T00:00:00Z"), "bad sold_at"),
    (record(sold_at="2017-01-05"), "bad sold_at"),
    (record(business_date="2017-02-30"), "bad business_date"),
    (record(updated_at="0000-12-31T20:00:00Z"), "bad updated_at"),
    (record(quantity="2\n"), "bad quantity"),
    (record(product_id="p\x00"), "product_id has a NUL character"),
    (record(currency="USD\n"), "currency is not an ISO 4217 code"),
    (record(quantity="-1"), "negative quantity on a sale"),
    (
        record(record_type="return"),
        "positive quantity on a return; positive amount on a return or refund",
    ),
    (record(status="cancelled"), "amount or quantity on a cancelled or deleted line"),
    (record(currency="dollars"), "currency is not an ISO 4217 code"),
    (record(retailer_id="retailer_2"), "retailer_id is not the folder's"),
    (
        record().to_line(noted="two lines with one key; updated_at was in the future"),
        "two lines with one key",
    ),
    (record().to_line()[:200], "unreadable JSON"),
    (record().to_line()[:-1], "unreadable JSON"),
    ("[1, 2]", "unreadable JSON"),
    ("null", "unreadable JSON"),
    ('{"a": {"b": 1}}', "; ".join(f"missing {name}" for name in REQUIRED)),
]


def test_each_bad_line_is_quarantined_with_its_reason_and_the_rest_goes_on(make_context: MakeContext) -> None:
    context = make_context("run-1")
    staged = stage(context, [record(transaction_id="good"), *(line for line, _ in BAD_LINES)])

    assert [row.transaction_id for row in rows(context, layout.STAGED_SALES)] == ["good"]
    quarantined = rows(context, layout.QUARANTINE)
    expected = {(line if isinstance(line, str) else line.to_line()): reason for line, reason in BAD_LINES}
    assert {row.value: row.reasons for row in quarantined} == expected
    assert {row.severity for row in quarantined} == {"error"}
    assert {(row.from_retailer, row.logical_date, row.run_id) for row in quarantined} == {
        ("retailer_1", DAY, "run-1")
    }
    assert money(staged, "read")[0] == 1 + len(BAD_LINES)
    assert money(staged, "quarantined")[0] == len(BAD_LINES)


SEVERE = [
    RowRule(reason="too dear", when="total_amount > 100", severity="critical"),
    RowRule(reason="many", when="quantity > 50"),
    RowRule(reason="no brand", when="brand IS NULL", severity="warning"),
    RowRule(reason="no city", when="store_city IS NULL", severity="warning"),
]


def test_a_row_keeps_every_reason_and_its_gravest_severity(make_context: MakeContext) -> None:
    context = make_context("run-1")
    staged = stage(
        context,
        [
            record(transaction_id="fine", brand="Acme", store_city="Oslo"),
            record(transaction_id="warned", brand="Acme").to_line(noted="updated_at was in the future"),
            record(transaction_id="many", quantity="60"),
            record(transaction_id="dear", quantity="60", total_amount="600.00", sold_at="yesterday"),
            record().to_line()[:-1],
        ],
        rules=SEVERE,
    )
    assert {
        (row.transaction_id, row.severity, row.reasons, row.warnings)
        for row in rows(context, layout.QUARANTINE)
    } == {
        ("many", "error", "many", "no brand; no city"),
        ("dear", "critical", "bad sold_at; too dear; many", "no brand; no city"),
        (None, "error", "unreadable JSON", ""),
    }
    assert {row.transaction_id: row.warnings for row in rows(context, layout.STAGED_SALES)} == {
        "fine": "", "warned": "updated_at was in the future; no city",
    }  # fmt: skip
    assert [(each.reason, each.rows, each.money) for each in staged.critical] == [
        ("bad sold_at; too dear; many", 1, Decimal("600.0000"))
    ]
    assert [(each.reason, each.rows, each.money) for each in staged.warned] == [
        ("no city", 1, Decimal("10.0000")), ("updated_at was in the future", 1, Decimal("10.0000")),
    ]  # fmt: skip


def test_a_line_is_worth_its_units_times_its_price_less_its_discount_sold_or_given_back(
    make_context: MakeContext,
) -> None:
    back = {"record_type": "return", "quantity": "-2", "discount_amount": "1.00"}
    context = make_context("run-1")
    stage(
        context,
        [
            record(transaction_id="sold"),
            record(transaction_id="sold for less", total_amount="9.00"),
            record(transaction_id="back", **back, total_amount="-9.00"),
            record(transaction_id="back, taxed", **back, total_amount="-8.25", tax_amount="-0.75"),
            record(transaction_id="back for less", **back, total_amount="-8.00"),
            record(transaction_id="replaced", **back, total_amount="0"),
            record(transaction_id="given away", total_amount="0"),
        ],
    )
    reason = "quantity times unit_price less discount_amount is not total_amount"
    assert {row.transaction_id for row in rows(context, layout.STAGED_SALES) if reason in row.warnings} == {
        "sold for less", "back for less", "given away",
    }  # fmt: skip


def test_each_warning_is_counted_over_the_rows_that_stay_and_duplicates_once(
    make_context: MakeContext,
) -> None:
    lines = [
        record(transaction_id="a"), record(transaction_id="a"), record(transaction_id="b", brand="Acme"),
    ]  # fmt: skip
    staged = stage(make_context("run-1"), lines, rules=SEVERE)  # type: ignore[arg-type]
    assert [(each.reason, each.rows) for each in staged.warned] == [("no brand", 1), ("no city", 2)]


def test_the_quarantined_are_counted_by_their_reasons(make_context: MakeContext) -> None:
    staged = stage(
        make_context("run-1"), [record(quantity="-1"), record(quantity="-2"), record(currency="$")]
    )
    assert sorted((each.reason, each.rows) for each in staged.counts if each.hop == "quarantined") == [
        ("currency is not an ISO 4217 code", 1), ("negative quantity on a sale", 2),
    ]  # fmt: skip


def test_a_condition_that_is_null_selects_no_row(make_context: MakeContext) -> None:
    rules = [RowRule(reason="no gift", when="brand = 'gift'", severity="critical")]
    staged = stage(make_context("run-1"), [record(brand=None)], rules=rules)
    assert (staged.critical, money(staged, "staged")[0]) == ([], 1)


def test_a_field_that_is_not_ours_is_named_and_the_line_stays(make_context: MakeContext) -> None:
    line = record(transaction_id="a").to_line()
    new, odd = line.replace('{"', '{"loyalty_tier":"gold","', 1), line.replace('{"', '{"a, b":1,"', 1)
    short = line.replace(',"brand":null', "").replace('{"', '{"loyalty_tier":null,"', 1)
    context = make_context("run-1")
    staged = stage(context, [record(), new, odd.replace('"a"', '"c"'), short.replace('"a"', '"d"'), "[1]"])
    assert staged.unknown_fields == {"loyalty_tier": 2, "*": 1}
    assert sorted(row.transaction_id for row in rows(context, layout.STAGED_SALES)) == ["a", "c", "d", "t1"]


def test_names_of_fields_that_are_not_plain_are_told_as_one_and_each_line_once(
    make_context: MakeContext,
) -> None:
    names = ("jane.doe@example.org", "a\\u001b[2J", "ends\\n", "x" * 61, "x" * 60, "loyalty.tier-2_B")
    lines = [record().to_line().replace('{"', "{" + "".join(f'"{name}":1,' for name in names) + '"', 1)]
    staged = stage(make_context("run-1"), lines)  # type: ignore[arg-type]
    assert staged.unknown_fields == {"*": 1, "x" * 60: 1, "loyalty.tier-2_B": 1}


def test_values_keep_every_digit_and_null_stays_null(make_context: MakeContext) -> None:
    context = make_context("run-1")
    stage(
        context,
        [
            record(
                quantity="0.125",
                total_amount="12345678901.2345",
                unit_price=None,
                product_name="Tasse, «blau» 猫",
            )
        ],
    )
    (row,) = rows(context, layout.STAGED_SALES)
    assert (row.quantity, row.total_amount) == (Decimal("0.125"), Decimal("12345678901.2345"))
    assert (row.unit_price, row.product_name) == (None, "Tasse, «blau» 猫")
    assert (row.date_key, row.business_month) == (20170105, "2017-01")


def test_of_two_versions_of_a_line_the_newer_is_staged_and_the_other_counted(
    make_context: MakeContext,
) -> None:
    context = make_context("run-1")
    old = record(total_amount="10.00", updated_at="2017-01-05T20:00:00.000000Z")
    new = record(total_amount="9.00", updated_at="2017-01-05T21:00:00.000000Z")
    staged = stage(context, [new, old, old])

    assert [row.total_amount for row in rows(context, layout.STAGED_SALES)] == [Decimal("9.0000")]
    assert money(staged, "read") == (3, Decimal("29.0000"))
    assert money(staged, "duplicate") == (2, Decimal("20.0000"))
    assert money(staged, "staged") == (1, Decimal("9.0000"))


def test_the_same_sku_twice_in_one_order_is_two_lines(make_context: MakeContext) -> None:
    context = make_context("run-1")
    stage(context, [record(line_id="6"), record(line_id="9")])
    assert len(rows(context, layout.STAGED_SALES)) == 2


def test_a_guest_and_a_line_without_store_get_the_unknown_member(make_context: MakeContext) -> None:
    context = make_context("run-1")
    stage(context, [record(customer_id=None, store_id=None)])
    (row,) = rows(context, layout.STAGED_SALES)
    assert (row.customer_key, row.store_key) == (-1, -1)
    assert row.product_key != -1


def test_staging_a_day_again_replaces_its_quarantine_and_leaves_other_days(make_context: MakeContext) -> None:
    context = make_context("run-1")
    other = DAY.replace(day=6)
    write_raw(context, [record(quantity="-2", business_date="2017-01-06")], day=other)
    staging.stage(context, [("retailer_1", other)], row_rules=load_row_rules())
    stage(context, [record(quantity="-1")])
    stage(context, [record(quantity="-1")])
    assert sorted(row.logical_date for row in rows(context, layout.QUARANTINE)) == [DAY, other]


def test_an_empty_file_stages_nothing(make_context: MakeContext) -> None:
    staged = stage(make_context("run-1"), [])
    assert staged.counts == []


def test_a_day_that_was_never_landed_is_named(make_context: MakeContext) -> None:
    context = make_context("run-1")
    with pytest.raises(StorageError, match="no raw file for retailer_1 2017-01-05"):
        staging.stage(context, UNITS, row_rules=[])


def test_rules_that_the_engine_cannot_read_are_all_named_before_anything_is_staged(
    make_context: MakeContext,
) -> None:
    rules = [
        RowRule(reason="fine", when="quantity < 0"),
        RowRule(reason="spelled wrong", when="qantity < 0"),
        RowRule(reason="no SQL", when="quantity <", severity="warning"),
    ]
    context = make_context("run-1")
    write_raw(context, [record()])
    with pytest.raises(ConfigurationError) as caught:
        staging.stage(context, UNITS, row_rules=rules)
    assert ["spelled wrong" in caught.value.problems[0], "no SQL" in caught.value.problems[1]] == [True, True]
    assert delta.version(context.storage, layout.STAGED_LINES) is None
