"""The connection to PostgreSQL: the server to use, and connections that report failures in our words."""

from __future__ import annotations

import json
import math
import re
import secrets as random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

import psycopg2
import psycopg2.errorcodes

from retail.config import environment
from retail.config.secrets import WAREHOUSE_PASSWORD, Secret, Secrets
from retail.config.settings import WarehouseSettings, sql_text
from retail.errors import WarehouseError, WarehouseRefusedError
from retail.warehouse import server_checks
from retail.warehouse.embedded import server as embedded

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

# For a database that does not have ops.turn yet, so that two do not create the schema at once.
_FIRST_LOCK: Final = 0x72657461696C
_SECONDS_BETWEEN_LOOKS: Final = 0.1

# libpq has no code for a connection that was refused. A message that is not known, or is in the server's own language,
# counts as one that may pass.
_REFUSED: Final = re.compile(
    r"password authentication failed|no password supplied|no pg_hba\.conf entry|is not permitted to log in"
    r"|(role|database) \".*\" does not exist|permission denied for database|does not match host name"
    r"|certificate verify failed|root certificate|does not support SSL"
)

_WAIT: Final = (
    "another run is writing to this database, or a query is reading what has to change: wait for it to end,"
    " then run the same command again"
)

# Set after connecting, for pools refuse or drop what libpq's `options` asks for. They count over whatever is set for
# the login or the database: a timeout meant for people would end a publish or a refresh.
_SESSION: Final = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "client_min_messages": "warning",
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "temp_buffers": "64MB",
    # For our own ANALYZE right after a load, a first estimate; autovacuum repeats it with the server's setting.
    "default_statistics_target": "20",
    "search_path": "pg_catalog",
}


@dataclass(frozen=True)
class Warehouse:
    """A PostgreSQL database and how to connect to it."""

    host: str
    port: int
    database: str
    user: str
    password: Secret | None = None
    sslmode: str = "prefer"
    sslrootcert: str | None = None
    roles: str | None = None

    def role(self, kind: str) -> str:
        """The name of one of the roles of `sql/roles.sql`: `owner`, `loader` or `reader`."""
        return f"{self.roles or 'retail'}_{kind}"

    def dsn(self) -> str:
        """The address for people and logs, without the password."""
        options = {"sslmode": self.sslmode} | ({"sslrootcert": self.sslrootcert} if self.sslrootcert else {})
        return f"postgresql://{quote(self.user)}@{self.host}:{self.port}/{quote(self.database)}?{urlencode(options)}"

    @contextmanager
    def connect(self, doing: str) -> Iterator[Connection]:
        """A connection in UTC, closed with the block.

        Each statement commits itself; those within `with connection:` commit together. Names are written with their
        schema: the search path is empty. `doing` names the work in the WarehouseError that any refusal of PostgreSQL
        becomes.
        """
        connection = self._open()
        try:
            _set_up(connection, self.roles)
            yield connection
        except psycopg2.Error as error:
            raise self._failure(error, doing=doing) from error
        finally:
            connection.close()

    def require_usable(self) -> None:
        """Raise WarehouseError if there is no server, or none that can hold the star (`server_checks`)."""
        connection = self._open()
        try:
            server_checks.require_usable(connection, self._open, where=self.dsn())
        except psycopg2.Error as error:
            raise self._failure(error, doing="ask for the version") from error
        finally:
            connection.close()

    def _open(self) -> Connection:
        """A connection whose statements commit themselves, with the server's settings.

        A password that is refused is read again where it lives: it may have been rotated.
        """
        try:
            return self._log_in()
        except WarehouseRefusedError:
            if self.password is None or not self.password.renew():
                raise
            return self._log_in()

    def _log_in(self) -> Connection:
        try:
            with environment.without(environment.LIBPQ):
                connection = psycopg2.connect(
                    host=self.host,
                    port=self.port,
                    dbname=self.database,
                    user=self.user,
                    password=self.password.reveal() if self.password else None,
                    sslmode=self.sslmode,
                    sslrootcert=self.sslrootcert,
                    application_name="retail-lakehouse",
                    connect_timeout=10,
                    keepalives_idle=30,
                    client_encoding="UTF8",
                )
            connection.autocommit = True
        except psycopg2.Error as error:
            said = str(error).strip()
            kind = WarehouseRefusedError if _REFUSED.search(said) else WarehouseError
            raise kind(
                f"PostgreSQL at {self.dsn()} cannot be reached: {said}", hint=self._way_in(said)
            ) from error
        return connection

    def _way_in(self, said: str) -> str:
        """The hint for libpq's message `said`; libpq has no code for certificate errors."""
        trusted = self.sslrootcert or "~/.postgresql/root.crt"
        hints = {
            "does not match host name": "set warehouse.host to a name that the server's certificate is made out to",
            "certificate verify failed": f"the certificate is expired, or none of {trusted} signed it:"
            " set warehouse.sslrootcert to the file of the authority that did, or renew it at the server",
            "root certificate file": "set warehouse.sslrootcert to the file of the authority that signed the"
            " server's certificate: a server off this machine must prove who it is",
            "could not read root certificate": "set warehouse.sslrootcert to a file of certificates in PEM form",
            "does not support SSL": "set ssl = on at the server; warehouse.sslmode asks for it",
            "no encryption": "the server may ask for TLS: set warehouse.sslmode to verify-full",
        }
        usual = f"check that it is running, and that [warehouse] and RETAIL_{WAREHOUSE_PASSWORD.upper()} are right"
        return next((hint for sign, hint in hints.items() if sign in said), usual)

    def _failure(self, error: psycopg2.Error, *, doing: str) -> WarehouseError:
        if isinstance(error, psycopg2.InterfaceError) and isinstance(error.__context__, psycopg2.Error):
            error = error.__context__  # a rollback that finds the connection gone hides the cause
        said = error.diag.message_primary or str(error).strip()
        table = ".".join(filter(None, (error.diag.schema_name, error.diag.table_name)))
        detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
        if isinstance(error, psycopg2.errors.LockNotAvailable):
            hint = _WAIT
        elif isinstance(error, psycopg2.errors.InsufficientPrivilege):
            hint = (
                f"log in as a member of {self.role('owner')}, which owns the schemas: see docs/POSTGRESQL.md"
            )
        elif isinstance(error, psycopg2.errors.DependentObjectsStillExist):
            hint = "nothing was changed; drop what depends on it, run the same command again, and recreate it"
        elif error.pgcode is None or error.pgcode.startswith(("08", "57P")):
            hint = f"check that {self.dsn()} is running; nothing was left half-done, so run the same command again"
        else:
            hint = "nothing was left half-done; fix the cause, then run the same command again"
        failure = WarehouseError(f"cannot {doing}{f' ({table})' if table else ''}: {said}{detail}", hint=hint)
        failure.sqlstate = error.pgcode
        return failure


@contextmanager
def open_warehouse(
    settings: WarehouseSettings, secrets: Secrets, *, keep_running: bool = False
) -> Iterator[Warehouse]:
    """The configured warehouse, tested once.

    With `embedded` our own server runs at least as long as the block; `keep_running` leaves it running afterwards.
    Raises WarehouseError if PostgreSQL cannot be reached or is older than 14.
    """
    if settings.embedded:
        with embedded.running(settings, keep_running=keep_running) as server:
            yield _tried(
                Warehouse(
                    server.host,
                    server.port,
                    settings.database,
                    server.user,
                    server.password,
                    "disable",
                    roles=settings.roles,
                )
            )
        return
    yield _tried(
        Warehouse(
            host=settings.host,
            port=settings.port,
            database=settings.database,
            user=settings.user,
            password=secrets.get(WAREHOUSE_PASSWORD),
            sslmode=settings.tls,
            sslrootcert=settings.sslrootcert,
            roles=settings.roles,
        )
    )


@contextmanager
def taking_turns(connection: Connection) -> Iterator[None]:
    """Keep other writers of this database out, across transactions, until the block or the connection ends.

    Schema changes, publishes and refreshes take turns. Only who may write `ops` can take one; a reader's locks count
    for nothing. Raises WarehouseError if others write for longer than the session's `lock_timeout`.
    """
    key = _take_turn(connection)
    yield
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", (key,))


def _take_turn(connection: Connection) -> int:
    """The advisory lock that holds the turn."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_regclass('ops.turn') IS NOT NULL, setting::bigint FROM pg_settings WHERE name = 'lock_timeout'"
        )
        is_there, milliseconds = cursor.fetchone() or (False, 0)
        key = random.randbits(63) if is_there else _FIRST_LOCK
        cursor.execute("SELECT pg_advisory_lock(%s)", (key,))
    give_up = time.monotonic() + (milliseconds / 1000 or math.inf)
    while is_there and not _turn_is_taken(connection, key):
        if time.monotonic() > give_up:
            raise _busy(f"another process has been writing to this database for {milliseconds / 1000:g} s")
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return key


def _turn_is_taken(connection: Connection, key: int) -> bool:
    with connection, connection.cursor() as cursor:
        cursor.execute(sql_text("turn", "take"), {"key": key})
        return cursor.rowcount == 1


def _busy(message: str) -> WarehouseError:
    failure = WarehouseError(message, hint=_WAIT)
    failure.sqlstate = psycopg2.errorcodes.LOCK_NOT_AVAILABLE
    return failure


def _tried(warehouse: Warehouse) -> Warehouse:
    warehouse.require_usable()
    return warehouse


def _set_up(connection: Connection, roles: str | None) -> None:
    """Set what our session needs, as far as the server's version knows it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SET statement_timeout = 0"
        )  # first, for it may be shorter than the next statement takes
        cursor.execute(
            "SELECT count(set_config(name, wanted, false)) FROM json_each_text(%s::json) AS ours (name, wanted)"
            " JOIN pg_catalog.pg_settings USING (name) WHERE setting IS DISTINCT FROM wanted",
            (json.dumps(_SESSION),),
        )
        if roles is not None:
            cursor.execute("SELECT set_config('retail.roles', %s, false)", (roles,))
