"""The lake's own form: tables get the columns that the code has gained, and older rows the form of its hashes.

    ops/format.json    {"format": 2, "begun_on": {"star/fact_sales": [7]}}

`format` counts the rewrites of what older code wrote; a lake without it is of format 1, or new. `begun_on` names the
versions of a table that a migration was begun on: a merge that was planned for one of them has not been done
(docs/decisions/0009-migration.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from retail import delta
from retail.errors import ObjectNotFoundError, StorageError
from retail.runs.context import Context
from retail.star import dim_date
from retail.star.table import CONTENTS, Table
from retail.storage import Storage

FORMAT: Final = 2
KEY: Final = "ops/format.json"

log = structlog.get_logger(__name__)


@dataclass
class _Form:
    """What `ops/format.json` says."""

    format: int
    begun_on: dict[str, list[int]] = field(default_factory=dict)


def migrate(context: Context, tables: Iterable[Table]) -> None:
    """Bring those of `tables` that are there to the form of this code; one that has it is not touched.

    One commit a table and change, so a killed migration goes on at the next call. Old rows are null in a new column.
    Raises StorageError where newer code made the lake.
    """
    tables = list(tables)
    require_known(context.storage)
    form = _read(context.storage)
    if form is None:
        form = _Form(_found_format(context))
        _write(context.storage, form)
    while form.format < FORMAT:
        rewrite = _REWRITES[form.format]
        for table in tables:
            if delta.version(context.storage, table.path) is not None:
                _begin(context, form, table)
                rewrite(context, table)
        form.format += 1
        _write(context.storage, form)
        log.info("lake migrated", format=form.format)
    for table in tables:
        lacking = _lacking(context, table)
        if lacking:
            _begin(context, form, table)
            delta.add_columns(context.storage, table.path, lacking)
            log.info("columns added", table=table.name, columns=lacking)


def require_known(storage: Storage) -> None:
    """Raise StorageError where the lake's form is newer than this code."""
    form = _read(storage)
    if form is not None and form.format > FORMAT:
        raise StorageError(
            f"the lake {storage.url} has format {form.format}; this version of retail-lakehouse knows formats up to "
            f"{FORMAT}",
            hint="install the version that wrote the lake, or a newer one",
        )


def begun_on(storage: Storage, table: Table, version: int) -> bool:
    """Whether a migration of the table was begun on that version: a merge planned for it is to be planned anew."""
    form = _read(storage)
    return form is not None and version in form.begun_on.get(table.path, ())


def _found_format(context: Context) -> int:
    """The format of a lake that does not tell: a new one has the newest.

    A calendar row's hash has no version of a mapping, so that only format 1 has one beyond the content's bits.
    """
    if delta.version(context.storage, dim_date.TABLE.path) is None:
        return FORMAT
    days = delta.read(context.session, context.storage, dim_date.TABLE.path)
    return 1 if days.where(_IS_OF_FORMAT_1).limit(1).collect() else FORMAT


def _begin(context: Context, form: _Form, table: Table) -> None:
    version = delta.require_version(context.storage, table.path)
    versions = form.begun_on.setdefault(table.path, [])
    if version not in versions:
        versions.append(version)
        _write(context.storage, form)


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
    context.session.sql(
        f"UPDATE delta.`{path}` SET content_hash = content_hash & {CONTENTS - 1} WHERE {_IS_OF_FORMAT_1}"
    ).collect()


# What brings a table from the format to the next.
_REWRITES: Final[dict[int, Callable[[Context, Table], None]]] = {1: _to_format_2}


def _read(storage: Storage) -> _Form | None:
    try:
        values: dict[str, Any] = json.loads(storage.read(KEY))
        return _Form(int(values["format"]), dict(values["begun_on"]))
    except ObjectNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{storage.url}/{KEY} cannot be read: {error!r}",
            hint=f'bring it back from a backup, or write {{"format": {FORMAT}, "begun_on": {{}}}} if this version of '
            "retail-lakehouse has worked on the lake before",
        ) from None


def _write(storage: Storage, form: _Form) -> None:
    storage.write(KEY, json.dumps({"format": form.format, "begun_on": form.begun_on}, indent=1).encode())
