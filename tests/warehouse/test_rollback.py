from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import deltalake
import psycopg2
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from retail.errors import EngineError, LeaseHeldError, TieOutError, WarehouseError
from retail.runs.fenced_storage import FencedStorage
from retail.warehouse.connection import Warehouse
from retail.warehouse.publish.transaction import publish
from retail.warehouse.rollback import Prepared, RolledBack, TableBack, already, in_effect, roll_back
from retail.warehouse.schema.ddl import view_files
from retail.warehouse.views import refresh
from tests.kill.told import in_operations
from tests.warehouse import literals
from tests.warehouse.conftest import Query
from tests.warehouse.literals import DIMENSIONS, Lake, line

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.parametrize("engine", ["sail"], indirect=True, scope="session"),
]

MONTHS = ("2017-01", "2017-02", "2017-03")
TABLES = (
    *(f"star.{name}" for name in sorted(DIMENSIONS)),
    "star.fact_sales",
    "ops.published_day",
    *(f"marts.{file.stem}" for file in view_files()),
)
State = dict[str, list[tuple[Any, ...]]]


class Bench:
    """A lake that is published run by run, and what PostgreSQL shows of it."""

    def __init__(self, session: SparkSession, lake: Lake, warehouse: Warehouse, query: Query) -> None:
        self.session, self.lake, self.warehouse, self.query = session, lake, warehouse, query
        self.judged: list[int] = []

    def publish(self, *run_ids: str, refreshed: bool = True) -> None:
        publish(
            self.session, self.lake.storage, self.warehouse, run_id=run_ids[-1], pending_run_ids=run_ids,
            months=MONTHS, delta_versions=self.lake.versions,
        )  # fmt: skip
        if refreshed:
            refresh(self.warehouse)

    def roll_back(self, run_id: str = "back", *, of_run: str | None = None) -> RolledBack:
        return roll_back(
            self.session, self.lake.storage, self.warehouse, run_id=run_id, judge=self._judge, of_run=of_run
        )

    def state(self) -> State:
        found = {name: sorted(self.query(f"SELECT * FROM {name}"), key=str) for name in TABLES}
        # A day that was emptied stays known as one that was published.
        found["ops.published_day"] = [row for row in found["ops.published_day"] if row[3] != 0]
        return found

    def _judge(self, prepared: Prepared) -> None:
        last, before, counts = prepared.last, prepared.before, prepared.in_postgresql
        assert last.published_at > before.published_at
        assert {count.hop for count in counts} == {"postgresql"}
        self.judged.append(before.delta_versions["fact_sales"])


@pytest.fixture
def bench(session: SparkSession, lake: Lake, warehouse: Warehouse, query: Query) -> Bench:
    return Bench(session, lake, warehouse, query)


def first_run(lake: Lake) -> None:
    lake.write(
        "fact_sales",
        line(1, "2017-01-05", "5"),
        line(2, "2017-01-06", "6", customer_key=1),
        line(3, "2017-02-01", "7"),
        line(4, "2017-02-01", "8"),
    )


def second_run(lake: Lake) -> None:
    """Corrects one, moves one into a month of its own, and one out of its month, brings two, and another product."""
    changed = {"changed_run_id": "run_2", "updated_at": datetime(2017, 3, 1, tzinfo=UTC)}
    lake.write(
        "dim_product", {"product_key": 99, "retailer_id": "retailer_1", "product_id": "new", **changed}
    )
    lake.replace(
        "dim_store", "store_key = 1",
        {"store_key": 1, "retailer_id": "retailer_1", "store_id": "s1", "store_name": "Renamed", **changed},
    )  # fmt: skip
    lake.replace(
        "fact_sales",
        "sales_key IN (1, 2, 3)",
        line(1, "2017-01-05", "50", **changed),
        line(2, "2017-03-01", "6", customer_key=1, **changed),
        line(3, "2017-01-06", "7", **changed),
        line(5, "2017-02-01", "9", product_key=99, **changed),
        line(6, "2017-03-01", "10", **changed),
    )


def test_all_is_again_as_the_publish_before_left_it_and_can_be_published_again(
    bench: Bench, lake: Lake, query: Query
) -> None:
    first_run(lake)
    bench.publish("run_1")
    before, version = bench.state(), lake.versions["fact_sales"]
    second_run(lake)
    bench.publish("run_2")
    after = bench.state()
    assert after["star.fact_sales"] != before["star.fact_sales"]

    done = bench.roll_back()
    assert bench.state() == before
    assert bench.judged == [version]
    assert (done.taken_back.run_ids, done.shown.run_ids) == (("run_2",), ("run_1",))
    assert [each for each in done.tables if each.restored or each.removed] == [
        TableBack("dim_product", 0, 1),
        TableBack("dim_store", 1, 0),
        TableBack("fact_sales", 3, 2),
    ]
    assert query("SELECT run_id FROM ops.publish") == [("run_1",)]
    assert query("SELECT DISTINCT run_id FROM marts.freshness") == [("run_1",)]
    assert query("SELECT run_id, taken_back, published_by, shown_run_id FROM ops.rollback") == [
        ("back", ["run_2"], "run_2", "run_1")
    ]

    bench.publish("run_2")
    assert bench.state() == after


def test_what_it_changes_of_published_figures_is_told(bench: Bench, lake: Lake, query: Query) -> None:
    first_run(lake)
    bench.publish("run_1")
    second_run(lake)
    bench.publish("run_2")
    assert bench.roll_back().restated_days == 4
    told = query(
        "SELECT business_date::text, before, after FROM marts.restatement"
        " WHERE run_id = 'back' AND figure = 'net_amount' ORDER BY 1"
    )
    assert told == [
        ("2017-01-05", Decimal(50), Decimal(5)),
        ("2017-01-06", Decimal(7), Decimal(6)),
        ("2017-02-01", Decimal(17), Decimal(15)),
        ("2017-03-01", Decimal(16), Decimal(0)),
    ]


def test_published_again_it_tells_what_it_changes_anew_and_once(
    bench: Bench, lake: Lake, query: Query
) -> None:
    first_run(lake)
    bench.publish("run_1")
    second_run(lake)
    bench.publish("run_2")
    query(
        "INSERT INTO marts.tie_out VALUES ('run_2', 'views', NULL, 'retailer_1', '2017-01-05', 'USD', 1, 50)"
    )
    bench.roll_back()
    of_run_2 = "SELECT count(*) FROM marts.{} WHERE run_id = 'run_2'"
    for table in ("restatement", "restated_transaction", "tie_out"):
        assert query(of_run_2.format(table)) == [(0,)]
    bench.publish("run_2")
    told = query(
        "SELECT business_date::text, after - before, (SELECT sum(net_amount) FROM marts.restated_transaction AS by"
        " WHERE by.run_id = told.run_id AND by.business_date = told.business_date)"
        " FROM marts.restatement AS told WHERE run_id = 'run_2' AND figure = 'net_amount' ORDER BY 1"
    )
    assert told == [
        ("2017-01-05", 45, 45),
        ("2017-01-06", 1, 1),
        ("2017-02-01", 2, 2),
        ("2017-03-01", 16, 16),  # which the rollback has told as gone
    ]


def test_views_that_lag_behind_are_not_moved_on(bench: Bench, lake: Lake, query: Query) -> None:
    """The second run was published and not checked: nothing of it may come into a view by taking the third back."""
    first_run(lake)
    bench.publish("run_1")
    shown = {name: rows for name, rows in bench.state().items() if name.startswith("marts.")}
    second_run(lake)
    bench.publish("run_2", refreshed=False)
    between = bench.state()
    lake.write("fact_sales", line(8, "2017-01-08", "1", changed_run_id="run_3"))
    bench.publish("run_3", refreshed=False)
    done = bench.roll_back()
    assert not done.views_renewed
    assert bench.state() == between
    assert {name: rows for name, rows in bench.state().items() if name in shown} == shown
    assert query("SELECT DISTINCT run_id FROM marts.freshness") == [("run_1",)]


def test_an_older_version_that_is_gone_is_told_with_what_it_means(bench: Bench, lake: Lake) -> None:
    first_run(lake)
    bench.publish("run_1")
    second_run(lake)
    bench.publish("run_2")
    after = bench.state()
    table = deltalake.DeltaTable(lake.storage.engine_path("star/dim_store"))
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(EngineError, match=r"(?s)star/dim_store, version 2 or 0, .*maintain\.retention_days"):
        bench.roll_back()
    assert bench.state() == after


def test_runs_that_were_published_together_are_taken_back_together_and_then_the_ones_before(
    bench: Bench, lake: Lake, query: Query
) -> None:
    first_run(lake)
    bench.publish("run_1")
    before = bench.state()
    lake.write("fact_sales", line(7, "2017-01-07", "1", changed_run_id="run_2"))
    bench.publish("run_2")
    between = bench.state()
    lake.write("fact_sales", line(8, "2017-01-08", "1", changed_run_id="run_3"))
    lake.write("fact_sales", line(9, "2017-01-09", "1", changed_run_id="run_4"))
    bench.publish("run_3", "run_4")

    assert bench.roll_back("back_1").taken_back.run_ids == ("run_3", "run_4")
    assert bench.state() == between
    bench.roll_back("back_2")
    assert bench.state() == before
    assert query("SELECT taken_back FROM ops.rollback ORDER BY rollback_id") == [
        (["run_3", "run_4"],),
        (["run_2"],),
    ]


def test_a_rollback_is_in_effect_until_its_runs_are_published_again(bench: Bench, lake: Lake) -> None:
    def told() -> list[tuple[str, tuple[str, ...], str]]:
        return [(each.run_id, each.taken_back, each.shown_run_id) for each in in_effect(bench.warehouse)]

    first_run(lake)
    bench.publish("run_1")
    for number in (2, 3):
        run_id = f"run_{number}"
        lake.write("fact_sales", line(5 + number, "2017-01-07", "1", changed_run_id=run_id))
        bench.publish(run_id)
    assert told() == []

    bench.roll_back("back_1")
    bench.roll_back("back_2")
    assert told() == [("back_1", ("run_3",), "run_2"), ("back_2", ("run_2",), "run_1")]

    bench.publish("run_2", "run_3")
    assert told() == []
    bench.roll_back("back_3")
    assert told() == [("back_3", ("run_2", "run_3"), "run_1")]


def test_given_again_it_finds_the_publish_rolled_back_and_takes_no_other_back(
    bench: Bench, lake: Lake
) -> None:
    """As after a COMMIT whose answer was lost."""
    first_run(lake)
    bench.publish("run_1")
    for number in (2, 3):
        lake.write("fact_sales", line(5 + number, "2017-01-07", "1", changed_run_id=f"run_{number}"))
        bench.publish(f"run_{number}")
    for of_run in (None, "run_3"):
        assert already(bench.warehouse, of_run) is None
    with pytest.raises(WarehouseError, match="run_2 is not in the newest publish"):
        bench.roll_back(of_run="run_2")
    bench.roll_back("back_1", of_run="run_3")
    state = bench.state()
    for of_run in (None, "run_3"):
        done = already(bench.warehouse, of_run)
        assert done is not None
        assert (done.run_id, done.taken_back) == ("back_1", ("run_3",))
    assert already(bench.warehouse, "run_2") is None
    assert bench.state() == state
    bench.publish("run_3")
    assert already(bench.warehouse) is None


def test_there_must_be_a_publish_before_the_newest(bench: Bench, lake: Lake) -> None:
    with pytest.raises(WarehouseError, match="nothing was published yet"):
        bench.roll_back()
    first_run(lake)
    bench.publish("run_1")
    with pytest.raises(WarehouseError, match="nothing was published before the newest publish"):
        bench.roll_back()


def test_what_does_not_tie_out_changes_nothing(
    bench: Bench, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_run(lake)
    bench.publish("run_1")
    second_run(lake)
    bench.publish("run_2")
    after = bench.state()

    def refuse(_: Prepared) -> None:
        raise TieOutError("not the same", hint="nothing was changed")

    monkeypatch.setattr(bench, "_judge", refuse)
    with pytest.raises(TieOutError):
        bench.roll_back()
    assert bench.state() == after


def test_who_lost_the_lease_meanwhile_changes_nothing(bench: Bench, lake: Lake) -> None:
    first_run(lake)
    bench.publish("run_1")
    second_run(lake)
    bench.publish("run_2")
    after = bench.state()

    def refuse() -> None:
        assert bench.judged, "asked behind all else, so that nothing comes between this and the commit"
        raise LeaseHeldError("lost its lease", hint="run again")

    with pytest.raises(LeaseHeldError):
        roll_back(
            bench.session, FencedStorage(lake.storage, refuse), bench.warehouse, run_id="back",
            judge=bench._judge,
        )  # fmt: skip
    assert bench.state() == after


def test_an_answer_that_was_lost_names_the_run_that_it_was_about(bench: Bench, lake: Lake) -> None:
    first_run(lake)
    bench.publish("run_1")
    second_run(lake)
    bench.publish("run_2")

    def cut_off(_: Prepared) -> None:
        raise psycopg2.OperationalError("server closed the connection unexpectedly")

    with pytest.raises(WarehouseError) as lost:
        roll_back(bench.session, lake.storage, bench.warehouse, run_id="back", judge=cut_off)
    in_operations(
        "cannot roll back the publish of …: server closed the connection unexpectedly", lost.value.message
    )
    assert "retail publish --rollback --run run_2" in lost.value.hint


def test_a_column_that_came_with_the_publish_is_empty_again(
    bench: Bench, lake: Lake, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_run(lake)
    bench.publish("run_1")
    before = bench.state()
    query("ALTER TABLE star.dim_store ADD COLUMN later text")
    table = deltalake.DeltaTable(lake.storage.engine_path("star/dim_store"))
    table.alter.add_columns(deltalake.Field("later", "string"))  # type: ignore[arg-type]
    lake.versions["dim_store"] += 1
    monkeypatch.setitem(
        literals.SCHEMAS, "dim_store", {**literals.SCHEMAS["dim_store"], "later": pa.string()}
    )
    second_run(lake)
    bench.publish("run_2")
    query("UPDATE star.dim_store SET later = 'filled' WHERE changed_run_id = 'run_2'")
    bench.roll_back()
    assert query("SELECT DISTINCT later FROM star.dim_store") == [(None,)]
    query("ALTER TABLE star.dim_store DROP COLUMN later")
    assert bench.state() == before
