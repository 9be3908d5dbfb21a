"""Each Spark and Delta that is supported: days and their corrections through all steps, equal to Sail's row by row.

Needs `make sparks`; what is not there is skipped. `make test-sparks` runs it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable

from retail.cli.local import demo
from retail.config.settings import home
from retail.lake import spark_artifacts
from tests.conftest import needs_java
from tests.end_to_end.installation import CONTENT, Installation, star_of, warehouse_of
from tests.s3 import S3Server

pytestmark = [
    pytest.mark.sparks,
    pytest.mark.nightly,
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.spark,
    pytest.mark.xdist_group("sparks"),
]

JOB = str(home() / "jobs" / "run_pipeline.py")
DAYS = [date(2017, 1, day) for day in (1, 2, 3)]
# After each day by just what Amazon wants.
CLOCKS = [datetime(2017, 1, day.day + 1, 0, 2, 30, tzinfo=UTC) for day in DAYS]
IN_UTC = {f"RETAIL_RETAILERS__RETAILER_{n}__TIME_ZONE": "Etc/UTC" for n in (1, 2, 3)}

Install = Callable[..., Installation]


@dataclass(frozen=True)
class Case:
    """A Spark and a Delta; `own` is that of a service, given to spark-submit, and None stands for ours."""

    spark: str
    delta: str
    own: str | None = None

    @property
    def name(self) -> str:
        return f"spark_{self.spark}_delta_{self.delta}".replace(".", "_")

    @property
    def python(self) -> Path:
        if self.spark == spark_artifacts.PAIRS[-1].spark:
            return Path(sys.executable)
        return home() / "var" / "sparks" / self.spark / ".venv" / "bin" / "python"

    @property
    def options(self) -> list[str]:
        return ["--packages", f"{self.own}:{self.delta}"] if self.own else []


CASES = [
    Case("3.5", "3.3.3"),
    Case("3.5", "3.3.2", "io.delta:delta-spark_2.12"),
    Case("4.0", "4.0.1"),
    Case("4.0", "4.0.0", "io.delta:delta-spark_2.13"),
    Case("4.1", "4.3.1"),
    Case("4.1", "4.2.0", "io.delta:delta-spark_4.1_2.13"),
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case.spark}+{case.delta}")
def case(request: pytest.FixtureRequest) -> Case:
    needs_java()
    found: Case = request.param
    if not found.python.exists():
        if os.environ.get("RETAIL_REQUIRE_SPARKS"):
            pytest.fail(f"RETAIL_REQUIRE_SPARKS is set, and there is no {found.python}")
        pytest.skip(f"Spark {found.spark} is not here: `make sparks` installs it")
    return found


@pytest.fixture(scope="module")
def living() -> Iterator[list[str]]:
    """The retailers as they are after each day; they change lines of the days before."""
    options = ("--changes", "--speed", "0")
    with ExitStack() as stack:
        yield [
            stack.enter_context(demo.simulator(demo.demo_environment(), clock=clock, options=options))
            for clock in CLOCKS
        ]


@dataclass(frozen=True)
class Expected:
    installation: Installation
    star: list[dict[str, list[tuple[object, ...]]]]  # after each day
    warehouse: list[dict[str, list[tuple[object, ...]]]]


@pytest.fixture(scope="module")
def by_sail(install: Install, living: list[str]) -> Expected:
    made = install("sparks_by_sail", address=living[0])
    star, warehouse = [], []
    for number in range(len(DAYS)):
        _on_sail(made, _day(made, living, number))
        star.append(star_of(made))
        warehouse.append(warehouse_of(made))
    assert _corrected(star), "no line of the first day was corrected by a later day"
    return Expected(made, star, warehouse)


def test_days_and_corrections_are_those_of_sail_in_process_by_spark_submit_and_by_both_engines_in_turn(
    case: Case, install: Install, living: list[str], by_sail: Expected
) -> None:
    made = install(case.name, address=living[0])
    if case.own:  # only spark-submit can bring a Delta
        _submit(made, case, DAYS[0])
    else:
        _in_process(made, case, "run", "--date", str(DAYS[0]))
    assert star_of(made) == by_sail.star[0]
    assert warehouse_of(made) == by_sail.warehouse[0]

    _submit(made, case, _day(made, living, 1), RETAIL_SYNC__METHOD="jdbc")
    assert star_of(made) == by_sail.star[1]
    assert warehouse_of(made) == by_sail.warehouse[1]
    _in_process(made, case, "maintain")
    assert star_of(made) == by_sail.star[1]
    assert _engines(made) == {f"Delta-Lake/{case.delta}"}

    _on_sail(made, _day(made, living, 2))
    assert star_of(made) == by_sail.star[2]
    assert warehouse_of(made) == by_sail.warehouse[2]
    for table in CONTENT:
        protocol = DeltaTable(str(made.folder / "lake" / table)).protocol()
        assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2), table


@pytest.mark.s3
def test_a_day_with_the_lake_on_s3_is_that_of_sail(
    case: Case, install: Install, living: list[str], by_sail: Expected, s3_server: S3Server
) -> None:
    made, lake = install(f"{case.name}_s3", address=living[0]), s3_server.new_lake()
    variables = {
        "RETAIL_LAKE__URL": lake.url,
        "RETAIL_LAKE__S3_ENDPOINT": str(lake.s3_endpoint),
        "RETAIL_LAKE__S3_PATH_STYLE": "true",
    }
    _submit(made, case, DAYS[0], **variables)
    assert warehouse_of(made) == by_sail.warehouse[0]


def _day(made: Installation, living: list[str], number: int) -> date:
    """The day of that number; the installation's retailers are from now on as they are after it."""
    text = made.conf.read_text(encoding="utf-8")
    for address in living:
        text = text.replace(address, living[number])
    made.conf.write_text(text, encoding="utf-8")
    return DAYS[number]


def _on_sail(made: Installation, day: date) -> None:
    ended = made.retail("run", "--date", str(day), **IN_UTC)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def _in_process(made: Installation, case: Case, *arguments: str) -> None:
    command = [str(case.python), "-m", "retail.cli", *arguments]
    ended = made.run(command, {"RETAIL_ENGINE": "spark", "SPARK_LOCAL_IP": "127.0.0.1", **IN_UTC})
    assert ended.returncode == 0, ended.stdout + ended.stderr


def _submit(made: Installation, case: Case, day: date, **variables: str) -> None:
    of_run = {"RETAIL_PYTHON": str(case.python), "SPARK_LOCAL_IP": "127.0.0.1", **IN_UTC, **variables}
    ended = made.spark_submit(*case.options, JOB, "--date", str(day), **of_run)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def _engines(made: Installation) -> set[str]:
    """The Delta that wrote each of Spark's commits, as it says itself."""
    found = set()
    for commit in (made.folder / "lake/star/fact_sales/_delta_log").glob("*.json"):
        for line in commit.read_text(encoding="utf-8").splitlines():
            said = json.loads(line).get("commitInfo", {}).get("engineInfo", "")
            found |= {word for word in said.split() if word.startswith("Delta-Lake/")}
    return found


def _corrected(star: list[dict[str, list[tuple[object, ...]]]]) -> bool:
    return bool(set(star[0]["star/fact_sales"]) - set(star[-1]["star/fact_sales"]))
