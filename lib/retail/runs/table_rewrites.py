"""Versions of Delta tables on which a rewrite other than a merge was begun: a compaction or a migration.

    ops/rewrites.json    {"star/fact_sales": [7, 12]}

A merge sees from the table's version whether it was committed before a kill. A merge that was planned for a version in
this list was not committed: the commit after that version was the rewrite, and the merge must be planned again. So the
note of a rewrite that made no commit must not stay: it is removed if the rewrite fails and, if the rewrite was killed,
by the next merge that is planned on the version.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from retail.errors import ObjectNotFoundError, StorageError
from retail.lake import delta, layout
from retail.lake.storage import Storage

# Only a run that no later run has merged after is resumed; this is far more than can matter.
_KEPT: Final = 50
# Dimensions are planned in parallel.
_ONE_AT_A_TIME: Final = threading.Lock()


@contextmanager
def noted(storage: Storage, table: str, version: int) -> Iterator[None]:
    """Wraps a rewrite of `table` that begins on `version`; if it makes no commit, the note does not stay."""
    begin(storage, table, version)
    try:
        yield
    finally:
        if delta.version(storage, table) == version:
            give_up(storage, table, version)


def begin(storage: Storage, table: str, version: int) -> None:
    """Note, before it starts, that a rewrite of `table` begins on `version`. Only for the holder of the lease."""
    with _ONE_AT_A_TIME:
        all_noted = _read(storage)
        versions = [each for each in all_noted.get(table, []) if each != version]
        _write(storage, {**all_noted, table: [*versions, version][-_KEPT:]})


def give_up(storage: Storage, table: str, version: int) -> None:
    """Remove the note, if there is one: the rewrite made no commit. Only for the holder of the lease."""
    with _ONE_AT_A_TIME:
        all_noted = _read(storage)
        if version in all_noted.get(table, []):
            _write(storage, {**all_noted, table: [each for each in all_noted[table] if each != version]})


def begun_on(storage: Storage, table: str, version: int) -> bool:
    """Whether a rewrite of `table` was begun on that version. Raises StorageError if the note cannot be read."""
    return version in _read(storage).get(table, [])


def _read(storage: Storage) -> dict[str, list[int]]:
    try:
        return {
            table: [int(each) for each in versions]
            for table, versions in json.loads(storage.read(layout.TABLE_REWRITES)).items()
        }
    except ObjectNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{storage.url}/{layout.TABLE_REWRITES} cannot be read: {error!r}",
            hint="restore it from a backup; or delete it, if no run was killed recently (`retail status`)",
        ) from None


def _write(storage: Storage, noted: dict[str, list[int]]) -> None:
    storage.write(layout.TABLE_REWRITES, json.dumps(noted, sort_keys=True).encode())
