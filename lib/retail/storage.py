"""The lake's files behind one small seam: a local folder or an S3 bucket.

Keys are relative, with `/`. A write replaces an object whole or not at all; `create` succeeds for one writer only.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from shutil import copyfileobj
from typing import IO, Final, Protocol

from retail.errors import ObjectNotFoundError, StorageError
from retail.settings import LakeSettings
from retail.stored import Stored

# Ours, and those of Spark, which renames as well (CheckpointFileManager), with Hadoop's checksum beside.
_HALF_WRITTEN: Final = re.compile(
    r"[.].+[.]([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[.]tmp([.]crc)?)"
)


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

    def details(self, prefix: str) -> Iterator[Stored]:
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
        from retail.s3 import S3Storage  # boto3 takes its time to load

        return S3Storage(settings)
    return LocalStorage(Path(settings.url))


class LocalStorage:
    """A folder. Writes go to a hidden neighbour first and are renamed, so that a kill leaves no half object."""

    def __init__(self, root: Path) -> None:
        self._root = root.expanduser().resolve()
        self.url = str(self._root)

    def require_writer(self) -> None:
        """Who holds no lease is not kept from writing."""

    def for_writer(self, guard: Callable[[], None]) -> Storage:
        del guard  # nothing is tried again
        return self

    def read(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise ObjectNotFoundError(f"{self.url}/{key} is not there") from None
        except OSError as error:
            raise self._failure("read", key, error) from error

    def write(self, key: str, data: bytes) -> None:
        self.write_from(key, BytesIO(data))

    def write_from(self, key: str, file: IO[bytes]) -> None:
        path = self._path(key)
        try:
            self._write_beside(path, file).replace(path)
        except OSError as error:
            raise self._failure("write", key, error) from error

    def create(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        try:
            temporary = self._write_beside(path, BytesIO(data))
            try:
                path.hardlink_to(temporary)  # unlike rename, fails where the target exists
            except FileExistsError:
                return False
            except FileNotFoundError:  # swept away by the one who was faster
                if path.exists():
                    return False
                raise
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise self._failure("create", key, error) from error
        return True

    def delete(self, key: str) -> None:
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            raise self._failure("delete", key, error) from error

    def list(self, prefix: str) -> Iterator[str]:
        folder = self._path(prefix)
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(self._root).as_posix()

    def details(self, prefix: str) -> Iterator[Stored]:
        for key in self.list(prefix):
            found = self._path(key).stat()
            yield Stored(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def sweep(self, prefix: str) -> None:
        try:
            for path in self._path(prefix).rglob(".*"):
                if _HALF_WRITTEN.fullmatch(path.name):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise self._failure("sweep", prefix, error) from error

    def engine_path(self, key: str) -> str:
        return str(self._path(key))

    def delta_url(self, key: str) -> str:
        return self.engine_path(key)

    def delta_options(self) -> dict[str, str]:
        return {}

    def _path(self, key: str) -> Path:
        return self._root / key

    def _write_beside(self, path: Path, source: IO[bytes]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{path.name}.{uuid.uuid4().hex}"
        try:
            with temporary.open("wb") as file:
                copyfileobj(source, file)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    def _failure(self, verb: str, key: str, error: OSError) -> StorageError:
        return StorageError(
            f"cannot {verb} {self.url}/{key}: {error.strerror or error}",
            hint="see that the folder of lake.url is there, yours, and not full; then run the same command again",
        )
