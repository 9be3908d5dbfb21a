"""Lakes that older code made are brought to today's form: nothing lost, nothing doubled, no figure changed."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from retail import star
from retail.errors import StorageError
from retail.lake import delta, layout
from retail.lake.layout import raw_file
from retail.runs import table_rewrites
from retail.runs.context import Context
from retail.star import merge, migration, staging
from retail.star.tables import dim_customer, fact_sales
from tests.oracle.histories import Run
from tests.oracle.playing import Lake, settings_of
from tests.star.conftest import record, write_raw
from tests.star.data.make_issue_1_lake import DAYS, RUNS
from tests.star.test_merge import ON_SAIL, merged, table

MakeContext = Callable[[str], Context]
NEWER = replace(
    fact_sales.TABLE, schema=fact_sales.TABLE.schema + ", sales_channel string, weight decimal(18,3)"
)


@pytest.fixture
def lake_of_issue_1(session: SparkSession, engine: str, tmp_path: Path) -> Lake:
    """The lake that the code of issue 1 made, with the model of its two runs beside it."""
    with tarfile.open(Path(__file__).parent / "data" / "issue_1_lake.tar.gz") as tar:
        tar.extractall(tmp_path / "lake", filter="data")
    lake = Lake(session, settings_of(engine, tmp_path / "lake"))
    lake.raw = {unit: _lines(lake, unit) for unit in DAYS}
    for number, units in enumerate(RUNS, start=1):
        lake.model.run(f"run-{number}", {unit: lake.raw[unit] for unit in units})
    return lake


def _lines(lake: Lake, unit: tuple[str, object]) -> list[str]:
    return lake.resources.storage.read(raw_file(*unit)).decode().splitlines()  # type: ignore[arg-type]


def test_the_lake_of_issue_1_is_today_s_after_its_migration_and_its_days_again_change_no_figure(
    lake_of_issue_1: Lake,
) -> None:
    lake = lake_of_issue_1
    context = lake.resources.context("migration")
    assert not table_rewrites.begun_on(lake.resources.storage, fact_sales.TABLE.path, 2)

    migration.migrate(context, star.TABLES)

    lake.compare_star("migration")
    assert json.loads(lake.resources.storage.read("ops/format.json"))["format"] == 2
    # The whole way of a run; its report says what the model says: everything unchanged.
    lake.play(Run(landed=(), units=tuple(DAYS)), "run-3")


@ON_SAIL
def test_a_run_migrates_by_itself_and_a_mended_mapping_wins_over_the_rows_of_issue_1(
    lake_of_issue_1: Lake,
) -> None:
    lake = lake_of_issue_1
    unit = next(iter(DAYS))
    mended = [line.replace('"source_ref"', '"mapping_version":"1","source_ref"') for line in lake.raw[unit]]
    assert mended != lake.raw[unit]
    lake.land(unit, [line.replace('"total_amount":"0.10"', '"total_amount":"0.20"') for line in mended])

    lake.play(Run(landed=(), units=(unit,)), "run-3")

    amounts = table(lake.resources.context("x"), "fact_sales", "line_id", "total_amount")
    assert ("2", Decimal("0.2000")) in amounts


@ON_SAIL
def test_a_migration_that_was_killed_in_the_middle_goes_on(
    lake_of_issue_1: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = lake_of_issue_1
    context = lake.resources.context("migration")
    rewrite, done = migration._REWRITES[1], []

    def killed_at_the_third(of: Context, each: star.table.Table) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        rewrite(of, each)
        done.append(each)

    monkeypatch.setitem(migration._REWRITES, 1, killed_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        migration.migrate(context, star.TABLES)
    monkeypatch.undo()

    lake.play(Run(landed=(), units=tuple(DAYS)), "run-3")


@ON_SAIL
def test_a_lake_in_its_newest_form_is_not_touched(make_context: MakeContext) -> None:
    context = make_context("run-1")
    migration.migrate(context, star.TABLES)
    assert json.loads(context.storage.read("ops/format.json")) == {"format": 2}
    merged(context, record(mapping_version="3"))
    context.storage.delete("ops/format.json")  # as issue 2 left it: today's hashes, and no word of them
    before = {each.name: delta.version(context.storage, each.path) for each in star.TABLES}

    migration.migrate(make_context("run-2"), star.TABLES)

    assert {each.name: delta.version(context.storage, each.path) for each in star.TABLES} == before
    assert merged(make_context("run-3"), record(mapping_version="3")).actions["fact_sales"]["unchanged"] == 1


@ON_SAIL
def test_a_lake_of_newer_code_is_refused(make_context: MakeContext) -> None:
    context = make_context("run-1")
    context.storage.write("ops/format.json", b'{"format": 99}')
    with pytest.raises(StorageError, match=r"has format 99.*knows formats up to 2"):
        migration.migrate(context, star.TABLES)


@ON_SAIL
def test_a_form_that_cannot_be_read_is_named(make_context: MakeContext) -> None:
    context = make_context("run-1")
    context.storage.write("ops/format.json", b'{"format"')
    with pytest.raises(StorageError, match="cannot be read"):
        migration.require_known(context.storage)


@ON_SAIL
def test_a_table_gets_an_added_column_and_its_old_rows_are_null_in_it(make_context: MakeContext) -> None:
    context = make_context("run-1")
    merged(context, record(), record(line_id="2", business_date="2017-02-01", sold_at="2017-02-01T09:00:00Z"))
    before = table(context, "fact_sales", *fact_sales.TABLE.columns)

    migration.migrate(context, [NEWER])
    version = delta.version(context.storage, NEWER.path)
    migration.migrate(context, [NEWER])

    assert delta.version(context.storage, NEWER.path) == version
    assert table(context, "fact_sales", *fact_sales.TABLE.columns) == before
    assert set(table(context, "fact_sales", "sales_channel", "weight")) == {(None, None)}


def test_a_row_is_merged_into_the_added_column(make_context: MakeContext) -> None:
    context = make_context("run-1")
    merged(context, record(), record(transaction_id="t2"))
    migration.migrate(context, [NEWER])
    after = make_context("run-2")
    later = {"updated_at": "2017-01-07T00:00:00.000000Z", "transaction_id": "t2"}
    write_raw(after, [record(**later), record(**{**later, "transaction_id": "t3"})])
    staged = staging.stage(after, [("retailer_1", RUNS[0][0][1])], row_rules=[])
    sales = delta.read(after.session, after.storage, layout.STAGED_SALES, at=staged.sales_version)
    rows = sales.selectExpr("*", "'web' AS sales_channel", "cast(quantity AS decimal(18,3)) AS weight")
    rows = rows.select(*NEWER.own_columns, "content_hash")

    planned = merge.plan(after, NEWER, rows)
    merge.into(after, NEWER, rows, planned)

    assert (planned.rows["inserted"], planned.rows["updated"]) == (1, 1)
    assert table(after, "fact_sales", "transaction_id", "sales_channel", "weight") == [
        ("t1", None, None), ("t2", "web", Decimal("2.000")), ("t3", "web", Decimal("2.000")),
    ]  # fmt: skip


@ON_SAIL
def test_a_quarantine_of_older_code_takes_rows_with_a_new_column(make_context: MakeContext) -> None:
    context = make_context("run-1")
    merged(context, record(currency=None))
    rows = delta.read(context.session, context.storage, layout.QUARANTINE).drop("severity", "warnings")
    older = context.session.createDataFrame(rows.collect(), rows.schema)
    delta.replace(older, context.storage, layout.QUARANTINE)

    after = make_context("run-2")
    write_raw(after, [record(retailer_id="retailer_2", currency=None)], retailer="retailer_2")
    staging.stage(after, [("retailer_2", RUNS[0][0][1])], row_rules=[])

    found = delta.read(context.session, context.storage, layout.QUARANTINE).collect()
    assert {(row.from_retailer, row.run_id, row.severity) for row in found} == {
        ("retailer_1", "run-1", None), ("retailer_2", "run-2", "error"),
    }  # fmt: skip


@ON_SAIL
def test_a_merge_that_was_planned_before_a_migration_is_planned_anew_and_done(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_context("run-1")

    def killed(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(merge, "into", killed)
    with pytest.raises(KeyboardInterrupt):
        merged(context, record())
    monkeypatch.undo()
    wider = replace(dim_customer.TABLE, schema=dim_customer.TABLE.schema + ", segment string")
    migration.migrate(context, [NEWER, wider])

    merged(context, record())

    assert len(table(context, "fact_sales", "sales_key")) == 1
    assert len(table(context, "dim_customer", "customer_key")) == 2


@ON_SAIL
def test_a_migration_that_failed_before_its_commit_leaves_no_note(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_context("run-1")
    merged(context, record())
    version = delta.require_version(context.storage, NEWER.path)

    def failed(*_: object) -> None:
        raise StorageError("no space left")

    monkeypatch.setattr(delta, "add_columns", failed)
    with pytest.raises(StorageError, match="no space left"):
        migration.migrate(context, [NEWER])
    assert not table_rewrites.begun_on(context.storage, NEWER.path, version)
