"""The command line: its exit codes and what it says before any work starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result
from tests.config.test_settings import GOOD

from retail.cli import main
from retail.cli.local.demo import demo_environment
from retail.cli.options import COMMAND_GROUPS
from retail.config.settings import home
from retail.lake.storage.local import LocalStorage
from retail.runs.ledger import Ledger
from retail.warehouse.embedded.cluster import free_port

Command = Callable[..., Result]


@pytest.fixture
def retail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Runs the command with a configuration of one retailer that no one answers for, and no secret set."""
    for name in demo_environment():
        if name.startswith("RETAIL_"):
            monkeypatch.delenv(name, raising=False)
    conf = tmp_path / "test.toml"
    conf.write_text(GOOD.replace('"lake"', f'"{tmp_path / "lake"}"'))
    monkeypatch.setenv("RETAIL_CONF", str(conf))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    yield run
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ingest",), "name the days"),
        (("backfill",), "name the days"),
        (("backfill", "--to", "2017-01-02"), "name the days"),
        (("transform", "--run-id", "nightly"), "there is no run nightly: start it with `retail ingest"),
        (("check", "--date", "2017-01-01", "--redo"), "--redo needs --run-id"),
        (("run", "--from", "2017-01-02"), "name the days"),
        (("run", "--date", "2017-01-02", "--from", "2017-01-02", "--to", "2017-01-03"), "name the days"),
        (("run", "--date", "yesterday"), "'yesterday' does not match"),
        (("run", "--from", "2017-01-03", "--to", "2017-01-02"), "is later than"),
        (("run", "--date", "2016-12-31"), "2016-12-31"),
        (("run", "--date", "2017-01-01", "--only", "retailer_9"), "the configuration has retailer_1"),
        (("ingest", "--date", "2017-01-01", "--run-id", "../x"), "'../x'"),
        (("ruin",), "No such command"),
    ],
)
def test_usage_errors_end_with_2_and_say_what_is_wrong(
    arguments: tuple[str, ...], said: str, retail: Command, tmp_path: Path
) -> None:
    result = retail(*arguments)
    assert result.exit_code == 2
    assert said in result.output
    assert not (tmp_path / "lake").exists()


def test_spark_submit_tells_a_wrong_configuration_as_the_command_does(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("engin = 'spark'")
    variables = {"PATH": os.environ["PATH"], "RETAIL_PYTHON": sys.executable, "RETAIL_CONF": str(wrong)}
    script = [home() / "spark-submit.sh", home() / "jobs" / "run_pipeline.py"]
    ended = subprocess.run(script, env=variables, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("retail: ")
    assert "engin" in ended.stderr


def test_missing_secrets_are_all_named_and_nothing_is_started(retail: Command, tmp_path: Path) -> None:
    result = retail("run", "--date", "2017-01-01")
    assert result.exit_code == 2
    for name in (
        "RETAILER_1_CLIENT_ID",
        "RETAILER_1_CLIENT_SECRET",
        "RETAILER_1_REFRESH_TOKEN",
        "CUSTOMER_PEPPER",
    ):
        assert f"RETAIL_{name}" in result.output
    assert not (tmp_path / "lake").exists()


def test_a_task_that_fetches_nothing_asks_for_no_retailer_s_secret(retail: Command) -> None:
    result = retail("transform", "--date", "2017-01-01")
    assert result.exit_code == 1
    assert "retailer_1 2017-01-01" in result.output
    assert "retail ingest" in result.output


def test_a_broken_configuration_ends_with_2_and_help_still_works(
    retail: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETAIL_ENGINE", "fast")
    result = retail("status")
    assert result.exit_code == 2
    assert "engine: Input should be 'sail' or 'spark'" in result.output
    assert retail("run", "--help").exit_code == 0


def test_status_of_an_empty_lake_says_how_to_begin(retail: Command) -> None:
    result = retail("status")
    assert result.exit_code == 0
    assert "No runs yet" in result.output


def test_status_tells_the_runs_of_a_postgresql_that_is_taken_back_and_out_of_reach(
    retail: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(LocalStorage(tmp_path / "lake"))
    ledger.begin("run-1", [("retailer_1", date(2017, 1, 1))], tasks=("transform",), engine="sail")
    ledger.reopen("run-1", ["publish"], reason="its publish was rolled back by someone")
    monkeypatch.setenv("RETAIL_WAREHOUSE__EMBEDDED", "false")
    monkeypatch.setenv("RETAIL_WAREHOUSE__HOST", "127.0.0.1")
    monkeypatch.setenv("RETAIL_WAREHOUSE__PORT", str(free_port()))
    result = retail("status")
    assert result.exit_code == 0, result.output
    assert "run-1" in result.output
    assert "unknown whether PostgreSQL was rolled back" in result.output


def test_the_demo_keeps_away_from_real_retailers_and_shared_places(
    retail: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETAIL_LAKE__URL", "s3://bucket/real")
    result = retail("demo")
    assert result.exit_code == 2
    for key in ("lake.url", "warehouse.embedded", "retailers.retailer_1.base_url"):
        assert f"  - {key}" in result.output
    assert not (tmp_path / "lake").exists()


def test_broken_expectations_and_missing_secrets_are_told_together_before_any_work(
    retail: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "expectations").mkdir()
    (tmp_path / "expectations/dim_store.json").write_text("{")
    (tmp_path / "expectations/row_rules.toml").write_text("[[rule]")
    (tmp_path / "fact_sales.json").write_text("{}")
    monkeypatch.setenv("RETAIL_SYNC__METHOD", "jdbc")
    result = retail("run", "--date", "2017-01-01")
    assert result.exit_code == 2
    for said in (
        "RETAIL_CUSTOMER_PEPPER",
        "dim_store.json",
        "row_rules.toml",
        f"{tmp_path}/fact_sales.json is not read: move it to {tmp_path}/expectations",
        "sync.method",
    ):
        assert said in result.output
    assert not (tmp_path / "lake").exists()


def test_every_command_that_is_not_hidden_is_in_one_group_of_the_help(retail: Command) -> None:
    shown = {name for name, command in main.commands.items() if not command.hidden}
    grouped = [name for names in COMMAND_GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(shown)
    assert {"note-failure", "spark-options"} == main.commands.keys() - shown
    printed = retail("--help").output
    assert all(f"\n{title}:\n" in printed for title in COMMAND_GROUPS)


def test_doctor_says_which_file_is_used(
    retail: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = " ".join(retail("doctor").output.split())
    assert said.startswith(f"ok configuration file: {tmp_path}/test.toml FAIL configuration and secrets: ")
    monkeypatch.delenv("RETAIL_CONF")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    shutil.copy("test.toml", "conf/local.toml")
    assert f"ok configuration file: {tmp_path}/conf/local.toml " in " ".join(retail("doctor").output.split())
    assert (
        f"{tmp_path}/other.toml cannot be read" in retail("--conf", f"{tmp_path}/other.toml", "doctor").output
    )
    assert "retail.toml or conf/local.toml of this folder, else of the package's" in " ".join(
        retail("--help").output.split()
    )
