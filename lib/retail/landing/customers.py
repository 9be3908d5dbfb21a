"""Pseudonyms in payload pages and raw files: replaced where they stand, to the byte, and searched for."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from retail.errors import DamagedError
from retail.lake import layout
from retail.lake.storage import Storage

# Turns the text of an object into what it should be.
Change = Callable[[bytes], bytes]

# Objects read side by side: the time goes into waiting for S3.
_WORKERS: Final = 8
_GZIP: Final = ".gz"


def unlinked(names: frozenset[str]) -> Change:
    """Puts null in the place of these pseudonyms, and takes them out of longer texts and keys."""
    any_name = b"|".join(re.escape(name.encode()) for name in sorted(names))
    value, part = re.compile(rb'"(?:%s)"(?!\s*:)' % any_name), re.compile(any_name)
    return lambda text: part.sub(b"", value.sub(b"null", text))


def each(by: Change) -> Callable[[str], Change]:
    """The same change for every key."""
    return lambda _: by


def to_change(storage: Storage, prefix: str, by: Callable[[str], Change]) -> list[str]:
    """The keys below the prefix whose objects differ after the change that `by` gives for them.

    Raises DamagedError for an object that cannot be read.
    """
    return [key for key, text in _texts(storage, prefix) if by(key)(text) != text]


def change(storage: Storage, keys: Iterable[str], by: Callable[[str], Change]) -> None:
    """Change these objects, each in one piece. Only for the holder of the lease."""
    for key in keys:
        after = by(key)(_text(storage, key))
        storage.write(key, gzip.compress(after, compresslevel=4, mtime=0) if key.endswith(_GZIP) else after)


def found(storage: Storage, prefix: str, patterns: re.Pattern[bytes]) -> Iterator[str]:
    """The keys of the objects below the prefix whose text the pattern is found in. Parquet is left out."""
    yield from (key for key, text in _texts(storage, prefix) if patterns.search(text))


def retailers(storage: Storage) -> list[str]:
    """The retailers that have payloads or raw files in the lake."""
    keys = [*storage.list("payloads/"), *storage.list("raw/")]
    return sorted({key.split("/")[1] for key in keys} - {layout.master_folder("products", "").split("/")[1]})


def _texts(storage: Storage, prefix: str) -> Iterator[tuple[str, bytes]]:
    keys = [key for key in storage.list(prefix) if not key.endswith(".parquet")]
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        for start in range(0, len(keys), _WORKERS):
            part = keys[start : start + _WORKERS]
            yield from zip(part, pool.map(lambda key: _text(storage, key), part), strict=True)


def _text(storage: Storage, key: str) -> bytes:
    data = storage.read(key)
    try:
        return gzip.decompress(data) if key.endswith(_GZIP) else data
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedError(
            f"{storage.url}/{key} is damaged: {error}",
            hint="restore it from a backup, or delete its run's folder and re-fetch that date; then give the same "
            "command again",
        ) from None
