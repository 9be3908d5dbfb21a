"""The lake in a local folder."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from shutil import copyfileobj
from typing import IO, Final, Self

from retail.errors import ObjectNotFoundError, StorageError
from retail.lake import location
from retail.lake.storage.object_info import ObjectInfo

# Our temporary files, and those of Spark, which also renames (CheckpointFileManager), with Hadoop's checksum
# files.
_HALF_WRITTEN: Final = re.compile(
    r"[.].+[.]([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[.]tmp([.]crc)?)"
)


class LocalStorage:
    """A folder. Writes go to a hidden file next to the target and are renamed, so a kill leaves no half object."""

    def __init__(self, root: Path, engine: location.Engine = "sail") -> None:
        self._root = root.expanduser().resolve()
        self._engine = engine
        self.url = str(self._root)

    def require_writer(self) -> None:
        """Nothing prevents writing without a lease."""

    def for_writer(self, guard: Callable[[], None]) -> Self:
        del guard  # nothing is retried
        return self

    def read(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise ObjectNotFoundError(f"{self.url}/{key} does not exist") from None
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
                path.hardlink_to(temporary)  # unlike rename, fails if the target exists
            except FileExistsError:
                return False
            except FileNotFoundError:  # swept away by a faster process
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

    def details(self, prefix: str) -> Iterator[ObjectInfo]:
        for key in self.list(prefix):
            found = self._path(key).stat()
            yield ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def sweep(self, prefix: str) -> None:
        try:
            for path in self._path(prefix).rglob(".*"):
                if _HALF_WRITTEN.fullmatch(path.name):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise self._failure("sweep", prefix, error) from error

    def engine_path(self, key: str) -> str:
        return str(location.for_engine(self._root, self._engine) / key)

    def shared_path(self, key: str) -> str:
        return str(self._path(key))

    def delta_url(self, key: str) -> str:
        return str(self._path(key))

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
            hint="check that the folder of lake.url exists, is writable and not full; then run the same command again",
        )
