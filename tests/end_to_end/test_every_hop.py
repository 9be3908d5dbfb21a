"""A row that is lost, doubled or altered on purpose is caught at every hop, before a view shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from retail.cli.output.console import console
from retail.cli.output.progress import PlainReport
from retail.cli.status.reconciliation import show_tie_out
from retail.config.secrets import Secrets
from retail.config.settings import home
from retail.errors import ConfigurationError, GateError, QualityError, TieOutError, WarehouseError
from retail.lake.layout import raw_file
from retail.landing.latest_versions import LatestVersions
from retail.pipeline import runner
from retail.pipeline.rebuild import rebuild_tables
from retail.pipeline.step_context import StepContext
from retail.pipeline.step_results import counts_of
from retail.pipeline.workspace import Workspace
from retail.runs.days import RetailerDay
from retail.star import merge, staging
from retail.star.quarantine import table as quarantine
from retail.star.table import Table
from retail.warehouse.publish import transaction
from retail.warehouse.schema.ddl import prepare
from tests.end_to_end.installation import Installation
from tests.star.conftest import record
from tests.star.test_merge import ON_SAIL

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

DAY = date(2017, 1, 5)
UNITS: list[RetailerDay] = [("retailer_1", DAY)]
TASKS = ("transform", "check", "refresh")
CUSTOMER = "c" * 64  # a pseudonym is 64 hexadecimal digits
LINES = [record(transaction_id=f"t{n}", total_amount=f"{n}.00", customer_id=CUSTOMER) for n in range(1, 5)]
# An older version of a line: what is a duplicate must not make up for what is harmed beside it.
OLDER = record(
    transaction_id="t2", total_amount="9.00", customer_id=CUSTOMER, updated_at="2017-01-05T19:00:00.000000Z"
)
BAD = record(transaction_id="bad", total_amount="7.00", record_type="gift")

WAYS = ("lost", "doubled", "altered")
EACH_WAY = pytest.mark.parametrize("way", WAYS)

Harm = Callable[[DataFrame], DataFrame]


@pytest.fixture
def work(
    install: Callable[[str], Installation], session: SparkSession, request: pytest.FixtureRequest
) -> Iterator[Workspace]:
    """A lake and a database of the test's own, with a day of raw lines, one doubled, one bad; nothing has run."""
    name = "".join(letter if letter.isalnum() else "_" for letter in request.node.name)[-40:]
    settings = install(f"hop_{name}").settings
    with Workspace(settings, Secrets({})) as workspace:
        workspace.__dict__["session"] = session  # in the place of one that would be opened for each test
        lines = "".join(line.to_line() + "\n" for line in [*LINES, OLDER, BAD])
        workspace.storage.write(raw_file(*UNITS[0]), lines.encode())
        yield workspace


def harmed(way: str, transaction_id: str = "t3") -> Harm:
    """Loses, doubles or alters the row of a transaction, and leaves the others."""
    chosen = F.col("transaction_id") == transaction_id
    altered = F.when(chosen, F.lit("3.01").cast("decimal(18,4)")).otherwise(F.col("total_amount"))
    return {
        "lost": lambda rows: rows.where(~chosen),
        "doubled": lambda rows: rows.unionByName(rows.where(chosen)),
        "altered": lambda rows: rows.withColumn("total_amount", altered),
    }[way]


def shown(workspace: Workspace) -> list[tuple[object, ...]]:
    """What the view of days shows."""
    with workspace.warehouse.connect("test") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('marts.mv_daily_sales') IS NOT NULL")
        if cursor.fetchone() != (True,):
            return []
        cursor.execute("SELECT fact_rows, net_amount FROM marts.mv_daily_sales")
        return cursor.fetchall()


def run(workspace: Workspace) -> runner.Result:
    return runner.run(workspace, UNITS, PlainReport(console()), tasks=TASKS)


@ON_SAIL
def test_without_harm_every_hop_ties_out_and_is_kept(work: Workspace) -> None:
    result = run(work)
    assert shown(work) == [(4, 10)]
    assert result.run_id is not None
    counts = counts_of(work.ledger, result.run_id)
    held = {count.hop: (count.rows, count.money) for count in counts}
    assert held["quarantined"] == (1, 7)
    assert held["duplicate"] == (1, 9)
    for hop in ("staged", "inserted", "delta_after", "postgresql", "views"):
        assert held[hop] == (4, 10), hop
    assert show_tie_out(work, console(), result.run_id)
    with work.warehouse.connect("test") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT hop, rows, money FROM marts.tie_out WHERE run_id = %s", (result.run_id,))
        assert {hop: (rows, money) for hop, rows, money in cursor} == held


@EACH_WAY
@ON_SAIL
def test_between_what_was_read_and_what_is_staged(
    work: Workspace, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest_version = staging.newest_version
    monkeypatch.setattr(staging, "newest_version", lambda lines: harmed(way)(newest_version(lines)))
    with pytest.raises(QualityError):
        run(work)
    assert shown(work) == []


@EACH_WAY
@ON_SAIL
def test_between_what_was_refused_and_quarantine(
    work: Workspace, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    into_quarantine = quarantine.replace

    def harming(context: StepContext, lines: DataFrame, units: list[RetailerDay]) -> None:
        into_quarantine(context, harmed(way, "bad")(lines), units)

    monkeypatch.setattr(quarantine, "replace", harming)
    with pytest.raises(TieOutError, match=r"quarantined = in_quarantine .*retailer_1, 2017-01-05"):
        run(work)
    assert shown(work) == []


@EACH_WAY
@ON_SAIL
def test_between_what_is_staged_and_delta(work: Workspace, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    into = merge.into

    def harming(context: StepContext, table: Table, rows: DataFrame, planned: merge.Plan) -> int:
        return into(context, table, harmed(way)(rows) if table.name == "fact_sales" else rows, planned)

    with monkeypatch.context() as patched:
        patched.setattr(merge, "into", harming)
        with pytest.raises(TieOutError, match="delta_after"):
            run(work)
    assert shown(work) == []
    if way == "doubled":  # the remedy of docs/DATA_QUALITY.md, once
        with pytest.raises(TieOutError, match="delta_after"):
            run(work)
        rebuild_tables(work, ["fact_sales"], PlainReport(console()), command="")
        assert shown(work) == [(4, 10)]


@EACH_WAY
@ON_SAIL
def test_between_delta_and_postgresql(work: Workspace, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = transaction.copy  # type: ignore[attr-defined]

    def harming(connection: object, rows: pa.Table, staged: object) -> int:
        if "transaction_id" in rows.column_names:
            chosen = pc.equal(rows["transaction_id"], "t3")
            altered = pc.if_else(
                chosen, pa.scalar(Decimal("3.01"), pa.decimal128(18, 4)), rows["total_amount"]
            )
            position = rows.column_names.index("total_amount")
            rows = {
                "lost": lambda: rows.filter(pc.invert(chosen)),
                "doubled": lambda: pa.concat_tables([rows, rows.filter(chosen)]),
                "altered": lambda: rows.set_column(position, "total_amount", altered),
            }[way]()
        return copy(connection, rows, staged)  # type: ignore[arg-type]

    monkeypatch.setattr(transaction, "copy", harming)
    error, said = (
        (WarehouseError, "sales_key") if way == "doubled" else (TieOutError, "postgresql = delta_after")
    )
    with pytest.raises(error, match=said):
        run(work)
    assert shown(work) == []


@EACH_WAY
@ON_SAIL
def test_between_postgresql_and_the_views(work: Workspace, way: str) -> None:
    lines = {
        "lost": "SELECT * FROM star.fact_sales WHERE transaction_id <> 't3'",
        "doubled": "SELECT * FROM star.fact_sales UNION ALL SELECT * FROM star.fact_sales WHERE transaction_id = 't3'",
        "altered": "SELECT *, total_amount + 0.01 AS altered FROM star.fact_sales",
    }[way]
    prepare(work.warehouse)
    _see_other_lines(work, lines)
    with pytest.raises(TieOutError, match="mv_daily_sales"):
        run(work)
    assert shown(work) == []


def _see_other_lines(workspace: Workspace, lines: str) -> None:
    """The view of days made anew over other lines than the star's, while there are none."""
    path = home() / "sql" / "views" / "mv_daily_sales.sql"
    definition, index, *_ = path.read_text(encoding="utf-8").split(";")
    wrong = definition.replace("FROM star.fact_sales", f"FROM ({lines}) AS harmed")
    if "altered" in lines:
        wrong = wrong.replace("sum(total_amount) AS net_amount", "sum(altered) AS net_amount")
    with workspace.warehouse.connect("test") as connection, connection.cursor() as cursor:
        for statement in ("DROP MATERIALIZED VIEW marts.mv_daily_sales", wrong, index):
            cursor.execute(statement)


@EACH_WAY
def test_between_raw_and_what_is_read(install: Callable[[str], Installation], way: str) -> None:
    made = install(f"hop_raw_{way}")
    names = ("--date", "2017-01-01", "--only", "retailer_3", "--run-id", "hop")
    ended = made.retail("ingest", *names)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    path = made.folder / "lake" / raw_file("retailer_3", date(2017, 1, 1))
    first, *others = path.read_text(encoding="utf-8").splitlines()
    more = {
        "lost": [],
        "doubled": [first, first],
        "altered": [_altered(first)],
    }[way]
    path.write_text("\n".join([*more, *others]) + "\n", encoding="utf-8")
    stopped = made.retail("transform", *names)
    assert stopped.returncode == 4, stopped.stdout + stopped.stderr
    assert re.search(r"landed = read .*retailer_3, 2017-01-01, USD", stopped.stderr)
    told = made.retail("status", "--tie-out")
    assert told.returncode == 0
    assert "unchecked   delta_after" in told.stdout


def _altered(line: str) -> str:
    values = json.loads(line)
    return json.dumps({**values, "total_amount": str(Decimal(values["total_amount"]) + Decimal("0.01"))})


@EACH_WAY
def test_between_what_was_fetched_and_what_is_landed(
    install: Callable[[str], Installation], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = install("hop_landing")
    if not (made.folder / "lake").exists():
        ended = made.retail("ingest", "--date", "2017-01-01", "--only", "retailer_3")
        assert ended.returncode == 0, ended.stdout + ended.stderr
    raw = made.folder / "lake" / raw_file("retailer_3", date(2017, 1, 1))
    before = raw.read_bytes()
    lines = LatestVersions.lines

    def harming(self: LatestVersions) -> Iterator[str]:
        first, *others = lines(self)
        yield from {"lost": [], "doubled": [first, first], "altered": [_altered(first)]}[way]
        yield from others

    monkeypatch.setattr(LatestVersions, "lines", harming)
    with (
        Workspace(made.settings, Secrets({})) as workspace,
        pytest.raises(TieOutError, match=r"(?s)= .*landed .*retailer_3, 2017-01-01, USD"),
    ):
        runner.run(workspace, [("retailer_3", date(2017, 1, 1))], PlainReport(console()), tasks=("land",))
    assert raw.read_bytes() == before


@ON_SAIL
def test_a_named_run_that_the_gate_stopped_judges_anew_once_its_cause_is_mended(work: Workspace) -> None:
    raw = work.storage.read(raw_file(*UNITS[0]))
    bad = "".join(record(transaction_id=f"x{n}", currency="usd").to_line() + "\n" for n in range(20))
    work.storage.write(raw_file(*UNITS[0]), raw + bad.encode())
    with pytest.raises(GateError):
        runner.run(work, UNITS, PlainReport(console()), tasks=TASKS, name="daily")
    work.storage.write(raw_file(*UNITS[0]), raw)
    result = runner.run(work, UNITS, PlainReport(console()), tasks=TASKS, name="daily")
    assert result.outcome == "success"
    assert shown(work) == [(4, 10)]
    assert len(work.ledger.run_ids()) == 1


@ON_SAIL
def test_a_fetch_that_did_not_end_is_no_ground_for_a_transform_though_another_run_has_merged_since(
    work: Workspace,
) -> None:
    work.ledger.begin("20170106T020000Z-daily", UNITS, tasks=["ingest"], engine="sail")
    work.ledger.begin("20170106T030000Z-later", UNITS, tasks=["ingest"], engine="sail")
    work.ledger.end_step("20170106T030000Z-later", "gate", {}, seconds=0)
    with pytest.raises(ConfigurationError, match=r"`transform` .*-daily .*`ingest`"):
        runner.run(work, UNITS, PlainReport(console()), tasks=("transform",), name="daily")
    assert len(work.ledger.run_ids()) == 2
