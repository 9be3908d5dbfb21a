"""What people put on a view, and on views that hang on it, is there as it was after the view was made anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import structlog

from retail.config.secrets import Secret
from retail.errors import WarehouseError
from retail.warehouse.connection import Warehouse
from retail.warehouse.schema import ddl
from tests.warehouse.conftest import MORE, VIEW, Edit, Query, Sold
from tests.warehouse.literals import line

pytestmark = pytest.mark.postgres

OF_VIEWS = "relnamespace::regnamespace::text IN ('marts', 'bi') AND relkind IN ('v', 'm')"
ON_VIEWS = {
    "parameters and places": f"""
        SELECT c.oid::regclass::text, c.reloptions, toast.reloptions, t.spcname, am.amname, c.relreplident
        FROM pg_class AS c LEFT JOIN pg_tablespace AS t ON t.oid = c.reltablespace
        LEFT JOIN pg_am AS am ON am.oid = c.relam
        LEFT JOIN pg_class AS toast ON toast.oid = c.reltoastrelid
        WHERE c.oid IN (SELECT oid FROM pg_class WHERE {OF_VIEWS}) ORDER BY 1
        """,
    "columns": f"""
        SELECT c.oid::regclass::text, a.attname, nullif(a.attstattarget, -1), a.attoptions, a.attstorage,
            a.attcompression, pg_get_expr(d.adbin, d.adrelid)
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND a.attname <> 'answer'
        LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.oid IN (SELECT oid FROM pg_class WHERE {OF_VIEWS}) ORDER BY 1, 2
        """,
    "indexes": f"""
        SELECT pg_get_indexdef(i.indexrelid), i.indisclustered, i.indisreplident, t.spcname,
            obj_description(i.indexrelid, 'pg_class'),
            ARRAY(SELECT a.attnum || ':' || a.attstattarget FROM pg_attribute AS a
                  WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0)
        FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        LEFT JOIN pg_tablespace AS t ON t.oid = c.reltablespace
        WHERE i.indrelid IN (SELECT oid FROM pg_class WHERE {OF_VIEWS}) ORDER BY 1
        """,
    "statistics": """
        SELECT pg_get_statisticsobjdef(oid), stxowner::regrole::text, nullif(stxstattarget, -1),
            obj_description(oid, 'pg_statistic_ext')
        FROM pg_statistic_ext ORDER BY 1
        """,
    "triggers": """
        SELECT pg_get_triggerdef(oid), tgenabled, obj_description(oid, 'pg_trigger')
        FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1
        """,
    "rules": f"""
        SELECT pg_get_ruledef(oid), ev_enabled, obj_description(oid, 'pg_rewrite')
        FROM pg_rewrite WHERE ev_type <> '1' AND ev_class IN (SELECT oid FROM pg_class WHERE {OF_VIEWS}) ORDER BY 1
        """,
    "extensions": """
        SELECT pg_describe_object(classid, objid, 0), pg_describe_object(refclassid, refobjid, 0)
        FROM pg_depend WHERE deptype = 'x' ORDER BY 1
        """,
}


@pytest.fixture
def by_hand(query: Query, sold: Sold, warehouse: Warehouse) -> None:
    """All that PostgreSQL lets people put on a view of ours, and on a plain and a materialized view that read it."""
    sold(line(1, "2017-01-05", "9.99"))
    slow, analyst = f"slow_{warehouse.database}", f"analyst_{warehouse.database}"
    with warehouse.connect("make a tablespace") as connection, connection.cursor() as cursor:
        cursor.execute("SET allow_in_place_tablespaces = on")
        cursor.execute(f"CREATE TABLESPACE {slow} LOCATION ''")
    query(f"""
        CREATE ROLE {analyst};
        CREATE SCHEMA bi;
        CREATE TABLE bi.log (business_date date, note text);
        CREATE FUNCTION bi.note() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO bi.log VALUES (NEW.business_date, NEW.note); RETURN NEW; END $$;
        CREATE VIEW bi.days WITH (security_barrier = true) AS
            SELECT business_date, currency, net_amount, NULL::text AS note FROM marts.{VIEW};
        ALTER VIEW bi.days ALTER COLUMN note SET DEFAULT 'by default';
        CREATE TRIGGER noted INSTEAD OF INSERT ON bi.days FOR EACH ROW EXECUTE FUNCTION bi.note();
        ALTER TRIGGER noted ON bi.days DEPENDS ON EXTENSION plpgsql;
        COMMENT ON TRIGGER noted ON bi.days IS 'Into the log';
        CREATE RULE forgotten AS ON DELETE TO bi.days DO INSTEAD (DELETE FROM bi.log; NOTIFY days;);
        COMMENT ON RULE forgotten ON bi.days IS 'Out of the log';
        CREATE MATERIALIZED VIEW bi.sums AS SELECT currency, sum(net_amount) AS net FROM bi.days GROUP BY 1;
    """)
    for view, value in ((f"marts.{VIEW}", "net_amount"), ("bi.sums", "net")):
        folder, name = view.split(".")
        query(f"""
            CREATE INDEX by_hand ON {view} (currency, ({value} * 2)) WITH (fillfactor = 70);
            ALTER INDEX {folder}.by_hand ALTER COLUMN 2 SET STATISTICS 300;
            ALTER INDEX {folder}.by_hand SET TABLESPACE {slow};
            ALTER INDEX {folder}.by_hand DEPENDS ON EXTENSION plpgsql;
            COMMENT ON INDEX {folder}.by_hand IS 'It''s theirs';
            ALTER TABLE {view} CLUSTER ON by_hand;
            ALTER TABLE {view} SET (fillfactor = 80, autovacuum_enabled = false, toast.autovacuum_enabled = false);
            ALTER TABLE {view} SET TABLESPACE {slow};
            ALTER TABLE {view} REPLICA IDENTITY FULL;
            ALTER MATERIALIZED VIEW {view} DEPENDS ON EXTENSION plpgsql;
            ALTER TABLE {view} ALTER COLUMN currency SET STATISTICS 500;
            ALTER TABLE {view} ALTER COLUMN currency SET (n_distinct = 3, n_distinct_inherited = 3);
            ALTER TABLE {view} ALTER COLUMN currency SET STORAGE EXTERNAL;
            ALTER TABLE {view} ALTER COLUMN currency SET COMPRESSION pglz;
            CREATE STATISTICS bi."On {name}" (ndistinct) ON currency, {value} FROM {view};
            ALTER STATISTICS bi."On {name}" SET STATISTICS 700;
            COMMENT ON STATISTICS bi."On {name}" IS 'Go together';
            ALTER STATISTICS bi."On {name}" OWNER TO {analyst};
        """)


def warnings(logged: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [each for each in logged if each["log_level"] == "warning"]


@pytest.mark.usefixtures("by_hand", "more")
def test_what_was_set_on_a_view_its_columns_and_its_indexes_is_kept(
    warehouse: Warehouse, query: Query
) -> None:
    before = {what: query(statement) for what, statement in ON_VIEWS.items()}
    assert all(before.values())
    with structlog.testing.capture_logs() as logged:
        ddl.prepare(warehouse)
    assert query(f"SELECT answer FROM marts.{VIEW}") == [(42,)]
    assert {what: query(statement) for what, statement in ON_VIEWS.items()} == before
    assert warnings(logged) == []


@pytest.mark.usefixtures("by_hand", "more")
def test_a_view_that_people_write_through_still_does_what_they_taught_it(
    warehouse: Warehouse, query: Query
) -> None:
    ddl.prepare(warehouse)
    query("INSERT INTO bi.days (business_date) VALUES ('2017-01-09')")
    assert query("SELECT business_date::text, note FROM bi.log") == [("2017-01-09", "by default")]
    query("DELETE FROM bi.days")
    assert query("SELECT * FROM bi.log") == []


@pytest.mark.usefixtures("by_hand")
def test_what_was_put_on_a_column_that_goes_is_told_one_by_one(
    warehouse: Warehouse, query: Query, edit: Edit
) -> None:
    query(f"""
        CREATE INDEX baskets ON marts.{VIEW} (average_basket);
        COMMENT ON INDEX marts.baskets IS 'Gone with it';
        CREATE STATISTICS bi.baskets (ndistinct) ON average_basket, currency FROM marts.{VIEW};
        ALTER TABLE marts.{VIEW} ALTER COLUMN average_basket SET STATISTICS 9;
    """)
    edit(f"views/{VIEW}.sql", MORE, "42 AS answer")
    edit(f"views/{VIEW}.sql", "average_basket IS", "answer IS")
    with structlog.testing.capture_logs() as logged:
        ddl.prepare(warehouse)
    told = warnings(logged)
    assert {each["view"] for each in told} == {f"marts.{VIEW}"}
    first, second, third = sorted(each["lost"] for each in told)
    assert first == f"ALTER TABLE marts.{VIEW} ALTER COLUMN average_basket SET STATISTICS 9"
    assert second.startswith("CREATE INDEX IF NOT EXISTS baskets ON")
    assert third.startswith("CREATE STATISTICS bi.baskets ")
    assert query("SELECT count(*) FROM pg_statistic_ext") == [(2,)]


@pytest.mark.usefixtures("more")
def test_a_parameter_that_the_file_names_is_the_file_s_and_others_stay(
    warehouse: Warehouse, query: Query, edit: Edit
) -> None:
    query(f"ALTER MATERIALIZED VIEW marts.{VIEW} SET (fillfactor = 50, autovacuum_enabled = false)")
    edit(f"views/{VIEW}.sql", f"marts.{VIEW} AS", f"marts.{VIEW} WITH (fillfactor = 90) AS")
    ddl.prepare(warehouse)
    options = f"SELECT unnest(reloptions) FROM pg_class WHERE oid = 'marts.{VIEW}'::regclass ORDER BY 1"
    assert query(options) == [("autovacuum_enabled=false",), ("fillfactor=90",)]


def test_a_parameter_set_by_hand_is_no_reason_to_make_a_view_anew(
    warehouse: Warehouse, query: Query, edit: Edit
) -> None:
    oid = f"SELECT 'marts.{VIEW}'::regclass::oid"
    query(f"ALTER MATERIALIZED VIEW marts.{VIEW} SET (fillfactor = 50)")
    edit(f"views/{VIEW}.sql", "COMMENT ON COLUMN", "COMMENT  ON COLUMN")
    before = query(oid)
    ddl.prepare(warehouse)
    assert query(oid) == before
    assert ddl.state(warehouse).is_newest


@pytest.mark.usefixtures("by_hand", "more")
def test_a_security_label_whose_provider_is_not_loaded_is_told(warehouse: Warehouse, query: Query) -> None:
    query(f"""
        SET allow_system_table_mods = on;
        INSERT INTO pg_seclabel (objoid, classoid, objsubid, provider, label)
        SELECT attrelid, 'pg_class'::regclass, attnum, 'masks', 'It''s secret' FROM pg_attribute
        WHERE attrelid IN ('marts.{VIEW}'::regclass, 'bi.days'::regclass) AND attname = 'net_amount'
    """)
    with structlog.testing.capture_logs() as logged:
        ddl.prepare(warehouse)
    assert [(each["view"], each["lost"], each["because"]) for each in warnings(logged)] == [
        (
            view,
            f"SECURITY LABEL FOR masks ON COLUMN {view}.net_amount IS 'It''s secret'",
            'security label provider "masks" is not loaded',
        )
        for view in (f"marts.{VIEW}", "bi.days")
    ]


@pytest.mark.usefixtures("by_hand", "more")
def test_another_access_method_is_kept_or_told_where_postgresql_cannot_set_it(
    warehouse: Warehouse, query: Query
) -> None:
    query(f"""
        CREATE ACCESS METHOD heaps TYPE TABLE HANDLER heap_tableam_handler;
        CREATE MATERIALIZED VIEW bi.heaped USING heaps AS SELECT count(*) FROM marts.{VIEW};
    """)
    with structlog.testing.capture_logs() as logged:
        ddl.prepare(warehouse)
    told = [(each["view"], each["lost"]) for each in warnings(logged)]
    (method,) = query(
        "SELECT amname FROM pg_class JOIN pg_am ON pg_am.oid = relam WHERE pg_class.oid = 'bi.heaped'::regclass"
    )
    if query("SHOW server_version_num")[0][0] < "150000":
        assert method == ("heap",)
        assert told == [
            ("bi.heaped", "access method heaps, which PostgreSQL 14 can give to none that is there")
        ]
    else:
        assert method == ("heaps",)
        assert told == []


@pytest.mark.usefixtures("by_hand", "more")
def test_views_that_hang_on_each_other_by_a_rule_are_named_and_nothing_is_changed(
    warehouse: Warehouse, query: Query
) -> None:
    query("CREATE VIEW bi.latest AS SELECT max(business_date) AS day FROM bi.days")
    query("CREATE RULE round AS ON UPDATE TO bi.days DO INSTEAD SELECT * FROM bi.latest")
    before = query("SELECT 'bi.days'::regclass::oid")
    with pytest.raises(WarehouseError, match=r"view bi.latest depends on view bi.days"):
        ddl.prepare(warehouse)
    assert query("SELECT 'bi.days'::regclass::oid") == before


@pytest.mark.usefixtures("by_hand", "more")
def test_a_login_that_may_not_give_something_again_is_told_what_and_changes_nothing(
    warehouse: Warehouse, query: Query
) -> None:
    name = f"pipeline_{warehouse.database}"
    query(f"CREATE ROLE {name} LOGIN PASSWORD 'x' IN ROLE retail_owner; DROP SCHEMA bi CASCADE")
    query(f"CREATE STATISTICS public.theirs (ndistinct) ON currency, net_amount FROM marts.{VIEW}")
    before = query(f"SELECT 'marts.{VIEW}'::regclass::oid")
    with pytest.raises(
        WarehouseError, match=rf"marts.{VIEW} is recreated, but cannot get back .*"
    ) as refused:
        ddl.prepare(replace(warehouse, user=name, password=Secret("x")))
    assert "once as an administrator" in refused.value.hint
    assert query(f"SELECT 'marts.{VIEW}'::regclass::oid") == before
