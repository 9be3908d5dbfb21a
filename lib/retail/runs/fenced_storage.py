"""The lake as the lease holder sees it: no write begins once the lease may belong to another.

Delta's log on S3 is not safe for two writers when Apache Spark writes it (its log store replaces an existing commit),
so this and the lease are what keeps writers apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO

from retail.lake.storage import Storage
from retail.lake.storage.object_info import ObjectInfo


class FencedStorage:
    """Calls `guard`, which raises if writing is not allowed, before every write to the storage below.

    The guard also runs before each retry of a write: S3 may have been away for longer than a lease lives.
    """

    def __init__(self, below: Storage, guard: Callable[[], None]) -> None:
        self._below = below.for_writer(guard)
        self.require_writer = guard
        self.url = below.url

    def for_writer(self, guard: Callable[[], None]) -> Storage:
        return FencedStorage(self._below, guard)

    def read(self, key: str) -> bytes:
        return self._below.read(key)

    def write(self, key: str, data: bytes) -> None:
        self.require_writer()
        self._below.write(key, data)

    def write_from(self, key: str, file: IO[bytes]) -> None:
        self.require_writer()
        self._below.write_from(key, file)

    def create(self, key: str, data: bytes) -> bool:
        self.require_writer()
        return self._below.create(key, data)

    def delete(self, key: str) -> None:
        self.require_writer()
        self._below.delete(key)

    def sweep(self, prefix: str) -> None:
        self.require_writer()
        self._below.sweep(prefix)

    def list(self, prefix: str) -> Iterator[str]:
        return self._below.list(prefix)

    def details(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._below.details(prefix)

    def engine_path(self, key: str) -> str:
        return self._below.engine_path(key)

    def shared_path(self, key: str) -> str:
        return self._below.shared_path(key)

    def delta_url(self, key: str) -> str:
        return self._below.delta_url(key)

    def delta_options(self) -> dict[str, str]:
        return self._below.delta_options()
