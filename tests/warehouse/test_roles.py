"""Each role does what it must and is refused what it must not do: tried by logins that have the role and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import psycopg2
import pytest
import structlog

from retail.config.secrets import Secret
from retail.config.settings import home
from retail.errors import WarehouseError
from retail.warehouse import rights
from retail.warehouse.connection import Warehouse, taking_turns
from retail.warehouse.schema import ddl
from retail.warehouse.views import refresh
from tests.warehouse.conftest import Write, database, refused_as
from tests.warehouse.literals import make_partitions

pytestmark = pytest.mark.postgres

OURS = "relnamespace::regnamespace::text IN ('star', 'marts', 'ops') AND relkind IN ('r', 'p', 'm')"


class Login:
    """A person or program with a role. `does` runs statements, and takes back what they did."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse

    def does(self, statement: str) -> list[tuple[object, ...]]:
        with self.warehouse.connect("try") as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def is_refused(self, statement: str) -> bool:
        try:
            self.does(statement)
        except WarehouseError as error:
            assert isinstance(error.__cause__, psycopg2.errors.InsufficientPrivilege), error
            assert self.warehouse.role("owner") in error.hint
            return True
        return False


@pytest.fixture
def ours(server: Warehouse) -> Warehouse:
    """A database that the administrator has prepared. Grants on a database are not copied from a template."""
    fresh = database(server, template="template1")
    ddl.prepare(fresh)
    make_partitions(fresh, ["2017-01"])
    return fresh


def login(warehouse: Warehouse, role: str) -> Iterator[Login]:
    name = f"{role}_{warehouse.database}"
    with warehouse.connect("test") as connection:
        connection.cursor().execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x' IN ROLE {role}")
    yield Login(replace(warehouse, user=name, password=Secret("x")))
    with warehouse.connect("test") as connection:
        connection.cursor().execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.fixture
def reader(ours: Warehouse) -> Iterator[Login]:
    yield from login(ours, "retail_reader")


@pytest.fixture
def loader(ours: Warehouse) -> Iterator[Login]:
    yield from login(ours, "retail_loader")


@pytest.fixture
def owner(ours: Warehouse) -> Iterator[Login]:
    yield from login(ours, "retail_owner")


def relations(warehouse: Warehouse) -> dict[str, str]:
    """Names of all that is ours, each with its kind."""
    rows = Login(warehouse).does(f"SELECT oid::regclass::text, relkind FROM pg_class WHERE {OURS}")
    return {str(name): str(kind) for name, kind in rows}


def test_bi_reads_all_of_star_and_marts_and_nothing_of_ops(ours: Warehouse, reader: Login) -> None:
    names = relations(ours)
    assert {name.partition(".")[0] for name in names} == {"star", "marts", "ops"}
    for name in names:
        if name.startswith("ops."):
            assert reader.is_refused(f"SELECT * FROM {name}")
        else:
            reader.does(f"SELECT * FROM {name}")


@pytest.mark.parametrize("role", ["retail_owner", "retail_loader", "retail_reader"])
def test_each_role_connects_where_public_may_not(server: Warehouse, role: str) -> None:
    closed = database(server, template="template1")
    with closed.connect("test") as connection:
        connection.cursor().execute(f"REVOKE CONNECT ON DATABASE {closed.database} FROM PUBLIC")
    ddl.prepare(closed)
    with contextmanager(login)(closed, role) as person:
        others = "SELECT has_database_privilege('pg_monitor', current_database(), 'CONNECT')"
        assert person.does(others) == [(False,)]


def test_bi_writes_nowhere(ours: Warehouse, reader: Login) -> None:
    for name, kind in relations(ours).items():
        if kind != "m":
            assert reader.is_refused(f"DELETE FROM {name}"), name
            assert reader.is_refused(f"INSERT INTO {name} DEFAULT VALUES"), name
            assert reader.is_refused(f"TRUNCATE {name}"), name
            assert reader.is_refused(f"LOCK TABLE {name} IN EXCLUSIVE MODE"), name
        else:
            assert reader.is_refused(f"REFRESH MATERIALIZED VIEW {name}"), name


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE star.mine (n integer)",
        "CREATE TABLE marts.mine (n integer)",
        "CREATE TABLE ops.mine (n integer)",
        "CREATE TABLE public.mine (n integer)",
        "CREATE TEMPORARY TABLE mine (n integer)",
        "CREATE SCHEMA mine",
        "SELECT lo_create(0)",
        "SELECT lo_creat(-1)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_advisory_lock_shared(1, 1)",
        "SELECT pg_try_advisory_xact_lock(1)",
        "SELECT * FROM ops.turn",
        "DROP MATERIALIZED VIEW marts.mv_daily_sales",
        "UPDATE marts.freshness SET rows = 0",
        "GRANT SELECT ON ops.publish TO PUBLIC",
        "SET ROLE retail_owner",
        "SET ROLE retail_loader",
        "CREATE ROLE friend",
        "COPY (SELECT 1) TO PROGRAM 'cat'",
        "COPY (SELECT 1) TO '/tmp/retail.csv'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT rolpassword FROM pg_authid",
    ],
)
def test_bi_makes_nothing_and_becomes_nobody_else(reader: Login, statement: str) -> None:
    assert reader.is_refused(statement)


def test_bi_reads_a_month_and_a_view_that_came_after_the_roles_were_made(
    ours: Warehouse, reader: Login, owner: Login
) -> None:
    ddl.prepare(owner.warehouse)  # whose first look gives this login its default privileges
    make_partitions(owner.warehouse, ["2018-01"])
    make_partitions(ours, ["2018-02"])
    with owner.warehouse.connect("test") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE MATERIALIZED VIEW marts.mv_new AS SELECT count(*) FROM star.fact_sales")
    reader.does("SELECT * FROM star.fact_sales_2018_01")
    reader.does("SELECT * FROM star.fact_sales_2018_02")
    assert reader.does("SELECT * FROM marts.mv_new") == [(0,)]


def test_the_loader_writes_rows_of_star_ledger_and_marts(ours: Warehouse, loader: Login) -> None:
    for name, kind in relations(ours).items():
        loader.does(f"SELECT * FROM {name}")
        if kind != "m" and name not in ("ops.migration", "ops.definition", "marts.freshness"):
            loader.does(f"DELETE FROM {name}")
    loader.does("UPDATE marts.freshness SET rows = 0")
    loader.does("INSERT INTO star.dim_customer VALUES (1, 'retailer_1', 'c', 'run_1')")
    loader.does("INSERT INTO ops.publish VALUES (DEFAULT, 'run_1', 'run_1', now(), '{}', '{}')")
    loader.does("CREATE TEMPORARY TABLE staged_fact_sales AS TABLE star.fact_sales WITH NO DATA")


def test_the_loader_looks_whether_the_schema_is_the_newest_and_needs_no_more_where_it_is(
    loader: Login,
) -> None:
    ddl.prepare(loader.warehouse)
    assert ddl.state(loader.warehouse).is_newest


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE star.mine (n integer)",
        "CREATE TABLE public.mine (n integer)",
        "CREATE SCHEMA mine",
        "ALTER TABLE star.dim_store ADD COLUMN n integer",
        "DROP TABLE star.fact_sales_2017_01",
        "TRUNCATE star.fact_sales",
        "CREATE INDEX ON star.fact_sales (line_id)",
        "COMMENT ON TABLE star.fact_sales IS 'mine'",
        "DELETE FROM ops.migration",
        "UPDATE ops.migration SET checksum = ''",
        "INSERT INTO ops.definition VALUES ('x', 'x', now(), 'x')",
        "SET ROLE retail_owner",
        "CREATE ROLE friend",
        "COPY star.dim_store FROM PROGRAM 'echo'",
    ],
)
def test_the_loader_changes_no_table_and_no_role(loader: Login, statement: str) -> None:
    assert loader.is_refused(statement)


def test_what_the_loader_grants_is_not_granted(loader: Login) -> None:
    given = "SELECT has_table_privilege('retail_reader', 'ops.publish', 'SELECT')"
    assert loader.does(f"GRANT SELECT ON ops.publish TO retail_reader; {given}") == [(False,)]


def test_an_owner_makes_changes_and_refreshes_all_that_is_ours(owner: Login) -> None:
    ddl.prepare(owner.warehouse)
    assert make_partitions(owner.warehouse, ["2019-01"]) == ["fact_sales_2019_01"]
    assert len(refresh(owner.warehouse).views) == 6
    owner.does("ALTER TABLE star.dim_store ADD COLUMN n integer")
    owner.does("DROP TABLE star.fact_sales_2017_01")
    owner.does("GRANT SELECT ON ops.publish TO retail_reader")
    owner.does("CREATE TEMPORARY TABLE staged (n integer)")
    owner.does("UPDATE ops.migration SET checksum = ''")


def test_an_owner_migrates_and_a_loader_is_told_who_may(
    owner: Login, loader: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copytree(home() / "sql", tmp_path / "sql")
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path))
    number = len(list((tmp_path / "sql" / "migrations").iterdir())) + 1
    (tmp_path / "sql" / "migrations" / f"{number:04}_area.sql").write_text(
        "ALTER TABLE star.dim_store ADD COLUMN area integer;"
    )
    with (tmp_path / "sql" / "star" / "13_dim_store.sql").open("a") as file:
        file.write("COMMENT ON COLUMN star.dim_store.area IS 'Square metres';\n")

    with refused_as("42501") as refused:
        ddl.prepare(loader.warehouse)
    assert "retail_owner" in refused.value.hint
    ddl.prepare(owner.warehouse)
    assert ddl.state(loader.warehouse).is_newest
    assert loader.does("SELECT area FROM star.dim_store") == []


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE ROLE friend",
        "ALTER ROLE retail SUPERUSER",
        "SET ROLE retail",
        "CREATE DATABASE mine",
        "CREATE SCHEMA mine",
        "ALTER SYSTEM SET work_mem = '1MB'",
        "COPY (SELECT 1) TO PROGRAM 'cat'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT rolpassword FROM pg_authid",
    ],
)
def test_an_owner_is_no_superuser(owner: Login, statement: str) -> None:
    if "DATABASE" in statement or "SYSTEM" in statement:  # which PostgreSQL runs in no transaction
        with (
            refused_as("42501"),
            owner.warehouse.connect("try") as connection,
        ):
            connection.cursor().execute(statement)
        return
    assert owner.is_refused(statement)


def test_in_a_database_with_tables_of_others_their_rights_are_left_alone(server: Warehouse) -> None:
    shared = database(server, template="template1")
    with shared.connect("test") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE public.theirs (n integer)")
    ddl.prepare(shared)
    temporary = "SELECT has_database_privilege('retail_reader', current_database(), 'TEMPORARY')"
    assert Login(shared).does(temporary) == [(True,)]


def test_what_an_administrator_grants_again_stays(ours: Warehouse) -> None:
    with ours.connect("test") as connection, connection.cursor() as cursor:
        cursor.execute(f"GRANT TEMPORARY ON DATABASE {ours.database} TO PUBLIC")
        cursor.execute("UPDATE ops.definition SET checksum = 'older'")  # as after an upgrade
    ddl.prepare(ours)
    temporary = "SELECT has_database_privilege('retail_reader', current_database(), 'TEMPORARY')"
    assert Login(ours).does(temporary) == [(True,)]


def test_the_roles_can_be_made_by_hand_in_a_database_of_before_migrations(server: Warehouse) -> None:
    older = database(server, template="template1")
    with older.connect("test") as connection, connection.cursor() as cursor:
        cursor.execute((Path(__file__).with_name("data") / "before_migrations.sql").read_text())
        cursor.execute((home() / "sql" / "roles.sql").read_text())
        cursor.execute("SELECT has_table_privilege('retail_reader', 'star.fact_sales', 'SELECT')")
        assert cursor.fetchone() == (True,)


def test_a_database_in_use_is_told_who_loses_the_right_to_temporary_tables(server: Warehouse) -> None:
    older = database(server, template="template1")
    with older.connect("test") as connection, connection.cursor() as cursor:
        cursor.execute((Path(__file__).with_name("data") / "before_migrations.sql").read_text())
        cursor.execute(
            "INSERT INTO ops.publish (run_id, published_by, tables, delta_versions) VALUES ('r', 'r', '{}', '{}')"
        )
    with structlog.testing.capture_logs() as told:
        ddl.prepare(older)
    [notice] = [each["notice"] for each in told if each["event"] == "PostgreSQL warns"]
    assert "GRANT TEMPORARY ON DATABASE" in notice


def test_what_an_administrator_grants_of_locks_stays(ours: Warehouse, reader: Login) -> None:
    with ours.connect("test") as connection, connection.cursor() as cursor:
        cursor.execute("GRANT EXECUTE ON FUNCTION pg_catalog.pg_advisory_lock(bigint) TO PUBLIC")
        cursor.execute("UPDATE ops.definition SET checksum = 'older'")  # as after an upgrade
    ddl.prepare(ours)
    assert reader.does("SELECT pg_advisory_lock(1)") == [("",)]


def test_no_lock_of_a_reader_stops_a_writer(ours: Warehouse, reader: Login) -> None:
    """Also where nobody could revoke the functions, and the reader takes each number that it has seen."""
    numbers = (
        "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks"
        " WHERE locktype = 'advisory' AND objsubid = 1"
    )
    with ours.connect("test") as connection, connection.cursor() as cursor:
        cursor.execute("GRANT EXECUTE ON FUNCTION pg_catalog.pg_advisory_lock(bigint) TO PUBLIC")
        cursor.execute("GRANT EXECUTE ON FUNCTION pg_catalog.pg_advisory_lock_shared(bigint) TO PUBLIC")
        with taking_turns(connection):
            seen = reader.does(numbers)
        assert len(seen) == 1
    with reader.warehouse.connect("attack") as attack, ours.connect("write") as connection:
        for (number,) in (*seen, (0x72657461696C,)):
            attack.cursor().execute("SELECT pg_advisory_lock(%s)", (number,))
        connection.cursor().execute("SET lock_timeout = '2s'")
        with taking_turns(connection), ours.connect("write too") as other:
            other.cursor().execute("SET lock_timeout = '50ms'")
            with refused_as("55P03"), taking_turns(other):
                pytest.fail("two write at once")


def test_a_turn_ends_with_the_session_that_has_it(ours: Warehouse) -> None:
    with ours.connect("write") as first, ours.connect("write next") as second:
        turn = taking_turns(first)
        turn.__enter__()
        second.cursor().execute("SET lock_timeout = '5s'")
        first.close()
        with taking_turns(second):
            pass


def test_the_roles_know_each_table_and_view_of_ours_by_name(ours: Warehouse) -> None:
    text = (home() / "sql" / "roles.sql").read_text(encoding="utf-8")
    named = {name for name in re.findall(r"'((?:star|marts|ops)\.\w+)'", text) if "%" not in name}
    assert named == {name for name in relations(ours) if "fact_sales_" not in name}


@pytest.fixture
def pipeline(server: Warehouse) -> Iterator[Login]:
    """A login that is no administrator, with a database of its own."""
    fresh = database(server, template="template1")
    name = f"pipeline_{fresh.database}"
    with fresh.connect("test") as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
        cursor.execute(f"ALTER DATABASE {fresh.database} OWNER TO {name}")
    yield Login(replace(fresh, user=name, password=Secret("x"), roles=None))
    with fresh.connect("test") as connection, connection.cursor() as cursor:
        cursor.execute(f"REASSIGN OWNED BY {name} TO {server.user}; DROP OWNED BY {name}; DROP ROLE {name}")


def test_the_roles_touch_nothing_that_others_have_in_our_schemas(server: Warehouse, pipeline: Login) -> None:
    """An analyst with one view of his own became a member of the owner's role, and could delete facts."""
    ddl.prepare(pipeline.warehouse)
    admin = replace(server, database=pipeline.warehouse.database)
    analyst = f"analyst_{admin.database}"
    with admin.connect("test") as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {analyst} LOGIN PASSWORD 'x'")
        cursor.execute(f"GRANT CREATE, USAGE ON SCHEMA star, marts TO {analyst}")
        cursor.execute(f"SET SESSION AUTHORIZATION {analyst}")
        cursor.execute("CREATE MATERIALIZED VIEW marts.mv_mine AS SELECT 1 AS n")
        cursor.execute("CREATE TABLE star.mine (n integer)")
        cursor.execute("RESET SESSION AUTHORIZATION; DROP TABLE marts.tie_out")
        cursor.execute(f"SET SESSION AUTHORIZATION {analyst}")
        cursor.execute("CREATE TABLE marts.tie_out (n integer)")  # a name of ours
        cursor.execute("RESET SESSION AUTHORIZATION")
        cursor.execute((home() / "sql" / "roles.sql").read_text(encoding="utf-8"))
        cursor.execute(
            "SELECT relname, relowner::regrole::text, relacl::text FROM pg_class"
            " WHERE relname IN ('mv_mine', 'mine', 'tie_out', 'fact_sales') ORDER BY relname"
        )
        found = {name: (owner, acl) for name, owner, acl in cursor}
        cursor.execute(f"SELECT pg_has_role('{analyst}', 'retail_owner', 'MEMBER')")
        assert cursor.fetchone() == (False,)
        assert any("tie_out" in notice for notice in connection.notices)
    fact = found.pop("fact_sales")
    assert fact[0] == "retail_owner"
    assert set(found.values()) == {(analyst, None)}
    person = Login(replace(admin, user=analyst, password=Secret("x")))
    assert person.is_refused("DELETE FROM star.fact_sales")
    assert person.is_refused("SET ROLE retail_owner")
    assert pipeline.does("DELETE FROM star.fact_sales") == []
    with admin.connect("test") as connection:
        connection.cursor().execute(f"DROP OWNED BY {analyst}; DROP ROLE {analyst}")


def test_two_databases_of_a_server_share_no_rights(ours: Warehouse, server: Warehouse) -> None:
    """Unless both name the roles: whoever could write one could write the other."""
    second = replace(database(server, template="template1"), roles=None)
    with structlog.testing.capture_logs() as told:
        ddl.prepare(second)
    assert any("warehouse.roles" in each.get("notice", "") for each in told)
    state = ddl.state(second)
    assert (state.is_newest, state.has_roles) == (True, False)
    rights_there = "SELECT has_schema_privilege('retail_owner', 'star', 'USAGE')"
    assert Login(second).does(rights_there) == [(False,)]
    shop = replace(second, roles=f"shop_{second.database}")
    assert [file.name for file in ddl.state(shop).definitions] == ["roles.sql"]
    ddl.prepare(shop)
    assert ddl.state(shop).has_roles
    with contextmanager(login)(shop, shop.role("owner")) as person:
        person.does("DELETE FROM star.fact_sales")
        there = Login(replace(person.warehouse, database=ours.database))
        assert there.is_refused("SELECT FROM star.fact_sales")
    with shop.connect("test") as connection, connection.cursor() as cursor:
        for kind in ("owner", "loader", "reader"):
            cursor.execute(
                f"REASSIGN OWNED BY {shop.role(kind)} TO {server.user}; DROP OWNED BY {shop.role(kind)}"
            )
            cursor.execute(f"DROP ROLE {shop.role(kind)}")


def test_what_a_role_lacks_for_a_publish_is_known_before_one(
    owner: Login, loader: Login, reader: Login, write: Write
) -> None:
    assert [rights.lacking(each.warehouse) for each in (owner, loader)] == [[], []]
    assert [rights.may_create(each.warehouse) for each in (owner, loader)] == [True, False]
    said = " ".join(what for what, _ in rights.lacking(reader.warehouse))
    for lacks in ("temporary tables", "schema ops", "write star.fact_sales", "write ops.publish"):
        assert lacks in said
    new = f"{len(list((home() / 'sql' / 'migrations').glob('*.sql'))) + 1:04}_area.sql"
    write(f"migrations/{new}", "SELECT 1;")
    assert rights.lacking_for_schema(owner.warehouse) == []
    assert new in rights.lacking_for_schema(loader.warehouse)[0][0]
