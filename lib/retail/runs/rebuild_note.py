"""The rebuild that has begun and not ended: until it has, no run reads or changes the star.

    ops/rebuild.json    {"tables": ["fact_sales"], "to_empty": [], "left": [["retailer_1", "2017-01-01"]], …}

Written before the first change, so a killed rebuild resumes where it stopped.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import date

from retail.errors import ObjectNotFoundError, RebuildLeftError, StorageError
from retail.lake import layout
from retail.lake.storage import Storage
from retail.runs.days import RetailerDay


@dataclass(frozen=True)
class RebuildNote:
    """A rebuild of `tables`: those still `to_empty`, then the retailer-days that are `left` to merge again.

    `versions` are those from which each table's new log begins; `command` resumes it. `days`: only some were named,
    those from `first` to `last`. `rows` and `money` are the fact's, as the last run left them.
    """

    tables: tuple[str, ...]
    command: str
    to_empty: tuple[str, ...]
    versions: dict[str, int]
    left: tuple[RetailerDay, ...]
    days: bool = False
    rows: int | None = None
    money: dict[str, str] | None = field(default=None)
    first: date | None = None
    last: date | None = None

    def is_of(self, first: date | None, last: date | None) -> bool:
        """Whether only these days were named. An earlier version did not note which: then any are."""
        return self.days and (
            (self.first is None and self.last is None) or (self.first, self.last) == (first, last)
        )


def read(storage: Storage) -> RebuildNote | None:
    """The rebuild that has not ended, if there is one. Raises StorageError."""
    try:
        noted = json.loads(storage.read(layout.REBUILD))
        noted["tables"], noted["to_empty"] = tuple(noted["tables"]), tuple(noted["to_empty"])
        noted["left"] = tuple((retailer, date.fromisoformat(day)) for retailer, day in noted["left"])
        for name in ("first", "last"):
            noted[name] = date.fromisoformat(noted[name]) if noted.get(name) else None
        return RebuildNote(**noted)
    except ObjectNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise StorageError(
            f"{storage.url}/{layout.REBUILD} cannot be read: {error!r}",
            hint="delete this one object, then give the same `retail rebuild` again without --from and --to",
        ) from None


def write(storage: Storage, note: RebuildNote) -> None:
    """Only for the holder of the lease."""
    noted = asdict(note) | {
        "left": [[retailer, day.isoformat()] for retailer, day in note.left],
        "first": note.first.isoformat() if note.first else None,
        "last": note.last.isoformat() if note.last else None,
    }
    storage.write(layout.REBUILD, json.dumps(noted, indent=1).encode())


def end(storage: Storage) -> None:
    """The rebuild is complete. Only for the holder of the lease."""
    storage.delete(layout.REBUILD)


def require_none(storage: Storage) -> None:
    """Raises RebuildLeftError if a rebuild has not ended."""
    note = read(storage)
    if note is not None:
        raise RebuildLeftError(
            f"a rebuild of {', '.join(note.tables)} has begun and not ended: "
            f"{len(note.left)} retailer-days are left",
            hint=f"run `{note.command}`, which resumes it; until it has ended nothing else changes the star",
        )
