"""A view's query changes, and whoever could read it still can: grants, indexes, owner and what hangs on it are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from retail.config.secrets import Secret
from retail.config.settings import home
from retail.errors import TieOutError, WarehouseError
from retail.warehouse.connection import Warehouse
from retail.warehouse.schema import ddl, view_rebuild
from retail.warehouse.views import refresh
from tests.warehouse.catalogue import catalogue_of, differences
from tests.warehouse.conftest import MORE, VIEW, Edit, Query, Sold, refused_as
from tests.warehouse.literals import line

pytestmark = pytest.mark.postgres

GRANTS = (
    "SELECT c.oid::regclass::text, a.attname::text, acl.grantee, acl.privilege_type, acl.is_grantable"
    " FROM pg_class AS c LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attacl IS NOT NULL"
    " CROSS JOIN LATERAL aclexplode(coalesce(a.attacl, c.relacl, acldefault('r', c.relowner))) AS acl"
    " WHERE c.relnamespace::regnamespace::text IN ('marts', 'bi') AND c.relkind IN ('v', 'm') ORDER BY 1, 2, 3, 4"
)


@pytest.fixture
def by_hand(query: Query, sold: Sold, warehouse: Warehouse) -> None:
    """What people have put on the view: grants to roles we do not know, an index, views on it and on those."""
    sold(line(1, "2017-01-05", "9.99"), line(2, "2017-01-06", "5"))
    refresh(warehouse)
    suffix = warehouse.database
    query(f"""
        CREATE ROLE "Team {suffix}";
        CREATE ROLE analyst_{suffix} LOGIN PASSWORD 'x';
        CREATE SCHEMA bi AUTHORIZATION analyst_{suffix};
        GRANT USAGE ON SCHEMA marts TO analyst_{suffix};
        GRANT SELECT ON marts.{VIEW} TO "Team {suffix}", analyst_{suffix} WITH GRANT OPTION;
        GRANT SELECT (business_date, net_amount) ON marts.mv_daily_sales TO PUBLIC;
        GRANT SELECT ON marts.mv_store_performance TO analyst_{suffix};
        CREATE INDEX by_hand ON marts.{VIEW} (net_amount);
        SET ROLE analyst_{suffix};
        CREATE VIEW bi.best WITH (security_barrier = true) AS SELECT business_date, net_amount FROM marts.{VIEW};
        COMMENT ON VIEW bi.best IS 'Best days';
        COMMENT ON COLUMN bi.best.net_amount IS 'Net';
        CREATE MATERIALIZED VIEW bi.weekly AS
            SELECT date_trunc('week', best.business_date) AS week, sum(best.net_amount) AS net
            FROM bi.best CROSS JOIN (SELECT count(*) FROM marts.mv_store_performance) AS stores GROUP BY 1;
        CREATE UNIQUE INDEX weekly_key ON bi.weekly (week);
        CREATE MATERIALIZED VIEW bi.ran_as AS SELECT DISTINCT current_user AS login FROM marts.{VIEW};
        CREATE MATERIALIZED VIEW bi.unfilled AS SELECT net FROM bi.weekly WITH NO DATA;
        GRANT SELECT ON bi.best TO "Team {suffix}", retail_reader;
        GRANT SELECT ON bi.weekly TO "Team {suffix}";
        RESET ROLE;
        ALTER DEFAULT PRIVILEGES IN SCHEMA bi GRANT SELECT ON TABLES TO retail_loader;
    """)


@pytest.mark.usefixtures("by_hand", "more")
def test_everything_that_people_put_on_a_view_is_there_after_its_query_changed(
    warehouse: Warehouse, query: Query
) -> None:
    grants, before = query(GRANTS), catalogue_of(warehouse)
    bi = (
        "SELECT oid::regclass::text, relkind, relowner, relispopulated, reloptions, obj_description(oid),"
        " pg_get_viewdef(oid), col_description(oid, 2),"
        " ARRAY(SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = pg_class.oid)"
        " FROM pg_class WHERE relnamespace = 'bi'::regnamespace AND relkind IN ('v', 'm') ORDER BY 1"
    )
    hanging = query(bi)
    assert len(hanging) == 4

    ddl.prepare(warehouse)

    assert query(f"SELECT DISTINCT answer FROM marts.{VIEW}") == [(42,)]
    assert query(GRANTS) == grants
    assert query(bi) == hanging
    changed = differences(before, catalogue_of(warehouse))
    assert set(changed) == {"columns", "views", "comments"}
    assert {row[1] for kind in ("columns", "comments") for row in changed[kind]} == {"answer"}
    assert query("SELECT sum(net) FROM bi.weekly") == query("SELECT sum(total_amount) FROM star.fact_sales")
    assert query("SELECT login::text FROM bi.ran_as") == [(f"analyst_{warehouse.database}",)]
    team = replace(warehouse, user=f"analyst_{warehouse.database}", password=Secret("x"))
    with team.connect("look") as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT answer FROM marts.{VIEW} LIMIT 1")
        assert cursor.fetchone() == (42,)


@pytest.mark.usefixtures("by_hand", "more")
def test_freshness_tells_when_the_view_was_made_anew(warehouse: Warehouse, query: Query) -> None:
    fresh = "SELECT view, refreshed_at, rows FROM marts.freshness WHERE view "
    before, others = query(f"{fresh} = '{VIEW}'"), query(f"{fresh} <> '{VIEW}' ORDER BY 1")
    ddl.prepare(warehouse)
    ((_, at, rows),) = query(f"{fresh} = '{VIEW}'")
    assert at > before[0][1]
    assert rows == before[0][2] == 2
    assert query(f"{fresh} <> '{VIEW}' ORDER BY 1") == others


@pytest.mark.usefixtures("by_hand")
def test_a_changed_comment_leaves_the_view_and_its_rows_as_they_are(
    warehouse: Warehouse, query: Query, edit: Edit, sold: Sold
) -> None:
    edit(
        f"views/{VIEW}.sql",
        "COMMENT ON MATERIALIZED VIEW",
        f"COMMENT ON COLUMN marts.{VIEW}.lines IS 'Lines!';\nCOMMENT ON MATERIALIZED VIEW",
    )
    sold(line(3, "2017-01-07", "5"))  # published, and not shown yet
    before = query(f"SELECT oid, relfilenode FROM pg_class WHERE oid = 'marts.{VIEW}'::regclass")
    ddl.prepare(warehouse)
    assert query(f"SELECT oid, relfilenode FROM pg_class WHERE oid = 'marts.{VIEW}'::regclass") == before
    assert query(f"SELECT count(*) FROM marts.{VIEW}") == [(2,)]
    assert ddl.state(warehouse).is_newest


@pytest.mark.usefixtures("more")
def test_a_new_query_waits_while_the_star_holds_what_no_check_let_into_the_views(
    warehouse: Warehouse, query: Query, sold: Sold
) -> None:
    sold(line(1, "2017-01-05", "9.99"))
    query("INSERT INTO ops.publish VALUES (DEFAULT, 'run_1', 'run_1', now(), '{}', '{}')")
    ddl.prepare(warehouse)
    assert [file.stem for file in ddl.state(warehouse).definitions] == [VIEW]
    assert query(f"SELECT count(*) FROM marts.{VIEW}") == [(0,)]

    refresh(warehouse)
    ddl.prepare(warehouse)
    assert ddl.state(warehouse).is_newest
    assert query(f"SELECT answer FROM marts.{VIEW}") == [(42,)]


@pytest.mark.usefixtures("by_hand")
def test_a_new_query_that_loses_money_is_refused_and_the_old_view_stays(
    warehouse: Warehouse, query: Query, edit: Edit
) -> None:
    edit(f"views/{VIEW}.sql", "sum(total_amount) AS net_amount", "sum(total_amount) - 1 AS net_amount")
    before = query(f"SELECT * FROM marts.{VIEW} ORDER BY business_date")
    with pytest.raises(TieOutError, match=f"2 figure\\(s\\) of {VIEW} do not match the star"):
        ddl.prepare(warehouse)
    assert query(f"SELECT * FROM marts.{VIEW} ORDER BY business_date") == before


@pytest.mark.usefixtures("by_hand")
def test_a_view_on_a_column_that_goes_is_named_and_nothing_is_changed(
    warehouse: Warehouse, query: Query, edit: Edit
) -> None:
    query(f"CREATE VIEW bi.baskets AS SELECT average_basket FROM marts.{VIEW}")
    edit(f"views/{VIEW}.sql", MORE, "42 AS answer")
    edit(f"views/{VIEW}.sql", "average_basket IS", "answer IS")
    before = catalogue_of(warehouse)
    with pytest.raises(
        WarehouseError, match=r"bi.baskets, which reads from them, cannot be recreated"
    ) as refused:
        ddl.prepare(warehouse)
    assert "drop bi.baskets" in refused.value.hint
    assert differences(catalogue_of(warehouse), before) == {}


@pytest.mark.usefixtures("by_hand", "more")
def test_what_hangs_on_a_view_and_is_no_view_is_named_too(warehouse: Warehouse, query: Query) -> None:
    query(
        f"CREATE FUNCTION bi.first() RETURNS numeric LANGUAGE sql"
        f" BEGIN ATOMIC SELECT net_amount FROM marts.{VIEW} LIMIT 1; END"
    )
    with pytest.raises(WarehouseError, match=r"function bi.first\(\) depends on") as refused:
        ddl.prepare(warehouse)
    assert "drop what depends on it" in refused.value.hint


@pytest.mark.usefixtures("by_hand", "more")
def test_a_view_of_another_login_that_would_be_made_anew_is_named(warehouse: Warehouse, query: Query) -> None:
    name = f"pipeline_{warehouse.database}"
    query(f"CREATE ROLE {name} LOGIN PASSWORD 'x' IN ROLE retail_owner; GRANT USAGE ON SCHEMA bi TO {name}")
    before = catalogue_of(warehouse)
    with pytest.raises(WarehouseError, match=r"bi.unfilled must be recreated .* another login") as refused:
        ddl.prepare(replace(warehouse, user=name, password=Secret("x")))
    assert "once as an administrator" in refused.value.hint
    assert differences(catalogue_of(warehouse), before) == {}


@pytest.mark.usefixtures("by_hand")
def test_a_new_comment_needs_no_right_over_what_hangs_on_the_view(
    warehouse: Warehouse, query: Query, edit: Edit
) -> None:
    name = f"pipeline_{warehouse.database}"
    query(f"CREATE ROLE {name} LOGIN PASSWORD 'x' IN ROLE retail_owner")
    edit(f"views/{VIEW}.sql", "; NULL without transactions'", "; none without transactions'")
    ddl.prepare(replace(warehouse, user=name, password=Secret("x")))
    assert ddl.state(warehouse).is_newest


@pytest.mark.usefixtures("by_hand")
def test_an_index_by_hand_on_a_column_that_goes_is_let_go(
    warehouse: Warehouse, query: Query, edit: Edit
) -> None:
    query(f"CREATE INDEX baskets ON marts.{VIEW} (average_basket)")
    edit(f"views/{VIEW}.sql", MORE, "42 AS answer")
    edit(f"views/{VIEW}.sql", "average_basket IS", "answer IS")
    ddl.prepare(warehouse)
    assert query("SELECT to_regclass('marts.by_hand') IS NULL, to_regclass('marts.baskets') IS NULL") == [
        (False, True)
    ]


@pytest.mark.usefixtures("by_hand")
def test_a_type_that_views_read_is_changed_by_a_migration_that_makes_them_anew(
    warehouse: Warehouse, query: Query, edit: Edit
) -> None:
    new = Path(
        f"{home()}/sql/migrations/{len(ddl.migrations.known(home() / 'sql' / 'migrations')) + 1:04}_wider.sql"  # type: ignore[attr-defined]
    )
    statement = "ALTER TABLE star.fact_sales ALTER COLUMN tax_amount TYPE numeric(20, 4);\n"
    new.write_text(statement)
    with refused_as("0A000"):
        ddl.prepare(warehouse)
    new.write_text(f"-- views are made anew\n{statement}")
    grants = query(GRANTS)
    shown = query(f"SELECT * FROM marts.{VIEW} ORDER BY business_date")
    ddl.prepare(warehouse)
    assert query(GRANTS) == grants
    assert query(f"SELECT * FROM marts.{VIEW} ORDER BY business_date") == shown
    assert ddl.state(warehouse).is_newest

    query("INSERT INTO ops.publish VALUES (DEFAULT, 'run_9', 'run_9', now(), '{}', '{}')")
    (new.parent / f"{int(new.name[:4]) + 1:04}_wider.sql").write_text(f"-- views are made anew\n{statement}")
    with pytest.raises(WarehouseError, match="no check has passed yet"):
        ddl.prepare(warehouse)


def test_every_view_s_file_makes_the_view_it_is_named_for_and_a_draft_of_it(warehouse: Warehouse) -> None:
    with warehouse.connect("compare") as connection, connection:
        assert view_rebuild.changed(connection, ddl.view_files()) == []
