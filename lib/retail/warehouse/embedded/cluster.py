"""One PostgreSQL cluster in a folder: created with initdb, started and stopped with pg_ctl.

The folder holds `data/` (the cluster), `pgpass` (its password, 0600, ours) and the files that `server.py` keeps next to
them. The server listens on 127.0.0.1 only, asks for the password, and keeps every guarantee of durability.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets as random
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

from retail.config.secrets import Secret
from retail.errors import WarehouseError
from retail.warehouse.embedded import own_folder
from retail.warehouse.embedded.os_user import Account, account_for
from retail.warehouse.embedded.programs import MAJOR, binaries_for

HOST: Final = "127.0.0.1"

# pg_ctl waits for 300 s at most.
SECONDS_OF_A_PROGRAM: Final = 330

# No PID is ever this large, so PostgreSQL takes the lock file for one that a dead server left.
_NO_PROCESS: Final = "2147483647"

# Run by the server's account, in its data. A lock file that is not whole comes from a machine that went down.
_DISOWN: Final = """
with open("postmaster.pid", encoding="utf-8") as file:
    lines = file.read().splitlines()
if len(lines) < 2:
    os.unlink("postmaster.pid")
else:
    with open("postmaster.new", "w", encoding="utf-8") as file:
        file.write("\\n".join([rest[0], *lines[1:]]) + "\\n")
    os.chmod("postmaster.new", 0o600)
    os.rename("postmaster.new", "postmaster.pid")
"""

_MARK: Final = "retail.folder"
_FOR_A_SHELL: Final = re.compile(r'["$`\\\n]')

_OPTIONS: Final = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "timezone": "UTC",
    "max_connections": "40",
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    # Without replicas, rows of a table created in the same transaction need not go to the log as well.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    # On two cores no gain was measured, and workers need more of /dev/shm than a container has.
    "max_parallel_workers_per_gather": "0",
    "log_checkpoints": "off",
}


class Cluster:
    """The files and the server process of one folder. Callers take turns; see `server.py`."""

    def __init__(self, folder: Path, *, user: str) -> None:
        self.folder = folder.resolve()
        self.user = user
        self.data = self.folder / "data"
        self.log = self.data / "server.log"
        self.password_file = self.folder / "pgpass"

    def port(self) -> int | None:
        """The port of the running server, or None if none runs over this folder."""
        lines = self._lines_of("postmaster.pid")
        is_whole = len(lines) > 3 and lines[0].isdigit() and lines[3].isdigit()
        return int(lines[3]) if is_whole and _serves(int(lines[0]), self.data) else None

    def password(self) -> Secret:
        """The password of the cluster's owner. Raises WarehouseError if its file is gone."""
        try:
            return Secret(self.password_file.read_text(encoding="utf-8").strip().rsplit(":", 1)[1])
        except (OSError, IndexError):
            raise WarehouseError(
                f"{self.password_file}, which holds the embedded PostgreSQL's password, cannot be read",
                hint=f"restore it, or move {self.folder} away and run `retail rebuild --postgresql`",
            ) from None

    def create(self) -> None:
        """Create the cluster if it does not exist, completely or not at all. Raises WarehouseError."""
        version = " ".join(self._lines_of("PG_VERSION")).strip()
        if version:
            if version != MAJOR:
                raise WarehouseError(
                    f"{self.data} was created by PostgreSQL {version}, and this is {MAJOR}",
                    hint="move the folder away; `retail rebuild --postgresql` creates a new one and fills it",
                )
            return
        account = self._account()
        own_folder.require(self.folder)
        for left_over in self.folder.glob(".new-*"):
            shutil.rmtree(left_over)
        self._write_password_file()
        draft = Path(tempfile.mkdtemp(prefix=".new-", dir=self.folder))
        try:
            self._init(draft, account)
            (draft / "data").rename(self.data)
        finally:
            shutil.rmtree(draft)

    def start(self) -> int:
        """Start the server and wait until it answers; returns its port. Raises WarehouseError with the log's end."""
        account = self._account()
        self._disown_lock_file(account)
        give_up = time.monotonic() + 60
        while True:
            port = free_port()
            settings = {**_OPTIONS, "port": str(port), _MARK: _mark_of(self.data)}
            options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
            data, folder = self._named_for(account)
            log = f"{data}/{self.log.name}"
            arguments = ["-D", data, "-w", "-t", "300", "-l", log, "-o", options, "start"]
            since = len(own_folder.read_of(self.log) or b"")
            result = _run("pg_ctl", *arguments, account=account, folder=folder)
            if result.returncode == 0:
                return port
            said = self._log_since(since)
            # Another program took the port, or children of a killed server are still exiting.
            passing = "could not bind" in said or "is still in use" in said
            if not passing or time.monotonic() > give_up:
                raise WarehouseError(
                    f"the embedded PostgreSQL over {self.data} did not start:\n{said or result.stderr.strip()}",
                    hint=f"see {self.log}; if the server is still recovering, the next run uses it",
                )
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop the server cleanly: open statements are rolled back. Raises WarehouseError."""
        if self.port() is None:
            return
        account = self._account()
        arguments = ["-w", "-t", "120", "-m", "fast", "stop"]
        data = str(account.name_of(self.data))
        result = _run("pg_ctl", "-D", data, *arguments, account=account, folder=self.data)
        if result.returncode != 0 and self.port() is not None:
            raise WarehouseError(
                f"the embedded PostgreSQL over {self.data} does not stop: {result.stderr.strip()}",
                hint=f"see {self.log}",
            )

    def _account(self) -> Account:
        return account_for(self.data)

    def _named_for(self, account: Account) -> tuple[str, Path]:
        """The name of the data for pg_ctl, and the folder to start it in. It hands the name to a shell."""
        if account.switch or not _FOR_A_SHELL.search(str(self.data)):
            return str(account.name_of(self.data)), self.data
        return self.data.name, self.folder

    def _lines_of(self, name: str) -> list[str]:
        """The lines of a file that the server's account wrote; none if there is no such file."""
        return (own_folder.read_of(self.data / name) or b"").decode(errors="replace").splitlines()

    def _init(self, draft: Path, account: Account) -> None:
        data, password_file = draft / "data", draft / "password"
        data.mkdir(mode=0o700)
        password_file.touch(mode=0o600)
        password_file.write_text(self.password().reveal(), encoding="utf-8")
        for each in (password_file, data, draft):  # the draft last: until then nobody else is in it
            account.give(each)
        here = account.name_of(data)
        owner = ["-U", self.user, "--pwfile", f"{here}/../{password_file.name}", "-A", "scram-sha-256"]
        # The same on every machine, whatever locales it has.
        text = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        result = _run("initdb", "-D", str(here), *owner, *text, account=account, folder=data)
        if result.returncode != 0:
            raise WarehouseError(
                f"the embedded PostgreSQL could not create its data in {self.folder}: {result.stderr.strip()}",
                hint=account.why_unknown()
                or "check that the disk is not full, the folder is writable and /dev/shm has some megabytes; "
                "or name a server in [warehouse]",
            )

    def _write_password_file(self) -> None:
        if self.password_file.exists():
            return
        own_folder.require(self.folder)
        draft = self.password_file.with_suffix(".new")
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{HOST}:*:*:{self.user}:{random.token_urlsafe(32)}\n")
        draft.rename(self.password_file)

    def _disown_lock_file(self, account: Account) -> None:
        """Free the lock file of a server that was killed, if its PID now belongs to a zombie or another program.

        The file itself stays: with its shared memory key PostgreSQL sees children of the dead server that are still
        writing, and waits for them to end.
        """
        if self.port() is not None or not (self.data / "postmaster.pid").exists():
            return
        done = subprocess.run(  # noqa: S603
            account.python(_DISOWN, _NO_PROCESS), check=False, capture_output=True, text=True, cwd=self.data
        )
        if done.returncode != 0:
            raise WarehouseError(
                f"the lock file of the embedded PostgreSQL over {self.data} cannot be changed:"
                f" {done.stderr.strip()[-300:]}",
                hint="see who owns what is in that folder",
            )

    def _log_since(self, offset: int) -> str:
        return (own_folder.read_of(self.log) or b"")[offset:].decode(errors="replace").strip()[-1500:]


def _run(program: str, *arguments: str, account: Account, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one of PostgreSQL's programs in `folder`. Raises WarehouseError if it exceeds its own time limit."""
    # Our environment holds the retailers' secrets, and PG… variables of other servers: none of it is passed
    # on.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        return subprocess.run(  # noqa: S603
            account.command(str(binaries_for(account) / program), *arguments),
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env=environment,
            timeout=SECONDS_OF_A_PROGRAM,
        )
    except subprocess.TimeoutExpired:
        raise WarehouseError(
            f"PostgreSQL's own `{program}` did not end within {SECONDS_OF_A_PROGRAM} s",
            hint="check that the disk responds; then run the same command again",
        ) from None


def _serves(pid: int, data: Path) -> bool:
    """Whether the process is a postmaster over `data`, by its command line, which anybody may read.

    A zombie has none, and an unrelated process that reused the PID of a dead server has another one.
    """
    mark = f"{_MARK}={_mark_of(data)}"
    if Path("/proc/self/cmdline").exists():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return bytes(data) in words or mark.encode() in words
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    shown = subprocess.run(command, check=False, capture_output=True, text=True).stdout  # noqa: S603
    return str(data) in shown or mark in shown


def _mark_of(data: Path) -> str:
    """What names the data folder in the server's command line, whatever characters its path has."""
    return hashlib.sha256(bytes(data)).hexdigest()[:16]


def free_port() -> int:
    """A port of this machine on which nobody is listening right now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
