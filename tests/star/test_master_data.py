"""Descriptions from the retailers' catalogues: the newest one stands for a row that was sold, whatever came when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import permutations

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from structlog.testing import capture_logs

from retail.lake import delta
from retail.lake.layout import master_folder
from retail.pipeline.step_context import StepContext
from retail.quality.rules import load_row_rules
from retail.records import PRODUCT_FIELDS, ProductRecord, SalesRecord, StoreRecord
from retail.star import master_data, staging
from retail.star.build import Built, build
from retail.star.tables import dim_product, dim_store
from tests.star.conftest import DAY, record, write_raw

MakeContext = Callable[[str], StepContext]
# docs/decisions/0006-spark-tests.md
ON_SAIL = pytest.mark.parametrize("engine", ["sail"], indirect=True)

SOLD = datetime(2017, 1, 5, 20, tzinfo=UTC)
FETCHED = datetime(2017, 1, 7, tzinfo=UTC)
LATER = datetime(2017, 1, 8, tzinfo=UTC)
ROW = (
    "retailer_id string, product_id string, product_name string, brand string, category string, gtin string, "
)
ORDER = "updated_at timestamp, mapping_version int, fetch_order string"
PAGE = "20170106T010000Z-a 2017-01-05 00001"


def product(product_id: str = "p1", at: str = "2017-01-07T00:00:00.000000Z", **told: str) -> ProductRecord:
    return ProductRecord(
        retailer_id="retailer_1", product_id=product_id, fetched_at=at, source_ref="GET /x", **told
    )


def store(store_id: str = "s1", **told: str) -> StoreRecord:
    return StoreRecord(
        retailer_id="retailer_1",
        store_id=store_id,
        fetched_at="2017-01-07T00:00:00.000000Z",
        source_ref="x",
        **told,
    )


MUG = product(product_name="Stoneware mug", brand="Acme", category="Kitchen", gtin="00036000291452")


def lines_of(session: SparkSession, *lines: ProductRecord | str) -> DataFrame:
    rows = [(line if isinstance(line, str) else line.to_line(), "retailer_1") for line in lines]
    return session.createDataFrame(rows, "value string, from_retailer string")


def parsed(session: SparkSession, *lines: ProductRecord | str) -> DataFrame:
    return master_data.parse(lines_of(session, *lines), dim_product.TABLE, PRODUCT_FIELDS)


def test_a_broken_line_is_told_from_a_good_one(session: SparkSession) -> None:
    good = MUG.to_line()
    bad = [good[:-1], good[:60], "{}", "null", "[1]", "no JSON", product("").to_line(), product(at="soon").to_line(),
           good.replace("retailer_1", "retailer_2"), good.replace('"p1"', "null")]  # fmt: skip
    found = parsed(session, good, *bad).select("is_broken")
    expected = session.createDataFrame([(False,), *[(True,)] * len(bad)], "is_broken boolean")
    assert_df_equality(found, expected, ignore_nullable=True)


def test_the_newest_line_that_says_anything_describes_a_product(session: SparkSession) -> None:
    old = product(at="2017-01-06T00:00:00.000000Z", product_name="Mug", brand="Old brand")
    lost = product(at="2017-01-09T00:00:00.000000Z")
    found = master_data.newest(parsed(session, old, MUG, lost, product("p2")), dim_product.TABLE)
    expected = session.createDataFrame(
        [("retailer_1", "p1", "Stoneware mug", "Acme", "Kitchen", "00036000291452", FETCHED, 0, "")],
        ROW + ORDER,
    )
    assert_df_equality(found.drop("content_hash"), expected, ignore_nullable=True)


def test_a_described_product_takes_nothing_from_its_sale_and_what_was_not_sold_is_not_added(
    session: SparkSession,
) -> None:
    sold = session.createDataFrame(
        [
            (1, "retailer_1", "p1", "Mug", "Brand of the sale", "Sale", "1", SOLD, 1, PAGE),
            (2, "retailer_1", "p2", "Plate", None, None, None, SOLD, 1, PAGE),
            (2, "retailer_1", "p2", "Blue plate", None, None, None, LATER, 1, PAGE),
            (3, "retailer_2", "p1", "Other mug", None, None, None, SOLD, 1, PAGE),
        ],
        f"product_key bigint, {ROW}{ORDER}",
    )
    told = master_data.newest(
        parsed(session, product(product_name="Stoneware mug"), product("p9", product_name="Unsold")),
        dim_product.TABLE,
    )
    found = dim_product.derive(sold, told).drop("content_hash")
    expected = session.createDataFrame(
        [
            (1, "retailer_1", "p1", "Stoneware mug", None, None, None, FETCHED, 0, ""),
            (2, "retailer_1", "p2", "Blue plate", None, None, None, LATER, 1, PAGE),
            (3, "retailer_2", "p1", "Other mug", None, None, None, SOLD, 1, PAGE),
        ],
        f"product_key bigint, {ROW}{ORDER}",
    )
    assert_df_equality(found, expected, ignore_nullable=True, ignore_row_order=True)


def test_what_is_told_of_a_product_without_its_name_is_no_description(session: SparkSession) -> None:
    told = master_data.newest(parsed(session, product(gtin="00036000291452")), dim_product.TABLE)
    assert told.count() == 0


def test_without_descriptions_a_product_is_what_its_newest_sale_says(session: SparkSession) -> None:
    sold = session.createDataFrame(
        [(1, "retailer_1", "p1", "Mug", "Acme", None, None, SOLD, 1, PAGE)],
        f"product_key bigint, {ROW}{ORDER}",
    )
    found = dim_product.derive(sold).drop("content_hash").select(*sold.columns)
    assert_df_equality(found, sold, ignore_nullable=True)


def write_master(context: StepContext, run_id: str, *records: ProductRecord | StoreRecord | str) -> None:
    """A master file of these lines; a str stands as it is, among the products."""
    for kind, of in (("products", (ProductRecord, str)), ("stores", StoreRecord)):
        lines = [
            each if isinstance(each, str) else each.to_line() for each in records if isinstance(each, of)
        ]
        if lines:
            key = f"{master_folder(kind, 'retailer_1')}run={run_id}/{kind}-00001.json"  # type: ignore[arg-type]
            assert context.storage.create(key, "".join(f"{line}\n" for line in lines).encode())


def merged(context: StepContext, *lines: SalesRecord) -> Built:
    write_raw(context, list(lines))
    return build(context, staging.stage(context, [("retailer_1", DAY)], row_rules=load_row_rules()))


def rows(context: StepContext, table: str, *columns: str) -> list[tuple[object, ...]]:
    frame = delta.read(context.session, context.storage, f"star/{table}")
    return sorted((tuple(row) for row in frame.select(*columns).collect()), key=str)


def star(context: StepContext) -> list[tuple[object, ...]]:
    names = {"dim_product": dim_product.TABLE, "dim_store": dim_store.TABLE}
    return [
        row
        for name, table in names.items()
        for row in rows(context, name, *table.own_columns, *table.order, "content_hash")
    ]


@pytest.mark.spark_nightly
def test_products_and_stores_that_sold_are_what_the_catalogue_says(make_context: MakeContext) -> None:
    context = make_context("run-1")
    place = {"store_name": "Downtown", "store_city": "Dayton", "store_region": "OH", "store_country": "US"}
    write_master(context, "run-1", MUG, product("p2"), product("unsold", product_name="x"), store(**place))
    with capture_logs() as logs:
        merged(
            context,
            record(),
            record(transaction_id="t2", product_id="p2", product_name="Plate", store_id="s2"),
        )

    assert rows(context, "dim_product", "product_id", "product_name", "brand", "category", "gtin") == [
        ("p1", "Stoneware mug", "Acme", "Kitchen", "00036000291452"),
        ("p2", "Plate", None, None, None),
        ("unknown", "Unknown product", None, None, None),
    ]
    assert rows(
        context, "dim_store", "store_id", "store_name", "store_city", "store_region", "store_country"
    ) == [
        ("s1", "Downtown", "Dayton", "OH", "US"),
        ("s2", "Store 1", None, None, None),
        ("unknown", "Unknown store", None, None, None),
    ]
    assert [each for each in logs if each["event"] == "master_lines_left_out"] == []


@ON_SAIL
def test_a_broken_master_line_is_left_out_with_a_warning(make_context: MakeContext) -> None:
    context = make_context("run-1")
    write_master(context, "run-1", MUG.to_line()[:40], "", MUG)
    with capture_logs() as logs:
        merged(context, record())

    assert ("p1", "Acme") in rows(context, "dim_product", "product_id", "brand")
    [warning] = [each for each in logs if each["event"] == "master_lines_left_out"]
    assert (warning["log_level"], warning["table"], warning["lines"]) == ("warning", "dim_product", 1)


@ON_SAIL
def test_a_description_reaches_a_product_in_the_star_when_it_sells_again_and_stays(
    make_context: MakeContext,
) -> None:
    merged(make_context("run-1"), record(product_name="Mug"))
    write_master(make_context("run-1"), "run-2", MUG)
    again = {"transaction_id": "t2", "updated_at": "2017-01-06T10:00:00.000000Z", "product_name": "Mug, new"}
    second = merged(make_context("run-2"), record(**again))
    newer = {
        "transaction_id": "t3",
        "updated_at": "2017-02-06T10:00:00.000000Z",
        "product_name": "Mug, newer",
    }
    third = merged(make_context("run-3"), record(**newer))

    assert second.actions["dim_product"]["updated"] == 1
    assert third.actions["dim_product"]["unchanged"] == 1
    assert rows(make_context("x"), "dim_product", "product_name", "brand", "changed_run_id")[0] == (
        "Stoneware mug", "Acme", "run-2",
    )  # fmt: skip


@pytest.mark.slow
@ON_SAIL
@pytest.mark.parametrize("order", [*permutations(range(3)), (0, 0, 1, 2), (2, 1, 0, 1)])
def test_the_star_is_the_same_whatever_the_order_of_the_days_and_however_often_they_come(
    make_context: MakeContext, order: tuple[int, ...]
) -> None:
    days = [
        [
            record(transaction_id="t1", updated_at="2017-01-05T20:00:00.000000Z"),
            record(line_id="2", product_id="p2"),
        ],
        [
            record(
                transaction_id="t2",
                updated_at="2017-01-09T20:00:00.000000Z",
                product_name="Typo",
                brand="None",
            )
        ],
        [
            record(
                transaction_id="t3",
                product_id="p2",
                updated_at="2017-01-06T20:00:00.000000Z",
                product_name="New",
            )
        ],
    ]
    write_master(make_context("m"), "m", MUG, store(store_name="Downtown"))
    for number, day in enumerate(order):
        merged(make_context(f"run-{number}"), *days[day])
    one_by_one = star(make_context("x"))

    for name in ("dim_product", "dim_store"):
        empty = delta.read(make_context("x").session, make_context("x").storage, f"star/{name}").where(
            "false"
        )
        delta.replace(empty, make_context("x").storage, f"star/{name}")
    merged(make_context("at-once"), *[line for day in days for line in day])
    at_once = star(make_context("x"))
    assert [row for row in one_by_one if "unknown" not in row] == at_once
