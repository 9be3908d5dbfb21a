"""The DAG in a real Airflow: its shape, a day's run, a task that fails and is tried again, a clear, a partial run.

Airflow 3.3.2 runs as it does elsewhere: scheduler, local executor with the task's own process, DAG processor, API
server. Only its database is SQLite. The jobs are the real ones; the retailers are the simulator's.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import requests

from retail.cli.local import demo
from retail.config.settings import home
from retail.lake.storage.local import LocalStorage
from retail.runs import lease
from retail.warehouse.embedded import server as embedded
from tests.airflow import server
from tests.airflow.server import DAG, Airflow, needs_airflow, running, wait_until
from tests.end_to_end.conftest import CLOCK, START, Truth
from tests.end_to_end.installation import Installation

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.xdist_group("airflow")]

TASKS = [
    "ingest_retailers_to_s3",
    "transform_s3_to_postgres",
    "data_quality_check",
    "refresh_materialized_views",
]
JUDGE = "all_retailers_answered"
WEEKLY = "retail_reconciliation"
DAYS = [START + timedelta(days=n) for n in range(2)]
FIRST = "manual__2017-01-02T10:00:00+00:00"

# A careless job that prints its environment before it does its work.
CARELESS = """#!/bin/sh
env
case "$1" in */jobs/*) [ -e {folder}/hang ] && exec {python} {folder}/hang;; esac
exec {python} "$@"
"""
# A job that hangs, with a child that hangs too.
HANGING = """
import os, pathlib, subprocess
child = subprocess.Popen(["sleep", "900"])
here = pathlib.Path(__file__).parent
(here / "writing").write_text(f"{os.getpid()} {child.pid}")
(here / "writing").rename(here / "processes")
child.wait()
"""
CONFIGURATION = """
time_zone = "America/Los_Angeles"
conf = "{conf}"
python = "{python}"
launcher = "python"
retry_minutes = 0.02
"""


@dataclass(frozen=True)
class Scheduled:
    """Airflow over an installation of the pipeline, and the secrets that only Airflow's connections hold."""

    airflow: Airflow
    pipeline: Installation
    secrets: dict[str, str]

    def status(self) -> str:
        return self.pipeline.retail("status").stdout

    @property
    def folder(self) -> Path:
        return self.pipeline.folder.parent

    def records(self, step: str) -> dict[Path, str]:
        """What the runs of the ledger recorded of the step."""
        return {
            path: path.read_text(encoding="utf-8")
            for path in (self.pipeline.folder / "lake" / "ops" / "runs").glob(f"*/steps/{step}.json")
        }

    def failures(self, task: str) -> int:
        """How many failed tries of the task stand in the ledger."""
        return len([*(self.pipeline.folder / "lake" / "ops" / "failures").glob(f"*-{task}-*.json")])

    def obstacle(self) -> Path:
        """A file where the staged table's folder belongs: transform fails, and nothing else."""
        return self.pipeline.folder / "lake" / "staged"


@pytest.fixture(scope="module")
def scheduled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduled]:
    needs_airflow()
    folder = tmp_path_factory.mktemp("airflow")
    keys = demo.demo_environment()
    with demo.simulator(keys, clock=CLOCK) as address:
        pipeline = Installation(folder / "pipeline", address, folder / "postgresql", START)
        with embedded.running(pipeline.settings.warehouse) as postgresql:
            conf = folder / "pipeline.toml"
            text = pipeline.conf.read_text(encoding="utf-8")
            conf.write_text(
                text.replace("embedded = true", "").replace("master_calls = 0", "master_calls = 0\ntries = 1")
            )
            python = folder / "python"
            python.write_text(CARELESS.format(python=sys.executable, folder=folder))
            python.chmod(0o755)
            (folder / "airflow.toml").write_text(CONFIGURATION.format(conf=conf, python=python))
            database = {
                "login": postgresql.user, "password": postgresql.password.reveal(), "host": postgresql.host,
                "port": postgresql.port, "schema": pipeline.settings.warehouse.database,
            }  # fmt: skip
            variables = {"RETAIL_AIRFLOW_CONF": str(folder / "airflow.toml"), **_connections(keys, database)}
            secrets = {name: value for name, value in keys.items() if name in _SECRET}
            secrets["RETAIL_WAREHOUSE_PASSWORD"] = database["password"]  # type: ignore[assignment]
            with running(folder / "home", variables) as airflow:
                yield Scheduled(airflow, pipeline, secrets)


_SECRET = [
    "RETAIL_CUSTOMER_PEPPER", "RETAIL_RETAILER_1_CLIENT_SECRET", "RETAIL_RETAILER_1_REFRESH_TOKEN",
    "RETAIL_RETAILER_2_CLIENT_SECRET", "RETAIL_RETAILER_3_CLIENT_SECRET",
]  # fmt: skip


def _connections(keys: dict[str, str], database: dict[str, object]) -> dict[str, str]:
    """Airflow's connections, as its environment variables hold them."""
    found: dict[str, dict[str, object]] = {
        f"retailer_{n}": {
            "login": keys[f"RETAIL_RETAILER_{n}_CLIENT_ID"],
            "password": keys[f"RETAIL_RETAILER_{n}_CLIENT_SECRET"],
        }
        for n in (1, 2, 3)
    }
    found["retailer_1"]["extra"] = {"refresh_token": keys["RETAIL_RETAILER_1_REFRESH_TOKEN"]}
    found["customer"] = {"password": keys["RETAIL_CUSTOMER_PEPPER"]}
    found["warehouse"] = database
    return {
        f"AIRFLOW_CONN_RETAIL_{name.upper()}": json.dumps({"conn_type": "generic", **values})
        for name, values in found.items()
    }


@pytest.fixture(scope="module")
def first_run(scheduled: Scheduled) -> tuple[str, str]:
    """The first day, whose transform finds an obstacle that goes away: how it ended, and `retail status` meanwhile."""
    scheduled.obstacle().parent.mkdir(parents=True)
    scheduled.obstacle().touch()
    scheduled.airflow.trigger(FIRST, to=str(DAYS[0]))
    wait_until(lambda: scheduled.failures(TASKS[1]) > 0, "the failure in the ledger")
    scheduled.obstacle().unlink(missing_ok=True)
    meanwhile = scheduled.status()
    return scheduled.airflow.end_of(FIRST), meanwhile


def test_the_dag_is_imported_without_error_and_has_the_shape_that_was_asked_for(tmp_path: Path) -> None:
    needs_airflow()
    shape = subprocess.run(
        [server.PYTHON, home() / "tests" / "airflow" / "shape.py"],
        env=server.variables(tmp_path), check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = json.loads(shape.stdout.splitlines()[-1])
    assert found["errors"] == {}
    assert sorted(found["dags"]) == [DAG, WEEKLY]
    weekly = found["dags"][WEEKLY]
    assert (weekly["schedule"], weekly["zone"], weekly["catchup"]) == (
        "0 6 * * 0", "America/Los_Angeles", False
    )  # fmt: skip
    assert list(weekly["tasks"]) == ["reconcile"]
    dag = found["dags"][DAG]
    assert (dag["schedule"], dag["zone"]) == ("0 2 * * *", "America/Los_Angeles")
    assert (dag["max_active_runs"], dag["catchup"]) == (1, False)
    behind = {task: sorted(each["behind"]) for task, each in dag["tasks"].items()}
    assert behind == {
        TASKS[0]: [JUDGE, TASKS[1]], TASKS[1]: [TASKS[2]], TASKS[2]: [TASKS[3]], TASKS[3]: [], JUDGE: [],
    }  # fmt: skip
    for task in TASKS:
        each = dag["tasks"][task]
        assert (each["retries"], each["retry_seconds"], each["template_fields"]) == (2, 300, [])
        assert each["callbacks"] == ["note_failure", "note_retry"]


def test_a_job_is_redone_after_a_clear_and_a_backfill_fetches_the_day_before_each_of_its_nights(
    tmp_path: Path,
) -> None:
    """Airflow grants at a clear: max_tries = the tries so far + retries."""
    needs_airflow()
    asked = {
        '{"max_tries": 2}': [],
        '{"max_tries": 3}': ["--redo"],
        '{"max_tries": 5}': ["--redo"],
        '{"type": "manual", "to": "2017-01-01"}': ["--to", "2017-01-01"],
        # At two in Los Angeles.
        '{"type": "backfill", "logical_date": "2017-07-04T09:00:00+00:00"}': ["--date", "2017-07-03"],
    }
    found = subprocess.run(
        [server.PYTHON, home() / "tests" / "airflow" / "asked.py", TASKS[0], f"[{', '.join(asked)}]"],
        env=server.variables(tmp_path), check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert json.loads(found.stdout.splitlines()[-1]) == [*asked.values()]


def test_at_two_o_clock_yesterday_is_over_for_every_retailer_of_the_example() -> None:
    zone = ZoneInfo(tomllib.loads((home() / "conf" / "airflow.toml").read_text())["time_zone"])
    retailers = tomllib.loads((home() / "conf" / "aws.toml").read_text())["retailers"]
    for day in (date(2026, 1, 5), date(2026, 3, 8), date(2026, 7, 5), date(2026, 11, 1)):
        start = datetime(day.year, day.month, day.day, 2, tzinfo=zone).astimezone(UTC)
        for retailer in retailers.values():
            here = start.astimezone(ZoneInfo(retailer["time_zone"]))
            assert here.date() >= day, retailer["name"]


def test_a_day_comes_from_the_retailers_to_the_views(
    scheduled: Scheduled, first_run: tuple[str, str], truth: Truth
) -> None:
    assert first_run[0] == "success"
    assert scheduled.pipeline.postgresql_figures() == truth(DAYS[:1])


def test_a_task_that_failed_is_tried_again_and_the_ledger_tells_of_it(
    scheduled: Scheduled, first_run: tuple[str, str]
) -> None:
    tasks = scheduled.airflow.tasks(FIRST)
    assert {tasks[task][0] for task in (*TASKS, JUDGE)} == {"success"}
    assert tasks[TASKS[1]][1] > 1
    assert [tasks[task][1] for task in (TASKS[0], *TASKS[2:])] == [1, 1, 1]
    open_then = first_run[1]
    assert "transform_s3_to_postgres, attempt 1 of 3, of manual-20170102-" in open_then
    assert "OPEN" in open_then
    assert "reason   exit code 1: " in open_then
    assert "Not a directory" in open_then
    assert "command  none: Airflow retries the task" in open_then
    assert ": fixed by run " in scheduled.status()
    assert "OPEN" not in scheduled.status()


def test_no_secret_comes_into_airflow_s_logs_or_database_though_a_job_prints_its_environment(
    scheduled: Scheduled, first_run: tuple[str, str]
) -> None:
    log = scheduled.airflow.log_of(FIRST, TASKS[0])
    for name in scheduled.secrets.keys() - {"RETAIL_WAREHOUSE_PASSWORD"}:
        assert f"{name}=***" in log, "the job did print it, and Airflow masked it"
    written = scheduled.airflow.written()
    assert b"RETAIL_WAREHOUSE_PASSWORD=***" in written
    for name, value in scheduled.secrets.items():
        assert value.encode() not in written, name


def test_a_task_is_given_its_own_secrets_only_and_none_of_airflow_s(
    scheduled: Scheduled, first_run: tuple[str, str]
) -> None:
    ingest, check = (scheduled.airflow.log_of(FIRST, task) for task in (TASKS[0], TASKS[2]))
    assert "RETAIL_WAREHOUSE_PASSWORD" not in ingest
    assert "RETAIL_RETAILER_1_CLIENT_SECRET" not in check
    assert "RETAIL_CUSTOMER_PEPPER" not in check
    for log in (ingest, check):
        assert "AIRFLOW_CONN_" not in log
        assert "AIRFLOW__API_AUTH__JWT_SECRET" not in log


def test_a_cleared_task_is_done_again_alone(scheduled: Scheduled, first_run: tuple[str, str]) -> None:
    before = scheduled.airflow.tasks(FIRST)
    checked, published = scheduled.records("check"), scheduled.records("publish")
    scheduled.airflow.clear(FIRST, TASKS[2])
    assert scheduled.airflow.end_of(FIRST) == "success"
    after = scheduled.airflow.tasks(FIRST)
    assert scheduled.records("check").keys() == checked.keys()
    assert scheduled.records("check") != checked, "done again, though it had ended"
    assert scheduled.records("publish") == published
    assert "--redo" in scheduled.airflow.log_of(FIRST, TASKS[2])
    assert "--redo" not in scheduled.airflow.log_of(FIRST, TASKS[1]), "a retry goes on where the task stopped"
    assert after[TASKS[2]] == ("success", before[TASKS[2]][1] + 1)
    assert {task: after[task] for task in after if task != TASKS[2]} == {
        task: before[task] for task in before if task != TASKS[2]
    }


@pytest.mark.nightly
def test_a_cleared_task_whose_first_try_fails_is_redone_by_the_next(
    scheduled: Scheduled, first_run: tuple[str, str]
) -> None:
    before = scheduled.airflow.tasks(FIRST)[TASKS[2]][1]
    checked, failures = scheduled.records("check"), scheduled.failures(TASKS[2])
    with lease.hold(LocalStorage(scheduled.pipeline.folder / "lake"), "by-hand"):
        scheduled.airflow.clear(FIRST, TASKS[2])
        wait_until(lambda: scheduled.failures(TASKS[2]) > failures, "the failure in the ledger")
    assert scheduled.airflow.end_of(FIRST) == "success"
    state, tries = scheduled.airflow.tasks(FIRST)[TASKS[2]]
    assert state == "success"
    assert tries > before + 1
    assert scheduled.records("check").keys() == checked.keys()
    assert scheduled.records("check") != checked, "done again, though it had ended"


def test_a_wrong_configuration_is_tried_once_and_told_with_the_command_that_mends_it(
    scheduled: Scheduled, first_run: tuple[str, str]
) -> None:
    before = scheduled.airflow.tasks(FIRST)[TASKS[3]][1]
    conf = scheduled.folder / "pipeline.toml"
    right = conf.read_text(encoding="utf-8")
    conf.write_text(f"no_such_key = 1\n{right}", encoding="utf-8")
    scheduled.airflow.clear(FIRST, TASKS[3])
    assert scheduled.airflow.end_of(FIRST) == "failed"
    conf.write_text(right, encoding="utf-8")
    assert scheduled.airflow.tasks(FIRST)[TASKS[3]] == ("failed", before + 1)
    log = scheduled.airflow.log_of(FIRST, TASKS[3])
    command = (
        rf"retail refresh --run-id manual-20170102-[0-9a-f]{{6}}; or, in Airflow, clear the task {TASKS[3]}"
    )
    assert "no_such_key" in log
    assert re.search(command, log)
    scheduled.airflow.clear(FIRST, TASKS[3])
    assert scheduled.airflow.end_of(FIRST) == "success"


def test_a_task_that_is_marked_as_failed_by_hand_ends_its_job_and_the_job_s_children(
    scheduled: Scheduled, first_run: tuple[str, str]
) -> None:
    (scheduled.folder / "hang").write_text(HANGING)
    scheduled.airflow.trigger("marked", to=str(DAYS[0]))
    processes = scheduled.folder / "processes"
    wait_until(processes.exists, "the job that hangs")
    (scheduled.folder / "hang").unlink()
    scheduled.airflow.mark("marked", TASKS[0], "failed")
    wait_until(lambda: not any(map(is_alive, processes.read_text().split())), "the end of the job")
    assert scheduled.airflow.end_of("marked") == "failed"


def is_alive(process: str) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.nightly
def test_a_partial_run_goes_on_for_the_others_and_is_red_until_the_next_run_makes_it_good(
    scheduled: Scheduled, first_run: tuple[str, str], truth: Truth
) -> None:
    faults = f"{scheduled.pipeline.address}/simulator/faults"
    requests.post(faults, json={"retailer": "retailer_2", "kind": "500", "times": 1000}, timeout=60)
    scheduled.airflow.trigger("partial", to=str(DAYS[1]))
    assert scheduled.airflow.end_of("partial") == "failed"
    tasks = scheduled.airflow.tasks("partial")
    assert {task: tasks[task][0] for task in TASKS} == dict.fromkeys(TASKS, "success")
    assert tasks[JUDGE] == ("failed", 1)
    others = {
        key: value for key, value in truth(DAYS).items() if key[0] != "retailer_2" or key[1] == str(DAYS[0])
    }
    assert scheduled.pipeline.postgresql_figures() == others
    status = scheduled.status()
    assert f"{JUDGE}, attempt 1 of 1, of partial-9834a1: OPEN" in status
    assert "retailer_2 FAILED" in status
    assert f"command  airflow dags trigger {DAG}" in status

    requests.delete(faults, timeout=60)
    scheduled.airflow.trigger("next", to=str(DAYS[1]))
    assert scheduled.airflow.end_of("next") == "success"
    assert scheduled.pipeline.postgresql_figures() == truth(DAYS)
    assert "OPEN" not in scheduled.status()


@pytest.mark.nightly
def test_a_backfill_of_airflow_brings_the_days_that_it_was_asked_for(
    scheduled: Scheduled, first_run: tuple[str, str], truth: Truth
) -> None:
    scheduled.airflow.backfill("2017-01-02T00:00:00Z", "2017-01-04T00:00:00Z")
    assert scheduled.pipeline.postgresql_figures() == truth(DAYS)
