"""Lakes that older code made are brought to today's form: nothing lost, nothing doubled, no figure changed."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from structlog.testing import capture_logs

from retail import star
from retail.errors import StorageError
from retail.lake import delta, layout
from retail.lake.layout import raw_file
from retail.lake.storage import Storage
from retail.pipeline.gate_step import gate_step
from retail.pipeline.merge_step import merge_step
from retail.pipeline.step_context import StepContext
from retail.runs import table_rewrites
from retail.star import merge, migration, staging
from retail.star.tables import dim_customer, fact_sales
from tests.oracle.histories import Run
from tests.oracle.playing import Lake, settings_of
from tests.star.conftest import DAY, record, write_raw
from tests.star.data import make_format_2_lake, make_issue_1_lake
from tests.star.test_merge import ON_SAIL, merged, table
from tests.steps import step_context

MakeContext = Callable[[str], StepContext]
NEWER = replace(
    fact_sales.TABLE, schema=fact_sales.TABLE.schema + ", sales_channel string, weight decimal(18,3)"
)


MADE = {"issue_1": make_issue_1_lake, "format_2": make_format_2_lake}
TODAY = {"format": migration.FORMAT}


@pytest.fixture(params=[pytest.param("issue_1", marks=pytest.mark.spark_nightly), "format_2"])
def older_lake(request: pytest.FixtureRequest, session: SparkSession, engine: str, tmp_path: Path) -> Lake:
    """A lake that older code made, with the model of its two runs beside it."""
    made = MADE[request.param]
    with tarfile.open(Path(made.__file__).parent / f"{request.param}_lake.tar.gz") as tar:  # type: ignore[arg-type]
        tar.extractall(tmp_path / "lake", filter="data")
    lake = Lake(session, settings_of(engine, tmp_path / "lake"))
    lake.raw = {unit: _lines(lake, unit) for unit in made.DAYS}
    if request.param == "format_2":
        described = asdict(made.DESCRIBED)
        fetched_at = datetime.fromisoformat(described.pop("fetched_at"))
        lake.model.describe("dim_product", described, fetched_at)
    for number, units in enumerate(made.RUNS, start=1):
        lake.model.run(f"run-{number}", {unit: lake.raw[unit] for unit in units})
    lake.model.forget_answers()
    return lake


MOVED = {"inserted", "updated", "stale"}


def _changed_by(context: StepContext) -> dict[str, list[tuple[object, ...]]]:
    """Which run changed which row last: by this a publish knows what to send."""
    return {each.name: table(context, each.name, each.key, "changed_run_id") for each in star.TABLES}


def _lines(lake: Lake, unit: tuple[str, object]) -> list[str]:
    return lake.workspace.storage.read(raw_file(*unit)).decode().splitlines()  # type: ignore[arg-type]


@pytest.mark.spark_nightly
def test_a_lake_of_older_code_is_today_s_after_its_migration_and_its_days_again_change_no_figure(
    older_lake: Lake,
) -> None:
    lake = older_lake
    context = step_context(lake.workspace, "migration")
    changed_by = _changed_by(context)
    assert not table_rewrites.begun_on(lake.workspace.storage, fact_sales.TABLE.path, 2)

    with capture_logs() as logs:
        done = migration.migrate(context, star.TABLES)

    lake.compare_star("migration")
    assert json.loads(lake.workspace.storage.read("ops/format.json")) == TODAY
    assert done[-1] == "the lake was migrated to format 4"
    assert {"event": "lake migrated", "format": 4, "log_level": "info"} in logs
    # The whole way of a run, whose report says what the model says.
    lake.play(Run(landed=(), units=tuple(lake.raw)), "run-3")
    actions = lake.workspace.ledger.step("run-3", "merge")["actions"]
    assert {name: {a: n for a, n in of.items() if n and a in MOVED} for name, of in actions.items()} == {
        each.name: {} for each in star.TABLES
    }
    assert _changed_by(context) == changed_by
    # And now that the answers of all rows are known, nothing is touched either.
    lake.play(Run(landed=(), units=tuple(lake.raw)), "run-4")
    again = lake.workspace.ledger.step("run-4", "merge")["actions"]
    assert sum(of["touched"] for of in again.values()) == 0


@ON_SAIL
def test_a_run_migrates_by_itself_and_a_fixed_mapping_wins_over_the_rows_of_older_code(
    older_lake: Lake,
) -> None:
    lake = older_lake
    unit = next(iter(lake.raw))
    older = [{**json.loads(line)} for line in lake.raw[unit]]
    fixed = [{**line, "mapping_version": "4", "source_ref": line.pop("source_ref")} for line in older]
    for line in fixed:
        if line["total_amount"] == "0.10":
            line["total_amount"] = "0.20"
    lake.land(unit, [json.dumps(line) for line in fixed])

    lake.play(Run(landed=(), units=(unit,)), "run-3")

    amounts = table(step_context(lake.workspace, "x"), "fact_sales", "line_id", "total_amount")
    assert ("2", Decimal("0.2000")) in amounts
    staged = lake.workspace.ledger.step("run-3", "stage")
    assert staged["format"] == migration.FORMAT


@ON_SAIL
def test_a_lake_without_a_number_is_known_by_its_tables(older_lake: Lake) -> None:
    lake = older_lake
    lake.workspace.storage.delete("ops/format.json")  # as the first lakes of format 2 had none

    migration.migrate(step_context(lake.workspace, "migration"), star.TABLES)

    lake.compare_star("migration")


@ON_SAIL
def test_a_migration_that_is_killed_after_each_of_its_commits_resumes(
    older_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = older_lake
    context = step_context(lake.workspace, "migration")
    commit, commits = delta.as_writer, 0

    @contextmanager
    def killed_after_it(storage: Storage) -> Iterator[None]:
        with commit(storage):
            yield
        raise KeyboardInterrupt

    monkeypatch.setattr(delta, "as_writer", killed_after_it)
    while json.loads(lake.workspace.storage.read("ops/format.json") if commits else b"{}") != TODAY:
        with suppress(KeyboardInterrupt):
            migration.migrate(context, star.TABLES)
        commits += 1
    monkeypatch.undo()

    # Every table is rewritten, and four get new columns before it.
    assert commits >= len(star.TABLES) + 4
    lake.compare_star("migration")
    lake.play(Run(landed=(), units=tuple(lake.raw)), "run-3")


@ON_SAIL
def test_a_migration_that_is_killed_before_its_first_commit_leaves_the_lake_as_it_was(
    older_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = older_lake
    context = step_context(lake.workspace, "migration")
    before = {each.name: delta.version(context.storage, each.path) for each in star.TABLES}

    def killed(_: Storage) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(delta, "as_writer", killed)
    with pytest.raises(KeyboardInterrupt):
        migration.migrate(context, star.TABLES)
    monkeypatch.undo()

    assert {each.name: delta.version(context.storage, each.path) for each in star.TABLES} == before
    lake.play(Run(landed=(), units=tuple(lake.raw)), "run-3")


@ON_SAIL
def test_a_run_that_older_code_staged_before_it_was_killed_is_staged_again_and_merged(
    older_lake: Lake,
) -> None:
    lake = older_lake
    ledger, unit = lake.workspace.ledger, next(iter(lake.raw))
    run = ledger.begin("run-3", [unit], tasks=("transform",), engine="sail")
    older = {"lines_version": 17, "sales_version": 17, "counts": [], "critical": []}
    ledger.end_step(run.run_id, "stage", older, seconds=1)
    context = step_context(lake.workspace, run)

    for name, step in (("gate", gate_step), ("merge", merge_step)):
        ledger.end_step(run.run_id, name, step(context).to_json(), seconds=0)

    recorded = ledger.step(run.run_id, "stage")
    assert recorded is not None
    assert (recorded["format"], recorded["seconds"]) == (migration.FORMAT, 1)
    actions = ledger.step(run.run_id, "merge")["actions"]["fact_sales"]
    good = sum(1 for line in lake.raw[unit] if json.loads(line)["currency"])
    assert (actions["inserted"], actions["updated"]) == (0, 0)
    assert sum(actions.values()) == good
    lake.model.run(run.run_id, {unit: lake.raw[unit]})
    lake.compare_star(run.run_id)


@ON_SAIL
def test_a_lake_in_its_newest_form_is_not_touched(make_context: MakeContext) -> None:
    context = make_context("run-1")
    migration.migrate(context, star.TABLES)
    assert json.loads(context.storage.read("ops/format.json")) == TODAY
    merged(context, record(mapping_version="3"))
    context.storage.delete("ops/format.json")  # as when somebody lost it
    before = {each.name: delta.version(context.storage, each.path) for each in star.TABLES}

    migration.migrate(make_context("run-2"), star.TABLES)

    assert {each.name: delta.version(context.storage, each.path) for each in star.TABLES} == before
    assert merged(make_context("run-3"), record(mapping_version="3")).actions["fact_sales"]["unchanged"] == 1


@ON_SAIL
def test_a_lake_of_newer_code_is_refused(make_context: MakeContext) -> None:
    context = make_context("run-1")
    context.storage.write("ops/format.json", b'{"format": 99}')
    with pytest.raises(StorageError, match=r"has format 99.*supports formats up to 4"):
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


@pytest.mark.spark_nightly
def test_a_row_is_merged_into_the_added_column(make_context: MakeContext) -> None:
    context = make_context("run-1")
    merged(context, record(), record(transaction_id="t2"))
    migration.migrate(context, [NEWER])
    after = make_context("run-2")
    later = {"updated_at": "2017-01-07T00:00:00.000000Z", "transaction_id": "t2"}
    write_raw(after, [record(**later), record(**{**later, "transaction_id": "t3"})])
    staged = staging.stage(after, [("retailer_1", DAY)], row_rules=[])
    sales = delta.read(after.session, after.storage, layout.STAGED_SALES, at=staged.sales_version)
    rows = sales.selectExpr("*", "'web' AS sales_channel", "cast(quantity AS decimal(18,3)) AS weight")
    rows = rows.select(*(name for name in NEWER.columns if name != "changed_run_id"))

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
    staging.stage(after, [("retailer_2", DAY)], row_rules=[])

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
