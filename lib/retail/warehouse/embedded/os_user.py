"""The account that the embedded server runs as: PostgreSQL refuses to run as root.

Any other user runs it as themselves. Root, as in most containers, runs it as `nobody`, or as the existing owner of the
data, and makes the folders above it searchable, not readable.
"""

from __future__ import annotations

import os
import pwd
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from retail.errors import WarehouseError

_BECOME: Final = """
import os, sys
uid, gid, *command = sys.argv[1:]
os.setgroups([])
os.setgid(int(gid))
os.setuid(int(uid))
os.execv(command[0], command)
"""

_log = structlog.get_logger(__name__)


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
        return [sys.executable, "-I", "-S", "-c", _BECOME, str(self.uid), str(self.gid), *command]

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
        """Make this account the owner of `path`."""
        if self.switch:
            os.chown(path, self.uid, self.gid)

    def allow_traversal(self, path: Path) -> None:
        """Make sure that this account can reach `path`: root adds the search bit to folders above that lack it.

        Raises WarehouseError if that is not allowed.
        """
        if not self.switch:
            return
        for folder in path.resolve().parents:
            status = folder.stat()
            if status.st_mode & stat.S_IXOTH or (status.st_uid == self.uid and status.st_mode & stat.S_IXUSR):
                continue
            try:
                folder.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)
            except OSError as error:
                raise WarehouseError(
                    f"the embedded PostgreSQL runs as user {self.uid}, who cannot enter {folder}: {error.strerror}",
                    hint="set warehouse.data_folder to a folder such as /var/lib/retail, or run as another user",
                ) from error
            _log.warning("folder opened for other users to enter", folder=str(folder), user=self.uid)


def account_for(data: Path) -> Account:
    """The account that runs the server over the data folder `data`. Raises WarehouseError if it is another person's."""
    owner = data.stat() if data.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise WarehouseError(
                f"{data} belongs to user {owner.st_uid}, and this is user {os.geteuid()}",
                hint="run as the user who created it, or set warehouse.data_folder to a folder of your own",
            )
        return Account(os.geteuid(), os.getegid(), switch=False)
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
