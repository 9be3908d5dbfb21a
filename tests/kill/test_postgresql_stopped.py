"""PostgreSQL stops at once, in mid-publish and in mid-refresh; started again, the same command goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from retail.warehouse.embedded import cluster
from retail.warehouse.embedded import server as embedded
from tests.kill.chains import FIRST, Undisturbed
from tests.kill.conftest import Install
from tests.kill.runs import Meanwhile, Place, Preloaded
from tests.kill.state import differences, left_over, state_of
from tests.kill.told import in_operations

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

# What `pg_ctl stop -m immediate` sends, and a wait until nobody listens.
STOP = 'kill -QUIT $(head -1 "$0") && while (exec 3<>/dev/tcp/127.0.0.1/$1) 2>&-; do sleep 0.02; done'


def test_a_server_that_stops_is_told_and_once_it_runs_again_the_run_goes_on(
    process: Preloaded,
    install: Install,
    expected: Undisturbed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared = install("postgresql_stopped")
    made = replace(shared, warehouse=shared.folder.parent / "stopped_postgresql")
    server_of = made.settings.warehouse
    with embedded.running(server_of) as server:
        port = server.port
        monkeypatch.setattr(cluster, "free_port", lambda: port)
        outside = {
            "RETAIL_WAREHOUSE__EMBEDDED": "false",
            "RETAIL_WAREHOUSE__HOST": server.host,
            "RETAIL_WAREHOUSE__PORT": str(port),
            "RETAIL_WAREHOUSE__USER": server.user,
            "RETAIL_WAREHOUSE__SSLMODE": "disable",
            "RETAIL_WAREHOUSE_PASSWORD": server.password.reveal(),
        }
        pid = Path(server_of.data_folder) / "data" / "postmaster.pid"
        stop = ("bash", "-c", STOP, str(pid), str(port))
        publishing = Meanwhile(Place("retail.warehouse.publish.transaction:_note"), stop)
        stopped = process.retail(made, *FIRST, strike=publishing, **outside)
        assert stopped.returncode == 1, stopped.output
        in_operations("cannot publish run … : server closed the connection unexpectedly", stopped.output)
        still = process.retail(made, *FIRST, **outside)
        assert still.returncode == 1, still.output
        in_operations("PostgreSQL at postgresql://… cannot be reached: … Connection refused", still.output)
    with embedded.running(server_of):
        with made.postgresql() as cursor:
            cursor.execute(
                "SELECT (SELECT count(*) FROM ops.publish), (SELECT count(*) FROM star.fact_sales)"
            )
            assert cursor.fetchone() == (0, 0), "nothing is half-published"
        refreshing = Meanwhile(Place("retail.warehouse.views:_tie_out"), stop)
        stopped = process.retail(made, *FIRST, strike=refreshing, **outside)
        assert stopped.returncode == 1, stopped.output
        in_operations("cannot refresh the views: server closed the connection unexpectedly", stopped.output)
    with embedded.running(server_of):
        with made.postgresql() as cursor:
            cursor.execute("SELECT count(*) FROM marts.mv_daily_sales")
            assert cursor.fetchone() == (0,), "no view shows what the others do not"
        ended = process.retail(made, *FIRST, **outside)
        assert ended.returncode == 0, ended.output
        assert differences(state_of(made), expected.states[0]) == []
        assert left_over(made) == []
