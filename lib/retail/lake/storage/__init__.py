"""The lake's files behind one small interface: a local folder or an S3 bucket.

Keys are relative, with `/`. A write replaces an object completely or not at all; `create` succeeds for one writer only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol

from retail.config.settings import LakeSettings
from retail.lake import location
from retail.lake.storage.object_info import ObjectInfo


class Storage(Protocol):
    """The operations that other packages need of the lake; `url` is its name for people."""

    url: str

    def require_writer(self) -> None:
        """Called before writes that bypass this interface, as an engine's do. Raises LeaseHeldError to forbid them."""

    def for_writer(self, guard: Callable[[], None]) -> Storage:
        """The same storage; `guard` is called before a failed write is retried, and raises if it must not be."""

    def read(self, key: str) -> bytes:
        """The object's bytes. Raises ObjectNotFoundError."""

    def write(self, key: str, data: bytes) -> None:
        """Replace the object completely: a reader sees the old bytes or the new ones, never a part."""

    def write_from(self, key: str, file: IO[bytes]) -> None:
        """Like `write`, with the rest of `file`, which may be larger than memory."""

    def create(self, key: str, data: bytes) -> bool:
        """Write only if there is no such object; returns False if there is one. Atomic among writers."""

    def delete(self, key: str) -> None:
        """Remove the object; no error if it does not exist."""

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that begin with `prefix` (a folder, ending in `/`), in order."""

    def details(self, prefix: str) -> Iterator[ObjectInfo]:
        """Like `list`, each with its size and time."""

    def sweep(self, prefix: str) -> None:
        """Remove what killed writers left half-written below `prefix`. Only if it is certain that nobody is writing."""

    def engine_path(self, key: str) -> str:
        """The same location as this process's engine names it: a file path, perhaps by an alias, or `s3a://…`."""

    def shared_path(self, key: str) -> str:
        """The same location as a Spark elsewhere names it: a file path or `s3a://…`."""

    def delta_url(self, key: str) -> str:
        """The same location as the deltalake package names it: a file path or `s3://…`."""

    def delta_options(self) -> dict[str, str]:
        """The deltalake package's options for access. May hold credentials: never log them."""


def open_storage(settings: LakeSettings, engine: location.Engine = "sail") -> Storage:
    """The storage that `lake.url` names, for that engine.

    Raises StorageError if it cannot be reached, ConfigurationError if one of its clients cannot take its name.
    """
    location.require_usable(settings, engine)
    if location.is_bucket(settings):
        from retail.lake.storage.s3 import S3Storage  # boto3 is slow to load

        return S3Storage(settings)
    from retail.lake.storage.local import LocalStorage

    return LocalStorage(Path(settings.url), engine)
