"""Each kind of damage to the lake or to PostgreSQL is named before anything is written, and its remedy carried out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from retail.cli.doctor.published import examine_published
from retail.cli.doctor.tables import examine_tables
from retail.cli.local.demo import demo_environment
from retail.cli.output.console import console
from retail.cli.output.progress import PlainReport
from retail.config.secrets import Secrets
from retail.errors import (
    ConfigurationError,
    EngineError,
    PublishForeignError,
    PublishLostError,
    RebuildLeftError,
    StorageError,
    TableDamagedError,
    TieOutError,
)
from retail.lake import layout
from retail.lake.layout import raw_file
from retail.pipeline import rebuild, runner
from retail.pipeline.maintain import maintain
from retail.pipeline.rebuild import Rebuilt, rebuild_postgresql, rebuild_tables
from retail.pipeline.rollback import roll_back
from retail.pipeline.schedule import in_parts
from retail.pipeline.step_context import RunOptions
from retail.pipeline.workspace import Workspace
from retail.runs import table_states
from retail.star import merge
from retail.star.tables import fact_sales
from tests.end_to_end.installation import Installation, star_of, told, warehouse_of
from tests.kill.told import in_operations
from tests.star.conftest import record
from tests.star.test_merge import ON_SAIL

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.xdist_group("damage"), ON_SAIL]

DAYS = [date(2017, 1, 5), date(2017, 1, 6), date(2017, 2, 3)]
TASKS = ("transform", "check", "refresh")
CUSTOMER = "c" * 64
FACT = fact_sales.TABLE.path
Damage = Callable[[Path], object]


def lines(day: date) -> str:
    """Two sales of the day; the second day also corrects a sale of the first, and has a line that is refused."""
    made = [
        record(
            transaction_id=f"t{day}-{n}", business_date=str(day), total_amount=f"{n}.50", customer_id=CUSTOMER,
            sold_at=f"{day}T20:00:00.000000Z", updated_at=f"{day}T20:00:00.000000Z",
        )
        for n in (1, 2)
    ]  # fmt: skip
    if day == DAYS[1]:
        made.append(
            record(
                transaction_id=f"t{DAYS[0]}-1", business_date=str(DAYS[0]), total_amount="9.00",
                customer_id=CUSTOMER, updated_at=f"{day}T21:00:00.000000Z",
            )
        )  # fmt: skip
        made.append(record(transaction_id="bad", total_amount="7.00", record_type="gift"))
    return "".join(line.to_line() + "\n" for line in made)


def run(work: Workspace, *days: date) -> runner.Result:
    return runner.run(work, [("retailer_1", day) for day in days], PlainReport(console()), tasks=TASKS)


def rebuilt(work: Workspace, *tables: str, **days: date) -> Rebuilt:
    return rebuild_tables(work, tables, PlainReport(console()), command="retail rebuild …", **days)


@pytest.fixture(scope="module")
def made(install: Callable[[str], Installation]) -> Installation:
    return install("damage")


@pytest.fixture(scope="module")
def work(made: Installation, session: SparkSession) -> Iterator[Workspace]:
    """A lake and a database with three days that two runs brought the whole way. Each test leaves them like that."""
    with Workspace(made.settings, Secrets(demo_environment())) as workspace:
        workspace.__dict__["session"] = session
        for day in DAYS:
            workspace.storage.write(raw_file("retailer_1", day), lines(day).encode())
        run(workspace, *DAYS[:2])
        run(workspace, DAYS[2])
        run(workspace, DAYS[2])  # merges nothing
        yield workspace


@pytest.fixture(autouse=True)
def nothing_changes_for_readers(made: Installation, work: Workspace) -> Iterator[None]:
    """Whatever is damaged and repaired, the star, the views and the restatements are what they were."""
    before = star_of(made), warehouse_of(made), restatements(made)
    yield
    assert star_of(made) == before[0]
    assert warehouse_of(made) == before[1]
    assert restatements(made) == before[2]


def restatements(made: Installation) -> int:
    with made.postgresql() as cursor:
        cursor.execute("SELECT count(*) FROM marts.restatement")
        (found,) = cursor.fetchone() or (0,)
        return int(found)


def newest(table: Path) -> Path:
    return max((table / "_delta_log").glob("*.json"))


def data_file(table: Path) -> Path:
    return table / sorted(DeltaTable(str(table)).file_uris())[0].removeprefix(f"{table}/")


DAMAGES: dict[str, Damage] = {
    "empty": lambda table: newest(table).write_bytes(b""),
    "cut": lambda table: newest(table).write_bytes(newest(table).read_bytes()[:-40]),
    "gone": lambda table: newest(table).unlink(),
    "between": lambda table: sorted((table / "_delta_log").glob("*.json"))[1].unlink(),
    "file": lambda table: data_file(table).unlink(),
    "deleted": lambda table: DeltaTable(str(table)).delete(f"business_date = '{DAYS[0]}'"),
    "altered": lambda table: DeltaTable(str(table)).update({"total_amount": "2 * total_amount"}),
}
# What is seen in an old lake too, where no run has recorded anything.
OF_ANY = ("empty", "cut", "between", "file")


@contextmanager
def put_back(made: Installation, table: str) -> Iterator[Path]:
    """The table's folder; at the end it is as it was."""
    folder, kept = made.folder / "lake" / table, made.folder / "kept"
    shutil.copytree(folder, kept)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        kept.rename(folder)


@pytest.mark.parametrize(
    ("table", "damage", "known"),
    [
        *((FACT, each, True) for each in DAMAGES),
        *((FACT, each, False) for each in OF_ANY),
        ("quarantine", "empty", True),
        ("staged/sales", "file", False),
        ("quality/profile", "cut", True),
    ],
)
def test_damage_is_named_before_anything_is_begun(
    table: str, damage: str, known: bool, made: Installation, work: Workspace
) -> None:
    runs, record = work.ledger.run_ids(), work.storage.read(layout.TABLES)
    if not known:
        work.storage.delete(layout.TABLES)
    try:
        with put_back(made, table) as folder:
            DAMAGES[damage](folder)
            with pytest.raises(TableDamagedError) as stopped:
                run(work, DAYS[2])
            with pytest.raises(TableDamagedError):
                examine_tables(work)
    finally:
        work.storage.write(layout.TABLES, record)
    if (table, damage) == (FACT, "empty"):
        in_operations("… has 0 bytes; the Delta table … is damaged", stopped.value.message)
    assert stopped.value.table == table
    assert table in stopped.value.message
    assert "retail rebuild --table " in stopped.value.hint
    assert work.ledger.run_ids() == runs


def test_what_others_may_do_to_a_table_is_no_damage(made: Installation, work: Workspace) -> None:
    with put_back(made, FACT) as folder:
        DeltaTable(str(folder)).optimize.compact()
        DeltaTable(str(folder)).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
        DeltaTable(str(folder)).create_checkpoint()
        table_states.require_sound(work.storage, work.ledger)
        at = DeltaTable(str(folder)).version()
        DeltaTable(str(folder)).delete(f"business_date = '{DAYS[0]}'")
        DeltaTable(str(folder)).restore(at)
        table_states.require_sound(work.storage, work.ledger)
        maintain(work.storage, work.settings.maintain)
        table_states.require_sound(work.storage, work.ledger)
    record = work.storage.read(layout.TABLES)
    work.storage.delete(layout.TABLES)
    table_states.require_sound(work.storage, work.ledger)
    with put_back(made, FACT) as folder:
        DeltaTable(str(folder)).create_checkpoint()
        table_states.record(work.storage)
        (checkpoint,) = (folder / "_delta_log").glob("*.checkpoint.parquet")
        pq.write_table(pq.read_table(checkpoint), checkpoint, compression="gzip")  # as another writer would
        table_states.require_sound(work.storage, work.ledger)
    of_somebody_else = made.folder / "lake" / "star" / "forecast"
    for mode in ("append", "overwrite"):
        write_deltalake(str(of_somebody_else), pa.table({"n": [1, 2]}), mode=mode)
        table_states.record(work.storage)
    write_deltalake(str(of_somebody_else), pa.table({"n": [3]}), mode="overwrite")
    table_states.require_sound(work.storage, work.ledger)
    shutil.rmtree(of_somebody_else)
    table_states.require_sound(work.storage, work.ledger)
    work.storage.write(layout.TABLES, record)


def test_a_rebuild_makes_what_was_and_killed_in_between_it_resumes(
    made: Installation, work: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fact, dimension and quarantine at once; killed while emptying, between its days, and before it is published."""
    lake = made.folder / "lake"
    tables = ("fact_sales", "dim_store", "quarantine")
    version, quarantined = DeltaTable(str(lake / FACT)).version(), made.delta("quarantine").num_rows
    DAMAGES["empty"](lake / FACT)
    DAMAGES["file"](lake / "star/dim_store")
    DAMAGES["file"](lake / "quarantine")
    monkeypatch.setattr(rebuild, "in_parts", lambda units, _: in_parts(units, 1))

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    work.ledger.mark_done([("removed", DAYS[0])], "of-a-removed-retailer")
    with pytest.raises(ConfigurationError):
        rebuilt(work, *tables)
    work.storage.delete(layout.done("removed", DAYS[0]))
    with pytest.raises(TableDamagedError) as first:
        rebuilt(work, "fact_sales")
    assert "--table fact_sales --table quarantine" in first.value.hint
    with pytest.raises(TableDamagedError) as other:  # begun; now the next one is found, and named it joins
        rebuilt(work, "quarantine")
    assert other.value.table == "star/dim_store"
    with pytest.raises(RebuildLeftError):
        rebuilt(work, "quarantine", first=DAYS[0], last=DAYS[0])
    for place, name in ((merge, "empty"), (rebuild, "_rejected"), (rebuild, "_finish")):
        with monkeypatch.context() as patched:
            patched.setattr(place, name, killed)
            with pytest.raises(KeyboardInterrupt):
                rebuilt(work, *tables)
        with pytest.raises(RebuildLeftError) as left:
            run(work, DAYS[2])
    assert "retail rebuild …" in told(made, "status")
    in_operations("a rebuild of … has begun and not ended: … retailer-days are left", left.value.message)
    done = rebuilt(work, "fact_sales")
    assert set(done.tables) == set(tables)
    assert done.before == done.now == (6, {"USD": "19.5000"})
    assert done.restated_days == 0
    assert DeltaTable(str(lake / FACT)).version() > version, "no version is used twice"
    assert made.delta("quarantine").num_rows == quarantined
    with pytest.raises(EngineError) as gone:
        roll_back(work)  # to a version that is gone; the fixture sees that nothing changed
    assert "a rebuild replaced the table" in gone.value.hint
    assert run(work, DAYS[2]).outcome == "success"


@pytest.mark.nightly
def test_of_a_missing_data_file_only_some_days_are_rebuilt(made: Installation, work: Workspace) -> None:
    def lose() -> None:
        for path in (made.folder / "lake" / FACT / "business_month=2017-01").glob("*.parquet"):
            path.unlink()

    lose()
    with pytest.raises(TieOutError, match="held 6 rows"):
        rebuilt(work, "fact_sales", first=DAYS[1], last=DAYS[1])
    with pytest.raises(RebuildLeftError):
        run(work, DAYS[2])
    with pytest.raises(RebuildLeftError):
        rebuilt(work, "fact_sales", first=DAYS[0], last=DAYS[1])
    assert rebuilt(work, "fact_sales").restated_days == 0  # all days, for these were too few
    lose()
    done = rebuilt(work, "fact_sales", first=DAYS[0], last=DAYS[1])
    assert (done.before, done.restated_days) == (done.now, 0)
    work.storage.delete(raw_file("retailer_1", DAYS[2]))
    with pytest.raises(StorageError, match=f"no raw file for retailer_1 {DAYS[2]}"):
        rebuilt(work, "fact_sales")
    work.storage.write(raw_file("retailer_1", DAYS[2]), lines(DAYS[2]).encode())


@pytest.mark.nightly
def test_tables_that_only_serve_the_next_run_are_emptied(made: Installation, work: Workspace) -> None:
    DAMAGES["empty"](made.folder / "lake/staged/sales")
    DAMAGES["cut"](made.folder / "lake/quality/profile")
    assert rebuilt(work, "staged", "profile").run_id is None
    assert run(work, DAYS[2]).outcome == "success"


def sql(made: Installation, *statements: str) -> None:
    with made.postgresql() as cursor:
        for statement in statements:
            cursor.execute(statement)
        cursor.connection.commit()


EMPTIED = (
    "TRUNCATE star.fact_sales",
    "DELETE FROM ops.publish",  # and ops.published_day stays full
)
ALTERED = (
    f"DELETE FROM star.fact_sales WHERE transaction_id = 't{DAYS[0]}-1'",
    f"UPDATE star.fact_sales SET total_amount = 99 WHERE transaction_id = 't{DAYS[1]}-1'",
    "INSERT INTO star.fact_sales"
    """ SELECT (jsonb_populate_record(one, '{"sales_key": 1}')).* FROM star.fact_sales AS one LIMIT 1""",
)


@pytest.mark.nightly
def test_postgresql_that_was_changed_by_hand_is_rebuilt_without_a_restatement(
    made: Installation, work: Workspace
) -> None:
    sql(made, *ALTERED)
    assert rebuild_postgresql(work, PlainReport(console())).outcome == "success"
    sql(made, *EMPTIED)
    assert "0 published days restated" in told(made, "rebuild", "--postgresql")


def test_postgresql_that_lost_its_runs_is_noticed_and_filled_by_the_next_run(
    made: Installation, work: Workspace
) -> None:
    sql(made, *EMPTIED)
    with pytest.raises(PublishLostError) as lost:
        runner.run(work, [], PlainReport(console()))
    with pytest.raises(PublishLostError):
        examine_published(work)
    in_operations("PostgreSQL at … lacks … of … runs that were published (…)", lost.value.message)
    assert "retail rebuild --postgresql" in lost.value.hint
    sql(made, "INSERT INTO ops.publish VALUES (DEFAULT, 'of-another-lake', 'x', now(), '{}', '{}')")
    with pytest.raises(PublishForeignError) as foreign:
        rebuild_postgresql(work, PlainReport(console()))
    assert foreign.value.runs == ["of-another-lake"]
    with pytest.raises(PublishForeignError):
        run(work, DAYS[2])
    sql(made, "DELETE FROM ops.publish WHERE run_id = 'of-another-lake'")
    assert run(work, DAYS[2]).outcome == "success"
    assert examine_published(work)
    assert runner.run(work, [], PlainReport(console())).run_id is None


def test_a_run_whose_staged_rows_were_deleted_stages_again(made: Installation, work: Workspace) -> None:
    unit = [("retailer_1", DAYS[2])]
    until = RunOptions(last_step="stage")
    for name in ("first", "second"):
        runner.run(work, unit, PlainReport(console()), tasks=("transform",), options=until, name=name)
    staged = made.folder / "lake/staged/sales"
    live = {Path(uri).name for uri in DeltaTable(str(staged)).file_uris()}
    for path in staged.glob("*.parquet"):
        if path.name not in live:
            path.unlink()
    assert runner.run(work, unit, PlainReport(console()), tasks=TASKS, name="first").outcome == "success"
