"""The lake's files behind one small seam: a local folder or an S3 bucket.

Keys are relative, with `/`. A write replaces an object whole or not at all; `create` succeeds for one writer only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol

from retail.config.settings import LakeSettings
from retail.lake.storage.object_info import ObjectInfo


class Storage(Protocol):
    """What the rooms need of the lake; `url` is how a person would name it."""

    url: str

    def require_writer(self) -> None:
        """Asked before what writes past this seam, as an engine does. Raises LeaseHeldError where it must not."""

    def for_writer(self, guard: Callable[[], None]) -> Storage:
        """The same place; `guard` is called before a write that failed is tried again, and raises where it must not."""

    def read(self, key: str) -> bytes:
        """The object's bytes. Raises ObjectNotFoundError."""

    def write(self, key: str, data: bytes) -> None:
        """Replace the object whole: a reader sees the old bytes or the new ones, never a part."""

    def write_from(self, key: str, file: IO[bytes]) -> None:
        """As `write`, of what is left to read in `file`, which may be larger than memory."""

    def create(self, key: str, data: bytes) -> bool:
        """Write only if there is no such object; False where there is one. Atomic among writers."""

    def delete(self, key: str) -> None:
        """Remove the object; no error where it is not there."""

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that begin with `prefix` (a folder, ending in `/`), in order."""

    def details(self, prefix: str) -> Iterator[ObjectInfo]:
        """As `list`, each with its size and time."""

    def sweep(self, prefix: str) -> None:
        """Remove what killed writers left half-written below `prefix`. Only for who may be sure that nobody writes."""

    def engine_path(self, key: str) -> str:
        """The same place as Sail and Spark name it: a file path or `s3a://…`."""

    def delta_url(self, key: str) -> str:
        """The same place as the deltalake package names it: a file path or `s3://…`."""

    def delta_options(self) -> dict[str, str]:
        """What the deltalake package needs to get there. May hold credentials: never for a log."""


def open_storage(settings: LakeSettings) -> Storage:
    """The storage that `lake.url` names. Raises StorageError where it cannot be reached."""
    if settings.url.startswith(("s3://", "s3a://")):
        from retail.lake.storage.s3 import S3Storage  # boto3 takes its time to load

        return S3Storage(settings)
    from retail.lake.storage.local import LocalStorage

    return LocalStorage(Path(settings.url))
