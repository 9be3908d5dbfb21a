"""Days that are staged again, from the moment when their lines leave quarantine until they have come all the way.

    ops/replays.json    {"20261126T214733Z-3fa9c1": [["retailer_1", "2017-01-01"]]}

Staging a day replaces what of it lies in quarantine. A line that nothing refuses any more then is in the raw file and
nowhere else until it is merged, and a day that is done is staged by nobody unasked. So the run that stages it is noted
before it does, and the note goes when that run has come to its end; what is left the next replay takes.
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
    """Note that the run stages these units again, whoever did before. Only for the holder of the lease."""
    noted = _read(storage)
    others = {each: of_run - set(units) for each, of_run in noted.items() if each != run_id}
    _write(storage, noted, {**others, run_id: set(units)})


def end(storage: Storage, run_id: str) -> None:
    """What the run staged has come all the way. Only for the holder of the lease."""
    noted = _read(storage)
    _write(storage, noted, {each: units for each, units in noted.items() if each != run_id})


def left(storage: Storage) -> set[RetailerDay]:
    """Every unit that was staged again and has not come all the way. Raises StorageError."""
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
            hint="bring it back from a backup; or delete it, and give `retail transform`, `check` and `refresh` for "
            "the days of each replay that did not end well (`retail status`)",
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
