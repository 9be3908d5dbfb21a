"""`make demo`, as a user would run it, in a copy of the checkout; twice."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg2
import pytest
from deltalake import DeltaTable

from retail.config.settings import home, load_settings
from retail.warehouse.embedded import server as embedded
from retail.warehouse.schema.ddl import view_files
from tests.end_to_end.conftest import START, Truth

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

VIEWS = tuple(file.stem for file in view_files())
STEPS = ("extract", "land", "stage", "gate", "merge", "publish", "check", "refresh")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if not (Path(sys.prefix) / ".complete").exists():
        pytest.skip("needs the environment that `make setup` makes, and runs in another one")
    copy = tmp_path_factory.mktemp("demo") / "retail-lakehouse"
    left_out = shutil.ignore_patterns(".venv", "var", ".git", "__pycache__", ".*_cache", "*.egg-info")
    shutil.copytree(home(), copy, ignore=left_out)
    yield copy
    subprocess.run(["retail", "warehouse", "stop"], cwd=copy, check=True)


def make_demo(checkout: Path) -> str:
    # -o: the environment is there; made anew, it would belong to the copy.
    command = ["make", "-o", f"{sys.prefix}/.complete", "demo", f"VENV={sys.prefix}"]
    ended = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stdout


def state(checkout: Path) -> dict[str, object]:
    """Versions of the Delta tables, and how often a row of PostgreSQL was ever written."""
    star = checkout / "var/lake/star"
    found: dict[str, object] = {path.name: DeltaTable(str(path)).version() for path in star.iterdir()}
    settings = load_settings(home() / "conf/local.toml").warehouse
    settings = settings.model_copy(update={"data_folder": str(checkout / "var/postgresql")})
    with embedded.running(settings) as server:
        connection = psycopg2.connect(
            host=server.host, port=server.port, user=server.user, password=server.password.reveal(),
            dbname=settings.database,
        )  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT schemaname || '.' || relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables"
            )
            found |= {name: counts for name, *counts in cursor.fetchall()}
        connection.close()
    return found


def test_make_demo_shows_the_whole_way_and_a_second_one_changes_no_row(checkout: Path, truth: Truth) -> None:
    shown = make_demo(checkout)
    source = truth([START + timedelta(days=n) for n in range(7)])
    for step in STEPS:
        assert f"\n  {step} " in shown
    assert ": success" in shown
    for retailer in ("retailer_1", "retailer_2", "retailer_3"):
        of_retailer = [figures for (name, _), figures in source.items() if name == retailer]
        rows, money = sum(rows for rows, _ in of_retailer), sum((m for _, m in of_retailer), Decimal(0))
        line = next(line for line in shown.splitlines() if line.startswith(f"{retailer}  USD"))
        assert f" {rows:,} " in line
        assert f" {money:,.2f} " in shown
    for view in VIEWS:
        assert f"marts.{view}\n" in shown
    for hint in ("psql ", "var/lake/star/fact_sales", "retail status", "postgresql://"):
        assert hint in shown

    before = state(checkout)
    again = make_demo(checkout)
    assert ": success" not in again
    assert state(checkout) == before


@pytest.mark.nightly
def test_more_days_go_on_from_there(checkout: Path, truth: Truth) -> None:
    ended = subprocess.run(
        ["retail", "demo", "--days", "8"], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    fact = DeltaTable(str(checkout / "var/lake/star/fact_sales")).to_pyarrow_table()
    source = truth([date(2017, 1, day) for day in range(1, 9)])
    assert fact.num_rows == sum(rows for rows, _ in source.values())
    assert sum(fact["total_amount"].to_pylist()) == sum(money for _, money in source.values())
