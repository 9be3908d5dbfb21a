"""The pepper under which the lake's customers have their pseudonyms.

    ops/pepper.json    {"rotations": 1, "fingerprint": "…", "earlier": ["…"]}

The lake keeps a fingerprint of the pepper, never the pepper: a run with another one stops before anything is written.
After a rotation (`retail pepper rotate`) the peppers before it are kept encrypted with the present one, for a customer
who is fetched goes through all of them (`retail.sources.pii.Pepper`).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import asdict, dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from retail.config.secrets import PEPPER, Secret, Secrets
from retail.errors import ObjectNotFoundError, PepperChangedError, StorageError
from retail.lake import layout
from retail.lake.storage import Storage
from retail.sources.pii import Pepper
from retail.sources.registry import PEPPER_VARIABLE

_FINGERPRINT: Final = b"retail-lakehouse: fingerprint of a pepper"
_KEY: Final = b"retail-lakehouse: key for the peppers before"


@dataclass(frozen=True)
class PepperNote:
    """How often the pepper was rotated, the present one's fingerprint, and those before it, encrypted, oldest first."""

    rotations: int
    fingerprint: str
    earlier: tuple[str, ...] = ()


def fingerprint(pepper: Secret) -> str:
    """A digest by which two peppers differ, and nothing about either."""
    return hmac.digest(pepper.reveal().encode(), _FINGERPRINT, "sha256").hex()[:32]


def require(storage: Storage, secrets: Secrets) -> None:
    """Note the pepper of a lake that has none yet. Only for the holder of the lease.

    Raises PepperChangedError if the lake's customers have their pseudonyms under another one.
    """
    if require_unchanged(storage, secrets) is None:
        write(storage, PepperNote(0, fingerprint(secrets.require(PEPPER))))


def require_unchanged(storage: Storage, secrets: Secrets) -> PepperNote | None:
    """The lake's note; None if no run has fetched yet. Raises PepperChangedError, StorageError."""
    note = read(storage)
    if note is not None:
        _require_same(storage, note, secrets.require(PEPPER))
    return note


def with_earlier(storage: Storage, secrets: Secrets) -> Secrets:
    """The secrets, their pepper with those before it. Raises PepperChangedError, StorageError."""
    note = require_unchanged(storage, secrets)
    if note is None or not note.earlier:
        return secrets
    given = secrets.require(PEPPER)
    return secrets.given(PEPPER, Pepper(given.reveal(), opened(storage, note, given)))


def opened(storage: Storage, note: PepperNote, pepper: Secret) -> tuple[Secret, ...]:
    """The peppers before the present one, oldest first. Raises StorageError if they are damaged."""
    try:
        return tuple(_opened(each, pepper) for each in note.earlier)
    except (InvalidTag, binascii.Error, ValueError) as error:
        raise StorageError(
            f"{storage.url}/{layout.PEPPER} is damaged: {type(error).__name__}",
            hint="restore it from a backup: without it, customers who are fetched would get other pseudonyms",
        ) from None


def rotated(storage: Storage, note: PepperNote, before: Secret, after: Secret) -> PepperNote:
    """The note once the pepper is `after`. The same for the same peppers, whenever it is made."""
    earlier = (*opened(storage, note, before), before)
    return PepperNote(
        note.rotations + 1,
        fingerprint(after),
        tuple(_closed(each, after, place) for place, each in enumerate(earlier)),
    )


def read(storage: Storage) -> PepperNote | None:
    """The lake's note; None if no run has fetched yet. Raises StorageError."""
    try:
        values = json.loads(storage.read(layout.PEPPER))
        return PepperNote(int(values["rotations"]), str(values["fingerprint"]), tuple(values["earlier"]))
    except ObjectNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise StorageError(
            f"{storage.url}/{layout.PEPPER} cannot be read: {error!r}",
            hint="restore it from a backup; if the pepper was never rotated, delete this one object",
        ) from None


def write(storage: Storage, note: PepperNote) -> None:
    """Only for the holder of the lease."""
    storage.write(layout.PEPPER, json.dumps(asdict(note)).encode())


def _require_same(storage: Storage, note: PepperNote, given: Secret) -> None:
    if not hmac.compare_digest(note.fingerprint, fingerprint(given)):
        raise PepperChangedError(
            f"{PEPPER_VARIABLE} is not the pepper under which the customers of {storage.url} have their pseudonyms: "
            "every customer would become a new one",
            hint=f"set {PEPPER_VARIABLE} to the earlier pepper again. To change it: leave the earlier one there, set "
            "RETAIL_NEW_PEPPER to the new one (`openssl rand -hex 32` makes one), and run `retail pepper rotate`",
        )


def _closed(pepper: Secret, key: Secret, place: int) -> str:
    # One key encrypts each place once, so that the place can be the nonce.
    closed = AESGCM(_key_of(key)).encrypt(place.to_bytes(12), pepper.reveal().encode(), _KEY)
    return base64.b64encode(place.to_bytes(12) + closed).decode()


def _opened(closed: str, key: Secret) -> Secret:
    data = base64.b64decode(closed, validate=True)
    return Secret(AESGCM(_key_of(key)).decrypt(data[:12], data[12:], _KEY).decode())


def _key_of(pepper: Secret) -> bytes:
    return hmac.digest(pepper.reveal().encode(), _KEY, "sha256")
