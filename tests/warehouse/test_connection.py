from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from retail.config import environment
from retail.config.secrets import Secrets
from retail.config.settings import WarehouseSettings
from retail.errors import WarehouseError, WarehouseRefusedError
from retail.warehouse.connection import Warehouse, open_warehouse, taking_turns

pytestmark = pytest.mark.postgres


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    settings = WarehouseSettings(host="127.0.0.1", port=1, database="sales", user="loader")
    secrets = Secrets({"RETAIL_WAREHOUSE_PASSWORD": "tops3cret"})
    with pytest.raises(WarehouseError) as refused, open_warehouse(settings, secrets):
        pass
    assert "postgresql://loader@127.0.0.1:1/sales?sslmode=prefer cannot be reached" in str(refused.value)
    assert "RETAIL_WAREHOUSE_PASSWORD" in refused.value.hint
    assert "tops3cret" not in str(refused.value)


def test_any_server_is_used_with_the_secret_as_password(warehouse: Warehouse) -> None:
    assert warehouse.password is not None
    settings = WarehouseSettings(
        host=warehouse.host, port=warehouse.port, database=warehouse.database, user=warehouse.user
    )
    right = Secrets({"RETAIL_WAREHOUSE_PASSWORD": warehouse.password.reveal()})
    with open_warehouse(settings, right) as opened, opened.connect("test") as connection:
        assert connection.info.dbname == warehouse.database
    wrong = Secrets({"RETAIL_WAREHOUSE_PASSWORD": "guess"})
    with (
        pytest.raises(WarehouseError, match="password authentication failed"),
        open_warehouse(settings, wrong),
    ):
        pass


def test_a_password_that_is_rotated_in_mid_run_is_read_again(warehouse: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("first")
    with warehouse.connect("rotate") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE ROLE rotated LOGIN PASSWORD 'first'")
        settings = WarehouseSettings(
            host=warehouse.host, port=warehouse.port, database=warehouse.database, user="rotated"
        )
        secrets = Secrets({}, {"warehouse_password": f"file:{path}"})
        with open_warehouse(settings, secrets) as opened:
            cursor.execute("ALTER ROLE rotated PASSWORD 'second'")
            with pytest.raises(WarehouseRefusedError), opened.connect("work"):
                pass
            path.write_text("second")
            with opened.connect("work") as working:
                assert working.info.user == "rotated"
        cursor.execute("DROP ROLE rotated")


def test_a_refused_statement_becomes_an_error_that_names_work_and_table(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError) as refused, warehouse.connect("add a day") as connection:
        connection.cursor().execute("INSERT INTO star.dim_date (date_key) VALUES (1)")
    assert "cannot add a day (star.dim_date): null value in column" in refused.value.message


def test_a_connection_lost_in_mid_work_says_to_run_again(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError) as lost, warehouse.connect("wait") as connection, connection:
        os.kill(connection.info.backend_pid, signal.SIGTERM)
        connection.cursor().execute("SELECT pg_sleep(5)")
    assert "cannot wait: " in lost.value.message
    assert "nothing was left half-done, so run the same command again" in lost.value.hint


def test_writers_of_one_database_take_turns(warehouse: Warehouse) -> None:
    with warehouse.connect("write") as first, taking_turns(first):
        with pytest.raises(WarehouseError) as refused, warehouse.connect("write too") as second:
            second.cursor().execute("SET lock_timeout = '50ms'")
            with taking_turns(second):
                pytest.fail("two write at once")
        assert "another run is writing" in refused.value.hint
    with warehouse.connect("write after") as third, taking_turns(third):
        pass


def test_libpq_s_variables_move_no_connection_and_stay_where_the_process_is_not_ours(
    server: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in environment.LIBPQ:
        monkeypatch.setenv(name, "hostile")
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    monkeypatch.setenv("PGOPTIONS", "-c search_path=elsewhere -c default_transaction_read_only=on")
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "standby")
    with server.connect("ask") as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('search_path'), current_setting('default_transaction_read_only'),"
            " current_setting('timezone')"
        )
        assert cursor.fetchone() == ("pg_catalog", "off", "UTC")
    assert os.environ["PGSERVICE"] == "hostile"
