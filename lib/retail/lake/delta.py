"""Delta tables by their path in the lake: read at a version, replace, create. No catalog, no table names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from retail.errors import ObjectNotFoundError, StorageError
from retail.lake.storage import Storage

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable
    from pyspark.sql import DataFrame, SparkSession

# SQL type names for which Delta has another name.
_DELTA_TYPES = {"bigint": "long", "int": "integer"}
# A checkpoint also shows its version, if the commit itself was already cleaned up.
_COMMIT = re.compile(r"/_delta_log/(\d{20})\.(?:json|checkpoint\.parquet)$")
_PARAMETER = re.compile(r":([a-z_]+)\b")

# The values that a condition on rows compares with.
Value = str | int | date


def version(storage: Storage, key: str) -> int | None:
    """The newest committed version of the table at `key`, or None if there is no table."""
    commits = (_COMMIT.search(name) for name in storage.list(f"{key}/_delta_log/"))
    return max((int(commit[1]) for commit in commits if commit), default=None)


def require_version(storage: Storage, key: str) -> int:
    """The newest committed version. Raises StorageError if there is no table."""
    newest = version(storage, key)
    if newest is None:
        raise StorageError(
            f"the Delta table {key} does not exist", hint="run `retail run` for at least one day first"
        )
    return newest


def read(session: SparkSession, storage: Storage, key: str, *, at: int | None = None) -> DataFrame:
    """The table at `key`, at version `at` (default: the newest)."""
    reader = session.read.format("delta")
    if at is not None:
        _let_older_versions_be_read(storage, key, at)
        reader = reader.option("versionAsOf", at)
    return reader.load(storage.engine_path(key))


def table(storage: Storage, key: str, *, at: int | None = None) -> DeltaTable:
    """The table at `key`, opened by the deltalake package: without an engine, and for what Sail does not support.

    Raises StorageError.
    """
    from deltalake import DeltaTable

    with failing(storage, key, "be read"):
        return DeltaTable(storage.delta_url(key), version=at, storage_options=storage.delta_options())


def is_readable(storage: Storage, key: str, *, at: int) -> bool:
    """Whether the log and every data file of that version are still there."""
    try:
        opened = table(storage, key, at=at)
    except StorageError:
        return False
    import pyarrow as pa

    there = {unquote(each) for each in storage.list(f"{key}/")}
    paths = pa.table(opened.get_add_actions())["path"].to_pylist()
    return all(f"{key}/{unquote(path)}" in there for path in paths)


def rows(
    storage: Storage,
    key: str,
    *,
    where: str,
    values: Mapping[str, Value | Iterable[Value]] | None = None,
    columns: Sequence[str] | None = None,
    at: int | None = None,
) -> Iterator[dict[str, Any]]:
    """The rows for which `where` holds, a batch at a time and without an engine.

    `where` is a condition in SQL; each `:name` in it stands for the value of that name, several values for a list for
    IN. Of `columns` (default: all), those that the table has. Raises StorageError.

    Not read by pyarrow's dataset: its threads may outlive the read, and hold Python objects that they cannot release
    once the interpreter ends (docs/decisions/0026-the-end-of-a-process.md).
    """
    with failing(storage, key, "be read"):
        opened = table(storage, key, at=at)
        names = [field.name for field in opened.schema().fields]
        chosen = ", ".join(f'"{name}"' for name in columns or names if name in names)
        for batch in _answer(opened, f"SELECT {chosen} FROM read WHERE {_bound(where, values or {})}"):
            yield from batch.to_pylist()


def _bound(condition: str, values: Mapping[str, Value | Iterable[Value]]) -> str:
    """The condition with each `:name` replaced by its value, or its values in parentheses, as SQL writes them.

    >>> _bound("id = :id OR n IN :numbers", {"id": "it's :n", "numbers": [-7]})
    "id = 'it''s :n' OR n IN (CAST('-7' AS BIGINT))"
    """

    def replacement(name: re.Match[str]) -> str:
        value = values[name[1]]
        if isinstance(value, str | int | date):
            return literal(value)
        return f"({', '.join(map(literal, value)) or 'NULL'})"  # IN () is not valid SQL

    return _PARAMETER.sub(replacement, condition)


def literal(value: Value) -> str:
    """The value as the deltalake package's SQL writes it."""
    if isinstance(value, int):
        return f"CAST('{value}' AS BIGINT)"  # the smallest 64-bit number cannot be written as a literal
    if isinstance(value, date):
        return f"DATE '{value:%Y-%m-%d}'"
    return "'" + value.replace("'", "''") + "'"


def query(storage: Storage, key: str, sql: str, *, at: int | None = None) -> list[dict[str, Any]]:
    """The rows that `sql` selects from `{table}`, the table at `key`, without an engine: for sums over columns.

    Only columns that the table has may be named. Raises StorageError.
    """
    with failing(storage, key, "be read"):
        opened = table(storage, key, at=at)
        return [row for batch in _answer(opened, sql.format(table="read")) for row in batch.to_pylist()]


def _answer(opened: DeltaTable, sql: str) -> Iterator[pa.RecordBatch]:
    """The result of `sql` on the table, there called `read`. Raises errors that `failing` knows, unlike the package."""
    import pyarrow as pa
    from deltalake import QueryBuilder

    yield from pa.RecordBatchReader.from_stream(QueryBuilder().register("read", opened).execute(sql))


@contextmanager
def failing(
    storage: Storage,
    key: str,
    what: str,
    hint: str = "check that the lake can be reached; restore the table's damaged files from a backup, then try again",
) -> Iterator[None]:
    """Wraps work of the deltalake package on the table at `key`: if it could not `what`, raises StorageError."""
    from deltalake.exceptions import DeltaError
    from pyarrow import ArrowException

    try:
        yield
    except (DeltaError, ArrowException, OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StorageError(
            f"{storage.url}/{key} could not {what}: {without_secrets(error, storage)}", hint=hint
        ) from None


@contextmanager
def as_writer(storage: Storage) -> Iterator[None]:
    """Wraps a commit to a Delta table: only for the lease holder, which must still hold the lease after the commit."""
    storage.require_writer()
    yield
    storage.require_writer()


def forget_last_checkpoint(storage: Storage, key: str) -> None:
    """Remove the hint to the newest checkpoint, which a reader of the log does not need.

    With it Sail 0.7.2 refuses every version between two checkpoints (docs/decisions/0014-time-travel.md).
    """
    storage.delete(f"{key}/_delta_log/_last_checkpoint")


def _let_older_versions_be_read(storage: Storage, key: str, at: int) -> None:
    try:
        hinted = json.loads(storage.read(f"{key}/_delta_log/_last_checkpoint"))["version"]
    except ObjectNotFoundError:
        return
    if hinted > at:
        forget_last_checkpoint(storage, key)


def replace(
    frame: DataFrame,
    storage: Storage,
    key: str,
    *,
    partition_by: Sequence[str] = (),
    where: str | None = None,
    statistics: bool = True,
) -> None:
    """Replace the whole table, or the rows that `where` selects, in one commit.

    A table that is always read in full needs no `statistics`, which cost Spark a third of the write.
    """
    writer = frame.write.format("delta").mode("overwrite")
    if not statistics:
        writer = writer.option("delta.dataSkippingNumIndexedCols", "0")
    if partition_by:
        writer = writer.partitionBy(*partition_by)
    if where is not None and version(storage, key) is not None:
        writer = writer.option("replaceWhere", where)
    else:
        writer = writer.option("overwriteSchema", "true")
    with as_writer(storage):
        writer.save(storage.engine_path(key))


def add_columns(storage: Storage, key: str, columns: Mapping[str, str]) -> None:
    """Add columns with these names and SQL types to the table at `key`, in one commit; they are null in its rows.

    No commit if there are none. Raises StorageError. An engine's own statements would not do: Sail 0.7.2 has no ALTER
    TABLE, and appends with mergeSchema without merging if a column of the table is not nullable.
    """
    from deltalake import Field
    from deltalake.schema import PrimitiveType

    if not columns:
        return
    fields = [Field(name, PrimitiveType(_DELTA_TYPES.get(kind, kind))) for name, kind in columns.items()]
    hint = "check that the lake exists and is writable; then run the same command again"
    with as_writer(storage), failing(storage, key, f"get the columns {', '.join(columns)}", hint):
        table(storage, key).alter.add_columns(fields)


def without_secrets(error: Exception, storage: Storage) -> str:
    """The deltalake package's error, which may quote its credentials, made safe for a message."""
    text = str(error).partition("\n   0: ")[0]  # followed by Rust's own trace of the error
    for name, value in storage.delta_options().items():
        if value and ("key" in name or "token" in name):
            text = text.replace(value, "…")
    return text[:500]
