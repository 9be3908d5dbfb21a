"""What tests share: the two engines, and how a test says what it needs."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from graphql import GraphQLSchema, build_schema
from pyspark.sql import SparkSession

from retail import outgoing_text
from retail.config.settings import LakeSettings, RetailerSettings, Settings, SparkSettings, SyncSettings, home
from retail.lake.engine import open_session
from tests.s3 import S3Server, running_s3


def pytest_configure() -> None:
    """One seed for all random tests and all workers, told in the header."""
    os.environ.setdefault("RETAIL_TEST_SEED", str(secrets.randbelow(2**32)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is `spark_nightly` is `nightly` where it runs on Spark."""
    for item in items:
        if item.get_closest_marker("spark_nightly") and item.get_closest_marker("spark"):
            item.add_marker("nightly")


def pytest_report_header() -> str:
    return f"seed of random tests: RETAIL_TEST_SEED={os.environ['RETAIL_TEST_SEED']}"


JARS = home() / "var" / "jars"


def settings_for(engine: str, lake: Path) -> Settings:
    """Settings of a test: three retailers in three zones, a lake in a folder of its own."""
    zones = ("America/Los_Angeles", "America/Chicago", "America/New_York")
    services = ("amazon", "walmart", "shopify")
    return Settings(
        engine=engine,
        start_date="2017-01-01",
        lake=LakeSettings(url=str(lake)),
        spark=SparkSettings(
            master="local[2]", driver_memory="2g", shuffle_partitions=2, jars_folder=str(JARS)
        ),
        retailers={
            f"retailer_{n}": RetailerSettings(
                service=service, name=f"Retailer {n}", base_url="http://127.0.0.1:1", time_zone=zone
            )
            for n, (service, zone) in enumerate(zip(services, zones, strict=True), start=1)
        },
    )


def needs_java() -> None:
    """Skip where there is no Java; CI sets a switch that makes this a failure."""
    if shutil.which("java") is None:
        if os.environ.get("RETAIL_REQUIRE_JAVA"):
            pytest.fail("RETAIL_REQUIRE_JAVA is set, and there is no java on the PATH")
        pytest.skip("Spark needs Java 17 or newer, and there is no java on the PATH")


@pytest.fixture(autouse=True)
def logging_as_it_is() -> None:
    """A command that another test gave in this process has chosen which log lines are written."""
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def secrets_of_this_test_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret of one test may be an ordinary word in another one's output: each knows its own, and its fixtures'."""
    for name in ("_known", "_whole", "_pieces", "_grams"):
        monkeypatch.setattr(outgoing_text, name, set(getattr(outgoing_text, name)))


@pytest.fixture(
    scope="session",
    params=["sail", pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.xdist_group("spark")])],
)
def engine(request: pytest.FixtureRequest) -> str:
    """Each test that asks for it runs on both engines."""
    if request.param == "spark":
        needs_java()
    return str(request.param)


@pytest.fixture(scope="session")
def session(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """One session of the engine for all tests of a worker; Spark's tries a task twice, and knows PostgreSQL."""
    settings = settings_for(engine, tmp_path_factory.mktemp("lake"))
    twice = settings.spark.model_copy(update={"master": "local[2,2]"})
    update = {"spark": twice, "sync": SyncSettings(method="jdbc")}
    with open_session(settings.model_copy(update=update)) as opened:
        yield opened


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server for the tests of a worker."""
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def specs() -> Path:
    """The retailers' own specifications, which are no part of the repository."""
    folder = Path(os.environ.get("RETAIL_SHARED_APIS", home().parent / "shared" / "apis"))
    if not folder.is_dir():
        pytest.skip(f"the retailers' specifications are not here: no folder {folder} (RETAIL_SHARED_APIS)")
    return folder


@pytest.fixture(scope="session")
def admin_schema(specs: Path) -> GraphQLSchema:
    """Shopify's own schema; its descriptions, nine tenths of it, are left out."""
    official = (specs / "shopify" / "admin_2026-10.graphql").read_text(encoding="utf-8")
    return build_schema(re.sub(r'"""[\s\S]*?"""', "", official), assume_valid=True)
