"""A history played by the pipeline on an engine and by the model, held against each other after every run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from retail.config.secrets import Secrets
from retail.config.settings import QualitySettings, Settings
from retail.errors import GateError
from retail.lake import delta
from retail.lake.layout import master_folder, raw_file
from retail.pipeline.gate_step import gate_step
from retail.pipeline.merge_step import merge_step
from retail.pipeline.stage_step import stage_step
from retail.pipeline.step_results import MergeResult, StageResult
from retail.pipeline.workspace import Workspace
from retail.quality import tie_out
from retail.records import ProductRecord, StoreRecord
from retail.runs.counts import HopCount
from tests.conftest import settings_for
from tests.oracle.figures import Figures
from tests.oracle.histories import Description, History, RetailerDay, Run
from tests.oracle.model import Model, Outcome
from tests.oracle.rows import KEYS
from tests.steps import step_context

_STEPS = {
    "stage": stage_step,
    "gate": gate_step,
    "merge": merge_step,
}
_IDENTITIES = (tie_out.STAGED, tie_out.MERGED, tie_out.DELTA)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DifferenceError(AssertionError):
    """The star is not the model's."""


def play(history: History, session: SparkSession, engine: str, folder: Path) -> None:
    """Raises DifferenceError after the first run whose star, quarantine or figures are not the model's."""
    lake = Lake(session, settings_of(engine, folder))
    for number, run in enumerate(history.runs, start=1):
        lake.play(run, f"run-{number}")


def settings_of(engine: str, folder: Path) -> Settings:
    """Settings of a test in which bad lines, of which there are many, stop no run."""
    quality = QualitySettings(quarantine_lines=1_000_000)
    return settings_for(engine, folder).model_copy(update={"quality": quality})


class Lake:
    """A lake of its own, and the model of it."""

    def __init__(self, session: SparkSession, settings: Settings) -> None:
        self.workspace = Workspace(settings, Secrets({}))
        self.workspace.__dict__["session"] = session  # one engine for all histories
        self.model = Model(
            (retailer_id, each.name, each.service, each.time_zone)
            for retailer_id, each in settings.retailers.items()
        )
        self.raw: dict[RetailerDay, list[str]] = {}
        self.descriptions = 0

    def play(self, run: Run, run_id: str) -> None:
        """The steps 3 to 5 of the run, by the pipeline and by the model. Raises DifferenceError."""
        for unit, landed in run.landed:
            self.land(unit, [line.text(unit, place) for place, line in enumerate(landed)])
        for each in run.described:
            self._describe(each)
        expected = self.model.run(run_id, {unit: self.raw[unit] for unit in run.units})
        ledger = self.workspace.ledger
        begun = ledger.begin(run_id, run.units, tasks=("transform",), engine=self.workspace.settings.engine)
        context = step_context(self.workspace, begun)
        try:
            for step, do in _STEPS.items():
                ledger.end_step(run_id, step, do(context).to_json(), seconds=0)
        except GateError as error:
            if not expected.critical:
                raise
            ledger.end(run_id, "stopped", reason=error.message)
        self._compare_report(expected, run_id)
        self.compare_star(run_id)
        self._compare_quarantine(run_id)

    def land(self, unit: RetailerDay, lines: list[str]) -> None:
        """Write the raw file of the unit, in the place of the one that is there."""
        self.raw[unit] = lines
        self.workspace.storage.write(raw_file(*unit), "".join(f"{line}\n" for line in lines).encode())

    def _describe(self, each: Description) -> None:
        told: dict[str, Any] = {**each.attributes(), "fetched_at": each.fetched_at, "source_ref": "catalogue"}
        product = each.table == "dim_product"
        record: ProductRecord | StoreRecord = ProductRecord(**told) if product else StoreRecord(**told)
        self.descriptions += 1
        folder = master_folder("products" if product else "stores", each.retailer_id)
        key = f"{folder}run={self.descriptions}/part-00001.json"
        self.workspace.storage.write(key, f"{record.to_line()}\n".encode())
        self.model.describe(each.table, each.attributes(), datetime.fromisoformat(each.fetched_at))

    def _compare_report(self, expected: Outcome, run_id: str) -> None:
        ledger = self.workspace.ledger
        staged, merged = StageResult.of(ledger, run_id), MergeResult.of(ledger, run_id)
        assert staged is not None
        for name, counted, figures in (
            ("warned", staged.warned, expected.warned),
            ("critical", staged.critical, expected.critical),
        ):
            told = _figures(counted, by_reason=True)
            _require_equal(f"{run_id}: {name}", told, _figures_text(figures))
        _require_equal(f"{run_id}: unknown fields", staged.unknown_fields, expected.unknown_fields)
        _require_equal(f"{run_id}: rows per action", merged.actions if merged else {}, expected.actions)
        counts = [*staged.counts, *(merged.counts if merged else [])]
        _require_equal(f"{run_id}: figures", _figures(counts), _figures_text(expected.figures))
        tie_out.require(_IDENTITIES if merged else (tie_out.STAGED,), counts)
        if merged:
            self.workspace.ledger.end(run_id, "success")

    def compare_star(self, run_id: str) -> None:
        """Every row and column of the star. Raises DifferenceError."""
        for table, key in KEYS.items():
            rows = self._rows(f"star/{table}")
            found = {row[key]: row for row in rows}
            if len(found) != len(rows):
                raise DifferenceError(f"{run_id}: {table} holds a key more than once: {_doubled(rows, key)}")
            if table == "fact_sales":
                self.model.learn_source_refs({row[key]: row["source_ref"] for row in rows})
            _require_equal(f"{run_id}: {table}", found, _plain(self.model.rows(table)))

    def _compare_quarantine(self, run_id: str) -> None:
        columns = list(self.model.quarantine()[0]) if self.model.quarantine() else ["value"]
        refused = [_text({c: row[c] for c in columns}) for row in self._rows("quarantine")]
        expected = [_text({c: _micros(row[c]) for c in columns}) for row in self.model.quarantine()]
        _require_equal(
            f"{run_id}: quarantine", dict(enumerate(sorted(refused))), dict(enumerate(sorted(expected)))
        )

    def _rows(self, key: str) -> list[dict[str, Any]]:
        if delta.version(self.workspace.storage, key) is None:  # no run has merged
            return []
        frame = delta.read(self.workspace.session, self.workspace.storage, key)
        return [row.asDict() for row in frame.select(*_with_micros(frame)).collect()]


def _with_micros(frame: DataFrame) -> list[Any]:
    """Timestamps as microseconds since 1970: what a client makes of them depends on its own zone."""
    return [
        F.unix_micros(name).alias(name) if kind == "timestamp" else F.col(name) for name, kind in frame.dtypes
    ]


def _plain(rows: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {key: {name: _micros(value) for name, value in row.items()} for key, row in rows.items()}


def _micros(value: object) -> object:
    return (value - _EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else value


def _figures(counts: Iterable[HopCount], *, by_reason: bool = False) -> dict[str, str]:
    """Rows and money of each group at each hop, whatever the reasons, or for each reason."""
    sums: dict[str, tuple[int, Decimal]] = {}
    for each in counts:
        if each.rows and not each.hop.startswith("delta_"):
            what = each.reason if by_reason else each.hop
            group = f"{what} {each.retailer_id} {each.business_date} {each.currency}"
            rows, money = sums.get(group, (0, Decimal(0)))
            sums[group] = (rows + each.rows, money + each.money)
    return {group: f"{rows} rows, {money:.4f}" for group, (rows, money) in sums.items()}


def _figures_text(figures: Figures) -> dict[str, str]:
    return {
        " ".join(map(str, group)): f"{rows} rows, {money:.4f}" for group, (rows, money) in figures.items()
    }


def _text(row: dict[str, Any]) -> str:
    def plain(value: object) -> str:
        return format(value, ".4f") if isinstance(value, Decimal) else str(value)

    return " | ".join(f"{name}={plain(value)}" for name, value in row.items())


def _require_equal(what: str, found: dict[Any, Any], expected: dict[Any, Any]) -> None:
    if found == expected:
        return
    lines = [f"{what} is not the model's:"]
    for key in sorted(found.keys() | expected.keys(), key=str):
        one, other = found.get(key), expected.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            differing = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
            lines += [f"  {key}.{name}: {one.get(name)!r}, model {other.get(name)!r}" for name in differing]
        elif one != other:
            lines.append(f"  {key}: {one!r}, model {other!r}")
    raise DifferenceError("\n".join(lines))


def _doubled(rows: list[dict[str, Any]], key: str) -> list[Any]:
    keys = [row[key] for row in rows]
    return sorted({each for each in keys if keys.count(each) > 1})
