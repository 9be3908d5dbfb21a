"""Rows from Spark's tasks straight into staging tables of PostgreSQL: `sync.method = "jdbc"`.

A task cannot see other connections' temporary tables, so these are ordinary ones, in schema `ops`, which BI cannot
read; unlogged, with a new name for each publish, and dropped at its end. The next publish drops what a killed one left.

A task that is retried may have committed before. Each row carries a number that is the same in every try, by which
duplicates are removed (docs/decisions/0017-jdbc.md).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

import psycopg2
import structlog
from psycopg2 import sql

from retail.config.settings import Settings
from retail.errors import ConfigurationError, WarehouseError
from retail.lake import engine
from retail.warehouse.connection import Warehouse
from retail.warehouse.publish.staging_table import Staged
from retail.warehouse.schema import partitions

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection
    from pyspark.sql import Column, DataFrame

    from retail.warehouse.schema.ddl import StarTable

# At most this many tasks write at a time, each over a connection of its own.
CONNECTIONS: Final = 8

_NUMBER: Final = "number_of_sending"
_BATCH_ROWS: Final = 10_000
_STAGING: Final = r"^staged_[0-9a-f]{12}_"

_log = structlog.get_logger(__name__)


def require(settings: Settings) -> None:
    """Raise ConfigurationError if `sync.method` does not work with the rest of the configuration."""
    if settings.sync.method != "jdbc":
        return
    problems = []
    if settings.engine != "spark":
        problems.append(
            f'sync.method: "jdbc" needs Spark, and engine is "{settings.engine}":'
            ' set sync.method = "copy", the faster one, or engine = "spark"'
        )
    if not settings.warehouse.embedded and settings.warehouse.host.startswith("/"):
        problems.append(
            'warehouse.host: JDBC cannot use a socket in a folder; name a host, or set sync.method = "copy"'
        )
    if problems:
        raise ConfigurationError(problems)


@dataclass(frozen=True)
class Sending:
    """One publish's staging tables."""

    connection: Connection
    warehouse: Warehouse
    run_id: str
    name: str
    rows_at_once: int | None = None

    def stage(self, table: StarTable, parts: Sequence[DataFrame]) -> tuple[Staged, int]:
        """The staging table with the rows of all parts, each once, and their number. Raises WarehouseError."""
        staged = Staged(table, sql.Identifier("ops", f"{self.name}_{table.name}"))
        staged.run(
            self.connection,
            "CREATE UNLOGGED TABLE {staged} AS SELECT {columns}, 0::bigint AS {number} FROM {star} WITH NO DATA",
            number=sql.Identifier(_NUMBER),
        )
        staged.run(
            self.connection,
            "COMMENT ON TABLE {staged} IS {comment}",
            comment=sql.Literal(
                f"Rows of run {self.run_id} on their way to star.{table.name}; dropped by the publish"
            ),
        )
        partitions.give_to_owner(self.connection, staged.place)
        if parts:
            self._write(staged, reduce(_union, parts))
            self._forget_other_tries(staged)
        return staged, staged.number(self.connection, "SELECT count(*) FROM {staged}")

    def _write(self, staged: Staged, rows: DataFrame) -> None:
        from pyspark.sql.functions import monotonically_increasing_id

        table = staged.place.as_string(self.connection)
        numbered = rows.select(
            *(_without_nul(rows, column) for column in staged.table.columns),
            monotonically_increasing_id().alias(_NUMBER),
        )
        options = {
            "url": _url(self.warehouse),
            "dbtable": table,
            "driver": "org.postgresql.Driver",
            "user": self.warehouse.user,
            "batchsize": str(_BATCH_ROWS),
            "numPartitions": str(CONNECTIONS),
        }
        if self.warehouse.password:
            options["password"] = self.warehouse.password.reveal()
        try:
            numbered.write.format("jdbc").mode("append").options(**options).save()
        except engine.failures() as error:
            raise WarehouseError(
                f"Spark could not write the rows of star/{staged.table.name} to {self.warehouse.dsn()}:"
                f" {_said(error, self.warehouse)}",
                hint="nothing was published; check that the lake and PostgreSQL can be reached from every"
                " machine that Spark works on, then run the same command again",
            ) from None  # a Java trace may quote rows

    def _forget_other_tries(self, staged: Staged) -> None:
        doubled = staged.run(
            self.connection,
            """
            DELETE FROM {staged} AS s
            USING (SELECT {number}, min(ctid) AS kept FROM {staged} GROUP BY {number} HAVING count(*) > 1) AS twice
            WHERE s.{number} = twice.{number} AND s.ctid <> twice.kept
            """,
            number=sql.Identifier(_NUMBER),
        )
        if doubled:
            _log.warning("a task of Spark wrote its rows twice", table=staged.table.name, taken_out=doubled)


@contextmanager
def sending(connection: Connection, warehouse: Warehouse, run_id: str) -> Iterator[Sending]:
    """Staging tables for the block. The caller has its turn as the database's writer."""
    _drop(connection, _STAGING)
    ours = Sending(connection, warehouse, run_id, f"staged_{uuid.uuid4().hex[:12]}")
    try:
        yield ours
    finally:
        if not connection.closed:
            _drop(connection, f"^{ours.name}_")


def _drop(connection: Connection, names: str) -> None:
    """Drop staging tables; one that a task is still writing, or that cannot be dropped, is left to the next publish."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'ops'::regnamespace AND relkind = 'r'"
                " AND relpersistence = 'u' AND relname ~ %s",
                (names,),
            )
            found = [name for (name,) in cursor]
        for name in found:
            with connection, connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '2s'")
                cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier("ops", name)))
    except psycopg2.Error as error:
        _log.warning("a staging table is left to the next publish", why=str(error).strip())


def _union(one: DataFrame, other: DataFrame) -> DataFrame:
    return one.unionAll(other)


def _url(warehouse: Warehouse) -> str:
    options = {
        "sslmode": warehouse.sslmode,
        "ApplicationName": "retail-lakehouse",
        "connectTimeout": "10",
        "tcpKeepAlive": "true",
        "reWriteBatchedInserts": "true",
        # Otherwise a refusal quotes the row.
        "logServerErrorDetail": "false",
    } | ({"sslrootcert": warehouse.sslrootcert} if warehouse.sslrootcert else {})
    host = f"[{warehouse.host}]" if ":" in warehouse.host else warehouse.host
    return f"jdbc:postgresql://{host}:{warehouse.port}/{quote(warehouse.database)}?{urlencode(options)}"


def _without_nul(rows: DataFrame, column: str) -> Column:
    """PostgreSQL's text does not allow the NUL character: it becomes U+FFFD, as with COPY."""
    from pyspark.sql.functions import col, translate
    from pyspark.sql.types import StringType

    if isinstance(rows.schema[column].dataType, StringType):
        return translate(col(column), "\x00", "\ufffd").alias(column)
    return col(column)


def _said(error: Exception, warehouse: Warehouse) -> str:
    """PostgreSQL's or Spark's message, without Java trace, rows and password."""
    text = str(error)
    causes = re.findall(r"(?:ERROR|FATAL): .*|PSQLException: .*|Caused by: .*", text)
    said = causes[-1] if causes else text.splitlines()[0]
    if warehouse.password:
        said = said.replace(warehouse.password.reveal(), "…")
    return said[:500]
