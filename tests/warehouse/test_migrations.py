"""Any database that an earlier version made is brought to what `sql/star` and `sql/views` declare, with its rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from retail.cli.doctor import examine
from retail.config.settings import home
from retail.errors import WarehouseError
from retail.warehouse.connection import Warehouse
from retail.warehouse.schema import ddl, migrations
from tests.warehouse.catalogue import STRUCTURE, catalogue_of, differences
from tests.warehouse.conftest import Query, Sold, Write, database
from tests.warehouse.literals import line, make_partitions
from tests.warehouse.versions import MIGRATIONS, RECORD, apply, bring_to, rows

pytestmark = pytest.mark.postgres

BEFORE_MIGRATIONS = Path(__file__).with_name("data") / "before_migrations.sql"
FACTS = "SELECT sales_key, total_amount FROM star.fact_sales ORDER BY sales_key"


def fill(warehouse: Warehouse) -> None:
    """A sale in each of two months, and a run that published them."""
    make_partitions(warehouse, ["2017-01", "2017-02"])
    rows(
        warehouse,
        """
        INSERT INTO star.dim_date (date_key, changed_run_id) VALUES (-1, 'run_1');
        INSERT INTO star.dim_product (product_key, changed_run_id) VALUES (-1, 'run_1');
        INSERT INTO star.dim_customer (customer_key, changed_run_id) VALUES (-1, 'run_1');
        INSERT INTO star.dim_store (store_key, changed_run_id) VALUES (-1, 'run_1');
        INSERT INTO star.dim_retailer (retailer_key, changed_run_id) VALUES (-1, 'run_1');
        INSERT INTO star.fact_sales (sales_key, retailer_id, transaction_id, line_id, record_type, status, date_key,
            product_key, customer_key, store_key, retailer_key, business_date, sold_at, updated_at, quantity,
            total_amount, currency, source_ref, changed_run_id)
        SELECT n, 'retailer_1', 't' || n, '1', 'sale', 'completed', -1, -1, -1, -1, -1, day, day, day, 1, 9.99 * n,
            'USD', 'page-00001#1', 'run_1'
        FROM (VALUES (1, date '2017-01-05'), (2, date '2017-02-01')) AS sale (n, day);
        INSERT INTO ops.publish (run_id, published_by, tables, delta_versions) VALUES ('run_1', 'run_1', '{}', '{}');
        INSERT INTO marts.freshness VALUES ('mv_daily_sales', now(), 'run_1', 2);
        """,
    )


def prepared(server: Warehouse) -> Warehouse:
    """An empty database that was brought to the newest version, then partitioned as `fill` does."""
    warehouse = database(server, template="template1")
    ddl.prepare(warehouse)
    make_partitions(warehouse, ["2017-01", "2017-02"])
    return warehouse


def test_migrations_alone_make_the_tables_that_sql_star_declares(server: Warehouse) -> None:
    migrated, declared = (database(server, template="template1") for _ in range(2))
    apply(migrated, *MIGRATIONS)
    apply(declared, *ddl.star_files())
    one, other = catalogue_of(migrated, STRUCTURE), catalogue_of(declared, STRUCTURE)
    assert differences(one, other) == {}
    assert len(one["columns"]) > 80
    assert len(one["constraints"]) > 20


def test_an_empty_database_gets_what_sql_declares_comments_views_and_grants_included(
    server: Warehouse, empty: Warehouse
) -> None:
    declared = database(server, template="template1")
    apply(declared, *ddl.star_files(), *ddl.view_files(), home() / "sql" / "roles.sql")
    ddl.prepare(empty)
    found = catalogue_of(empty)
    assert differences(found, catalogue_of(declared)) == {}
    assert all(found.values())


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_every_earlier_version_is_brought_to_the_newest_with_its_rows(
    server: Warehouse, empty: Warehouse, version: int
) -> None:
    bring_to(empty, version)
    fill(empty)
    before = rows(empty, FACTS)

    ddl.prepare(empty)

    assert rows(empty, FACTS) == before != []
    assert ddl.state(empty).is_newest
    assert [number for number, *_ in rows(empty, RECORD)] == list(range(1, len(MIGRATIONS) + 1))
    expected, found = catalogue_of(prepared(server)), catalogue_of(empty)
    assert differences(found, expected) == {}


def test_a_database_from_before_migrations_is_taken_over_with_its_rows_and_views(
    server: Warehouse, empty: Warehouse
) -> None:
    apply(empty, BEFORE_MIGRATIONS)
    fill(empty)
    rows(empty, "REFRESH MATERIALIZED VIEW marts.mv_daily_sales")
    shown = rows(empty, "SELECT business_date, net_amount FROM marts.mv_daily_sales ORDER BY 1")

    ddl.prepare(empty)

    assert len(rows(empty, FACTS)) == 2
    assert rows(empty, "SELECT business_date, net_amount FROM marts.mv_daily_sales ORDER BY 1") == shown != []
    assert ddl.state(empty).is_newest
    assert differences(catalogue_of(empty), catalogue_of(prepared(server))) == {}


def test_a_migration_is_applied_once_and_recorded_with_who_applied_it(
    warehouse: Warehouse, query: Query, sold: Sold, write: Write
) -> None:
    sold(line(1, "2017-01-05", "9.99"))
    new = f"{len(MIGRATIONS) + 1:04}_area.sql"
    write(f"migrations/{new}", "ALTER TABLE star.dim_store ADD COLUMN area numeric NOT NULL DEFAULT 0;")
    assert [each.name for each in ddl.state(warehouse).migrations] == [new]
    ddl.prepare(warehouse)
    ddl.prepare(warehouse)
    assert query("SELECT DISTINCT area FROM star.dim_store") == [(0,)]
    assert query(RECORD)[-1] == (len(MIGRATIONS) + 1, new, migrations.applied_by())
    assert len(query(RECORD)) == len(MIGRATIONS) + 1


def test_doctor_tells_the_version_and_what_is_pending(
    server: Warehouse, empty: Warehouse, warehouse: Warehouse, write: Write, query: Query
) -> None:
    newest = len(MIGRATIONS)
    assert examine.schema_of(warehouse) == f"schema version {newest}, nothing pending"
    told = examine.schema_of(empty)
    assert told.startswith("schema version 0; pending, applied by the next publish: 0001_star.sql, 0002_")
    assert told.endswith(f" and {newest - 3} more")
    write("views/mv_daily_sales.sql", "SELECT 1;")
    assert examine.schema_of(warehouse).endswith("by the next publish: mv_daily_sales.sql")
    write(f"migrations/{newest + 1:04}_area.sql", "SELECT 1;")
    assert examine.schema_of(warehouse).endswith(f"by the next publish: {newest + 1:04}_area.sql")
    query("INSERT INTO ops.migration VALUES (900, '0900_later.sql', 'x', now(), '9.9')")
    with pytest.raises(WarehouseError, match=r"\b900\b.*0900_later\.sql"):
        examine.schema_of(warehouse)


def test_a_migration_that_was_edited_after_it_was_applied_is_refused(
    warehouse: Warehouse, query: Query, write: Write
) -> None:
    write(f"migrations/{MIGRATIONS[1].name}", "-- another\n" + MIGRATIONS[1].read_text())
    with pytest.raises(
        WarehouseError, match=f"{MIGRATIONS[1].name} differs from this database's migration"
    ) as refused:
        ddl.prepare(warehouse)
    assert "restore the file" in refused.value.hint
    assert f"{len(MIGRATIONS) + 1:04}_title.sql" in refused.value.hint


def test_line_ends_of_windows_are_no_edit(warehouse: Warehouse, tmp_path: Path, write: Write) -> None:
    file = tmp_path / "sql" / "migrations" / MIGRATIONS[1].name
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert ddl.state(warehouse).is_newest


def test_a_database_that_a_newer_version_made_is_refused_and_left_alone(
    warehouse: Warehouse, query: Query
) -> None:
    query("INSERT INTO ops.migration VALUES (900, '0900_later.sql', 'x', now(), '9.9')")
    query("DELETE FROM ops.definition")
    with pytest.raises(WarehouseError, match=r"version 900 \(0900_later.sql\)") as refused:
        ddl.prepare(warehouse)
    assert "install the version" in refused.value.hint
    assert query("SELECT count(*) FROM ops.definition") == [(0,)]


@pytest.mark.parametrize("name", ["0099_far.sql", "6_short.sql", "0006-Dash.sql", "0005_twice.sql"])
def test_numbers_with_a_gap_or_twice_are_refused_before_anything_is_asked(
    warehouse: Warehouse, write: Write, name: str
) -> None:
    write(f"migrations/{name}", "SELECT 1;")
    with pytest.raises(WarehouseError, match="is not migration") as refused:
        ddl.prepare(warehouse)
    assert "have no gaps" in refused.value.hint


def test_a_migration_that_fails_leaves_nothing_of_those_before_it(
    warehouse: Warehouse, query: Query, write: Write
) -> None:
    first, second = (f"{len(MIGRATIONS) + n:04}_more.sql" for n in (1, 2))
    write(f"migrations/{first}", "CREATE TABLE star.dim_more (more_key bigint PRIMARY KEY);")
    write(f"migrations/{second}", "ALTER TABLE star.dim_store ADD COLUMN area integer; SELECT nonsense;")
    before = catalogue_of(warehouse)
    with pytest.raises(WarehouseError, match='"nonsense"'):
        ddl.prepare(warehouse)
    assert differences(catalogue_of(warehouse), before) == {}
    assert len(query(RECORD)) == len(MIGRATIONS)


def test_a_table_that_the_declaration_has_and_no_migration_makes_is_seen(
    server: Warehouse, empty: Warehouse, write: Write
) -> None:
    write("star/99_more.sql", "CREATE TABLE IF NOT EXISTS star.dim_more (more_key bigint PRIMARY KEY);")
    declared = database(server, template="template1")
    apply(empty, *MIGRATIONS)
    apply(declared, *ddl.star_files())
    assert set(differences(catalogue_of(empty, STRUCTURE), catalogue_of(declared, STRUCTURE))) == set(
        STRUCTURE
    )
