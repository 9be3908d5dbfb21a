"""Whatever is run, cleared, redone, killed or rolled back, in whatever order: what the views show has passed a check.

Random commands work on a real ledger and lease. The star is a dictionary of one row a retailer's day, and only the
steps that fetch and move rows are played; check, publish and refresh are the pipeline's own, over that star.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.conftest import settings_for
from tests.steps import Silence

from retail.config.secrets import Secrets
from retail.errors import GateError, LeaseHeldError, RetailError, UncheckedError, WarehouseError
from retail.pipeline import check_step, publish_step, published, refresh_step, rollback, runner
from retail.pipeline.step_context import RunOptions, StepContext
from retail.pipeline.step_results import (
    ExtractResult,
    GateResult,
    LandResult,
    MergeResult,
    StageResult,
    StepResult,
    units_to_process,
)
from retail.pipeline.tasks import ALL_TASKS, STEPS
from retail.pipeline.workspace import Workspace
from retail.runs.counts import HopCount
from retail.runs.days import RetailerDay
from retail.warehouse.rollback import Judge, Prepared, Publish

FIRST, SECOND = ("retailer_1", date(2017, 1, 5)), ("retailer_1", date(2017, 1, 6))
NAMES: dict[str, list[RetailerDay]] = {"night-1": [FIRST], "night-2": [SECOND], "both": [FIRST, SECOND]}
NOW = datetime(2017, 1, 7, tzinfo=UTC)


class KilledError(BaseException):
    """The process is gone: nothing of it is recorded any more."""


@dataclass(frozen=True)
class Row:
    """A version of the only row of a retailer's day. A check that judges a bad one fails."""

    number: int
    run_id: str
    money: int
    is_bad: bool


Star = dict[RetailerDay, Row]


@dataclass
class World:
    """Raw files, lake, PostgreSQL and views; and the rows that some check judged and let pass."""

    chance: random.Random
    is_reliable: bool = False
    raw: dict[RetailerDay, tuple[int, bool]] = field(default_factory=dict)
    staged: dict[RetailerDay, tuple[int, bool]] = field(default_factory=dict)
    lake: Star = field(default_factory=dict)
    postgresql: Star = field(default_factory=dict)
    views: Star = field(default_factory=dict)
    # Each publish with its runs, and the lake that it read.
    publishes: list[tuple[list[str], Star]] = field(default_factory=list)
    judged: set[int] = field(default_factory=set)
    looked_at: set[int] = field(default_factory=set)
    numbers: int = 0

    @property
    def published(self) -> set[str]:
        return {run_id for runs, _ in self.publishes for run_id in runs}

    def extract(self, context: StepContext) -> ExtractResult:
        return ExtractResult(extracted=list(context.run.units))

    def land(self, context: StepContext) -> LandResult:
        for unit in units_to_process(context.ledger, context.run):
            self.raw[unit] = (self.chance.choice((1, 2)), self.chance.random() < 0.3)
        return LandResult()

    def stage(self, context: StepContext) -> StageResult:
        units = units_to_process(context.ledger, context.run)
        self.staged = {unit: self.raw.setdefault(unit, (1, False)) for unit in units}
        return StageResult(lines_version=1, sales_version=1)

    def gate(self, _: StepContext) -> GateResult:
        return GateResult()

    def merge(self, context: StepContext) -> MergeResult:
        for unit, (money, is_bad) in self.staged.items():
            row = self.lake.get(unit)
            if row is None or (row.money, row.is_bad) != (money, is_bad):
                self.numbers += 1
                self.lake[unit] = Row(self.numbers, context.run_id, money, is_bad)
        return MergeResult(versions={}, actions={}, months=[])

    def publish(self, *_: object, pending_run_ids: list[str], **__: object) -> SimpleNamespace:
        changed = {unit: row for unit, row in self.lake.items() if row.run_id in pending_run_ids}
        self.postgresql |= changed
        if pending_run_ids:
            self.publishes.append((pending_run_ids, dict(self.lake)))
        return SimpleNamespace(tables=[], restated_days=0)

    def judge(self, _: StepContext, __: object, runs: list[str] | None) -> list[object]:
        """The expectations over what these runs changed, or over everything."""
        rows = [row for row in self.lake.values() if runs is None or row.run_id in runs]
        if any(row.is_bad for row in rows):
            raise GateError("a row is bad")
        self.looked_at = {row.number for row in rows}
        return []

    def check(self, context: StepContext) -> StepResult:
        result = check_step.check_step(context)
        self.judged |= self.looked_at
        return result

    def refresh(self, *_: object, **__: object) -> SimpleNamespace:
        self.views = dict(self.postgresql)
        return SimpleNamespace(views=[], totals=[])

    def roll_back(self, *_: object, judge: Judge, **__: object) -> None:
        """Views that show the newest publish go back with it."""
        if len(self.publishes) < 2:
            raise WarehouseError("there is no publish before the newest")
        last, before = self.publishes[-1][0], self.publishes[-2][1]
        are_shown = self.views == self.postgresql
        newest, shown = (
            Publish(tuple(runs), runs[-1], NOW, {"fact_sales": 1}) for runs, _ in self.publishes[:-3:-1]
        )
        judge(Prepared(newest, shown, [], are_shown))
        kept = {unit: row for unit, row in self.postgresql.items() if row.run_id not in last}
        self.postgresql = {unit: before[unit] for unit in self.postgresql if unit in before} | kept
        self.publishes.pop()
        if are_shown:
            self.views = dict(self.postgresql)


def totals(star: Callable[[], Star], hop: str, *_: object, **__: object) -> list[HopCount]:
    return [
        HopCount(
            hop=hop, retailer_id=retailer, business_date=str(day), currency="USD", rows=1, money=Decimal(row.money)
        )
        for (retailer, day), row in star().items()
    ]  # fmt: skip


def unreliable(world: World, step: Callable[[StepContext], StepResult], context: StepContext) -> StepResult:
    """The step, which may fail or be killed before it has done anything, or after, before it is recorded."""
    faults = [None] * 8 + [RetailError("the network is down"), KilledError()]
    before, fault = world.chance.random() < 0.5, world.chance.choice(faults)
    if world.is_reliable or fault is None:
        return step(context)
    if not before:
        step(context)
    raise fault


Begin = Callable[..., tuple[World, Workspace]]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Makes a world, and a workspace whose steps play on it; the newest one counts."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(runner, "_require_configuration", lambda *_: None)
    for module in (publish_step, rollback):
        monkeypatch.setattr(module, "prepare", lambda _: None)
    monkeypatch.setattr(publish_step.migration, "migrate", lambda *_: None)  # type: ignore[attr-defined]
    monkeypatch.setattr(publish_step.delta, "require_version", lambda *_: 1)  # type: ignore[attr-defined]
    monkeypatch.setattr(check_step, "_silent_stores", lambda _: [])
    monkeypatch.setattr(check_step, "_profiled", lambda _: [])
    own = dict(runner.STEP_FUNCTIONS)

    def made(seed: int = 0, *, is_reliable: bool = False) -> tuple[World, Workspace]:
        world = World(random.Random(seed), is_reliable)  # noqa: S311 - a test's
        for module in (publish_step, published, refresh_step, rollback):
            monkeypatch.setattr(module, "published_runs", lambda _: world.published)
        monkeypatch.setattr(publish_step, "publish", world.publish)
        monkeypatch.setattr(refresh_step, "refresh", world.refresh)
        monkeypatch.setattr(rollback.rollback, "roll_back", world.roll_back)  # type: ignore[attr-defined]
        monkeypatch.setattr(rollback.rollback, "already", lambda *_: None)  # type: ignore[attr-defined]
        monkeypatch.setattr(rollback, "merge", SimpleNamespace(totals=lambda *_, **__: []))
        monkeypatch.setattr(check_step, "_expectations", world.judge)
        in_lake = partial(totals, lambda: world.lake, "delta_after")
        monkeypatch.setattr(check_step, "merge", SimpleNamespace(totals=in_lake))
        monkeypatch.setattr(
            check_step, "star_totals", partial(totals, lambda: world.postgresql, "postgresql")
        )
        played: dict[str, Any] = {name: getattr(world, name) for name in (*STEPS[:5], "check")}
        for name in STEPS:
            step = partial(unreliable, world, played.get(name, own[name]))
            monkeypatch.setitem(runner.STEP_FUNCTIONS, name, step)
        workspace = Workspace(
            settings_for("sail", tmp_path / str(seed)), Secrets({"RETAIL_CUSTOMER_PEPPER": "pepper" * 6})
        )
        workspace.__dict__ |= {"session": object(), "warehouse": object()}
        return world, workspace

    return made


def random_command(world: World, workspace: Workspace) -> str:
    """One command, of a scheduler or a person; that it fails is part of the game."""
    chance = world.chance
    name = chance.choice(list(NAMES))
    kind = chance.choice(["task"] * 6 + ["run", "alone", "alone", "rollback"])
    task = chance.choice(ALL_TASKS if kind == "task" else ("land", "transform", "check", "refresh"))
    redo, force = chance.random() < 0.4, chance.random() < 0.5
    said = f"{kind} {name} {task} {redo=} {force=}"
    run = partial(runner.run, workspace, NAMES[name], Silence())
    try:
        if kind == "task":
            run(tasks=(task,), name=name, redo=redo)
        elif kind == "run":
            run(options=RunOptions(force=force))
        elif kind == "alone":
            run(tasks=(task,))
        else:
            rollback.roll_back(workspace)
    except (RetailError, KilledError) as error:
        assert not isinstance(error, LeaseHeldError)
        said += f" → {type(error).__name__} {str(error)[:90]}"
    return said


@pytest.mark.parametrize("sequences", [50, pytest.param(1_000, marks=pytest.mark.nightly)])
def test_whatever_happens_the_views_show_what_a_check_has_judged(begin: Begin, sequences: int) -> None:
    first, refreshed = int(os.environ["RETAIL_TEST_SEED"]), 0
    for seed in range(first, first + sequences):
        world, workspace = begin(seed)
        done: list[str] = []
        for _ in range(world.chance.randint(4, 14)):
            before = world.views
            done.append(random_command(world, workspace))
            refreshed += world.views != before
            unjudged = [row for row in world.views.values() if row.number not in world.judged]
            assert not unjudged, f"seed {seed}: the views show {unjudged} after\n" + "\n".join(done)
    assert refreshed > sequences / 25, "too few commands came to the views"


def test_a_fetch_in_a_run_that_began_behind_it_does_not_forget_what_was_merged(begin: Begin) -> None:
    _, workspace = begin(is_reliable=True)
    run = partial(runner.run, workspace, [FIRST], Silence())
    merged = run(tasks=("transform",), name="fix").run_id

    assert run(tasks=("ingest",), name="fix").run_id != merged
    with pytest.raises(UncheckedError) as caught:
        run(tasks=("refresh",))

    assert list(caught.value.runs) == [merged]


def test_views_do_not_go_back_to_rows_that_a_later_run_replaced_before_a_check(begin: Begin) -> None:
    world, workspace = begin(is_reliable=True)
    run = partial(runner.run, workspace, [FIRST], Silence())
    world.raw[FIRST] = (1, True)
    unchecked = run(tasks=("transform",)).run_id
    world.raw[FIRST] = (2, False)
    for task in ("transform", "check", "refresh"):
        run(tasks=(task,))
    before = world.views

    with pytest.raises(UncheckedError, match="not rolled back") as caught:
        rollback.roll_back(workspace)

    assert list(caught.value.runs) == [unchecked]
    assert world.views == before
