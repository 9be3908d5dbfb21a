"""A real PgBouncer before a test's server: Debian's package pgbouncer has it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from retail.warehouse.connection import Warehouse
from retail.warehouse.embedded import cluster

_CONFIGURATION = """
[databases]
* = host={server.host} port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {users}
pool_mode = {pool_mode}
"""


@contextmanager
def running(server: Warehouse, folder: Path, *, pool_mode: str) -> Iterator[Warehouse]:
    """The same database, reached through a pool. Skips, or fails in CI, where PgBouncer is not installed."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        if os.environ.get("RETAIL_REQUIRE_POSTGRESQL"):
            pytest.fail("RETAIL_REQUIRE_POSTGRESQL is set, and Debian's package pgbouncer is not installed")
        pytest.skip("no PgBouncer here: Debian's package pgbouncer has it")
    assert server.password is not None
    port = cluster.free_port()
    users, configuration = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text(f'"{server.user}" "{server.password.reveal()}"\n')
    configuration.write_text(
        _CONFIGURATION.format(server=server, port=port, users=users, pool_mode=pool_mode)
    )
    for each in (folder, users, configuration):
        each.chmod(0o755)
    # It refuses to run as root.
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    pool = subprocess.Popen([program, "-q", *user, str(configuration)], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield replace(server, host="127.0.0.1", port=port, sslmode="disable")
    finally:
        pool.terminate()
        pool.wait(timeout=30)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
