"""Delta tables by their place in the lake: read at a version, replace, create. No catalog, no table names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from retail.errors import ObjectNotFoundError, StorageError
from retail.lake.storage import Storage

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyspark.sql import DataFrame, SparkSession

# Of the names in SQL, those that Delta has another name for.
_DELTA_TYPES = {"bigint": "long", "int": "integer"}
# A checkpoint tells of its version too, where the commit itself is past its days.
_COMMIT = re.compile(r"/_delta_log/(\d{20})\.(?:json|checkpoint\.parquet)$")


def version(storage: Storage, key: str) -> int | None:
    """The newest committed version of the table at `key`, or None where there is no table."""
    commits = (_COMMIT.search(name) for name in storage.list(f"{key}/_delta_log/"))
    return max((int(commit[1]) for commit in commits if commit), default=None)


def require_version(storage: Storage, key: str) -> int:
    """The newest committed version. Raises StorageError where there is no table."""
    newest = version(storage, key)
    if newest is None:
        raise StorageError(
            f"the Delta table {key} is not there", hint="run `retail run` for at least one day first"
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
    """The table at `key`, opened by the deltalake package: without an engine, and for what Sail has no words for.

    Raises StorageError.
    """
    from deltalake import DeltaTable

    with failing(storage, key, "be read"):
        return DeltaTable(storage.delta_url(key), version=at, storage_options=storage.delta_options())


def rows(
    storage: Storage, key: str, *, where: Any, columns: Sequence[str] | None = None, at: int | None = None
) -> Iterator[dict[str, Any]]:
    """The rows that `where`, a condition of pyarrow.dataset, selects, a batch at a time and without an engine.

    Of `columns` (default: all) those that the table has. Raises StorageError.
    """
    with failing(storage, key, "be read"):
        dataset = table(storage, key, at=at).to_pyarrow_dataset()
        there = [name for name in columns or dataset.schema.names if name in dataset.schema.names]
        for batch in dataset.to_batches(columns=there, filter=where):
            yield from batch.to_pylist()


def query(storage: Storage, key: str, sql: str, *, at: int | None = None) -> list[dict[str, Any]]:
    """What `sql` selects of `{table}`, the table at `key`, without an engine: for sums over many rows, by column.

    Only columns that the table has may be named. Raises StorageError.
    """
    import pyarrow as pa
    from deltalake import QueryBuilder

    with failing(storage, key, "be read"):
        found = QueryBuilder().register("read", table(storage, key, at=at)).execute(sql.format(table="read"))
        rows: list[dict[str, Any]] = pa.table(found.read_all()).to_pylist()
        return rows


@contextmanager
def failing(
    storage: Storage,
    key: str,
    what: str,
    hint: str = "see that the lake is there; bring back what is damaged of the table from a backup, and try again",
) -> Iterator[None]:
    """Around work of the deltalake package on the table at `key`: that it could not `what` is a StorageError."""
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
    """Around a commit to a Delta table: only for the holder of the lease, who still is it behind the commit."""
    storage.require_writer()
    yield
    storage.require_writer()


def forget_last_checkpoint(storage: Storage, key: str) -> None:
    """Remove the hint which checkpoint is the newest, that a reader of the log may do without.

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

    A table that is always read whole needs no `statistics`, which cost Spark a third of the write.
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
    """Give the table at `key` more columns, of these names and SQL types, in one commit; they are null in its rows.

    No commit where there are none. Raises StorageError. An engine's own words would not do: Sail 0.7.2 has no
    ALTER TABLE, and appends with mergeSchema without merging where a column of the table is not nullable.
    """
    from deltalake import Field
    from deltalake.schema import PrimitiveType

    if not columns:
        return
    fields = [Field(name, PrimitiveType(_DELTA_TYPES.get(kind, kind))) for name, kind in columns.items()]
    hint = "see that the lake is there and may be written; then run the same command again"
    with as_writer(storage), failing(storage, key, f"be given {', '.join(columns)}", hint):
        table(storage, key).alter.add_columns(fields)


def without_secrets(error: Exception, storage: Storage) -> str:
    """What the deltalake package says, which may quote how it tried to get in, fit for a message."""
    text = str(error).partition("\n   0: ")[0]  # behind it comes Rust's own way to the error
    for name, value in storage.delta_options().items():
        if value and ("key" in name or "token" in name):
            text = text.replace(value, "…")
    return text[:500]
