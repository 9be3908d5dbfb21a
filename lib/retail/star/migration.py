"""The lake's own form: tables get the columns that the code has gained, and older rows the form of its hashes.

    ops/format.json    {"format": 2}

`format` counts the rewrites of what older code wrote; a lake without it is of format 1, or new. Each change of a table
is noted before it begins (`retail.runs.table_rewrites`), so that a merge which was planned before it is planned anew
(docs/decisions/0009-migration.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Final

import structlog

from retail.errors import ObjectNotFoundError, StorageError
from retail.lake import delta, layout
from retail.lake.storage import Storage
from retail.runs import table_rewrites
from retail.runs.context import Context
from retail.star.table import CONTENTS, Table
from retail.star.tables import dim_date

FORMAT: Final = 2

log = structlog.get_logger(__name__)


def migrate(context: Context, tables: Iterable[Table]) -> None:
    """Bring those of `tables` that are there to the form of this code; one that has it is not touched.

    One commit a table and change, so a killed migration goes on at the next call. Old rows are null in a new column.
    Raises StorageError where newer code made the lake.
    """
    tables = list(tables)
    require_known(context.storage)
    found = _read(context.storage)
    if found is None:
        found = _found_format(context)
        _write(context.storage, found)
    for number in range(found, FORMAT):
        for table in tables:
            if delta.version(context.storage, table.path) is not None:
                with _noted(context, table):
                    _REWRITES[number](context, table)
        _write(context.storage, number + 1)
        log.info("lake migrated", format=number + 1)
    for table in tables:
        lacking = _lacking(context, table)
        if lacking:
            with _noted(context, table):
                delta.add_columns(context.storage, table.path, lacking)
            log.info("columns added", table=table.name, columns=lacking)


def require_known(storage: Storage) -> None:
    """Raise StorageError where the lake's form is newer than this code."""
    found = _read(storage)
    if found is not None and found > FORMAT:
        raise StorageError(
            f"the lake {storage.url} has format {found}; this version of retail-lakehouse knows formats up to {FORMAT}",
            hint="install the version that wrote the lake, or a newer one",
        )


def _found_format(context: Context) -> int:
    """The format of a lake that does not tell: a new one has the newest.

    A calendar row's hash has no version of a mapping, so that only format 1 has one beyond the content's bits.
    """
    if delta.version(context.storage, dim_date.TABLE.path) is None:
        return FORMAT
    days = delta.read(context.session, context.storage, dim_date.TABLE.path)
    return 1 if days.where(_IS_OF_FORMAT_1).limit(1).collect() else FORMAT


def _noted(context: Context, table: Table) -> AbstractContextManager[None]:
    version = delta.require_version(context.storage, table.path)
    return table_rewrites.noted(context.storage, table.path, version)


def _lacking(context: Context, table: Table) -> dict[str, str]:
    """Columns, with their types, that the table in the lake lacks."""
    if delta.version(context.storage, table.path) is None:
        return {}
    there = delta.read(context.session, context.storage, table.path).columns
    return {name: kind for name, kind in table.types.items() if name not in there}


_IS_OF_FORMAT_1: Final = f"content_hash < 0 OR content_hash >= {CONTENTS}"


def _to_format_2(context: Context, table: Table) -> None:
    """A content hash was 64 bits; now it is the lowest 52 of them, below a version of the mapping, then 0."""
    path = context.storage.engine_path(table.path)
    with delta.as_writer(context.storage):
        context.session.sql(
            f"UPDATE delta.`{path}` SET content_hash = content_hash & {CONTENTS - 1} WHERE {_IS_OF_FORMAT_1}"
        ).collect()


# What brings a table from the format to the next.
_REWRITES: Final[dict[int, Callable[[Context, Table], None]]] = {1: _to_format_2}


def _read(storage: Storage) -> int | None:
    try:
        return int(json.loads(storage.read(layout.FORMAT))["format"])
    except ObjectNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{storage.url}/{layout.FORMAT} cannot be read: {error!r}",
            hint=f'bring it back from a backup, or write {{"format": {FORMAT}}} if this version of retail-lakehouse '
            "has worked on the lake before",
        ) from None


def _write(storage: Storage, number: int) -> None:
    storage.write(layout.FORMAT, json.dumps({"format": number}).encode())
