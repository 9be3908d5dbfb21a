"""The account that the embedded server runs as: PostgreSQL refuses to run as root.

Any other user runs it as themselves. Root, as in most containers, runs it as `nobody`, or as the existing owner of the
data. That account cannot enter the folders above the data and need not: its programs start inside.
"""

from __future__ import annotations

import os
import pwd
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from retail.errors import WarehouseError

_BECOME: Final = """
import os, sys
uid, gid, *rest = sys.argv[1:]
os.setgroups([])
os.setgid(int(gid))
os.setuid(int(uid))
"""
_RUN: Final = "os.execv(rest[0], rest)\n"
# The working folder of whoever asks, by a way that enters no folder above it.
_HERE: Final = Path("/proc/self/cwd")


@dataclass(frozen=True)
class Account:
    """The account that starts the server's programs. `switch` means that we are root and drop our rights first."""

    uid: int
    gid: int
    switch: bool

    def command(self, *command: str) -> list[str]:
        """The command, wrapped to run as this account.

        Not by subprocess's `user`, which makes it fork this process: gRPC's handlers run in a fork, and during calls of
        a session they crash the child or leave the calls without an answer for good.
        """
        if not self.switch:
            return [*command]
        return self._python(_RUN, *command)

    def python(self, code: str, *arguments: str) -> list[str]:
        """The command that runs Python code as this account; it finds the arguments in `rest`, and `os` and `sys`."""
        if not self.switch:
            return [
                sys.executable,
                "-I",
                "-S",
                "-c",
                f"import os, sys\nrest = sys.argv[1:]\n{code}",
                *arguments,
            ]
        return self._python(code, *arguments)

    def _python(self, code: str, *arguments: str) -> list[str]:
        return [sys.executable, "-I", "-S", "-c", _BECOME + code, str(self.uid), str(self.gid), *arguments]

    def name_of(self, folder: Path) -> Path:
        """How a program that was started in `folder` names it. Another account cannot enter what is above."""
        return _HERE if self.switch else folder

    def why_unknown(self) -> str | None:
        """What to do if the machine has no name for this account, as PostgreSQL's initdb wants it."""
        try:
            pwd.getpwuid(self.uid)
        except KeyError:
            return (
                f"give user {self.uid} a name, in an image by `RUN useradd --uid {self.uid} retail`; "
                "or name a server in [warehouse]"
            )
        return None

    def give(self, path: Path) -> None:
        """Make this account the owner of `path`, which is in a folder of ours alone."""
        if self.switch:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def can_enter(self, folder: Path) -> bool:
        """Whether this account may go into that folder, and into all above it."""
        if not self.switch:
            return True
        whole = folder.resolve()
        for each in (whole, *whole.parents):
            status = each.stat()
            is_own = status.st_uid == self.uid and status.st_mode & stat.S_IXUSR
            if not (status.st_mode & stat.S_IXOTH or is_own):
                return False
        return True


def account_for(data: Path) -> Account:
    """The account that runs the server over the data folder `data`. Raises WarehouseError if it is another person's."""
    try:
        owner = data.lstat()
    except FileNotFoundError:
        owner = None
    if owner is not None and not stat.S_ISDIR(owner.st_mode):
        raise WarehouseError(
            f"{data} is not a folder",
            hint="another account may have put it there: look at it, then move it away",
        )
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise WarehouseError(
                f"{data} belongs to user {owner.st_uid}, and this is user {os.geteuid()}",
                hint="run as the user who created it, or set warehouse.data_folder to a folder of your own",
            )
        return Account(os.geteuid(), os.getegid(), switch=False)
    if not _HERE.exists():
        raise WarehouseError(
            "PostgreSQL refuses to run as root, and this system cannot start it as another user in a closed folder",
            hint="run as another user, or set warehouse.embedded = false and name a server",
        )
    if owner is not None and owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid, switch=True)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise WarehouseError(
            "PostgreSQL refuses to run as root, and there is no user `nobody` to run it as",
            hint="run as another user, or set warehouse.embedded = false and name a server",
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid, switch=True)
