"""Our tables, views and roles in PostgreSQL: `sql/migrations` brings a database to what `sql/star` declares.

Repeatable files (comments, views, roles) are applied if their checksum is not in `ops.definition`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog
from psycopg2.extras import execute_values

from retail.config.settings import home, sql_text
from retail.errors import WarehouseError
from retail.warehouse import server_checks
from retail.warehouse.connection import Warehouse, taking_turns
from retail.warehouse.schema import migrations, view_rebuild
from retail.warehouse.schema.migrations import Migration

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

FACT: Final = "fact_sales"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class StarTable:
    """One table of schema `star` as PostgreSQL has it; `key` is its primary key."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]


@dataclass(frozen=True)
class State:
    """The schema of a database: its `version`, 0 if none is recorded yet, and what `prepare` would apply.

    `has_roles`: whether the roles of `sql/roles.sql` exist. A database used by a single login does without them, and
    the file is then not to be applied, unless this login may create roles.
    """

    version: int
    has_roles: bool
    migrations: tuple[Migration, ...]
    definitions: tuple[Path, ...]

    @property
    def is_newest(self) -> bool:
        return not self.migrations and not self.definitions


def prepare(warehouse: Warehouse) -> None:
    """Bring the database to the newest schema: pending migrations, then comments, views and roles that changed.

    One transaction, in turn with other writers; if nothing is pending, a single look. Raises WarehouseError, also if
    the database is read-only, newer than this code or had a different migration with the same number; then nothing was
    changed.
    """
    with warehouse.connect("prepare the schema") as connection:
        server_checks.require_writable(connection, where=warehouse.dsn())
        if state_of(connection).is_newest:
            return
        with taking_turns(connection), connection:
            _migrate(connection, state_of(connection))
        for notice in connection.notices:
            _log.warning("PostgreSQL warns", notice=notice.strip(), warehouse=warehouse.dsn())


def state(warehouse: Warehouse) -> State:
    """The version of the database's schema. Raises WarehouseError as `prepare` does."""
    with warehouse.connect("read the schema's version") as connection:
        return state_of(connection)


def state_of(connection: Connection) -> State:
    """The same over a connection."""
    ours = migrations.known(_folder() / "migrations")
    files = [*star_files(), *view_files(), _roles_file()]
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('ops.migration') IS NOT NULL")
        if cursor.fetchone() != (True,):
            return State(0, _roles(connection).are_ours, tuple(ours), tuple(files))
        cursor.execute((_folder() / "renew" / "state.sql").read_text(encoding="utf-8"))
        had, checksums, may_make_roles, lacks_default_privileges = cursor.fetchone() or (None,) * 4
    roles = _roles(connection)
    applied = [Migration(*row) for row in had or ()]
    pending = migrations.pending(ours, applied)
    if not roles.are_ours and (roles.are_anothers or not may_make_roles):
        files.remove(_roles_file())
    changed = tuple(
        file
        for file in files
        if (checksums or {}).get(_key(file)) != migrations.checksum(file)
        or (file == _roles_file() and lacks_default_privileges)
    )
    return State(applied[-1].number if applied else 0, roles.are_ours, tuple(pending), changed)


def _migrate(connection: Connection, state: State) -> None:
    if state.is_newest:  # another process did it while we waited
        return
    there = [file for file in view_files() if _exists(connection, file.stem)]
    force = there if any(each.recreates_views for each in state.migrations) else []
    if force and not view_rebuild.are_in_step(connection):
        raise WarehouseError(
            f"{', '.join(each.name for each in state.migrations)}: the views must be recreated,"
            " and the star has rows that no check has passed yet",
            hint="run `retail check` and `retail refresh` with the version that published it, then this one again",
        )
    kept = view_rebuild.set_aside(connection, force)
    migrations.apply(connection, _folder() / "migrations", state.migrations)
    done = [file for file in star_files() if file in state.definitions]
    for file in done:
        _apply(connection, file)
    if force:
        view_rebuild.put_back(connection, kept, force)
    done += _bring_views(connection, [file for file in view_files() if file in state.definitions])
    _apply(connection, _roles_file())  # new objects need their grants
    if _roles(connection).are_ours:
        done.append(_roles_file())
    _record(connection, done)


def _bring_views(connection: Connection, files: Sequence[Path]) -> list[Path]:
    """Create missing views, and rebuild views whose query changed; returns the files that are applied now.

    A changed view waits while the star is ahead of the views: it would show unchecked data.
    """
    changed = view_rebuild.changed(connection, [file for file in files if _exists(connection, file.stem)])
    if changed and not view_rebuild.are_in_step(connection):
        _log.warning("a view's new query waits for the next refresh", views=[file.stem for file in changed])
        files = [file for file in files if file not in changed]
    elif changed:
        view_rebuild.put_back(connection, view_rebuild.set_aside(connection, changed), changed)
    for file in files:
        _apply(connection, file)
    return list(files)


def _record(connection: Connection, files: Sequence[Path]) -> None:
    with connection.cursor() as cursor:
        execute_values(
            cursor,
            "INSERT INTO ops.definition (file, checksum, applied_by) VALUES %s ON CONFLICT (file) DO UPDATE"
            " SET checksum = excluded.checksum, applied_by = excluded.applied_by, applied_at = now()",
            [(_key(file), migrations.checksum(file), migrations.applied_by()) for file in files],
        )


def _exists(connection: Connection, view: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (f"marts.{view}",))
        return cursor.fetchone() == (True,)


class _Roles(NamedTuple):
    are_ours: bool
    are_anothers: bool


def _roles(connection: Connection) -> _Roles:
    """Whether the roles exist for this database, and whether they are those of another database of the server."""
    with connection.cursor() as cursor:
        cursor.execute(sql_text("renew", "roles"))
        return _Roles(*(cursor.fetchone() or (False, False)))


def _roles_file() -> Path:
    return _folder() / "roles.sql"


def _key(file: Path) -> str:
    return file.relative_to(_folder()).as_posix()


def star_files() -> list[Path]:
    """The DDL of schemas, star and ledger, in the order in which it is applied. Raises WarehouseError."""
    return _files("star", "*.sql")


def view_files() -> list[Path]:
    """One file per materialized view, named like the view. Raises WarehouseError."""
    return _files("views", "mv_*.sql")


def star_tables(connection: Connection) -> list[StarTable]:
    """The tables of the star: dimensions by name, then the fact that refers to them; nobody else's."""
    declared = [file.stem.partition("_")[2] for file in star_files()]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum),
                (SELECT array_agg(k.attname::text ORDER BY array_position(i.indkey::int2[], k.attnum))
                 FROM pg_index AS i JOIN pg_attribute AS k ON k.attrelid = c.oid AND k.attnum = ANY (i.indkey)
                 WHERE i.indrelid = c.oid AND i.indisprimary)
            FROM pg_class AS c
            JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relnamespace = to_regnamespace('star') AND c.relkind IN ('r', 'p') AND c.relname = ANY (%s)
            GROUP BY c.oid, c.relname
            ORDER BY c.relname = %s, c.relname
            """,
            (declared, FACT),
        )
        tables = [StarTable(name, tuple(columns), tuple(key)) for name, columns, key in cursor]
    if not tables:
        raise WarehouseError("the star's tables are not in PostgreSQL yet", hint="prepare the schema first")
    return tables


def _apply(connection: Connection, file: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute(file.read_text(encoding="utf-8"))


def _files(folder: str, pattern: str) -> list[Path]:
    files = sorted((_folder() / folder).glob(pattern))
    if not files:
        raise WarehouseError(
            f"{_folder() / folder} holds no {pattern}",
            hint="set RETAIL_HOME to the folder that holds conf/ and sql/",
        )
    return files


def _folder() -> Path:
    return home() / "sql"
