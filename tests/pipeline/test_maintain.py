"""Maintenance: few files, a short log, every promised version readable, and no row of any run lost by it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from deltalake.exceptions import DeltaError
from pyspark.errors import PySparkException
from tests.s3 import S3Server
from tests.star.conftest import DAY, record, write_raw

from retail.config.settings import MaintainSettings
from retail.errors import LeaseHeldError, StorageError
from retail.lake import delta, layout
from retail.lake.storage import Storage, open_storage
from retail.lake.storage.local import LocalStorage
from retail.pipeline.maintain import Maintained, NotMaintainedError, maintain
from retail.pipeline.step_context import StepContext
from retail.quality import tie_out
from retail.quality.rules import load_row_rules
from retail.records import SalesRecord
from retail.runs import lease, table_rewrites
from retail.star import merge, staging
from retail.star.build import Built, build
from retail.star.tables import fact_sales

MakeContext = Callable[[str], StepContext]
ON_SAIL = pytest.mark.parametrize("engine", ["sail"], indirect=True)
FACT = fact_sales.TABLE
SETTINGS = MaintainSettings()


def merged(context: StepContext, *lines: SalesRecord) -> Built:
    write_raw(context, list(lines))
    staged = staging.stage(context, [("retailer_1", DAY)], row_rules=load_row_rules())
    built = build(context, staged)
    tie_out.require([tie_out.STAGED, tie_out.MERGED, tie_out.DELTA], [*staged.counts, *built.counts])
    return built


def sold(context: StepContext, *, at: int | None = None) -> list[tuple[str, Decimal]]:
    fact = delta.read(context.session, context.storage, FACT.path, at=at)
    return sorted((row.transaction_id, row.total_amount) for row in fact.collect())


def maintained(storage: Storage, *, days_later: float = 0, dry_run: bool = False) -> dict[str, Maintained]:
    moment = datetime.now(UTC) + timedelta(days=days_later)
    done = maintain(storage, SETTINGS, now=lambda: moment, dry_run=dry_run)
    return {each.table: each for each in done}


def months_of_sales(make_context: MakeContext, runs: int) -> list[list[tuple[str, Decimal]]]:
    """A month with a file more at each run; gives what the fact held at each version."""
    held = [[]]
    for number in range(runs):
        context = make_context(f"run-{number}")
        merged(context, record(transaction_id=f"t{number}", total_amount="12345678901.2345"))
        held.append(sold(context))
    return held


@pytest.mark.spark_nightly
def test_after_maintenance_the_table_has_few_files_the_same_rows_and_every_promised_version(
    make_context: MakeContext,
) -> None:
    held = months_of_sales(make_context, 2)
    context = make_context("after")
    done = maintained(context.storage)
    fact = done[FACT.path]
    assert (fact.files_after, fact.deleted, fact.versions_kept) == (1, 0, 3 + 2)
    assert sold(context) == held[-1]
    assert [sold(context, at=version) for version in range(3)] == held

    built = merged(
        make_context("run-x"), record(transaction_id="t1", updated_at="2017-01-06T00:00:00.000000Z")
    )
    assert built.actions[FACT.name]["updated"] == 1
    expected = {**dict(held[-1]), "t1": Decimal("10.0000")}
    assert dict(sold(context)) == expected

    later = maintained(context.storage, days_later=31)
    assert later[FACT.path].deleted >= 2
    assert later[FACT.path].versions_kept == 1
    assert dict(sold(context)) == expected
    with pytest.raises(PySparkException):
        sold(context, at=1)
    merged(make_context("run-y"), record(transaction_id="t9"))
    assert dict(sold(context)) == {**expected, "t9": Decimal("10.0000")}


@pytest.mark.slow
@ON_SAIL
def test_only_what_no_promised_version_has_is_deleted(make_context: MakeContext) -> None:
    held = months_of_sales(make_context, 11)
    context = make_context("after")
    folder = Path(context.storage.engine_path(FACT.path))
    back = (datetime.now(UTC) - timedelta(days=40)).timestamp()
    recent = {f"{version:020}.json" for version in (11,)}
    for file in folder.rglob("*"):
        if file.is_file() and file.name not in recent:
            os.utime(file, (back, back))

    fact = maintained(context.storage)[FACT.path]

    # Version 10 was the newest when the promised days began.
    assert fact.versions_kept == 2 + 2
    assert fact.log_entries_deleted > 0
    assert [sold(context, at=version) for version in (10, 11)] == held[10:]
    with pytest.raises(PySparkException):
        sold(context, at=9)
    assert delta.version(context.storage, FACT.path) == 13
    assert sold(context) == held[-1]


def killed_before_merging(
    context: StepContext, monkeypatch: pytest.MonkeyPatch, *lines: SalesRecord
) -> staging.Staged:
    """A run that planned the fact's merge and came no further."""
    write_raw(context, list(lines))
    staged = staging.stage(context, [("retailer_1", DAY)], row_rules=load_row_rules())
    into = merge.into

    def killed(*arguments: object) -> int:
        if arguments[1] is FACT:
            raise KeyboardInterrupt
        return into(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(merge, "into", killed)
        with pytest.raises(KeyboardInterrupt):
            build(context, staged)
    return staged


@ON_SAIL
def test_a_run_killed_between_plan_and_merge_goes_on_after_maintenance_without_losing_a_row(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    months_of_sales(make_context, 2)
    context = make_context("run-killed")
    staged = killed_before_merging(context, monkeypatch, record(transaction_id="new"))
    assert maintained(context.storage)[FACT.path].files_after == 1

    built = build(context, staged)

    assert built.actions[FACT.name]["inserted"] == 1
    tie_out.require([tie_out.MERGED, tie_out.DELTA], [*staged.counts, *built.counts])
    assert [transaction for transaction, _ in sold(context)] == ["new", "t0", "t1"]


@pytest.mark.slow
@ON_SAIL
def test_a_run_killed_behind_its_merge_is_not_merged_twice_after_maintenance(
    make_context: MakeContext,
) -> None:
    months_of_sales(make_context, 2)
    context = make_context("run-killed")
    write_raw(context, [record(transaction_id="new")])
    staged = staging.stage(context, [("retailer_1", DAY)], row_rules=load_row_rules())
    first = build(context, staged)
    maintained(context.storage)
    resumed = build(context, staged)
    assert resumed.actions == first.actions
    assert resumed.counts == first.counts
    assert len(sold(context)) == 3


@pytest.mark.slow
@ON_SAIL
def test_a_run_planned_where_there_was_nothing_to_rewrite_is_as_it_would_have_been(
    make_context: MakeContext,
) -> None:
    months_of_sales(make_context, 2)
    context = make_context("run-next")
    for _ in range(3):
        maintained(context.storage)
    before = delta.version(context.storage, FACT.path)
    write_raw(context, [record(transaction_id="new")])
    staged = staging.stage(context, [("retailer_1", DAY)], row_rules=load_row_rules())
    assert build(context, staged) == build(context, staged)
    assert delta.version(context.storage, FACT.path) == (before or 0) + 1


@pytest.mark.slow
@ON_SAIL
def test_a_merge_planned_where_a_compaction_was_killed_is_merged_once(make_context: MakeContext) -> None:
    months_of_sales(make_context, 2)
    context = make_context("run-next")
    tables = ("star/fact_sales", "star/dim_product", "star/dim_customer", "star/dim_store", "star/dim_date")
    before = {table: delta.require_version(context.storage, table) for table in tables}
    for table, version in before.items():
        table_rewrites.begin(context.storage, table, version)  # and killed before its commit
    moment = "2017-02-01T20:00:00.000000Z"
    moved = record(
        transaction_id="t0", business_date="2017-02-01", sold_at=moment, updated_at=moment, product_id="p2"
    )
    write_raw(context, [moved])
    staged = staging.stage(context, [("retailer_1", DAY)], row_rules=load_row_rules())
    first = build(context, staged)  # and killed before the step was recorded

    resumed = build(context, staged)

    assert (resumed.versions, resumed.actions) == (first.versions, first.actions)
    assert sorted(map(str, resumed.counts)) == sorted(map(str, first.counts))
    assert (resumed.months, resumed.actions[FACT.name]["updated"]) == (["2017-01", "2017-02"], 1)
    noted = [table for table in tables if table_rewrites.begun_on(context.storage, table, before[table])]
    assert noted == []


@ON_SAIL
def test_a_compaction_that_failed_leaves_no_note(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    months_of_sales(make_context, 2)
    storage = make_context("x").storage

    def refused(*_: object, **__: object) -> None:
        raise DeltaError("no space left")

    monkeypatch.setattr("deltalake.table.TableAlterer.set_table_properties", refused)
    with pytest.raises(StorageError, match="no space left"):
        maintained(storage)
    assert not any(json.loads(storage.read(layout.TABLE_REWRITES)).values())


@ON_SAIL
def test_beside_a_working_run_maintenance_names_it_and_touches_nothing(make_context: MakeContext) -> None:
    months_of_sales(make_context, 2)
    storage = make_context("x").storage
    before = objects(storage)
    with lease.hold(storage, "run-working"), pytest.raises(LeaseHeldError):
        maintained(storage)
    assert objects(storage) == before


@pytest.mark.slow
@ON_SAIL
def test_a_dry_run_tells_what_would_be_done_and_changes_nothing(make_context: MakeContext) -> None:
    months_of_sales(make_context, 3)
    storage = make_context("x").storage
    before = objects(storage)
    told = maintained(storage, days_later=31, dry_run=True)
    assert objects(storage) == before
    done = maintained(storage, days_later=31)
    assert (told[FACT.path].to_compact, told[FACT.path].files_after) == (done[FACT.path].to_compact, None)
    assert set(told) == set(done) == {
        "quarantine", "staged/lines", "staged/sales", "staged/dim_product", "staged/dim_customer", "staged/dim_store",
        "star/dim_product", "star/dim_customer", "star/dim_store", "star/dim_date", "star/dim_retailer",
        "star/fact_sales",
    }  # fmt: skip


def objects(storage: Storage) -> dict[str, tuple[int, datetime]]:
    return {each.key: (each.size, each.modified) for room in ("star/", "staged/", "quarantine/")
            for each in storage.details(room)}  # fmt: skip


@ON_SAIL
def test_what_went_wrong_is_told_without_a_secret(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    months_of_sales(make_context, 1)
    storage = make_context("x").storage
    monkeypatch.setattr(storage, "delta_options", lambda: {"aws_secret_access_key": "very-secret"})

    def refused(table: object) -> None:
        raise DeltaError("403 for very-secret")

    monkeypatch.setattr("deltalake.DeltaTable.create_checkpoint", refused)
    with pytest.raises(StorageError, match="could not be compacted: 403 for …") as caught:
        maintained(storage)
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize("behind_a_checkpoint", [False, True])
def test_a_damaged_table_is_named_and_the_others_are_maintained(
    tmp_path: Path, behind_a_checkpoint: bool
) -> None:
    storage = LocalStorage(tmp_path)
    tables = ("star/dim_date", "star/dim_product", "star/dim_store")
    for table in tables:
        for number in range(3):
            write_deltalake(storage.delta_url(table), pa.table({"n": [number]}), mode="append")
    if behind_a_checkpoint:
        delta.table(storage, "star/dim_product").create_checkpoint()
    storage.write(f"star/dim_product/_delta_log/{1:020}.json", b'{"add": {')

    with pytest.raises(NotMaintainedError, match="1 of 3 tables were not maintained") as caught:
        maintained(storage)

    assert "star/dim_product" in caught.value.message
    assert "backup" in caught.value.hint
    assert [(each.table, each.files_after) for each in caught.value.done] == [(tables[0], 1), (tables[2], 1)]


def test_a_dry_run_works_beside_a_run(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    write_deltalake(storage.delta_url("star/dim_date"), pa.table({"n": [1]}))
    with lease.hold(storage, "run-working") as held:
        assert list(maintained(storage, dry_run=True)) == ["star/dim_date"]
        held.check()
    before = list(storage.list("ops/"))
    maintained(storage, dry_run=True)
    assert list(storage.list("ops/")) == before


@pytest.mark.slow
@pytest.mark.s3
def test_a_lake_on_s3_is_maintained_as_one_in_a_folder(s3_server: S3Server) -> None:
    storage = open_storage(s3_server.new_lake())
    url, options = storage.delta_url("star/dim_store"), storage.delta_options()
    for number in range(12):
        write_deltalake(url, pa.table({"n": [number]}), mode="append", storage_options=options)
    done = maintained(storage)["star/dim_store"]
    assert (done.files_before, done.files_after, done.deleted) == (12, 1, 0)
    assert delta.table(storage, "star/dim_store", at=4).to_pyarrow_table()["n"].to_pylist() == [4, 3, 2, 1, 0]

    later = maintained(storage, days_later=31)["star/dim_store"]
    assert (later.deleted, later.versions_kept) == (12, 1)
    assert later.log_entries_deleted >= 12
    kept = delta.table(storage, "star/dim_store").to_pyarrow_table()["n"].to_pylist()
    assert sorted(kept) == list(range(12))
    assert delta.version(storage, "star/dim_store") == 13


@ON_SAIL
def test_every_version_between_two_checkpoints_of_the_engine_can_be_read(make_context: MakeContext) -> None:
    context = make_context("run-1")
    for number in range(22):
        rows = context.session.createDataFrame([(number,)], "n int")
        rows.write.format("delta").mode("append").save(context.storage.engine_path("star/x"))
    found = [
        delta.read(context.session, context.storage, "star/x", at=version).count() for version in range(22)
    ]
    assert found == list(range(1, 23))
