"""The lake's own format: adds new columns of the code to tables, and rewrites the hashes of older rows.

    ops/format.json    {"format": 4}

`format` counts the rewrites of what older code wrote; a lake without the file has format 1, or is new. Each change of a
table is noted before it begins (`retail.runs.table_rewrites`), so that a merge planned before it is planned again
(docs/decisions/0009-migration.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Final

import structlog

from retail.errors import ObjectNotFoundError, StorageError
from retail.lake import delta, layout, location
from retail.lake.storage import Storage
from retail.runs import table_rewrites
from retail.runs.lake_context import LakeContext
from retail.star import versions
from retail.star.table import Table, content_hash_sql
from retail.star.tables import dim_customer, dim_date, dim_product

FORMAT: Final = 4

log = structlog.get_logger(__name__)


def migrate(context: LakeContext, tables: Iterable[Table]) -> list[str]:
    """Bring the existing ones of `tables` to this code's format; returns the formats reached, in words.

    A table that already has the format is not touched. Each table and change is one commit, so a killed migration
    resumes at the next call. Old rows are null in a new column. No row's `changed_run_id` changes, so nothing is
    published. Raises StorageError if newer code made the lake.
    """
    tables, done = list(tables), []
    require_known(context.storage)
    found = _read(context.storage)
    if found is None:
        found = _found_format(context)
        _write(context.storage, found)
    for table in tables:  # before the rewrites, which may fill them
        lacking = _lacking(context, table)
        if lacking:
            with _noted(context, table):
                delta.add_columns(context.storage, table.path, lacking)
            log.info("columns added", table=table.name, columns=lacking)
    for number in range(found, FORMAT):
        for table in tables:
            if delta.version(context.storage, table.path) is not None:
                with _noted(context, table):
                    _REWRITES[number](context, table)
        _write(context.storage, number + 1)
        log.info("lake migrated", format=number + 1)
        done.append(f"the lake was migrated to format {number + 1}")
    return done


def require_known(storage: Storage) -> None:
    """Raise StorageError if the lake's format is newer than this code."""
    found = _read(storage)
    if found is not None and found > FORMAT:
        raise StorageError(
            f"the lake {storage.url} has format {found}; this version of retail-lakehouse "
            f"supports formats up to {FORMAT}",
            hint="install the version that wrote the lake, or a newer one",
        )


def _found_format(context: LakeContext) -> int:
    """The format of a lake that does not record it: a new one has the newest.

    In format 2 a calendar row's hash has only the content's bits; in formats 1 and 3 it has 64. A lake that has the
    columns of format 3 is treated as 2, because that rewrite finds what is left to do by itself.
    """
    if delta.version(context.storage, dim_date.TABLE.path) is None:
        return FORMAT
    if not {*versions.ORDER} & {*_lacking(context, dim_customer.TABLE)}:
        return 2
    days = delta.read(context.session, context.storage, dim_date.TABLE.path)
    return 1 if days.where(_IS_OF_FORMAT_1).limit(1).collect() else 2


def _noted(context: LakeContext, table: Table) -> AbstractContextManager[None]:
    version = delta.require_version(context.storage, table.path)
    return table_rewrites.noted(context.storage, table.path, version)


def _lacking(context: LakeContext, table: Table) -> dict[str, str]:
    """Columns, with their types, that the table in the lake lacks."""
    if delta.version(context.storage, table.path) is None:
        return {}
    there = delta.read(context.session, context.storage, table.path).columns
    return {name: kind for name, kind in table.types.items() if name not in there}


# In format 2, the number of content bits in a hash; the mapping's version was above them.
_CONTENT_BITS: Final = 52
_CONTENTS: Final = 2**_CONTENT_BITS
_IS_OF_FORMAT_1: Final = f"content_hash < 0 OR content_hash >= {_CONTENTS}"


def _to_format_2(context: LakeContext, table: Table) -> None:
    """A content hash was 64 bits; it becomes the lowest 52 of them, below a mapping version, then 0."""
    _update(context, table, {"content_hash": f"content_hash & {_CONTENTS - 1}"}, where=_IS_OF_FORMAT_1)


def _to_format_3(context: LakeContext, table: Table) -> None:
    """The order of versions gets columns of its own, and the hash covers non-null values by name.

    A fact's response is known from its `source_ref`; a dimension's row is older than any response. A row that has its
    `fetch_order` was migrated before.
    """
    content_hash = content_hash_sql(*table.content)
    if not table.versioned:
        _update(context, table, {"content_hash": content_hash}, where=f"content_hash <> {content_hash}")
        return
    of_row = {
        "mapping_version": f"cast(shiftright(content_hash, {_CONTENT_BITS}) AS int)",
        "fetch_order": versions.FETCH_ORDER if "source_ref" in table.own_columns else "''",
        "content_hash": content_hash,
    }
    _update(context, table, of_row, where="fetch_order IS NULL")


def _to_format_4(context: LakeContext, table: Table) -> None:
    """A product's row without a name becomes older than any line that has one."""
    if table is dim_product.TABLE:
        where = f"product_name IS NULL AND updated_at > {dim_product.BEFORE_ALL}"
        _update(context, table, {"updated_at": dim_product.BEFORE_ALL}, where=where)


def _update(context: LakeContext, table: Table, values: dict[str, str], *, where: str) -> None:
    """Set these columns to SQL expressions over the old row; no commit if no row needs to change."""
    if not delta.read(context.session, context.storage, table.path).where(where).limit(1).collect():
        return
    path = location.in_sql(context.storage.engine_path(table.path))
    assigned = ", ".join(f"{name} = {value}" for name, value in values.items())
    with delta.as_writer(context.storage):
        context.session.sql(f"UPDATE delta.{path} SET {assigned} WHERE {where}").collect()


# The rewrite that brings a table from each format to the next.
_REWRITES: Final[dict[int, Callable[[LakeContext, Table], None]]] = {
    1: _to_format_2,
    2: _to_format_3,
    3: _to_format_4,
}


def _read(storage: Storage) -> int | None:
    try:
        return int(json.loads(storage.read(layout.FORMAT))["format"])
    except ObjectNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{storage.url}/{layout.FORMAT} cannot be read: {error!r}",
            hint=f'restore it from a backup, or write {{"format": {FORMAT}}} if this version of retail-lakehouse '
            "has already used the lake",
        ) from None


def _write(storage: Storage, number: int) -> None:
    storage.write(layout.FORMAT, json.dumps({"format": number}).encode())
