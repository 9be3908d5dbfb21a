from __future__ import annotations

from decimal import Decimal

import pytest
from pyspark.sql import SparkSession

from retail.errors import EngineError, LeaseHeldError, WarehouseError
from retail.lake import delta
from retail.warehouse.connection import Warehouse
from retail.warehouse.publish.transaction import Published, TableCounts, publish, published_runs
from tests.warehouse.conftest import Query, refused_as
from tests.warehouse.literals import DIMENSIONS, Lake, line

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.parametrize("engine", ["sail"], indirect=True, scope="session"),
]

STAR = "SELECT sales_key, total_amount, changed_run_id FROM star.fact_sales ORDER BY sales_key"


class Publisher:
    def __init__(self, session: SparkSession, lake: Lake, warehouse: Warehouse) -> None:
        self.session, self.lake, self.warehouse = session, lake, warehouse

    def __call__(self, *run_ids: str, months: tuple[str, ...] = ("2017-01", "2017-02")) -> Published:
        return publish(
            self.session,
            self.lake.storage,
            self.warehouse,
            run_id=run_ids[-1],
            pending_run_ids=run_ids,
            months=months,
            delta_versions=self.lake.versions,
        )


@pytest.fixture
def publishing(session: SparkSession, lake: Lake, warehouse: Warehouse) -> Publisher:
    return Publisher(session, lake, warehouse)


def counts(published: Published, table: str = "fact_sales") -> tuple[int, int, int]:
    """Rows sent, inserted, updated."""
    (found,) = (count for count in published.tables if count.table == table)
    return (found.sent, found.inserted, found.updated)


def test_the_first_publish_brings_everything_and_a_second_changes_nothing(
    publishing: Publisher, lake: Lake, warehouse: Warehouse, query: Query
) -> None:
    lake.write(
        "fact_sales", line(1, "2017-01-05", "9.99"), line(2, "2017-02-01", "5"), line(3, "2017-02-01", "-1")
    )
    sent = {table: len(rows) for table, rows in sorted(DIMENSIONS.items())} | {"fact_sales": 3}

    first = publishing("run_1")
    assert first.tables == tuple(TableCounts(table, n, n, 0) for table, n in sent.items())
    assert published_runs(warehouse) == {"run_1"}
    everything = [
        f"SELECT xmin::text, * FROM {name}"
        for name in ("star.fact_sales_2017_02", "star.dim_date", "ops.publish")
    ]
    before = [query(table) for table in everything]

    second = publishing("run_1")
    assert second.tables == tuple(TableCounts(table, n, 0, 0) for table, n in sent.items())
    assert [query(table) for table in everything] == before


def test_who_lost_the_lease_publishes_nothing(
    publishing: Publisher, lake: Lake, warehouse: Warehouse, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost() -> None:
        raise LeaseHeldError("lost its lease", hint="run again")

    lake.write("fact_sales", line(1, "2017-01-05", "9.99"))
    monkeypatch.setattr(lake.storage, "require_writer", lost)
    with pytest.raises(LeaseHeldError):
        publishing("run_1")
    assert (query(STAR), published_runs(warehouse)) == ([], set())


def test_only_rows_of_the_pending_runs_are_sent(publishing: Publisher, lake: Lake, query: Query) -> None:
    lake.write("fact_sales", line(1, "2017-01-05", "1"))
    publishing("run_1")
    lake.write(
        "fact_sales",
        line(2, "2017-01-05", "2", changed_run_id="run_2"),
        line(3, "2017-01-05", "3", changed_run_id="run_3"),
        line(4, "2017-01-05", "4", changed_run_id="run_4"),
    )
    published = publishing("run_2", "run_3")
    assert counts(published) == (2, 2, 0)
    assert counts(published, "dim_date") == (0, 0, 0)
    assert [key for key, _, _ in query(STAR)] == [1, 2, 3]
    assert query(
        "SELECT run_id, published_by, tables -> 'fact_sales' ->> 'inserted' FROM ops.publish ORDER BY 1"
    ) == [
        ("run_1", "run_1", "1"),
        ("run_2", "run_3", "2"),
        ("run_3", "run_3", "2"),
    ]


def test_the_versions_that_are_named_are_read_not_the_newest(
    publishing: Publisher, lake: Lake, query: Query
) -> None:
    lake.write("fact_sales", line(1, "2017-01-05", "1"))
    versions = dict(lake.versions)
    lake.write("fact_sales", line(2, "2017-01-05", "2"))
    lake.versions = versions
    assert counts(publishing("run_1")) == (1, 1, 0)
    assert query("SELECT delta_versions ->> 'fact_sales' FROM ops.publish") == [("0",)]


def test_a_version_before_the_last_checkpoint_is_read(publishing: Publisher, lake: Lake) -> None:
    for number in range(6):
        lake.write("fact_sales", line(number, "2017-01-05", "1"))
    delta.table(lake.storage, "star/fact_sales").create_checkpoint()
    lake.versions["fact_sales"] = 3
    assert counts(publishing("run_1")) == (4, 4, 0)


def test_a_correction_changes_its_row_only(publishing: Publisher, lake: Lake, query: Query) -> None:
    lake.write("fact_sales", line(1, "2017-01-05", "1"), line(2, "2017-01-05", "2"))
    publishing("run_1")
    ((untouched,),) = query("SELECT ctid::text FROM star.fact_sales WHERE sales_key = 2")
    lake.replace("fact_sales", "sales_key = 1", line(1, "2017-01-05", "1.5", changed_run_id="run_2"))
    assert counts(publishing("run_2")) == (1, 0, 1)
    assert query(STAR) == [(1, Decimal("1.5"), "run_2"), (2, Decimal(2), "run_1")]
    assert query("SELECT ctid::text FROM star.fact_sales WHERE sales_key = 2") == [(untouched,)]


def test_a_dimension_takes_its_newest_description(publishing: Publisher, lake: Lake, query: Query) -> None:
    lake.write("fact_sales")
    publishing("run_1")
    named = {"product_key": 1, "retailer_id": "retailer_1", "product_id": "sku1", "product_name": "Mug"}
    lake.replace("dim_product", "product_key = 1", named | {"changed_run_id": "run_2"})
    assert counts(publishing("run_2"), "dim_product") == (1, 0, 1)
    assert query("SELECT product_name FROM star.dim_product WHERE product_key = 1") == [("Mug",)]


@pytest.mark.parametrize("day", ["2017-01-31", "2017-02-01"], ids=["same month", "month that is new"])
def test_a_line_whose_business_day_moves_leaves_its_old_day(
    publishing: Publisher, lake: Lake, query: Query, day: str
) -> None:
    lake.write("fact_sales", line(1, "2017-01-05", "1"), line(2, "2017-01-05", "2"))
    publishing("run_1", months=("2017-01",))
    lake.replace("fact_sales", "sales_key = 1", line(1, day, "1", changed_run_id="run_2"))
    assert counts(publishing("run_2")) == (1, 0, 1)
    assert query("SELECT sales_key, business_date::text FROM star.fact_sales ORDER BY 1") == [
        (1, day),
        (2, "2017-01-05"),
    ]


def test_new_months_and_known_ones_are_published_together(
    publishing: Publisher, lake: Lake, query: Query
) -> None:
    lake.write("fact_sales", line(1, "2017-01-05", "1"))
    publishing("run_1", months=("2017-01",))
    lake.write(
        "fact_sales",
        line(2, "2017-01-06", "2", changed_run_id="run_2"),
        line(3, "2017-02-01", "3", changed_run_id="run_2"),
        line(4, "2017-03-01", "4", changed_run_id="run_2"),
    )
    assert counts(publishing("run_2", months=("2017-03", "2017-01", "2017-02", "2017-02"))) == (3, 3, 0)
    assert query("SELECT tableoid::regclass::text, sales_key FROM star.fact_sales ORDER BY 2") == [
        ("star.fact_sales_2017_01", 1),
        ("star.fact_sales_2017_01", 2),
        ("star.fact_sales_2017_02", 3),
        ("star.fact_sales_2017_03", 4),
    ]


def test_a_failure_in_the_middle_leaves_star_and_ledger_as_they_were(
    publishing: Publisher, lake: Lake, warehouse: Warehouse, query: Query
) -> None:
    lake.write("fact_sales", line(1, "2017-01-05", "1"))
    publishing("run_1", months=("2017-01",))
    before = [
        query("SELECT * FROM star.dim_product ORDER BY 1"),
        query(STAR),
        query("SELECT * FROM ops.publish"),
    ]
    lake.write("dim_product", {"product_key": 77, "retailer_id": "retailer_1", "changed_run_id": "run_2"})
    lake.write(
        "fact_sales",
        line(2, "2017-01-05", "2", changed_run_id="run_2"),
        line(3, "2017-02-01", "3", changed_run_id="run_2", product_key=404),  # of a product that is not there
    )
    with refused_as("23503"):
        publishing("run_2")
    after = [
        query("SELECT * FROM star.dim_product ORDER BY 1"),
        query(STAR),
        query("SELECT * FROM ops.publish"),
    ]
    assert after == before
    assert query("SELECT to_regclass('star.fact_sales_2017_02')") == [(None,)]

    lake.replace(
        "fact_sales", "sales_key = 3", line(3, "2017-02-01", "3", changed_run_id="run_2", product_key=77)
    )
    assert counts(publishing("run_2")) == (2, 2, 0)
    assert published_runs(warehouse) == {"run_1", "run_2"}


def test_one_key_twice_is_refused_and_named(publishing: Publisher, lake: Lake, query: Query) -> None:
    lake.write("fact_sales", line(8, "2017-01-05", "1"), line(8, "2017-01-06", "1"))
    with pytest.raises(WarehouseError, match="star/fact_sales holds sales_key 8 more than once"):
        publishing("run_1")
    assert query("SELECT count(*) FROM star.dim_date") == [(0,)]


def test_a_column_that_delta_lacks_is_named(publishing: Publisher, lake: Lake, query: Query) -> None:
    lake.write("fact_sales", line(1, "2017-01-05", "1"))
    query("ALTER TABLE star.dim_store ADD COLUMN floor_space integer, ADD COLUMN opened date")
    with pytest.raises(WarehouseError, match=r"star\.dim_store has columns .*: floor_space, opened"):
        publishing("run_1")


def test_a_table_without_a_delta_version_is_named(publishing: Publisher, lake: Lake) -> None:
    with pytest.raises(WarehouseError, match="no Delta version is given for fact_sales"):
        publishing("run_1")


def test_a_delta_table_that_cannot_be_read_is_named(
    publishing: Publisher, lake: Lake, warehouse: Warehouse
) -> None:
    lake.versions["fact_sales"] = 0
    with pytest.raises(EngineError, match="Delta table star/fact_sales, version 0, cannot be read"):
        publishing("run_1")
    assert published_runs(warehouse) == set()


def test_no_pending_run_is_no_work(publishing: Publisher, lake: Lake, warehouse: Warehouse) -> None:
    lake.write("fact_sales", line(1, "2017-01-05", "1"))
    published = publish(
        publishing.session, lake.storage, warehouse, run_id="run_1", pending_run_ids=[], months=["2017-01"],
        delta_versions=lake.versions,
    )  # fmt: skip
    assert counts(published) == (0, 0, 0)
    assert published_runs(warehouse) == set()


def test_a_run_that_changed_nothing_is_published_too(
    publishing: Publisher, lake: Lake, warehouse: Warehouse
) -> None:
    lake.write("fact_sales")
    publishing("run_1", months=())
    publishing("run_2", months=())
    assert published_runs(warehouse) == {"run_1", "run_2"}
