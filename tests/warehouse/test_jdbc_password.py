"""By JDBC the password goes to Spark and nowhere else: not into logs, plans, errors, or a command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from retail.config.settings import home
from retail.lake.engine import without_session
from retail.warehouse.connection import Warehouse
from tests.conftest import JARS, needs_java
from tests.warehouse.conftest import Query
from tests.warehouse.literals import Lake, line

pytestmark = [pytest.mark.postgres, pytest.mark.spark, pytest.mark.slow, pytest.mark.xdist_group("spark")]

PASSWORD = "tops3cret-and-nowhere-else"

# Publishes, tells command lines of its processes, then publishes as somebody that PostgreSQL does not let in.
PROGRAM = """
import json, sys
from dataclasses import replace
from pathlib import Path
from retail.lake.engine import open_session
from retail.errors import WarehouseError
from retail.config.secrets import Secret
from retail.config.settings import load_settings
from retail.warehouse.publish import jdbc
from retail.warehouse.connection import Warehouse
from retail.warehouse.publish.transaction import publish
from tests.warehouse.literals import Lake

given = json.loads(sys.stdin.read())
lake = Lake(Path(given["lake"]))
warehouse = Warehouse(**given["warehouse"], password=Secret(given["password"]))
with open_session(load_settings(Path(given["conf"]))) as session:
    session.sparkContext.setLogLevel("INFO")

    def go(run_id):
        publish(session, lake.storage, warehouse, run_id=run_id, pending_run_ids=[run_id], months=["2017-01"],
                delta_versions=given["versions"], method="jdbc")

    go("run_1")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            print(process.joinpath("cmdline").read_text())
        except OSError:
            pass
    real = jdbc._url
    jdbc._url = lambda warehouse: real(replace(warehouse, port=1))  # where nobody answers
    try:
        go("run_2")
    except WarehouseError:
        import traceback
        traceback.print_exc()
        print("refused")
"""


def test_the_password_is_in_no_log_plan_error_or_command_line(
    warehouse: Warehouse, lake: Lake, query: Query, tmp_path: Path
) -> None:
    needs_java()
    user = f"pipeline_{warehouse.database}"
    query(f"CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}' IN ROLE retail_owner")
    lake.write("fact_sales", line(1, "2017-01-05", "1"), line(2, "2017-01-05", "1", changed_run_id="run_2"))
    spark = tmp_path / "spark"
    (spark / "events").mkdir(parents=True)
    (spark / "spark-defaults.conf").write_text(
        f"spark.eventLog.enabled true\nspark.eventLog.dir file://{spark / 'events'}\nspark.eventLog.compress false\n"
    )
    conf = tmp_path / "conf.toml"
    conf.write_text(
        f"""
        engine = "spark"
        start_date = 2017-01-01
        [lake]
        url = "{tmp_path}"
        [spark]
        master = "local[2]"
        driver_memory = "2g"
        shuffle_partitions = 2
        jars_folder = "{JARS}"
        [sync]
        method = "jdbc"
        [retailers.retailer_1]
        service = "amazon"
        name = "One"
        base_url = "http://127.0.0.1:1"
        time_zone = "America/New_York"
        """
    )
    here = asdict(replace(warehouse, user=user, password=None))
    given = {
        "lake": str(tmp_path),
        "versions": lake.versions,
        "conf": str(conf),
        "warehouse": {name: value for name, value in here.items() if name != "password"},
        "password": PASSWORD,
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=home(),
        env=without_session(os.environ) | {"SPARK_CONF_DIR": str(spark)},
        input=json.dumps(given),
        capture_output=True,
        text=True,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told[-3000:]
    assert "refused" in done.stdout
    assert "java" in done.stdout
    logged = "".join(file.read_text() for file in (spark / "events").rglob("*") if file.is_file())
    assert "staged_" in logged, "the plans are not in the event log"
    assert PASSWORD not in told
    assert PASSWORD not in logged
    query(f"DROP OWNED BY {user}; DROP ROLE {user}")
