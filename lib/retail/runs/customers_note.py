"""A change of customers in all that is stored: an erasure, or a rotation of the pepper, that has begun and not ended.

    ops/customers.json    {"kind": "erase", "command": "retail erase …", "run_id": "…", "customers": […], …}

Written before the first change and gone after the last one, so that a killed change resumes, and until then no run
reads or writes customers of two kinds.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Literal

from retail.errors import CustomersLeftError, ObjectNotFoundError, StorageError
from retail.lake import layout
from retail.lake.storage import Storage


@dataclass(frozen=True)
class CustomersNote:
    """`customers` are the erased ones, each a retailer and a pseudonym; a rotation is known by the new `fingerprint`.

    `found` are those of the erased ones who were in the lake. `rows` and `money` are those of the fact before the
    change, `changed` counts what was changed so far, by place. `began` is a time in UTC.
    """

    kind: Literal["erase", "rotate"]
    command: str
    run_id: str
    began: str
    rows: int
    money: dict[str, str]
    customers: tuple[tuple[str, str], ...] = ()
    found: tuple[tuple[str, str], ...] = ()
    fingerprint: str = ""
    changed: dict[str, int] = field(default_factory=dict)


def read(storage: Storage) -> CustomersNote | None:
    """The change that has not ended, if there is one. Raises StorageError."""
    try:
        noted = json.loads(storage.read(layout.CUSTOMERS))
        for each in ("customers", "found"):
            noted[each] = tuple((retailer, name) for retailer, name in noted.get(each, ()))
        return CustomersNote(**noted)
    except ObjectNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise StorageError(
            f"{storage.url}/{layout.CUSTOMERS} cannot be read: {error!r}",
            hint="delete this one object, then give the same `retail erase` or `retail pepper rotate` again",
        ) from None


def write(storage: Storage, note: CustomersNote) -> None:
    """Only for the holder of the lease."""
    storage.write(layout.CUSTOMERS, json.dumps(asdict(note), indent=1).encode())


def end(storage: Storage) -> None:
    """The change is complete. Only for the holder of the lease."""
    storage.delete(layout.CUSTOMERS)


def require_none(storage: Storage) -> None:
    """Raises CustomersLeftError if a change has not ended."""
    note = read(storage)
    if note is not None:
        what = "an erasure of a customer" if note.kind == "erase" else "a rotation of the pepper"
        raise CustomersLeftError(
            f"{what} has begun at {note.began} and not ended",
            hint=f"run `{note.command}`, which resumes it; until it has ended no run works",
        )
