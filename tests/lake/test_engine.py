"""The two engines under the DataFrames, and that neither leaves anything behind for the other."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from pyspark.sql import SparkSession
from pyspark.sql.connect.client.reattach import ExecutePlanResponseReattachableIterator
from structlog.testing import capture_logs
from tests.conftest import needs_java, settings_for
from tests.kill.told import in_operations

from retail.config import environment
from retail.config.settings import LakeSettings, RunSettings, SparkSettings, SyncSettings
from retail.errors import EngineError
from retail.lake import engine, sail_server
from retail.lake.engine import jars, local_options, open_session, spark_options, without_session
from retail.lake.sail_server import SailServer


def test_sail_leaves_the_environment_as_it_was(tmp_path: Path) -> None:
    environment.keep_loopback_direct()  # as the first session of a process does, for good
    before = dict(os.environ)
    with open_session(settings_for("sail", tmp_path)) as session:
        assert session.range(3).count() == 3
    assert dict(os.environ) == before


def test_times_are_utc_on_sail_whatever_the_machine_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    with open_session(settings_for("sail", tmp_path)) as session:
        row = session.sql("SELECT CAST(timestamp '2026-03-08 02:30:00' AS string) AS t").collect()[0]
    assert row["t"] == "2026-03-08 02:30:00"


def test_the_end_of_a_closed_session_disturbs_no_other(tmp_path: Path) -> None:
    """Whenever the collector comes: before, it waited for the threads of the session that was at work."""
    with open_session(settings_for("sail", tmp_path)) as first:
        assert first.range(3).count() == 3
    with open_session(settings_for("sail", tmp_path)) as second:
        assert second.range(3).count() == 3
        threads = ExecutePlanResponseReattachableIterator._release_thread_pool_instance
        first.__del__()  # type: ignore[attr-defined]
        assert threads is not None
        assert ExecutePlanResponseReattachableIterator._release_thread_pool_instance is threads
        assert second.range(4).count() == 4


def test_a_response_that_arrives_damaged_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, damaged = grpc._common.deserialize, []

    def deserialize(data: bytes, deserializer: Callable[[bytes], object]) -> object:
        response = real(data, deserializer)
        if type(response).__name__ == "AnalyzePlanResponse" and not damaged:
            damaged.append(response)
            return None  # as gRPC makes of an error of the deserializer
        return response

    with open_session(settings_for("sail", tmp_path)) as session:
        monkeypatch.setattr(grpc._common, "deserialize", deserialize)
        frame = session.createDataFrame([(1, "a"), (2, "b")], "n int, text string")
        assert [tuple(row) for row in frame.collect()] == [(1, "a"), (2, "b")]
    assert len(damaged) == 1


def test_at_an_interrupt_sail_answers_until_its_session_is_closed(tmp_path: Path) -> None:
    with open_session(settings_for("sail", tmp_path)) as session:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert session.range(3).count() == 3


def test_a_sail_that_does_not_answer_is_an_error_with_a_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "SECONDS_TO_START", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = SailServer("127.0.0.1:{1}".format(*silent.getsockname()), stop=lambda: None)
        monkeypatch.setattr(sail_server, "start", lambda: server)
        with (
            pytest.raises(EngineError, match=r"did not answer within 0\.3 s") as caught,
            open_session(settings_for("sail", tmp_path)),
        ):
            pass
    assert "retail doctor" in caught.value.hint
    in_operations("Sail was started, and did not answer within … s", str(caught.value))


def test_a_sail_that_does_not_end_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = sail_server.start()
    may_end = threading.Event()

    def stop() -> None:
        may_end.wait(60)
        server.stop()

    monkeypatch.setattr(sail_server, "start", lambda: replace(server, stop=stop))
    monkeypatch.setattr(engine, "SECONDS_TO_END", 0.3)
    with capture_logs() as told, open_session(settings_for("sail", tmp_path)) as session:
        assert session.range(3).count() == 3
    assert [(line["event"], line["what"]) for line in told] == [
        ("did not end in time and is left behind", "the engine's server")
    ]
    in_operations("did not end in time and is left behind", told[0]["event"])
    may_end.set()


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.xdist_group("spark")
def test_a_spark_session_opens_in_a_process_that_sail_ran_in(tmp_path: Path) -> None:
    needs_java()
    with open_session(settings_for("sail", tmp_path)) as session:
        assert session.range(3).count() == 3
    with open_session(settings_for("spark", tmp_path)) as session:
        assert session.range(3).count() == 3
        # As in a notebook, whose session is not ours: it has its own options, and lives on.
        session.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
        with open_session(settings_for("spark", tmp_path)) as beside:
            assert beside.conf.get("spark.sql.session.timeZone") == "UTC"
        assert session.conf.get("spark.sql.session.timeZone") == "Asia/Tokyo"
        assert session.range(3).count() == 3


@pytest.mark.parametrize(
    ("master", "is_local"),
    [
        ("local", True),
        ("local[*]", True),
        ("local[2,3]", True),
        ("spark://host:7077", False),
        ("yarn", False),
        ("k8s://https://localhost", False),
    ],
)
def test_a_spark_on_one_machine_authenticates_on_loopback(master: str, is_local: bool) -> None:
    options = local_options(master)
    assert (options.get("spark.authenticate") == "true") is is_local
    assert (options.get("spark.driver.bindAddress") == "127.0.0.1") is is_local


@pytest.mark.spark
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_spark_listens_on_loopback_only(engine: str, session: SparkSession) -> None:
    if engine != "spark":
        pytest.skip("Sail's port is in test_sail_server.py")
    assert session.sparkContext._jsc.sc().conf().get("spark.authenticate") == "true"
    process = session.sparkContext._gateway.proc.pid
    files = [str(each.readlink()) for each in Path(f"/proc/{process}/fd").iterdir() if each.is_symlink()]
    lines = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/{process}/net/{name}").read_text().splitlines()[1:]
    ]
    listening = [
        words[1].rpartition(":")[0] for words in lines if words[3] == "0A" and f"socket:[{words[9]}]" in files
    ]
    assert len(listening) >= 3
    assert {each[-8:] for each in listening} == {"0100007F"}, "127.0.0.1, in IPv6 too"


def test_spark_without_java_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(shutil, "which", {}.get)
    with pytest.raises(EngineError, match="install a JDK"), open_session(settings_for("spark", tmp_path)):
        pass


def test_what_others_set_while_a_session_is_open_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RETAIL_TEST_NOTE", raising=False)
    with open_session(settings_for("sail", tmp_path)):
        os.environ["RETAIL_TEST_NOTE"] = "kept"
        assert "SPARK_CONNECT_MODE_ENABLED" in os.environ
        assert "SPARK_CONNECT_MODE_ENABLED" not in without_session(os.environ)
    assert os.environ.pop("RETAIL_TEST_NOTE") == "kept"


def test_a_pom_that_maven_left_without_its_jar_does_not_keep_the_jars_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes = []

    def resolve(
        folder: Path, packages: object, scratch: Path, environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        homes.append(environment.get("SPARK_SUBMIT_OPTS"))
        assert not (folder / "cache").exists(), "Ivy keeps where it found a pom, and would look there again"
        (folder / "cache").mkdir()
        return subprocess.CompletedProcess([], 0 if len(homes) > 1 else 1, stderr="download failed")

    settings = settings_for("spark", tmp_path).model_copy(
        update={"spark": SparkSettings(jars_folder=str(tmp_path / "jars"))}
    )
    monkeypatch.setattr(engine, "_resolve", resolve)
    assert jars(settings) == []
    assert homes[0] is None
    assert str(homes[1]).startswith("-Duser.home=")


@pytest.mark.spark
@pytest.mark.xdist_group("spark")
def test_spark_gets_the_driver_of_postgresql_where_the_method_asks_for_it_only(tmp_path: Path) -> None:
    needs_java()
    by_copy = settings_for("spark", tmp_path)
    by_jdbc = by_copy.model_copy(update={"sync": SyncSettings(method="jdbc")})
    (driver,) = set(jars(by_jdbc)) - set(jars(by_copy))
    assert driver.name == "org.postgresql_postgresql-42.7.14.jar"
    assert len(jars(by_copy)) > 10


@pytest.mark.parametrize(("budget", "life"), [(60, 90), (600, 90), (60, 5), (3, 90), (600, 3600), (0, 90)])
def test_s3a_s_tries_of_a_call_end_while_the_lease_that_they_began_under_may_not_be_another_s(
    budget: float, life: int, tmp_path: Path
) -> None:
    settings = settings_for("spark", tmp_path).model_copy(
        update={
            "lake": LakeSettings(url="s3://bucket/lake", s3_retry_seconds=budget),
            "runs": RunSettings(lease_seconds=life),
        }
    )
    options = {
        name.removeprefix("spark.hadoop.fs.s3a."): value for name, value in spark_options(settings).items()
    }
    for kind in ("retry", "retry.throttle"):
        tries = int(options[f"{kind}.limit"])
        pause = float(options[f"{kind}.interval"].removesuffix("ms")) / 1000
        assert tries >= 1
        assert 1.5 * pause * (2**tries - 1) <= max(min(budget, life / 2), 1.5 * pause)
    assert options["attempts.maximum"] == "1"
    assert int(options["connection.timeout"]) == 30_000


def test_a_lake_in_a_folder_needs_no_options_of_s3(tmp_path: Path) -> None:
    assert not [name for name in spark_options(settings_for("spark", tmp_path)) if ".fs.s3a." in name]


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.nightly
def test_two_processes_that_resolve_the_jars_at_once_both_get_them(tmp_path: Path) -> None:
    needs_java()
    program = (
        "from retail.lake.engine import jars; from retail.config.settings import load_settings; "
        "print(len(jars(load_settings())))"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program], text=True,
            env=without_session(os.environ) | {"RETAIL_SPARK__JARS_FOLDER": str(tmp_path)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]  # fmt: skip
    told = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert int(told[0][0]) == int(told[1][0]) > 0
