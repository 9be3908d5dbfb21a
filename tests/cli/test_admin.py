"""`retail maintain` and `retail profile` as a person gives them."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from deltalake import write_deltalake

from retail.cli import main
from retail.config.settings import load_settings
from retail.errors import StorageError
from retail.lake.engine import open_session
from retail.lake.storage import open_storage
from retail.quality import profile
from retail.runs.ledger import Ledger

RUNS = [f"2017010{n}T000000Z-run" for n in range(1, 6)]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RETAIL_LAKE__URL", str(tmp_path / "lake"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "lake"


def retail(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_before_the_first_run_there_is_nothing_to_maintain_and_no_profile(lake: Path) -> None:
    assert retail("maintain").exit_code == 0
    result = retail("profile")
    assert result.exit_code == 2
    assert "no profile is stored for any run" in result.output


def test_the_newest_profile_is_shown_with_what_drifted_and_its_table_is_maintained(lake: Path) -> None:
    settings = load_settings()
    storage = open_storage(settings.lake)
    ledger = Ledger(storage)
    with open_session(settings) as session:
        for number, run_id in enumerate(RUNS):
            ledger.begin(run_id, [("retailer_1", date(2017, 1, 1))], tasks=["check"], engine="sail")
            brand = None if number == len(RUNS) - 1 else "Acme"
            rows = session.createDataFrame([(brand, n % 7) for n in range(200)], "brand string, quantity int")
            profile.write(session, storage, profile.profile(session, run_id, {"staged_sales": rows}))
            ledger.end_step(run_id, "check", {"summary": ""}, seconds=0)

    shown = retail("profile")
    assert shown.exit_code == 0, shown.output
    assert "staged_sales, 200 rows" in shown.output
    assert re.search(r"drifted: .*staged_sales: brand: 100\.0%", shown.output)
    assert f"run {RUNS[-1]}, compared with 4 earlier runs" in shown.output
    earlier = retail("profile", "staged_sales", "--run", RUNS[1])
    assert "Acme 100%" in earlier.output
    assert "drifted:" not in earlier.output
    wrong = retail("profile", "fact_sales")
    assert (wrong.exit_code, "it has staged_sales" in wrong.output) == (2, True)

    told = retail("maintain", "--dry-run")
    assert "quality/profile" in told.output
    assert "Nothing was changed" in told.output
    assert retail("maintain").exit_code == 0
    assert retail("profile").output == shown.output


def test_where_a_table_is_damaged_the_others_are_shown_it_is_named_and_the_end_is_1(lake: Path) -> None:
    for name in ("dim_date", "dim_store"):
        write_deltalake(lake / "star" / name, pa.table({"n": [1]}))
    (lake / "star" / "dim_store" / "_delta_log" / f"{0:020}.json").write_text('{"add": {')
    result = retail("maintain")
    assert result.exit_code == 1
    assert not isinstance(result.exception, StorageError)  # it is told, and not raised
    assert "star/dim_date" in result.output
    assert "star/dim_store could not be read" in result.output
    assert "next: " in result.output
