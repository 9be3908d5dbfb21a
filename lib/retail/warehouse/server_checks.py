"""What a PostgreSQL server must be like, tried before any work: version, encoding, and no pool of transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from retail.errors import WarehouseError, WarehouseRefusedError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

OLDEST: Final = 140000
_ENCODING: Final = "UTF8"


def require_usable(connection: Connection, open_another: Callable[[], Connection], *, where: str) -> None:
    """Raise WarehouseRefusedError for a server that cannot hold the star, or a pool that would break our transactions.

    `connection` and those of `open_another` commit each statement, and nothing has been set in them: in a pool that
    hands out one server connection per transaction, a setting would reach other people's work.
    """
    if connection.server_version < OLDEST:
        major = connection.server_version // 10000
        raise WarehouseRefusedError(
            f"{where} is PostgreSQL {major}, and {OLDEST // 10000} is the oldest supported version",
            hint="name a newer server in [warehouse], or set warehouse.embedded = true",
        )
    encoding = _ask(connection, "SHOW server_encoding")
    if encoding != _ENCODING:
        raise WarehouseRefusedError(
            f"the database {where} has the encoding {encoding}, and product names need {_ENCODING}",
            hint="create another with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`, and name it in"
            " warehouse.database",
        )
    if _pools_transactions(connection, open_another):
        raise WarehouseRefusedError(
            f"{where} is a pool that gives each transaction another server connection, as PgBouncer does with"
            " pool_mode = transaction; locks and temporary tables would be lost between transactions",
            hint="name the server itself in [warehouse], or a pool with pool_mode = session",
        )


def require_writable(connection: Connection, *, where: str) -> None:
    """Raise WarehouseError if the server refuses every change."""
    if _ask(connection, "SELECT pg_is_in_recovery()"):
        raise WarehouseError(
            f"{where} is a read-only replica", hint="name the primary server in [warehouse], then run again"
        )
    if _ask(connection, "SHOW transaction_read_only") == "on":
        raise WarehouseError(
            f"{where} is read-only: default_transaction_read_only is set at the server, the database or the login,"
            " which managed servers do when the disk is full",
            hint="make room, or reset it, then run the same command again",
        )


def _pools_transactions(connection: Connection, open_another: Callable[[], Connection]) -> bool:
    """Whether a second client works on the server connection of the first, or the first moves to another.

    A pool makes up the process id in its greeting; without a pool there, no second connection is opened.
    """
    first = _ask(connection, "SELECT pg_backend_pid()")
    if first == connection.info.backend_pid:
        return False
    other = open_another()
    try:
        with other, other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT pg_backend_pid()")
            # Only if it is not the first one's: a pool of one connection would wait for the end of this transaction.
            pooled = cursor.fetchone() == (first,) or _ask(connection, "SELECT pg_backend_pid()") != first
            cursor.execute("COMMIT")
            return pooled
    finally:
        other.close()


def _ask(connection: Connection, statement: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        (value,) = cursor.fetchone() or (None,)
        return value
