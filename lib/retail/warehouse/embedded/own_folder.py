"""The folder of the embedded server, in which nobody else can lay a link: ours, mode 0700, looked at before each write.

Within it is `data/`, which root gives to another account: root reads there with suspicion, and writes never.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO, Final

from retail.errors import WarehouseError

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_HINT: Final = "set warehouse.data_folder to a folder of your own, or run as the user who owns this one"


def make(folder: Path) -> Path:
    """The folder, made if it is not there and closed to others, by its name without links. Raises WarehouseError."""
    whole = Path(os.path.abspath(folder.expanduser()))  # noqa: PTH100 - a link that `..` follows would be lost by resolve
    _require_own_links(whole)
    try:
        whole.mkdir(mode=0o700, parents=True, exist_ok=True)
        resolved = whole.resolve()
        status = _require_ours(resolved)
        if status.st_mode & _OTHERS:
            resolved.chmod(0o700)
    except OSError as error:
        raise WarehouseError(
            f"{whole} cannot hold the embedded PostgreSQL: {error.strerror}", hint=_HINT
        ) from error
    require(resolved)
    return resolved


def require(folder: Path) -> None:
    """Raise WarehouseError unless the folder is still ours alone."""
    status = _require_ours(folder)
    if status.st_mode & _OTHERS:
        raise WarehouseError(
            f"{folder} is open to other accounts (mode {stat.S_IMODE(status.st_mode):o})",
            hint=f"see who changed that and what is in it; then `chmod 700 {folder}`",
        )


def open_own(path: Path, mode: str) -> IO[str]:
    """Open a file of the folder to write, but follow no link. Raises WarehouseError, OSError."""
    require(path.parent)
    return open(path, mode, encoding="utf-8", opener=_without_links)


def read_of(path: Path) -> bytes | None:
    """What a file holds that the folder's owner wrote: no link, pipe or other user's file; None if there is no such."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        is_owner_s = status.st_uid == path.parent.stat().st_uid
        return file.read() if stat.S_ISREG(status.st_mode) and is_owner_s else None


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _require_ours(folder: Path) -> os.stat_result:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise WarehouseError(
            f"{folder} belongs to user {status.st_uid}, or is no folder, and this is user {os.geteuid()}",
            hint=_HINT,
        )
    return status


def _require_own_links(whole: Path) -> None:
    """Each link on the way must be ours or root's: another account could let it lead anywhere."""
    for each in (whole, *whole.parents):
        try:
            status = each.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise WarehouseError(f"{each} cannot be looked at: {error.strerror}", hint=_HINT) from error
        if stat.S_ISLNK(status.st_mode) and status.st_uid not in (0, os.geteuid()):
            raise WarehouseError(
                f"{each} is a link that user {status.st_uid} has laid, and this is user {os.geteuid()}",
                hint=_HINT,
            )
