"""A PostgreSQL of our own, for a laptop and for tests: no server to install, no password to choose.

The first user starts it and the last one stops it: each holds a shared lock on `users.lock` meanwhile, which the kernel
releases even for a killed process. So no server is stopped while another process uses it, and one that a killed process
left running is used, and stopped, by the next.
"""

from __future__ import annotations

import fcntl
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import psycopg2
from psycopg2 import sql

from retail.config import environment
from retail.config.secrets import Secret
from retail.config.settings import WarehouseSettings
from retail.errors import WarehouseError
from retail.warehouse.embedded import own_folder
from retail.warehouse.embedded.cluster import HOST, Cluster
from retail.warehouse.embedded.programs import binaries

_USERS: Final = "users.lock"
_STARTING: Final = "start.lock"
SECONDS_FOR_A_TURN: Final = 360


@dataclass(frozen=True)
class Server:
    """The address of the running server, on this machine only."""

    host: str
    port: int
    user: str
    password: Secret


@contextmanager
def running(settings: WarehouseSettings, *, keep_running: bool = False) -> Iterator[Server]:
    """The server over `settings.data_folder`, started if it is not running, with `settings.database` in it.

    It stops when the last user leaves, unless somebody asked for `keep_running`; then `stop` stops it. Raises
    WarehouseError if it cannot be created or started.
    """
    cluster = _cluster(settings)
    keep = cluster.folder / "keep"
    with own_folder.open_own(cluster.folder / _USERS, "a") as users:
        try:
            with _turn(cluster):
                _lock(users, fcntl.LOCK_SH)
                server = _ensure_started(cluster, settings)
                if keep_running:
                    own_folder.open_own(keep, "a").close()
            yield server
        finally:
            with _turn(cluster):
                if not keep.exists() and _is_last(users):
                    cluster.stop()


def stop(settings: WarehouseSettings) -> bool:
    """Stop a server that was kept running; returns whether there was one. Raises WarehouseError if it is in use."""
    cluster = _cluster(settings)
    with _turn(cluster), own_folder.open_own(cluster.folder / _USERS, "a") as users:
        if not _is_last(users):
            raise WarehouseError(
                f"the embedded PostgreSQL over {cluster.folder} is in use",
                hint="wait until that run has ended",
            )
        (cluster.folder / "keep").unlink(missing_ok=True)
        was_running = cluster.port() is not None
        cluster.stop()
        return was_running


def psql_command(settings: WarehouseSettings) -> str:
    """The command to look into the running server; the password stays in its file.

    Raises WarehouseError if no server is running.
    """
    cluster = _cluster(settings)
    port = cluster.port()
    if port is None:
        raise WarehouseError(
            f"no embedded PostgreSQL runs over {cluster.folder}",
            hint="start it with `retail warehouse start`",
        )
    arguments = ["-h", HOST, "-p", str(port), "-U", settings.user, "-d", settings.database]
    return f"PGPASSFILE={shlex.quote(str(cluster.password_file))} {shlex.join([str(binaries() / 'psql'), *arguments])}"


def _cluster(settings: WarehouseSettings) -> Cluster:
    cluster = Cluster(own_folder.make(Path(settings.data_folder)), user=settings.user)
    try:
        for name in (_USERS, _STARTING):
            own_folder.open_own(cluster.folder / name, "a").close()
    except OSError as error:
        raise WarehouseError(
            f"{cluster.folder} cannot hold the embedded PostgreSQL: {error.strerror}",
            hint="run as the user who created it, or set warehouse.data_folder to another folder",
        ) from error
    return cluster


def _ensure_started(cluster: Cluster, settings: WarehouseSettings) -> Server:
    port = cluster.port()
    if port is None:
        cluster.create()
        (cluster.folder / "keep").unlink(missing_ok=True)
        port = cluster.start()
    server = Server(HOST, port, settings.user, cluster.password())
    _ensure_database(server, settings.database)
    return server


def _ensure_database(server: Server, database: str) -> None:
    try:
        with environment.without(environment.LIBPQ):
            connection = psycopg2.connect(
                host=server.host,
                port=server.port,
                user=server.user,
                password=server.password.reveal(),
                dbname="postgres",
                sslmode="disable",
                options="-c lock_timeout=60s",
                connect_timeout=10,
            )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT FROM pg_database WHERE datname = %s", (database,))
                if cursor.rowcount == 0:
                    cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        finally:
            connection.close()
    except psycopg2.Error as error:
        raise WarehouseError(
            f"the embedded PostgreSQL on port {server.port} rejects user {server.user}: {str(error).strip()}",
            hint="warehouse.user must stay the one that the data folder was created with",
        ) from error


@contextmanager
def _turn(cluster: Cluster) -> Iterator[None]:
    """Lets one process at a time start or stop the server. Raises WarehouseError after six minutes."""
    with own_folder.open_own(cluster.folder / _STARTING, "a") as file:
        _lock(file, fcntl.LOCK_EX)
        yield


def _lock(file: IO[str], kind: int) -> None:
    give_up = time.monotonic() + SECONDS_FOR_A_TURN
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise WarehouseError(
                    f"another process has been starting the embedded PostgreSQL for {SECONDS_FOR_A_TURN} s",
                    hint=f"end the process that holds {file.name}, then run the same command again",
                ) from None
            time.sleep(0.05)


def _is_last(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
