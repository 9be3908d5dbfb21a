"""A temporary folder for each process, as long as it lives; folders left by killed processes are swept away."""

from __future__ import annotations

import atexit
import fcntl
import functools
import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

_PREFIX: Final = "retail-lakehouse-"
_IN_USE: Final = "in-use"
_PLAIN: Final = re.compile(r"[A-Za-z0-9/._+@=-]+")
_OTHERS: Final = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108
_held: list[IO[str]] = []  # a lock lasts as long as its file is open


@functools.cache
def folder() -> Path:
    """This process's folder in the system's temporary one; removed with the process, or by the next one that asks."""
    made = _locked()
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    for other in made.parent.glob(f"{_PREFIX}*"):
        if other != made:
            _sweep(other)
    return made


def _locked() -> Path:
    """A new folder locked by this process, even if another swept the first one just before it was locked."""
    while True:
        made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_parent()))
        in_use = (made / _IN_USE).open("w", encoding="ascii")
        fcntl.flock(in_use, fcntl.LOCK_EX)
        if (made / _IN_USE).exists():
            _held.append(in_use)
            return made
        in_use.close()


def _parent() -> Path:
    """The system's temporary folder; another one if engines and the JVM's options could not name it."""
    first = Path(tempfile.gettempdir())
    for each in (first, *map(Path, _OTHERS)):
        if _PLAIN.fullmatch(str(each)) and os.access(each, os.W_OK | os.X_OK):
            return each
    return first


def _sweep(other: Path) -> None:
    """Deletes the folder of a process that no longer lives; its lock was released with it."""
    with suppress(OSError):
        if other.lstat().st_uid != os.geteuid():
            return
        # Neither a link nor a pipe that never answers.
        in_use = os.open(other / _IN_USE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(other, ignore_errors=True)
        finally:
            os.close(in_use)
