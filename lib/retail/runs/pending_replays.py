"""Days that are being restaged, from the moment their lines leave quarantine until they are complete.

    ops/replays.json    {"20261126T214733Z-3fa9c1": [["retailer_1", "2017-01-01"]]}

Restaging a day replaces its lines in quarantine. A line that is no longer refused then exists only in the raw file
until it is merged, and nothing stages a completed day unless asked. So the run that restages a day is noted before it
does, and the note is removed when that run completes; the next replay takes whatever is left.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import date

from retail.errors import ObjectNotFoundError, StorageError
from retail.lake import layout
from retail.lake.storage import Storage
from retail.runs.days import RetailerDay


def begin(storage: Storage, run_id: str, units: Collection[RetailerDay]) -> None:
    """Note that the run restages these units, whichever run did so before. Only for the holder of the lease."""
    noted = _read(storage)
    others = {each: of_run - set(units) for each, of_run in noted.items() if each != run_id}
    _write(storage, noted, {**others, run_id: set(units)})


def end(storage: Storage, run_id: str) -> None:
    """Record that the units the run staged are complete. Only for the holder of the lease."""
    noted = _read(storage)
    _write(storage, noted, {each: units for each, units in noted.items() if each != run_id})


def left(storage: Storage) -> set[RetailerDay]:
    """All units that were restaged and are not complete. Raises StorageError."""
    return {unit for units in _read(storage).values() for unit in units}


def _read(storage: Storage) -> dict[str, set[RetailerDay]]:
    try:
        return {
            run_id: {(retailer, date.fromisoformat(day)) for retailer, day in units}
            for run_id, units in json.loads(storage.read(layout.PENDING_REPLAYS)).items()
        }
    except ObjectNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{storage.url}/{layout.PENDING_REPLAYS} cannot be read: {error!r}",
            hint="restore it from a backup; or delete it, and run `retail transform`, `check` and `refresh` for "
            "the days of each replay that did not succeed (`retail status`)",
        ) from None


def _write(storage: Storage, before: dict[str, set[RetailerDay]], after: dict[str, set[RetailerDay]]) -> None:
    after = {run_id: units for run_id, units in after.items() if units}
    if after == before:
        return
    if not after:
        storage.delete(layout.PENDING_REPLAYS)
        return
    noted = {
        run_id: [[retailer, day.isoformat()] for retailer, day in sorted(units)]
        for run_id, units in sorted(after.items())
    }
    storage.write(layout.PENDING_REPLAYS, json.dumps(noted, indent=1).encode())
