"""Versions of Delta tables on which a rewrite was begun that is no merge: a compaction, or a migration.

    ops/rewrites.json    {"star/fact_sales": [7, 12]}

A merge tells by the table's version whether it was committed before a kill. One that was planned for a version in
this list was not: what came after that version was the rewrite, and the merge is to be planned anew.
"""

from __future__ import annotations

import json
from typing import Final

from retail.errors import ObjectNotFoundError, StorageError
from retail.storage import Storage

KEY: Final = "ops/rewrites.json"
# Only a run that no other has merged after is gone on with; this is many more than can matter.
_KEPT: Final = 50


def begin(storage: Storage, table: str, version: int) -> None:
    """Note, before it starts, that a rewrite of `table` begins on `version`. Only for the holder of the lease."""
    noted = _read(storage)
    versions = [each for each in noted.get(table, []) if each != version]
    _write(storage, {**noted, table: [*versions, version][-_KEPT:]})


def give_up(storage: Storage, table: str, version: int) -> None:
    """Take the note back: the rewrite made no commit."""
    noted = _read(storage)
    _write(storage, {**noted, table: [each for each in noted.get(table, []) if each != version]})


def begun_on(storage: Storage, table: str, version: int) -> bool:
    """Whether a rewrite of `table` was begun on that version. Raises StorageError where the note cannot be read."""
    return version in _read(storage).get(table, [])


def _read(storage: Storage) -> dict[str, list[int]]:
    try:
        return {
            table: [int(each) for each in versions]
            for table, versions in json.loads(storage.read(KEY)).items()
        }
    except ObjectNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{storage.url}/{KEY} cannot be read: {error!r}",
            hint="bring it back from a backup; or, where no run was killed lately (`retail status`), delete it",
        ) from None


def _write(storage: Storage, noted: dict[str, list[int]]) -> None:
    storage.write(KEY, json.dumps(noted, sort_keys=True).encode())
