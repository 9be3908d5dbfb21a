"""The accounts of this machine: who else could use what is open on loopback."""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from pathlib import Path
from typing import Final

_NO_LOGIN: Final = frozenset({"nologin", "false", "sync", "shutdown", "halt"})


def others() -> list[str]:
    """The names of accounts other than ours and root's: those that can log in, and those that run a program now."""
    ours = {0, os.geteuid()}
    found = {each.pw_uid: each.pw_name for each in pwd.getpwall() if _may_log_in(each)}
    return sorted({found.get(uid) or _name(uid) for uid in {*found, *_at_work()} - ours})


def _may_log_in(account: pwd.struct_passwd) -> bool:
    # macOS has its services' accounts under names with an underscore.
    return Path(account.pw_shell).name not in _NO_LOGIN and not account.pw_name.startswith("_")


def _at_work() -> set[int]:
    """Who runs a program; nobody where the system has no /proc, or hides it."""
    found = set()
    with suppress(OSError):
        for each in Path("/proc").iterdir():
            if each.name.isdigit():
                with suppress(OSError):  # it has ended
                    found.add(each.stat().st_uid)
    return found


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
