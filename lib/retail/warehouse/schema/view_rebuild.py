"""Rebuilds views whose file changed, in one transaction, and restores what others have added to them.

PostgreSQL cannot replace a materialized view, and dropping one also drops everything added to it. So the additions are
recorded as statements, the views and their dependent views are dropped, and recreated from the file or the record.

What is kept is what `sql/renew/kept` queries, a file each: owner; indexes with their parameters, tablespace, targets of
statistics, CLUSTER mark and comment; storage parameters and options; tablespace, access method, replica identity,
DEPENDS ON EXTENSION; of columns the target and options of statistics, storage, compression and defaults; extended
statistics; triggers and rules of plain views; grants; comments; security labels. For one of our own views the comments
are its file's, and the file's parameters and indexes win over others of the same name. A view's query cannot be kept if
what it reads is gone; then nothing is changed.

What is lost: who gave a grant (it is the owner's now), rights that an owner took from itself, ANALYZE's statistics of
the rows (autovacuum collects them again), and the numbers (oid) of views and columns. What one of our views loses with
a column or because of its type, a security label whose provider is not loaded, and what `sql/renew/lost.sql` finds is
logged by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg2
import structlog
from psycopg2 import sql

from retail.config.settings import home, sql_text
from retail.errors import TieOutError, WarehouseError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

# Files of `sql/renew/kept` that are not statements like the others.
_OPTION: Final = "30_option"
_COMMENT: Final = "90_comment"
_LABEL: Final = "91_label"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Kept:
    """A view as it is: its query, and what else it has.

    `beside` holds, by name of the file in `sql/renew/kept`, the statements that restore it; `lost` is what none can
    restore.
    """

    kind: str
    name: str
    query: str
    populated: bool
    beside: tuple[tuple[str, str], ...]
    lost: tuple[str, ...]


def are_in_step(connection: Connection) -> bool:
    """Whether the star holds exactly what the views show: a view built from it then shows checked data only."""
    return _rows(connection, sql_text("renew", "in_step")) == [(True,)]


def changed(connection: Connection, files: Sequence[Path]) -> list[Path]:
    """Those of `files` that would give an existing view another query or one more index."""
    return [file for file in files if _differs(connection, file)]


def set_aside(connection: Connection, files: Sequence[Path]) -> list[Kept]:
    """Drop the views of `files` and all views that depend on them; returns what `put_back` needs."""
    kept = [
        Kept(
            kind,
            name,
            query,
            populated,
            tuple(_beside(connection, oid)),
            tuple(lost for (lost,) in _rows(connection, sql_text("renew", "lost"), oid=sql.Literal(oid))),
        )
        for oid, kind, name, query, populated in _rows(
            connection, sql_text("renew", "dependants"), names=sql.Literal([_name(file) for file in files])
        )
    ]
    for each in reversed(kept):
        try:
            _run(connection, f"DROP {each.kind} {each.name}")
        except psycopg2.errors.InsufficientPrivilege as error:
            raise WarehouseError(
                f"{each.name} must be recreated with the views it reads from, but belongs to another login:"
                f" {error.diag.message_primary}",
                hint="nothing was changed; run the same command once as an administrator (RETAIL_WAREHOUSE__USER),"
                f" or let its owner drop {each.name} and recreate it afterwards",
            ) from error
    return kept


def put_back(connection: Connection, kept: Sequence[Kept], files: Sequence[Path]) -> None:
    """Create the views of `files`, restore the views that depended on them, and everything added to any of them.

    Raises WarehouseError if a dependent view cannot be recreated; TieOutError if a view does not show the star's sums.
    """
    names = [_name(file) for file in files]
    for file in files:
        _run(connection, file.read_text(encoding="utf-8"))
    for each in kept:
        if each.name in names:
            _give(connection, each)
        else:
            _recreate(connection, each, because_of=names)
    _require_tie_out(connection, names)
    for name in names:
        _run(
            connection,
            f"UPDATE marts.freshness SET refreshed_at = now(), rows = (SELECT count(*) FROM {name})"
            f" WHERE 'marts.' || view = '{name}'",
        )
    for each in kept:
        for what in each.lost:
            _log.warning("lost when a view was recreated", view=each.name, lost=what)
    _log.info("views recreated", views=names, dependants=[e.name for e in kept if e.name not in names])


def _differs(connection: Connection, file: Path) -> bool:
    """Create the view next to itself without rows, compare, and roll back.

    A view's file begins with its CREATE, which ends with the first semicolon: a test checks every file for this.
    """
    draft = f"{file.stem}__draft"
    text = file.read_text(encoding="utf-8").replace(file.stem, draft).replace(";", " WITH NO DATA;", 1)
    _run(connection, "SAVEPOINT before_draft")
    _run(connection, text)
    same = _rows(
        connection,
        sql_text("renew", "same"),
        view=sql.Literal(_name(file)),
        draft=sql.Literal(f"marts.{draft}"),
        suffix=sql.Literal("__draft"),
    )
    _run(connection, "ROLLBACK TO SAVEPOINT before_draft")
    return same != [(True,)]


def _name(file: Path) -> str:
    return f"marts.{file.stem}"


def _beside(connection: Connection, oid: int) -> Iterator[tuple[str, str]]:
    for file in sorted((home() / "sql" / "renew" / "kept").glob("*.sql")):
        for (statement,) in _rows(connection, file.read_text(encoding="utf-8"), oid=sql.Literal(oid)):
            yield file.stem, statement


def _give(connection: Connection, kept: Kept) -> None:
    """Give one of our views, new from its file, what the old one had; losses with a column are logged."""
    ((oid,),) = _rows(connection, "SELECT {name}::regclass::oid", name=sql.Literal(kept.name))
    of_file = [statement for what, statement in _beside(connection, oid) if what == _OPTION]
    for what, statement in kept.beside:
        if what == _COMMENT:  # the file has them
            continue
        try:
            _grant_or_warn(connection, kept.name, statement)
        except psycopg2.errors.InsufficientPrivilege as error:
            raise WarehouseError(
                f"{kept.name} is recreated, but cannot get back what it had ({statement}):"
                f" {error.diag.message_primary}",
                hint="nothing was changed; run the same command once as an administrator"
                " (RETAIL_WAREHOUSE__USER), or remove that from the view",
            ) from error
    for statement in of_file:
        _run(connection, statement)


def _grant_or_warn(connection: Connection, name: str, statement: str) -> None:
    """Run the statement; if its object is gone, such as a dropped column, log the statement instead."""
    try:
        with _savepoint(connection):
            _run(connection, statement)
    except psycopg2.errors.InsufficientPrivilege:
        raise
    except (psycopg2.ProgrammingError, psycopg2.NotSupportedError, psycopg2.DataError) as error:
        _log.warning(
            "lost when a view was recreated", view=name, lost=statement, because=error.diag.message_primary
        )


def _recreate(connection: Connection, kept: Kept, *, because_of: Sequence[str]) -> None:
    """Recreate somebody's view as it was. Its query runs in a refresh: with its owner's rights, not ours."""
    query = kept.query.rstrip().removesuffix(";")
    has_rows = kept.kind == "MATERIALIZED VIEW"
    (_, owner), *rest = kept.beside
    try:
        _run(connection, f"CREATE {kept.kind} {kept.name} AS {query}{' WITH NO DATA' if has_rows else ''}")
        _run(connection, owner)
        _forget_default_grants(connection, kept.name)
        for what, statement in rest:
            if what == _LABEL:
                _grant_or_warn(connection, kept.name, statement)
            else:
                _run(connection, statement)
        if has_rows and kept.populated:
            _run(connection, f"REFRESH MATERIALIZED VIEW {kept.name}")
    except psycopg2.Error as error:
        raise WarehouseError(
            f"{', '.join(because_of)} change, and {kept.name}, which reads from them, cannot be recreated:"
            f" {error.diag.message_primary}",
            hint=f"nothing was changed; drop {kept.name} or change what it reads, then run the same command again",
        ) from error


def _forget_default_grants(connection: Connection, name: str) -> None:
    """Revoke what default privileges gave to a new view: it gets what it had, and no more."""
    revoked = _rows(
        connection,
        "SELECT DISTINCT format('REVOKE ALL ON %s FROM %s', oid::regclass,"
        " CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)"
        " FROM pg_class CROSS JOIN aclexplode(relacl) WHERE oid = {name}::regclass AND grantee <> relowner",
        name=sql.Literal(name),
    )
    for (statement,) in revoked:
        _run(connection, statement)


def _require_tie_out(connection: Connection, names: Sequence[str]) -> None:
    tie_out = sql_text("views", "tie_out")
    with connection.cursor() as cursor:
        cursor.execute(tie_out)
        at = [column.name for column in cursor.description or ()].index("view")
        wrong = [row for row in cursor if f"marts.{row[at]}" in names]
    if wrong:
        views = ", ".join(sorted({str(row[at]) for row in wrong}))
        raise TieOutError(
            f"with its new query, {len(wrong)} figure(s) of {views} do not match the star",
            hint="the views are unchanged; fix sql/views, see docs/POSTGRESQL.md",
        )


def _rows(connection: Connection, statement: str, **names: sql.Composable) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(**names) if names else statement)
        return cursor.fetchall()


def _run(connection: Connection, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@contextmanager
def _savepoint(connection: Connection) -> Iterator[None]:
    _run(connection, "SAVEPOINT one_statement")
    try:
        yield
    except psycopg2.Error:
        _run(connection, "ROLLBACK TO SAVEPOINT one_statement")
        raise
    _run(connection, "RELEASE SAVEPOINT one_statement")
