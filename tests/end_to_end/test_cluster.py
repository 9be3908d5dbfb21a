"""spark-submit to a cluster of a master and two workers, the lake on S3; an executor is killed in mid-job."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from retail.config.settings import LakeSettings, home
from tests.cluster import Cluster, running_cluster, until
from tests.end_to_end.installation import Installation, warehouse_of
from tests.s3 import S3Server

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.postgres, pytest.mark.s3, pytest.mark.spark]

JOB = str(home() / "jobs" / "run_pipeline.py")
FIRST, SECOND = ("--date", "2017-01-01"), ("--date", "2017-01-02")


def on_s3(lake: LakeSettings) -> dict[str, str]:
    return {
        "RETAIL_LAKE__URL": lake.url,
        "RETAIL_LAKE__S3_ENDPOINT": str(lake.s3_endpoint),
        "RETAIL_LAKE__S3_PATH_STYLE": "true",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def test_a_cluster_gives_what_the_embedded_engine_gives_though_an_executor_is_killed(
    install: Callable[[str], Installation], s3_server: S3Server, tmp_path: Path
) -> None:
    embedded, made = install("beside_cluster"), install("on_cluster")
    for days in (FIRST, SECOND):
        ended = embedded.retail("run", *days)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    variables = on_s3(s3_server.new_lake())
    with running_cluster(tmp_path) as cluster:
        first = _submit(made, cluster, *FIRST, **variables)
        killed: list[int] = []
        killing = threading.Thread(
            target=_kill_an_executor, args=(cluster, made, s3_server, variables, killed)
        )
        killing.start()
        second = _submit(made, cluster, *SECOND, **variables)
        killing.join()
    assert len(killed) == 1
    for said in (first, second):
        assert ": success" in said
    assert warehouse_of(made) == warehouse_of(embedded)


def _submit(made: Installation, cluster: Cluster, *arguments: str, **variables: str) -> str:
    ended = made.spark_submit("--executor-memory", "900m", JOB, *arguments, master=cluster.url, **variables)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def _kill_an_executor(
    cluster: Cluster, made: Installation, server: S3Server, variables: dict[str, str], killed: list[int]
) -> None:
    """Once the second run merges."""
    bucket = variables["RETAIL_LAKE__URL"].split("/")[2]

    def merging() -> int | None:
        listed = server.client.list_objects_v2(Bucket=bucket, Prefix="lake/ops/runs/")["Contents"]
        keys = [item["Key"] for item in listed]
        running = sorted({key.split("/")[3] for key in keys})[1:]
        gated = [run for run in running if f"lake/ops/runs/{run}/steps/gate.json" in keys]
        return next(iter(cluster.executors()), None) if gated else None

    victim = until(merging, "an executor that merges", seconds=900)
    os.kill(victim, signal.SIGKILL)
    killed.append(victim)
