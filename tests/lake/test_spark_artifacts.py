"""Which Delta and S3A go with which Spark, and what a Spark with its own does not get."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyspark
import pytest
from tests.conftest import settings_for

from retail.config.settings import LakeSettings, SparkSettings
from retail.config.settings import home as settings_home
from retail.errors import EngineError
from retail.lake import spark_artifacts
from retail.lake.engine import jars, spark_options
from retail.lake.spark_artifacts import PAIRS, Home, find, names_delta, pair_for, require_known

CREDENTIALS = "spark.hadoop.fs.s3a.aws.credentials.provider"


def spark_home(folder: Path, *names: str) -> Path:
    (folder / "jars").mkdir(parents=True)
    for name in names:
        (folder / "jars" / name).touch()
    return folder


@pytest.mark.parametrize(
    ("spark", "delta", "hadoop"),
    [
        ("3.5.9", "io.delta:delta-spark_2.12:3.3.3", "3.3.4"),
        ("3.5.5-amzn-1", "io.delta:delta-spark_2.12:3.3.3", "3.3.4"),
        ("4.0.2", "io.delta:delta-spark_2.13:4.0.1", "3.4.1"),
        ("4.1.1", "io.delta:delta-spark_4.1_2.13:4.3.1", "3.4.2"),
        ("4.1.2", "io.delta:delta-spark_4.1_2.13:4.3.1", "3.4.2"),
    ],
)
def test_delta_and_s3a_follow_the_spark(spark: str, delta: str, hadoop: str) -> None:
    pair = pair_for(spark)
    assert pair.delta == delta
    assert f"org.apache.hadoop:hadoop-aws:{hadoop}" in pair.packages
    sdk = (
        "com.amazonaws" if Home(spark).credentials.startswith("com.amazonaws.") else "software.amazon.awssdk"
    )
    assert any(package.startswith(f"{sdk}:") for package in pair.packages)


@pytest.mark.parametrize("spark", ["3.4.4", "4.2.0", "5.0.0", "2.4.8"])
def test_another_spark_is_refused_with_those_that_are_supported(spark: str) -> None:
    with pytest.raises(EngineError) as caught:
        pair_for(spark)
    assert spark in str(caught.value)
    assert all(f"{pair.spark} (Delta {pair.delta_version})" in str(caught.value) for pair in PAIRS)


def test_the_spark_is_the_one_in_spark_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARK_HOME", raising=False)
    assert find().version == pyspark.__version__
    services = spark_home(
        tmp_path / "spark", "spark-core_2.12-3.5.5-amzn-1.jar", "delta-storage-3.3.2.jar",
        "delta-spark_2.12-3.3.2-amzn-0.jar", "hadoop-aws-3.4.1-amzn-2.jar",
        "hadoop-client-api-3.4.1-amzn-2.jar",
    )  # fmt: skip
    monkeypatch.setenv("SPARK_HOME", str(services))
    found = find()
    assert (found.version, found.scala, found.pair) == ("3.5.5-amzn-1", "2.12", pair_for("3.5.5"))
    assert (found.has_delta, found.has_s3a, found.hadoop) == (True, True, "3.4.1-amzn-2")
    with pytest.raises(EngineError, match=r"3\.5\.5-amzn-1"):
        spark_artifacts.require_same(found)


def test_a_build_for_another_scala_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", str(spark_home(tmp_path / "spark", "spark-core_2.13-3.5.9.jar")))
    with pytest.raises(EngineError, match=r"2\.13"):
        _ = find().pair


def test_a_spark_with_its_own_delta_or_s3a_gets_neither_a_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = {
        "io.delta_delta-spark_4.1_2.13-4.3.1.jar", "io.delta_delta-storage-4.3.1.jar",
        "org.apache.hadoop_hadoop-aws-3.4.2.jar", "software.amazon.awssdk_s3-2.29.52.jar",
        "org.postgresql_postgresql-42.7.14.jar", "org.reactivestreams_reactive-streams-1.0.4.jar",
    }  # fmt: skip
    spark_home(tmp_path / "4.3.1", *ours)
    (tmp_path / "4.3.1" / "complete").touch()
    settings = settings_for("spark", tmp_path).model_copy(
        update={"spark": SparkSettings(jars_folder=str(tmp_path))}
    )

    def given(*own: str, delta: bool = True) -> set[str]:
        home = spark_home(tmp_path / f"spark{len(own)}{delta}", "spark-core_2.13-4.1.1.jar", *own)
        monkeypatch.setenv("SPARK_HOME", str(home))
        return {jar.name.partition("_")[0] for jar in jars(settings, delta=delta)}

    assert given() == {"io.delta", "org.apache.hadoop", "software.amazon.awssdk", "org.reactivestreams"}
    assert given("delta-spark_4.1_2.13-4.2.0.jar") == {
        "org.apache.hadoop", "software.amazon.awssdk", "org.reactivestreams",
    }  # fmt: skip
    assert given("delta-spark_4.1_2.13-4.2.0.jar", "hadoop-aws-3.4.2.jar") == {"org.reactivestreams"}
    assert "io.delta" not in given("another.jar", "third.jar", "fourth.jar", delta=False)


def test_the_digest_of_each_jar_that_is_added_is_known() -> None:
    lines = (settings_home() / "conf" / "spark-jars.sha256").read_text(encoding="utf-8").splitlines()
    known = {line.split()[1] for line in lines}
    assert {
        "{}_{}-{}.jar".format(*package.split(":")) for pair in PAIRS for package in pair.packages
    } <= known


def test_a_jar_that_is_another_than_the_one_chosen_is_deleted_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path))
    (tmp_path / "conf").mkdir()
    jars = tmp_path / "jars"
    jars.mkdir()
    (jars / "good.jar").write_bytes(b"good")
    digest = hashlib.sha256(b"good").hexdigest()
    (tmp_path / "conf" / "spark-jars.sha256").write_text(f"{digest}  good.jar\n{digest}  changed.jar\n")
    require_known(jars)
    (jars / "changed.jar").write_bytes(b"evil")
    (jars / "added.jar").write_bytes(b"good")
    with pytest.raises(EngineError, match=r"added\.jar, changed\.jar"):
        require_known(jars)
    assert [jar.name for jar in jars.iterdir()] == ["good.jar"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), False),
        (("--executor-memory", "4g", "jobs/run_pipeline.py", "--date", "2017-01-05"), False),
        (("--packages", "io.delta:delta-spark_2.13:4.0.0", "jobs/run_pipeline.py"), True),
        (("--jars", "/opt/a.jar,/usr/share/aws/delta/lib/delta-spark.jar", "jobs/run_pipeline.py"), True),
        (("--packages=io.delta:delta-spark_2.13:4.0.0", "jobs/run_pipeline.py"), True),
        (("--conf", "spark.jars.packages=io.delta:delta-core_2.12:2.4.0", "jobs/run_pipeline.py"), True),
        (("--conf", "spark.databricks.delta.snapshotPartitions=4", "jobs/run_pipeline.py"), False),
    ],
)
def test_a_delta_that_is_given_to_spark_submit_is_seen(arguments: tuple[str, ...], named: bool) -> None:
    assert names_delta(arguments) is named


def test_s3a_gets_the_credentials_chain_of_its_sdk_and_times_that_hadoop_3_3_reads(tmp_path: Path) -> None:
    settings = settings_for("spark", tmp_path).model_copy(
        update={"lake": LakeSettings(url="s3://bucket/lake")}
    )
    for pair in PAIRS:
        options = spark_options(settings, Home(f"{pair.spark}.1"))
        assert options[CREDENTIALS].startswith(
            "com.amazonaws." if pair.spark == "3.5" else "software.amazon."
        )
        assert int(options["spark.hadoop.fs.s3a.connection.timeout"]) == 30_000
        assert int(options["spark.hadoop.fs.s3a.connection.establish.timeout"]) == 15_000
    of_service = spark_options(settings, Home("3.5.5-amzn-1", hadoop="3.4.1-amzn-2"))
    assert of_service[CREDENTIALS].startswith("software.amazon.")
