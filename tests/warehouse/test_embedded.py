from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest

from retail.config.secrets import Secrets
from retail.config.settings import WarehouseSettings
from retail.errors import WarehouseError
from retail.lake.engine import open_session
from retail.warehouse.connection import Warehouse, open_warehouse
from retail.warehouse.embedded import cluster
from retail.warehouse.embedded import server as embedded
from retail.warehouse.embedded.cluster import Cluster
from retail.warehouse.embedded.os_user import account_for
from tests.conftest import settings_for
from tests.warehouse.conftest import temporary_folder

pytestmark = pytest.mark.postgres

NO_SECRETS = Secrets({})
ODD = "a é#%20'\"$HOME`id`\\b"


@pytest.fixture(scope="module")
def settings() -> Iterator[WarehouseSettings]:
    """A server that has been made and does not run; each test leaves it like that."""
    with temporary_folder() as folder:
        settings = WarehouseSettings(embedded=True, data_folder=str(folder / "server"))
        with open_warehouse(settings, NO_SECRETS):
            pass
        yield settings


@pytest.fixture
def new_settings() -> Iterator[WarehouseSettings]:
    """A server that has not been made yet, in a folder whose name a shell would act on."""
    with temporary_folder() as folder:
        yield WarehouseSettings(embedded=True, data_folder=str(folder / ODD / "server"))


def value(warehouse: Warehouse, statement: str) -> object:
    with warehouse.connect("test") as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return (cursor.fetchone() or [None])[0] if cursor.description else None


def port(settings: WarehouseSettings) -> int | None:
    return Cluster(Path(settings.data_folder), user=settings.user).port()


def postmaster(settings: WarehouseSettings) -> int:
    return int((Path(settings.data_folder) / "data" / "postmaster.pid").read_text().split()[0])


def test_two_who_open_it_share_one_server_and_the_last_to_leave_stops_it(settings: WarehouseSettings) -> None:
    first = open_warehouse(settings, NO_SECRETS)
    second = open_warehouse(settings, NO_SECRETS)
    a, b = first.__enter__(), second.__enter__()
    assert a.port == b.port
    first.__exit__(None, None, None)  # who started it goes first
    assert value(b, "SELECT 1") == 1
    second.__exit__(None, None, None)
    assert port(settings) is None


def test_it_speaks_utf8_sorts_by_code_point_lives_in_utc_and_forgets_nothing(server: Warehouse) -> None:
    shown = {
        name: value(server, f"SHOW {name}")
        for name in ("server_encoding", "timezone", "fsync", "data_checksums")
    }
    assert shown == {"server_encoding": "UTF8", "timezone": "UTC", "fsync": "on", "data_checksums": "on"}
    assert value(server, "SHOW synchronous_commit") == value(server, "SHOW full_page_writes") == "on"
    assert value(server, "SELECT 'a' > 'Z' AND upper('é') = 'É'")
    assert value(server, "SHOW listen_addresses") == "127.0.0.1"


def test_a_server_killed_with_its_children_is_started_again_with_what_was_committed(
    settings: WarehouseSettings,
) -> None:
    with open_warehouse(settings, NO_SECRETS) as warehouse:
        value(warehouse, "CREATE TABLE public.kept AS SELECT 7 AS n")
        os.kill(postmaster(settings), signal.SIGKILL)
        with pytest.raises(WarehouseError, match=str(warehouse.port)):
            value(warehouse, "SELECT 1")
        with open_warehouse(settings, NO_SECRETS) as again:
            assert value(again, "SELECT n FROM public.kept") == 7


@pytest.mark.parametrize("left", ["a stranger's number", "a line", "nothing"])
def test_a_lock_file_that_a_dead_server_left_does_not_stop_the_start(
    settings: WarehouseSettings, left: str
) -> None:
    lock_file = Path(settings.data_folder) / "data" / "postmaster.pid"
    with open_warehouse(settings, NO_SECRETS):
        lines = lock_file.read_text().splitlines()
    lock_file.write_text(
        {"a stranger's number": "\n".join([str(os.getpid()), *lines[1:]]), "a line": "17", "nothing": ""}[
            left
        ]
    )
    shutil.chown(lock_file, lock_file.parent.stat().st_uid)
    with open_warehouse(settings, NO_SECRETS) as warehouse:
        assert value(warehouse, "SELECT 1") == 1


def test_the_server_that_a_killed_run_left_behind_is_used_and_then_stopped(
    settings: WarehouseSettings,
) -> None:
    program = (
        "import os, signal, sys; from retail.config.settings import WarehouseSettings\n"
        "from retail.warehouse.embedded import server as embedded\n"
        "with embedded.running(WarehouseSettings(embedded=True, data_folder=sys.argv[1])):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, settings.data_folder], check=False)
    assert killed.returncode == -signal.SIGKILL
    left_behind = port(settings)
    assert left_behind is not None
    with open_warehouse(settings, NO_SECRETS) as warehouse:
        assert warehouse.port == left_behind
    assert port(settings) is None


def test_a_run_killed_while_it_makes_the_data_leaves_nothing_that_the_next_run_trips_over(
    new_settings: WarehouseSettings,
) -> None:
    half = Path(new_settings.data_folder) / ".new-killed" / "data"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with open_warehouse(new_settings, NO_SECRETS) as warehouse:
        assert value(warehouse, "SELECT 1") == 1
    assert not half.exists()


def test_a_kept_server_runs_on_until_it_is_stopped(settings: WarehouseSettings) -> None:
    with open_warehouse(settings, NO_SECRETS, keep_running=True):
        pass
    with open_warehouse(settings, NO_SECRETS), pytest.raises(WarehouseError, match="in use"):
        embedded.stop(settings)
    assert port(settings) is not None
    assert embedded.stop(settings)
    assert port(settings) is None
    assert not embedded.stop(settings)


def test_the_password_is_needed_and_is_nowhere_but_in_its_file(settings: WarehouseSettings) -> None:
    with open_warehouse(settings, NO_SECRETS) as warehouse:
        assert warehouse.password is not None
        password = warehouse.password.reveal()
        assert stat.S_IMODE((Path(settings.data_folder) / "pgpass").stat().st_mode) == 0o600
        said = [repr(warehouse), warehouse.dsn(), embedded.psql_command(settings)]
        said.append(Path(f"/proc/{postmaster(settings)}/cmdline").read_text())
        said.append((Path(settings.data_folder) / "data" / "server.log").read_text())
        assert not any(password in text for text in said)
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(
                host="127.0.0.1", port=warehouse.port, user="retail", dbname="retail", password="wrong"
            )


def test_the_command_for_psql_opens_the_warehouse(settings: WarehouseSettings) -> None:
    with open_warehouse(settings, NO_SECRETS):
        command = embedded.psql_command(settings) + " -Atc 'SELECT current_user, current_database()'"
        assert subprocess.run(command, shell=True, capture_output=True, text=True).stdout == "retail|retail\n"  # noqa: S602
    with pytest.raises(WarehouseError, match="no embedded PostgreSQL runs"):
        embedded.psql_command(settings)


def test_a_lost_password_file_is_named_together_with_what_to_do(settings: WarehouseSettings) -> None:
    password_file = Path(settings.data_folder) / "pgpass"
    password_file.rename(password_file.with_suffix(".lost"))
    try:
        with pytest.raises(WarehouseError, match="pgpass") as refused, open_warehouse(settings, NO_SECRETS):
            pass
        assert "move" in refused.value.hint
        assert port(settings) is None
    finally:
        password_file.with_suffix(".lost").rename(password_file)


def test_data_of_another_version_of_postgresql_is_refused(new_settings: WarehouseSettings) -> None:
    data = Path(new_settings.data_folder) / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")
    with (
        pytest.raises(WarehouseError, match="created by PostgreSQL 16"),
        open_warehouse(new_settings, NO_SECRETS),
    ):
        pass


def test_processes_that_start_at_once_get_one_server(settings: WarehouseSettings) -> None:
    program = (
        "import sys; from retail.config.settings import WarehouseSettings\n"
        "from retail.warehouse.embedded import server as embedded\n"
        "with embedded.running(WarehouseSettings(embedded=True, data_folder=sys.argv[1])) as server:\n"
        "    print(server.port, flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, settings.data_folder]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    ports = {process.stdout.readline() for process in processes if process.stdout}
    for process in processes:
        process.communicate("")
        assert process.returncode == 0
    assert len(ports) == 1
    assert port(settings) is None


def test_a_port_that_another_program_takes_first_costs_another_try(
    settings: WarehouseSettings, server: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = iter([server.port, cluster.free_port()])
    monkeypatch.setattr(cluster, "free_port", lambda: next(ports))
    with open_warehouse(settings, NO_SECRETS) as warehouse:
        assert warehouse.port != server.port


def test_who_holds_the_server_too_long_is_named_and_nobody_waits_for_ever(
    settings: WarehouseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "SECONDS_FOR_A_TURN", 0.2)
    for name, kind in (("start.lock", fcntl.LOCK_SH), ("users.lock", fcntl.LOCK_EX)):
        with (Path(settings.data_folder) / name).open("a") as held:
            fcntl.flock(held, kind)
            with (
                pytest.raises(WarehouseError, match="has been starting the embedded PostgreSQL") as refused,
                open_warehouse(settings, NO_SECRETS),
            ):
                pass
        assert f"end the process that holds {held.name}" in refused.value.hint
    assert port(settings) is None


def test_a_program_of_the_server_that_does_not_end_is_an_error(
    new_settings: WarehouseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        monkeypatch.context() as patch,
        pytest.raises(WarehouseError, match=r"`initdb` did not end within 0\.001 s"),
    ):
        patch.setattr(cluster, "SECONDS_OF_A_PROGRAM", 0.001)
        with open_warehouse(new_settings, NO_SECRETS):
            pass
    with open_warehouse(new_settings, NO_SECRETS) as warehouse:
        assert value(warehouse, "SELECT 1") == 1


@pytest.mark.slow
def test_a_program_is_started_as_another_beside_a_session_at_work_and_disturbs_neither(
    tmp_path: Path,
) -> None:
    """A fork of this process, as subprocess makes one to change the user, crashed, or left calls unanswered."""
    account = account_for(tmp_path)
    if not account.switch:
        pytest.skip("only root changes to another account")
    asked = []
    with open_session(settings_for("sail", tmp_path)) as session, ThreadPoolExecutor() as pool:
        ended = threading.Event()

        def ask() -> None:
            while not ended.is_set():
                asked.append(session.range(3).count())

        asking = [pool.submit(ask) for _ in range(3)]
        try:
            ran = [
                subprocess.run(
                    account.command("/usr/bin/id", "-un"), capture_output=True, text=True, timeout=60
                )
                for _ in range(100)
            ]
        finally:
            ended.set()
        for each in asking:
            each.result(60)
    name = pwd.getpwuid(account.uid).pw_name
    assert {(each.returncode, each.stdout) for each in ran} == {(0, f"{name}\n")}
    assert set(asked) == {3}
