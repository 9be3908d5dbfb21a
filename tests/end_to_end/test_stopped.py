"""A run that is stopped in its merge for longer than its lease lives, on S3; another takes over; then it wakes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from retail.cli.local.demo import demo_environment
from retail.lake.engine import without_session
from retail.lake.storage.s3 import S3Storage
from tests.cluster import until
from tests.end_to_end.conftest import Truth
from tests.end_to_end.installation import Installation
from tests.kill.told import in_operations
from tests.s3 import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.s3]

DAY = date(2017, 1, 1)


@pytest.mark.parametrize(
    "stopped_behind", [pytest.param("gate", marks=pytest.mark.nightly), "merge-plan-fact_sales"]
)
def test_a_run_that_wakes_after_another_took_over_writes_nothing_more(
    stopped_behind: str, install: Callable[[str], Installation], s3_server: S3Server, truth: Truth
) -> None:
    made, lake = install(f"stopped_{stopped_behind}".replace("-", "_")), s3_server.new_lake()
    storage = S3Storage(lake)
    variables = {
        "RETAIL_LAKE__URL": lake.url,
        "RETAIL_LAKE__S3_ENDPOINT": str(lake.s3_endpoint),
        "RETAIL_LAKE__S3_PATH_STYLE": "true",
        "RETAIL_RUNS__LEASE_SECONDS": "5",
    }
    command = [sys.executable, "-m", "retail.cli", "run", "--date", str(DAY)]
    environment = without_session(os.environ | demo_environment()) | {
        "RETAIL_CONF": str(made.conf),
        **variables,
    }
    sleeper = subprocess.Popen(
        command, env=environment, cwd=made.folder, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        step = f"/steps/{stopped_behind}.json"
        until(lambda: any(key.endswith(step) for key in storage.list("ops/runs/")) or None, step, seconds=300)
        os.killpg(sleeper.pid, signal.SIGSTOP)
        until(lambda: _is_expired(storage) or None, "the lease's end")
        taking_over = made.retail("run", "--date", str(DAY), **variables)
        assert taking_over.returncode == 0, taking_over.stdout + taking_over.stderr
        assert ": success" in taking_over.stdout
    finally:
        os.killpg(sleeper.pid, signal.SIGCONT)
        said = sleeper.communicate(timeout=120)[1]
    assert sleeper.returncode == 1, said
    in_operations("run … lost its lease on … while it worked", said)
    assert made.postgresql_figures() == truth([DAY])
    runs = {key for key in storage.list("ops/runs/") if key.endswith("/run.json")}
    again = made.retail("run", "--date", str(DAY), **variables)
    assert again.returncode == 0, again.stdout + again.stderr
    assert {key for key in storage.list("ops/runs/") if key.endswith("/run.json")} == runs
    status = made.retail("status", **variables).stdout
    assert "success" in status
    assert "failed" not in status


def _is_expired(storage: S3Storage) -> bool:
    newest = [*storage.list("ops/lease/")][-1]
    return datetime.fromisoformat(json.loads(storage.read(newest))["expires_at"]) < datetime.now(UTC)
