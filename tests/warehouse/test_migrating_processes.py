"""Processes that prepare a database at once, are killed in the middle, or find nothing to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from retail.warehouse.connection import Warehouse
from retail.warehouse.schema import ddl
from tests.warehouse.catalogue import catalogue_of, differences
from tests.warehouse.conftest import Query, Write, database
from tests.warehouse.versions import MIGRATIONS, RECORD, bring_to, rows

pytestmark = pytest.mark.postgres

PREPARING = """
import sys
from retail.config.secrets import Secret
from retail.warehouse.connection import Warehouse
from retail.warehouse.schema.ddl import prepare
host, port, name, user, sslmode = sys.argv[1:]
prepare(Warehouse(host, int(port), name, user, Secret(sys.stdin.readline()), sslmode, roles="retail"))
"""


def preparing(warehouse: Warehouse) -> subprocess.Popen[str]:
    """Another process that prepares the same database."""
    assert warehouse.password is not None
    where = (warehouse.host, str(warehouse.port), warehouse.database, warehouse.user, warehouse.sslmode)
    process = subprocess.Popen(
        [sys.executable, "-c", PREPARING, *where],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(warehouse.password.reveal())
    process.stdin.close()
    process.stdin = None
    return process


@pytest.mark.parametrize("version", [0, 3])
def test_processes_that_prepare_at_once_migrate_once(
    server: Warehouse, empty: Warehouse, version: int
) -> None:
    bring_to(empty, version)
    started = [preparing(empty) for _ in range(4)]
    said = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0, 0], said
    assert len(rows(empty, RECORD)) == len(MIGRATIONS)
    expected = database(server, template="template1")
    ddl.prepare(expected)
    assert differences(catalogue_of(empty), catalogue_of(expected)) == {}


def test_a_process_killed_in_the_middle_leaves_the_database_as_it_was(
    warehouse: Warehouse, query: Query, write: Write
) -> None:
    new = f"migrations/{len(MIGRATIONS) + 1:04}_slow.sql"
    write(new, "ALTER TABLE star.dim_store ADD COLUMN area integer; SELECT pg_sleep(300);")
    before = catalogue_of(warehouse)
    process = preparing(warehouse)
    sleeping = (
        "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    )
    give_up = time.monotonic() + 60
    while not (found := query(sleeping)) and time.monotonic() < give_up:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # The server sees that its client is gone when it has something to say: as after a cut cable, an operator ends it.
    query("SELECT pg_terminate_backend(%s, 60000)", found[0][0])
    assert differences(catalogue_of(warehouse), before) == {}

    write(new, "ALTER TABLE star.dim_store ADD COLUMN area integer;")
    ddl.prepare(warehouse)
    assert query("SELECT count(area) FROM star.dim_store") == [(0,)]


def test_where_nothing_is_pending_nobody_who_works_is_waited_for(warehouse: Warehouse) -> None:
    with warehouse.connect("test") as connection, connection, connection.cursor() as cursor:
        # Whoever wanted to write would wait for the session's lock_timeout, and fail.
        cursor.execute(
            "LOCK TABLE ops.migration, ops.definition, star.fact_sales, star.dim_date IN SHARE MODE"
        )
        ddl.prepare(replace(warehouse))
