"""Customers who were erased: whatever a retailer sends of them later is stored without the link to them.

    ops/erased.json    {"retailer_1": ["4be1…"]}

The list holds pseudonyms, to which nothing in the lake refers any more.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from retail.errors import ObjectNotFoundError, StorageError
from retail.lake import layout
from retail.lake.storage import Storage
from retail.sources.values.json_path import JSON

Erased = Mapping[str, frozenset[str]]


def read(storage: Storage) -> Erased:
    """The pseudonyms of erased customers, by retailer. Raises StorageError."""
    try:
        noted = json.loads(storage.read(layout.ERASED))
        return {retailer: frozenset(map(str, names)) for retailer, names in noted.items()}
    except ObjectNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{storage.url}/{layout.ERASED} cannot be read: {error!r}",
            hint="restore it from a backup; ops/erasures/ has a certificate of each erasure, with its customer",
        ) from None


def of(storage: Storage, retailer_id: str) -> frozenset[str]:
    """The pseudonyms of the retailer's erased customers. Raises StorageError."""
    return read(storage).get(retailer_id, frozenset())


def write(storage: Storage, erased: Mapping[str, Collection[str]]) -> None:
    """Only for the holder of the lease."""
    noted = {retailer: sorted(names) for retailer, names in sorted(erased.items()) if names}
    storage.write(layout.ERASED, json.dumps(noted, indent=1).encode())


def add(storage: Storage, customers: Collection[tuple[str, str]]) -> None:
    """Add customers, each a retailer and a pseudonym. Only for the holder of the lease."""
    known = {retailer: set(names) for retailer, names in read(storage).items()}
    for retailer, name in customers:
        known.setdefault(retailer, set()).add(name)
    write(storage, known)


def without(answer: JSON, names: frozenset[str]) -> JSON:
    """The answer with null in the place of each of these pseudonyms."""
    if not names:
        return answer
    if isinstance(answer, dict):
        return {key: without(held, names) for key, held in answer.items()}
    if isinstance(answer, list):
        return [without(held, names) for held in answer]
    return None if isinstance(answer, str) and answer in names else answer
