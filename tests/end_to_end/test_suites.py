"""What the suites find stops the real command, and the pages that tell of it are there when it has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from deltalake import DeltaTable

from tests.end_to_end.installation import Installation

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

DAY = ("--date", str(date(2017, 1, 1)))
Install = Callable[[str], Installation]


def test_a_fact_whose_store_is_gone_stops_the_check_and_is_told_by_its_key(install: Install) -> None:
    made = install("orphaned")
    ran = made.retail("run", *DAY)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    pages = made.folder / "lake/quality/data_docs"
    assert not pages.exists()
    fact = made.delta("star/fact_sales").to_pylist()[0]
    store = DeltaTable(str(made.folder / "lake/star/dim_store"))
    store.delete(f"store_key = {fact['store_key']}")
    (
        made.folder / "lake/ops/tables.json"
    ).unlink()  # else the check names the deletion before it looks at any key

    stopped = made.retail("check", *DAY)
    assert stopped.returncode == 4, stopped.stdout + stopped.stderr
    assert "fact_keys: expect_column_values_to_be_null(column=orphan_store_key)" in stopped.stderr
    assert f"/{fact['retailer_id']}/" in stopped.stderr
    index = (pages / "index.html").read_text()
    assert "orphan_store_key" in index
    (page,) = pages.glob("*/check-fact_keys.html")
    assert "orphan_store_key" in page.read_text()

    asked = made.retail("data-docs")
    assert asked.returncode == 0, asked.stderr
    assert "start with" in asked.stdout and asked.stdout.startswith("17 pages")
