"""The merge rule: the newest version wins, whatever the order and however often a day comes."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import permutations

import pytest

from retail import star
from retail.errors import KeyCollisionError, TieOutError
from retail.lake import delta, layout
from retail.pipeline.step_context import StepContext
from retail.quality import tie_out
from retail.quality.rules import load_row_rules
from retail.records import SalesRecord
from retail.star import merge, staging
from retail.star.build import Built, build, merged_by
from retail.star.tables import fact_sales
from tests.star.conftest import DAY, answer, record, write_raw

MakeContext = Callable[[str], StepContext]
# docs/decisions/0006-spark-tests.md
ON_SAIL = pytest.mark.parametrize("engine", ["sail"], indirect=True)


def merged(context: StepContext, *lines: SalesRecord) -> Built:
    """Stage the lines as a day of their own and merge them; the identities must hold each time."""
    write_raw(context, list(lines))
    staged = staging.stage(context, [("retailer_1", DAY)], row_rules=load_row_rules())
    built = build(context, staged)
    tie_out.require([tie_out.STAGED, tie_out.MERGED, tie_out.DELTA], [*staged.counts, *built.counts])
    return built


def table(context: StepContext, name: str, *columns: str) -> list[tuple[object, ...]]:
    frame = delta.read(context.session, context.storage, f"star/{name}")
    return sorted((tuple(row) for row in frame.select(*columns).collect()), key=str)


V1 = record(updated_at="2017-01-05T20:00:00.000000Z", total_amount="10.00", product_name="Mug")
V2 = record(updated_at="2017-01-05T21:00:00.000000Z", total_amount="9.00", product_name="Blue mug")
V3 = record(
    updated_at="2017-01-06T09:00:00.000000Z", status="cancelled", quantity="0", total_amount="0",
    product_name="Blue mug",
)  # fmt: skip


@pytest.mark.parametrize(
    "order", list(permutations([V1, V2, V3])), ids=lambda order: "-".join(r.total_amount for r in order)
)
@ON_SAIL
def test_versions_of_a_line_in_any_order_give_the_same_star(
    make_context: MakeContext, order: tuple[SalesRecord, ...]
) -> None:
    for number, version in enumerate(order):
        merged(make_context(f"run-{number}"), version)
    context = make_context("after")
    assert table(context, "fact_sales", "status", "total_amount") == [("cancelled", Decimal("0.0000"))]
    assert table(context, "dim_product", "product_id", "product_name") == [
        ("p1", "Blue mug"), ("unknown", "Unknown product"),
    ]  # fmt: skip


@ON_SAIL
def test_two_versions_of_one_instant_give_the_same_star_in_both_orders(make_context: MakeContext) -> None:
    one = record(total_amount="1.00", source_ref=answer("20170106T010000Z-b"))
    other = record(total_amount="2.00", source_ref=answer("20170106T010000Z-a", page=2))
    winners = set()
    for prefix, order in (("a", (one, other)), ("b", (other, one))):
        for number, version in enumerate(order):
            merged(
                make_context(f"{prefix}-{number}"), record(**{**_values(version), "transaction_id": prefix})
            )
        # the hash covers the transaction's id, so compare with the day staged at once
        context = make_context(f"{prefix}-at-once")
        write_raw(context, [record(**{**_values(v), "transaction_id": prefix}) for v in order])
        staged = staging.stage(context, [("retailer_1", DAY)], row_rules=load_row_rules())
        at_once = delta.read(context.session, context.storage, layout.STAGED_SALES, at=staged.sales_version)
        (winner,) = at_once.collect()
        stored = dict(table(context, "fact_sales", "transaction_id", "total_amount"))
        winners.add(stored[prefix] == winner.total_amount)
    assert winners == {True}


@pytest.mark.spark_nightly
def test_merging_the_same_day_again_changes_no_row(make_context: MakeContext) -> None:
    first = merged(make_context("run-1"), V1, record(transaction_id="t2"))
    again = merged(make_context("run-2"), V1, record(transaction_id="t2"))
    assert first.actions["fact_sales"]["inserted"] == 2
    assert again.actions["fact_sales"]["unchanged"] == 2
    assert again.versions == first.versions
    assert set(table(make_context("x"), "fact_sales", "changed_run_id")) == {("run-1",)}


# A lake's rows are equal to what is staged again as long as these do not change.
HASHES = {
    "fact_sales": {905285033469719340: -6945134467612941019, -9051176902875908502: -815781838896207795},
    "dim_product": {-1: 4066232776472840219, 7295211652716045735: 3433466399062221223},
    "dim_customer": {-1: -4997506907343822118, -7124615645156448537: -4882384351112033411},
    "dim_store": {-1: 4091969518935579248, 4298394725698975400: -2564878202266966753},
    "dim_retailer": {
        -1: 4509604853511962439, -1682202773000433062: 4683509176497373888,
        -8695369674133720114: -5621592807653441753, 2384623423957811483: 1319431985034089134,
    },
}  # fmt: skip
HASH_OF_5_JANUARY = -6752229245345600682


@pytest.mark.spark_nightly
def test_the_rows_of_a_plain_sale_have_these_hashes_on_both_engines(make_context: MakeContext) -> None:
    context = make_context("run-1")
    less = record(transaction_id="t2", customer_id=None, store_id=None, discount_amount=None)
    merged(context, record(), less)
    found = {each.name: dict(table(context, each.name, each.key, "content_hash")) for each in star.TABLES}
    assert found.pop("dim_date")[20170105] == HASH_OF_5_JANUARY
    assert found == HASHES


# Of one change the retailer answered otherwise later: sums that by their hashes would win or lose by chance.
AMOUNTS = [f"{n}.50" for n in range(12)]


def fetched(run_id: str, *, line: Callable[[str], dict[str, str]], **values: object) -> list[SalesRecord]:
    return [
        record(
            transaction_id=f"t{n}", product_id=f"p{n}", source_ref=answer(run_id, place=n), **values, **line(amount)
        )
        for n, amount in enumerate(AMOUNTS)
    ]  # fmt: skip


def first(_: str) -> dict[str, str]:
    return {"total_amount": "10.00", "product_name": "Mug"}


def later(amount: str) -> dict[str, str]:
    return {"total_amount": amount, "product_name": f"Mug {amount}"}


@pytest.mark.spark_nightly
def test_of_a_line_fetched_again_with_other_content_and_the_same_time_the_later_answer_counts(
    make_context: MakeContext,
) -> None:
    merged(make_context("run-1"), *fetched("20170106T010000Z-a", line=first))
    built = merged(make_context("run-2"), *fetched("20170107T010000Z-a", line=later))

    assert (built.actions["fact_sales"]["updated"], built.actions["fact_sales"]["stale"]) == (12, 0)
    assert (built.actions["dim_product"]["updated"], built.actions["dim_product"]["stale"]) == (12, 0)
    context = make_context("after")
    assert set(table(context, "fact_sales", "total_amount")) == {(Decimal(amount),) for amount in AMOUNTS}

    late = merged(make_context("run-3"), *fetched("20170106T010000Z-a", line=first))
    assert (late.actions["fact_sales"]["updated"], late.actions["fact_sales"]["stale"]) == (0, 12)
    assert late.versions == built.versions


@pytest.mark.spark_nightly
def test_a_later_answer_with_the_same_content_moves_the_order_alone_and_then_holds_against_one_between(
    make_context: MakeContext,
) -> None:
    merged(make_context("run-1"), *fetched("20170106T010000Z-a", line=first))
    again = merged(make_context("run-2"), *fetched("20170108T010000Z-a", line=first))
    assert again.actions["fact_sales"] == {
        "inserted": 0, "updated": 0, "touched": 12, "unchanged": 0, "stale": 0,
    }  # fmt: skip
    assert {
        (count.hop, count.rows) for count in again.counts if count.hop in ("unchanged", "updated_in")
    } == {("unchanged", 12)}
    context = make_context("after")
    assert set(table(context, "fact_sales", "changed_run_id", "fetch_order")) == {
        ("run-1", "20170108T010000Z-a 2017-01-05 00001")
    }
    assert table(context, "fact_sales", "transaction_id", "source_ref")[0] == (
        "t0", answer("20170106T010000Z-a", place=0),
    )  # fmt: skip

    between = merged(make_context("run-3"), *fetched("20170107T010000Z-a", line=later))
    assert between.actions["fact_sales"]["stale"] == 12


@pytest.mark.spark_nightly
def test_the_same_answer_read_otherwise_counts_and_read_again_changes_nothing(
    make_context: MakeContext,
) -> None:
    merged(make_context("run-1"), *fetched("20170106T010000Z-a", line=first))
    read_otherwise = fetched("20170106T010000Z-a", line=later)

    built = merged(make_context("run-2"), *read_otherwise)
    assert (built.actions["fact_sales"]["updated"], built.actions["dim_product"]["updated"]) == (12, 12)

    again = merged(make_context("run-3"), *read_otherwise)
    assert (again.actions["fact_sales"]["unchanged"], again.versions) == (12, built.versions)


@pytest.mark.spark_nightly
def test_what_a_newer_mapping_makes_alike_is_not_published_again(make_context: MakeContext) -> None:
    merged(make_context("run-1"), *fetched("20170106T010000Z-a", line=first, mapping_version="1"))
    built = merged(make_context("run-2"), *fetched("20170106T010000Z-a", line=first, mapping_version="2"))
    assert (built.actions["fact_sales"]["touched"], built.actions["fact_sales"]["updated"]) == (12, 0)
    context = make_context("after")
    assert set(table(context, "fact_sales", "changed_run_id", "mapping_version")) == {("run-1", 2)}


@pytest.mark.spark_nightly
def test_only_a_row_whose_content_changed_gets_the_new_run_id(make_context: MakeContext) -> None:
    merged(make_context("run-1"), V1, record(transaction_id="t2", product_id="p2", product_name="Plate"))
    later = "2017-01-05T22:00:00.000000Z"
    built = merged(
        make_context("run-2"),
        record(transaction_id="t3", updated_at=later, product_name="Green mug"),
        record(transaction_id="t4", updated_at=later, product_id="p2", product_name="Plate"),
    )
    assert built.actions["dim_product"] == {
        "inserted": 0, "updated": 1, "touched": 1, "unchanged": 0, "stale": 0,
    }  # fmt: skip
    assert table(make_context("x"), "dim_product", "product_id", "product_name", "changed_run_id") == [
        ("p1", "Green mug", "run-2"), ("p2", "Plate", "run-1"), ("unknown", "Unknown product", "run-1"),
    ]  # fmt: skip


@pytest.mark.spark_nightly
def test_a_corrected_date_moves_the_row_to_its_new_month_and_an_older_version_does_not_bring_it_back(
    make_context: MakeContext,
) -> None:
    old = record(total_amount="10.00")
    new = record(
        total_amount="9.00", sold_at="2016-12-30T20:00:00.000000Z", business_date="2016-12-30",
        updated_at="2017-01-06T20:00:00.000000Z",
    )  # fmt: skip
    merged(make_context("run-1"), old)
    built = merged(make_context("run-2"), new)
    assert built.months == ["2016-12", "2017-01"]
    assert built.actions["fact_sales"]["updated"] == 1
    late = merged(make_context("run-3"), old)
    assert late.actions["fact_sales"]["stale"] == 1
    columns = ("business_month", "date_key", "total_amount", "changed_run_id")
    assert table(make_context("after"), "fact_sales", *columns) == [
        ("2016-12", 20161230, Decimal("9.0000"), "run-2")
    ]


@ON_SAIL
def test_a_later_sighting_guards_a_product_even_where_it_changed_nothing(make_context: MakeContext) -> None:
    noon, three, six = (f"2017-01-05T{hour}:00:00.000000Z" for hour in (12, 15, 18))
    merged(make_context("run-1"), record(transaction_id="a", updated_at=noon, product_name="Mug"))
    merged(make_context("run-2"), record(transaction_id="b", updated_at=six, product_name="Mug"))
    merged(make_context("run-3"), record(transaction_id="c", updated_at=three, product_name="Typo"))
    assert ("p1", "Mug") in table(make_context("x"), "dim_product", "product_id", "product_name")


@ON_SAIL
def test_a_refund_without_a_name_leaves_the_product_s_and_any_later_name_counts(
    make_context: MakeContext,
) -> None:
    noon, six = "2017-01-05T12:00:00.000000Z", "2017-01-05T18:00:00.000000Z"
    merged(make_context("run-1"), record(transaction_id="a", updated_at=noon, product_name="Mug"))
    nameless = (
        record(transaction_id="b", updated_at=six, product_name=None),
        record(transaction_id="c", updated_at=six, product_name=None, product_id="p2"),
    )
    merged(make_context("run-2"), *nameless)
    merged(
        make_context("run-3"),
        record(transaction_id="d", updated_at=noon, product_name="Plate", product_id="p2"),
    )
    names = table(make_context("x"), "dim_product", "product_id", "product_name")
    assert names == [("p1", "Mug"), ("p2", "Plate"), ("unknown", "Unknown product")]


@pytest.mark.spark_nightly
def test_every_fact_finds_its_dimensions(make_context: MakeContext) -> None:
    context = make_context("run-1")
    merged(context, V1, record(transaction_id="t2", customer_id=None, store_id=None, product_id="p2"))
    for dimension in star.DIMENSIONS:
        facts = {key for (key,) in table(context, "fact_sales", dimension.key)}
        members = {key for (key,) in table(context, dimension.name, dimension.key)}
        assert facts <= members, dimension.name
        assert -1 in members


@pytest.mark.spark_nightly
def test_two_natural_keys_on_one_hash_stop_the_run_with_both_named(make_context: MakeContext) -> None:
    context = make_context("run-1")
    merged(context, V1)
    stored = delta.read(context.session, context.storage, fact_sales.TABLE.path)
    forged = stored.selectExpr(
        *[
            f"'impostor' AS {c}" if c == "transaction_id" else c
            for c in stored.columns
            if c != "changed_run_id"
        ]
    )
    with pytest.raises(KeyCollisionError, match=r"impostor/1 and retailer_1/t1/1"):
        merge.plan(context, fact_sales.TABLE, forged)


@ON_SAIL
def test_a_day_without_a_sale_builds_an_empty_star(make_context: MakeContext) -> None:
    built = merged(make_context("run-1"))
    assert sum(built.actions["fact_sales"].values()) == 0
    assert table(make_context("after"), "dim_product", "product_id") == [("unknown",)]


@ON_SAIL
def test_what_its_judge_refuses_is_not_committed(make_context: MakeContext) -> None:
    context = make_context("run-1")
    write_raw(context, [record()])
    staged = staging.stage(context, [("retailer_1", DAY)], row_rules=load_row_rules())
    lost = [count for count in staged.counts if count.hop != "staged"]
    with pytest.raises(TieOutError, match="staged = inserted"):
        build(context, staged, judge=lambda plan: tie_out.require([tie_out.MERGED], [*lost, *plan]))
    assert table(context, "fact_sales", "sales_key") == []
    assert merged_by(context, "run-1") == []


@ON_SAIL
def test_a_merge_that_nobody_proved_can_be_judged_by_the_next_run(make_context: MakeContext) -> None:
    context = make_context("run-1")
    merged(context, record(), record(line_id="2"))
    counts = merged_by(make_context("run-2"), "run-1")
    assert tie_out.differences(tie_out.DELTA, counts) == []
    facts = delta.read(context.session, context.storage, "star/fact_sales")
    delta.replace(facts.where("line_id = '1'"), context.storage, "star/fact_sales")
    (lost,) = tie_out.differences(tie_out.DELTA, merged_by(make_context("run-2"), "run-1"))
    assert (lost.rows, lost.money) == (-1, Decimal("-10.0000"))


@ON_SAIL
def test_a_merge_that_was_committed_before_the_kill_is_not_done_twice(make_context: MakeContext) -> None:
    context = make_context("run-1")
    write_raw(context, [V1])
    staged = staging.stage(context, [("retailer_1", DAY)], row_rules=load_row_rules())
    first = build(context, staged)
    resumed = build(context, staged)
    assert resumed == first
    tie_out.require([tie_out.MERGED, tie_out.DELTA], [*staged.counts, *resumed.counts])


def _values(of: SalesRecord) -> dict[str, object]:
    return {name: getattr(of, name) for name in of.__dataclass_fields__}


@pytest.mark.parametrize("mended_first", [False, True])
@ON_SAIL
def test_of_one_version_of_a_line_what_the_newer_mapping_made_of_it_wins(
    make_context: MakeContext, mended_first: bool
) -> None:
    # Six of them, for by their hashes alone one would win by chance in every second.
    amounts = [f"{n}.50" for n in range(6)]
    made, mended = (
        [
            record(transaction_id=f"t{n}", product_id=f"p{n}", mapping_version=version, **told(amount))
            for n, amount in enumerate(amounts)
        ]
        for version, told in (
            ("1", lambda _: {"total_amount": "10.00", "product_name": "Mug"}),
            ("2", lambda amount: {"total_amount": amount, "product_name": f"Mug {amount}"}),
        )
    )
    for number, lines in enumerate([mended, made] if mended_first else [made, mended]):
        merged(make_context(f"run-{number}"), *lines)

    context = make_context("after")
    assert table(context, "fact_sales", "total_amount") == [(Decimal(amount),) for amount in amounts]
    assert set(table(context, "dim_product", "product_name")) == {
        ("Unknown product",),
        *((f"Mug {amount}",) for amount in amounts),
    }


@ON_SAIL
def test_a_line_of_a_raw_file_from_before_there_were_mapping_versions_is_the_oldest(
    make_context: MakeContext,
) -> None:
    merged(make_context("run-1"), record(total_amount="10.00", mapping_version="1"))
    merged(make_context("run-2"), record(total_amount="9.00", mapping_version=None))

    assert table(make_context("after"), "fact_sales", "total_amount") == [(Decimal("10.0000"),)]
