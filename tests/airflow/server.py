"""A real Airflow: API server, DAG processor, and scheduler with its local executor, on SQLite in a folder of its own.

Processes of Airflow's own environment, spoken to over its REST API as the web page does.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from retail.config.settings import home

DAG = "retail_data_pipeline"
PYTHON = home() / "var" / "airflow" / ".venv" / "bin" / "python"
_PATIENCE = 240


def needs_airflow() -> None:
    """Skip where Airflow is not installed; CI sets a switch that makes this a failure."""
    if not PYTHON.exists():
        if os.environ.get("RETAIL_REQUIRE_AIRFLOW"):
            pytest.fail("RETAIL_REQUIRE_AIRFLOW is set, and there is no Airflow; `make airflow` installs it")
        pytest.skip("Airflow is not there; `make airflow` installs it")


@dataclass(frozen=True)
class Airflow:
    """The running server; runs are triggered, watched and cleared over its API."""

    folder: Path
    address: str
    token: str

    def trigger(self, run_id: str, **conf: Any) -> None:
        self._call("POST", "dagRuns", dag_run_id=run_id, conf=conf, logical_date=None)

    def end_of(self, run_id: str) -> str:
        """The run's state once it has ended."""
        found: dict[str, Any] = {}

        def ended() -> bool:
            found.update(self._call("GET", f"dagRuns/{run_id}"))
            return found["state"] in ("success", "failed")

        wait_until(ended, f"the end of {run_id}")
        return str(found["state"])

    def backfill(self, first: str, last: str) -> None:
        """Airflow's own backfill of the nights from `first` to `last`, one after the other; all must succeed."""
        answer = requests.post(
            f"{self.address}/api/v2/backfills", timeout=60, headers={"Authorization": f"Bearer {self.token}"},
            json={
                "dag_id": DAG, "from_date": first, "to_date": last, "max_active_runs": 1, "run_backwards": False,
                "dag_run_conf": {}, "reprocess_behavior": "none",
            },
        )  # fmt: skip
        assert answer.ok, answer.text

        def states() -> list[str]:
            found = self._call("GET", "dagRuns?run_type=backfill&limit=100")["dag_runs"]
            return [each["state"] for each in found]

        wait_until(lambda: bool(states()) and not {"queued", "running"} & {*states()}, "the backfill")
        assert {*states()} == {"success"}

    def tasks(self, run_id: str) -> dict[str, tuple[str, int]]:
        """Each task's state and number of tries."""
        found = self._call("GET", f"dagRuns/{run_id}/taskInstances")["task_instances"]
        return {each["task_id"]: (each["state"], each["try_number"]) for each in found}

    def clear(self, run_id: str, task_id: str) -> None:
        """Have this one task of the run done again, and none behind it."""
        self._call(
            "POST", "clearTaskInstances", dag_run_id=run_id, task_ids=[task_id], dry_run=False,
            only_failed=False, reset_dag_runs=True,
        )  # fmt: skip

    def mark(self, run_id: str, task_id: str, state: str) -> None:
        """Set the task's state by hand, as an operator does."""
        self._call("PATCH", f"dagRuns/{run_id}/taskInstances/{task_id}", new_state=state)

    def log_of(self, run_id: str, task_id: str) -> str:
        """All that the task's tries wrote."""
        files = sorted((self.folder / "logs").glob(f"dag_id={DAG}/run_id={run_id}/task_id={task_id}/*.log"))
        return "\n".join(file.read_text(encoding="utf-8") for file in files)

    def written(self) -> bytes:
        """All that Airflow keeps: its logs, and its database as the file's bytes."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.name != "airflow.cfg"]
        return b"\n".join(path.read_bytes() for path in files)

    def _call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        answer = requests.request(
            method, f"{self.address}/api/v2/dags/{DAG}/{path}".rstrip("/"), json=body or None, timeout=60,
            headers={"Authorization": f"Bearer {self.token}"},
        )  # fmt: skip
        assert answer.ok, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def wait_for_the_dag(self) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        address = f"{self.address}/api/v2/dags/{DAG}"
        wait_until(lambda: requests.get(address, headers=headers, timeout=60).ok, "the DAG to be parsed")
        self._call("PATCH", "", is_paused=False)


def variables(folder: Path, port: int = 0, **more: str) -> dict[str, str]:
    """The environment of Airflow's processes: this machine's, none of ours, and a schedule that starts nothing."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RETAIL_", "SPARK_", "AWS_"))
    }
    return kept | {
        "PATH": f"{PYTHON.parent}{os.pathsep}{kept['PATH']}",
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home() / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        **more,
    }


@contextmanager
def running(folder: Path, environment: Mapping[str, str]) -> Iterator[Airflow]:
    """Airflow, from an empty folder until the DAG can be triggered."""
    folder.mkdir()
    port = _free_port()
    everything = variables(folder, port, **environment)
    with ExitStack() as stack:
        log = stack.enter_context((folder / "processes.log").open("w"))
        airflow = [str(PYTHON), "-m", "airflow"]
        subprocess.run([*airflow, "db", "migrate"], env=everything, check=True, stdout=log, stderr=log)
        for arguments in (
            ["api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
            ["dag-processor"],
            ["scheduler", "--skip-serve-logs"],
        ):
            process = subprocess.Popen(
                [*airflow, *arguments], env=everything, stdout=log, stderr=log, start_new_session=True
            )
            stack.callback(_end, process)
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(f"{address}/api/v2/version"), "Airflow's API server")
        token = requests.get(f"{address}/auth/token", timeout=60).json()["access_token"]
        found = Airflow(folder, address, token)
        found.wait_for_the_dag()
        yield found


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Look again and again; fail after some minutes."""
    deadline = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {_PATIENCE} s for {what}")
        time.sleep(0.3)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=60).ok
    except requests.ConnectionError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
