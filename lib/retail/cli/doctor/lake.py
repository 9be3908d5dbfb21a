"""The findings of `retail doctor` on the lake: each of its clients writes, reads and deletes there."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from retail.errors import EngineError, RetailError, StorageError
from retail.lake import delta, layout
from retail.lake.storage import Storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ROWS: Final = 3


def check_storage(storage: Storage) -> str:
    """Write, read, list and delete an object, as the ledger does, and create it once only. Raises StorageError."""
    with _probe(storage) as key:
        if not storage.create(key, b"1") or storage.create(key, b"2"):
            raise StorageError(
                f"{storage.url} allows an object to be created twice, so two runs could work at once",
                hint="use a store with conditional writes (If-None-Match), such as Amazon S3",
            )
        storage.write(key, b"3")
        if storage.read(key) != b"3" or list(storage.list(key.rpartition("/")[0] + "/")) != [key]:
            raise StorageError(
                f"{storage.url} does not show what was just written",
                hint="use a store whose reads and lists show each write at once, such as Amazon S3",
            )
        storage.delete(key)
    return "written, read, listed and deleted; guards against two writers"


def check_deltalake(storage: Storage) -> str:
    """The same with a small table and the deltalake package. Raises StorageError."""
    import pyarrow as pa
    from deltalake import write_deltalake

    hint = "check that the credentials may write below lake.url; see docs/CONFIGURATION.md on variables of other tools"
    with _probe(storage) as key, delta.failing(storage, key, "be written", hint):
        write_deltalake(
            storage.delta_url(key),
            pa.table({"n": list(range(_ROWS))}),
            storage_options=storage.delta_options(),
        )
        _require_rows(storage, len(delta.query(storage, key, "SELECT n FROM {table}")))
        table = delta.table(storage, key)
        table.delete()
        if not table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False):
            raise StorageError(f"{storage.url}: no file of {key} could be deleted", hint=hint)
    return "a table written, read and deleted"


def check_engine(session: SparkSession, storage: Storage) -> str:
    """The same with the engine, which overwrites instead of deleting. Raises EngineError."""
    with _probe(storage) as key:
        try:
            delta.replace(session.range(_ROWS), storage, key)
            delta.replace(session.range(_ROWS), storage, key)
            _require_rows(storage, delta.read(session, storage, key).count())
        except RetailError:
            raise
        except Exception as error:  # raised by an engine
            raise EngineError(
                f"the engine cannot work in {storage.url}: {str(error).strip().partition(chr(10))[0][:500]}",
                hint="check that the engine reaches the same server with the same credentials: docs/CONFIGURATION.md",
            ) from error
    return "a table written, replaced and read"


def _require_rows(storage: Storage, found: int) -> None:
    if found != _ROWS:
        raise StorageError(
            f"{storage.url} returned {found} of {_ROWS} rows just written",
            hint="check what else writes there",
        )


@contextmanager
def _probe(storage: Storage) -> Iterator[str]:
    """The key of an object or table of our own. The block leaves nothing of it."""
    key = layout.doctor_probe(f"{uuid.uuid4().hex}/probe")
    folder = key.rpartition("/")[0]
    try:
        yield key
    finally:
        for each in list(storage.list(f"{folder}/")):
            storage.delete(each)
        if "://" not in storage.engine_path(folder):
            shutil.rmtree(storage.engine_path(folder), ignore_errors=True)
