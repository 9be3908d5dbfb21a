"""A column comes, goes or is renamed: of a day that is staged again only rows with a value in it change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retail.pipeline.step_context import StepContext
from retail.star import staging
from retail.star.build import build
from tests.star.altered import Changes, copy_package, stage_again
from tests.star.conftest import DAY, answer, record, write_raw
from tests.star.test_merge import table

MakeContext = Callable[[str], StepContext]

ADDED: Changes = {
    "records.py": {
        "    mapping_version: str | None = None\n": "    sales_channel: str | None = None\n"
        "    mapping_version: str | None = None\n",
        "    gtin: str | None = None\n": "    gtin: str | None = None\n    colour: str | None = None\n",
    },
    "star/tables/fact_sales.py": {"currency string, ": "currency string, sales_channel string, "},
    "star/tables/dim_product.py": {"gtin string": "gtin string, colour string"},
}
REMOVED: Changes = {
    "records.py": {
        '    "discount_amount": "decimal(18,4)",\n': "",
        "    discount_amount: str | None = None\n": "",
    },
    "star/tables/fact_sales.py": {"discount_amount decimal(18,4), ": ""},
}
RENAMED: Changes = {
    "records.py": {"discount_amount": "reduction"},
    "star/tables/fact_sales.py": {"discount_amount": "reduction"},
}
LINES = 12
# Of twelve lines, each of another product, every third has a channel, a colour and a discount.
WITH_VALUE = {f"t{n}" for n in range(0, LINES, 3)}
ALL = {"inserted": 0, "updated": 0, "touched": 0, "unchanged": 0, "stale": 0}


def lines(count: int = LINES) -> list[str]:
    """The day's raw file, which has the fields that older code does not know."""
    found = []
    for n in range(count):
        transaction = f"t{n}"
        has = transaction in WITH_VALUE
        line: dict[str, Any] = json.loads(
            record(
                transaction_id=transaction, product_id=f"p{n}", source_ref=answer("20170106T010000Z-a", place=n),
                discount_amount="1.5" if has else None, mapping_version="1",
            ).to_line()
        )  # fmt: skip
        ref = line.pop("source_ref")
        more = {"sales_channel": "web", "colour": "blue", "reduction": "1.5"} if has else {"reduction": None}
        found.append(json.dumps(line | more | {"source_ref": ref}))
    return found


@pytest.fixture
def before(make_context: MakeContext) -> dict[str, int]:
    """Content hashes of the facts that today's code made of the day, by transaction."""
    context = make_context("run-1")
    write_raw(context, [*lines()])
    built = build(context, staging.stage(context, [("retailer_1", DAY)], row_rules=[]))
    assert built.actions["fact_sales"] == ALL | {"inserted": LINES}
    return dict(table(context, "fact_sales", "transaction_id", "content_hash"))  # type: ignore[arg-type]


def facts(found: dict[str, Any], *columns: str) -> dict[str, Any]:
    rows = found["rows"]["fact_sales"].values()
    return {row["transaction_id"]: tuple(row[column] for column in columns) for row in rows}


def changed(found: dict[str, Any], before: dict[str, int]) -> set[str]:
    """The transactions whose fact has another hash now."""
    return {name for name, (now,) in facts(found, "content_hash").items() if now != before.get(name, now)}


@pytest.mark.spark_nightly
@pytest.mark.slow
def test_a_day_staged_again_after_a_column_was_added_brings_its_values_and_changes_no_other_row(
    engine: str, tmp_path: Path, before: dict[str, int]
) -> None:
    code = copy_package(tmp_path / "added", ADDED)
    found = stage_again(code, engine, tmp_path / "lake", "run-2", DAY)

    assert found["actions"]["fact_sales"] == ALL | {"updated": 4, "unchanged": 8}
    assert found["actions"]["dim_product"] == ALL | {"updated": 4, "unchanged": 8}
    assert changed(found, before) == WITH_VALUE
    assert facts(found, "sales_channel", "changed_run_id") == {
        f"t{n}": ("web", "run-2") if f"t{n}" in WITH_VALUE else (None, "run-1") for n in range(LINES)
    }
    colours = {row["product_id"]: row["colour"] for row in found["rows"]["dim_product"].values()}
    assert colours == {"unknown": None} | {
        f"p{n}": "blue" if f"t{n}" in WITH_VALUE else None for n in range(LINES)
    }


@pytest.mark.spark_nightly
@pytest.mark.slow
def test_a_day_staged_twice_after_a_column_was_added_changes_nothing_the_second_time(
    engine: str, tmp_path: Path, before: dict[str, int]
) -> None:
    code = copy_package(tmp_path / "added", ADDED)
    found = stage_again(code, engine, tmp_path / "lake", "run-2", DAY)
    again = stage_again(code, engine, tmp_path / "lake", "run-3", DAY)
    assert again["actions"]["fact_sales"] == again["actions"]["dim_product"] == ALL | {"unchanged": LINES}
    assert again["versions"] == found["versions"]


@pytest.mark.spark_nightly
@pytest.mark.slow
def test_a_day_staged_again_after_a_column_was_removed_changes_only_the_rows_that_had_a_value(
    engine: str, tmp_path: Path, make_context: MakeContext, before: dict[str, int]
) -> None:
    write_raw(make_context("x"), [*lines(LINES + 1)])
    code = copy_package(tmp_path / "removed", REMOVED)
    found = stage_again(code, engine, tmp_path / "lake", "run-2", DAY)

    assert found["actions"]["fact_sales"] == ALL | {"inserted": 1, "updated": 4, "unchanged": 8}
    assert found["actions"]["dim_product"] == ALL | {"inserted": 1, "unchanged": LINES}
    assert changed(found, before) == WITH_VALUE


@pytest.mark.spark_nightly
@pytest.mark.slow
def test_a_day_staged_again_after_a_column_was_renamed_changes_only_the_rows_that_have_a_value(
    engine: str, tmp_path: Path, before: dict[str, int]
) -> None:
    code = copy_package(tmp_path / "renamed", RENAMED)
    found = stage_again(code, engine, tmp_path / "lake", "run-2", DAY)

    assert found["actions"]["fact_sales"] == ALL | {"updated": 4, "unchanged": 8}
    assert changed(found, before) == WITH_VALUE
    assert facts(found, "reduction") == {
        f"t{n}": ("1.5000" if f"t{n}" in WITH_VALUE else None,) for n in range(LINES)
    }
