"""The record of completed work, as one JSON object per run and step below `ops/`: no server to lose.

    ops/runs/<run_id>/run.json              what the run is for, when it began
    ops/runs/<run_id>/steps/<step>.json     a step that ended, with its counts and versions
    ops/runs/<run_id>/checked.json          the check that covers what the run merged: its own, or a later run's
    ops/runs/<run_id>/ended.json            how the run ended
    ops/done/<retailer_id>/<date>.json      the run that completed this retailer's day, through to the views
    ops/out-of-reach/<retailer_id>/<date>.json  the run that found that the retailer no longer shows this day
    ops/checkpoints/<retailer_id>.json      the date up to which scheduled runs have completed all days

A step that ended is not repeated. A killed run has no `ended.json`, and is resumed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from retail.errors import ConfigurationError, ObjectNotFoundError, StorageError
from retail.lake import layout
from retail.lake.storage import Storage
from retail.outgoing_text import mask_values
from retail.runs.days import RetailerDay, Span
from retail.runs.run import Run

Outcome = Literal["success", "partial", "stopped", "failed", "paused"]


class Ledger:
    """Reads and writes the records of runs. One writer at a time: the holder of the lease."""

    def __init__(self, storage: Storage, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._storage = storage
        self._now = now

    def begin(
        self,
        run_id: str,
        units: Iterable[RetailerDay],
        *,
        tasks: Iterable[str],
        engine: str,
        span: Span | None = None,
        backfill: bool = False,
        force: bool = False,
        after_run: str | None = None,
        reconcile: bool = False,
    ) -> Run:
        """Record a new run."""
        run = Run(
            run_id,
            tuple(sorted(units)),
            tuple(tasks),
            engine,
            self._now().isoformat(),
            span,
            backfill,
            force,
            after_run,
            reconcile,
        )
        self._write(layout.run_record(run_id), run.to_json())
        return run

    def run(self, run_id: str) -> Run:
        """The run's record. Raises ObjectNotFoundError."""
        return Run.from_json(self._read(layout.run_record(run_id)))

    def run_ids(self) -> list[str]:
        """All runs, oldest first."""
        keys = self._storage.list(layout.RUNS)
        return sorted({key.split("/")[2] for key in keys if key.endswith("/run.json")})

    def newest(self) -> str | None:
        """The run that began last, if any."""
        return max(self.run_ids(), default=None)

    def unfinished(
        self,
        units: Iterable[RetailerDay],
        *,
        tasks: Iterable[str],
        force: bool = False,
        reconcile: bool = False,
    ) -> Run | None:
        """The newest run for exactly these units and tasks, if it was killed, paused or failed for a passing reason.

        With `force`, only a run that was forced too, and with `reconcile` only one that compares. None if another run
        has merged since: it has changed the tables that the run's plans were made for.
        """
        wanted = (tuple(sorted(units)), tuple(tasks), reconcile)
        for run_id in reversed(self.run_ids()):
            if self.outcome(run_id) in (None, "failed", "paused"):
                run = self.run(run_id)
                if (run.units, run.tasks, run.reconcile) == wanted and (run.force or not force):
                    return run
            if self.reached_merge(run_id):
                return None
        return None

    def fetched(self, run_id: str) -> bool:
        """Whether the run fetched its days from the retailers, rather than only staging existing files."""
        return self.step(run_id, "extract") is not None

    def reached_merge(self, run_id: str) -> bool:
        """Whether the run passed the gate, and so may have changed the star."""
        return self.step(run_id, "gate") is not None

    def overtaken(self, run_id: str) -> bool:
        """Whether another run has merged since this one began, and so changed the tables its plans were made for."""
        return any(self.reached_merge(other) for other in self.run_ids() if other > run_id)

    def newest_named(self, name: str) -> Run | None:
        """The newest run of this name, or the run with this id; None if there is none yet."""
        found = [run_id for run_id in self.run_ids() if name in (run_id, run_id.partition("-")[2])]
        return self.run(found[-1]) if found else None

    def named(self, name: str, units: Iterable[RetailerDay]) -> Run | None:
        """Like `newest_named`, but None for a run without units. Raises ConfigurationError if its units are others."""
        run = self.newest_named(name)
        if run is None or not run.units:
            return None
        if run.units == tuple(sorted(units)):
            return run
        days = ", ".join(map(str, run.dates))
        raise ConfigurationError(
            [f"--run-id {name} is the run of {', '.join(run.retailers)} for {days} only"],
            hint="use a new --run-id, or omit the days",
        )

    def step(self, run_id: str, step: str) -> dict[str, Any] | None:
        """The record the step wrote when it ended, or None if it has not ended."""
        return self._read_or_none(layout.run_step(run_id, step))

    def end_step(self, run_id: str, step: str, result: dict[str, Any], *, seconds: float) -> None:
        """Record that the step ended, with its result."""
        record = {**result, "ended_at": self._now().isoformat(), "seconds": round(seconds, 3)}
        self._write(layout.run_step(run_id, step), record)

    def forget_step(self, run_id: str, step: str) -> None:
        """Mark the step as to be done again."""
        self._storage.delete(layout.run_step(run_id, step))
        if step == "check":
            self._storage.delete(layout.run_checked(run_id))

    def forget_from(self, run_id: str, step: str, order: Sequence[str]) -> None:
        """Mark the step and all later ones as to be done again, forgetting the last of them first.

        If the check is one of them, a later run's check no longer covers this run either.
        """
        recorded = set(self._storage.list(layout.run_folder(run_id)))
        forgotten = order[order.index(step) :]
        for each in reversed(forgotten):
            if layout.run_step(run_id, each) in recorded:
                self.forget_step(run_id, each)
        if "check" in forgotten and layout.run_checked(run_id) in recorded:
            self._storage.delete(layout.run_checked(run_id))

    def published(self) -> list[str]:
        """Runs that may have changed the star and have published since, oldest first. One listing."""
        keys = set(self._storage.list(layout.RUNS))
        run_ids = sorted(key.split("/")[2] for key in keys if key.endswith("/run.json"))
        steps = ("gate", "publish")
        return [each for each in run_ids if all(layout.run_step(each, step) in keys for step in steps)]

    def mark_checked(self, run_ids: Iterable[str], by: str) -> None:
        """Record that the check of the run `by` passed, and covered what these runs merged."""
        for run_id in run_ids:
            self._write(layout.run_checked(run_id), {"run_id": by})

    def unchecked(self) -> list[str]:
        """Runs that may have changed the star and that no check has covered since, oldest first."""
        keys = set(self._storage.list(layout.RUNS))
        found: list[str] = []
        for run_id in sorted((key.split("/")[2] for key in keys if key.endswith("/run.json")), reverse=True):
            if layout.run_checked(run_id) in keys:
                continue
            # Earlier versions marked no run; their check covered all older runs. A refresh only had a copy of
            # a check.
            if layout.run_step(run_id, "check") in keys and self.run(run_id).tasks != ("refresh",):
                break
            if layout.run_step(run_id, "gate") in keys:
                found.append(run_id)
        return found[::-1]

    def checked_since(self, run_id: str) -> list[str]:
        """Earlier runs whose check was made by this run or a later one: of their rows, only those still there then."""
        found = [each for each in self.run_ids() if each < run_id]
        checks = {each: self._read_or_none(layout.run_checked(each)) for each in found}
        return [each for each, check in checks.items() if check is not None and check["run_id"] >= run_id]

    def forget_check(self, run_id: str) -> None:
        """No check covers any longer what the run merged; its own record stays."""
        self._storage.delete(layout.run_checked(run_id))

    def take_over(self, run_id: str, source: str, steps: Iterable[str]) -> None:
        """Copy these steps' records from another run."""
        for step in steps:
            record = self.step(source, step)
            if record is not None:
                self._write(layout.run_step(run_id, step), record)

    def reopen(self, run_id: str, steps: Iterable[str], *, reason: str) -> None:
        """Reopen a run that turned out not to be complete: these steps are to be done again.

        Days that this run completed become due. Days that another run completed, such as those this one only restaged,
        stay done. A backfill moved no checkpoint: its days become due if the checkpoint stands on them; earlier ones
        are only loaded by another backfill.
        """
        for step in steps:
            self.forget_step(run_id, step)
        run = self.run(run_id)
        for retailer, day in reversed(run.units):
            done = layout.done(retailer, day)
            noted = self._read_or_none(done)
            if noted is None and not self.fetched(run_id):
                continue
            if noted is not None and noted["run_id"] != run_id:
                continue
            checkpoint = self.checkpoint(retailer)
            if checkpoint == day or (checkpoint is not None and checkpoint > day and not run.backfill):
                self.set_checkpoint(retailer, day - timedelta(days=1))
            self._storage.delete(done)
        self.end(run_id, "failed", reason=reason, reopened=True)

    def end(self, run_id: str, outcome: Outcome, *, reason: str = "", reopened: bool = False) -> None:
        """Record how the run ended; `reopened` if it had been complete before, until it is complete again."""
        if outcome in ("failed", "stopped"):
            reopened = reopened or bool((self.ended(run_id) or {}).get("reopened"))
        record: dict[str, Any] = {"outcome": outcome, "reason": reason, "ended_at": self._now().isoformat()}
        record |= {"reopened": True} if reopened else {}
        self._write(layout.run_end(run_id), record)

    def resume_run(self, run_id: str) -> Run:
        """The run, with its end removed; a reopened run stays reopened until it ends well."""
        if not (self.ended(run_id) or {}).get("reopened"):
            self._storage.delete(layout.run_end(run_id))
        return self.run(run_id)

    def outcome(self, run_id: str) -> Outcome | None:
        """How the run ended; None if it is running, or was killed."""
        ended = self.ended(run_id)
        return ended["outcome"] if ended else None

    def ended(self, run_id: str) -> dict[str, Any] | None:
        """The record of the run's end: outcome, reason, ended_at, and reopened if it was reopened."""
        return self._read_or_none(layout.run_end(run_id))

    def mark_done(self, units: Iterable[RetailerDay], run_id: str) -> None:
        """Mark these retailer-days as complete."""
        out_of_reach = self._units(layout.OUT_OF_REACH)
        for retailer, day in units:
            self._write(layout.done(retailer, day), {"run_id": run_id})
            if (retailer, day) in out_of_reach:
                self._storage.delete(layout.out_of_reach(retailer, day))

    def done(self) -> set[RetailerDay]:
        """All retailer-days that are complete."""
        return self._units(layout.DONE)

    def mark_out_of_reach(self, units: Iterable[RetailerDay], run_id: str) -> None:
        """The retailers no longer show these days: no run is due for them, and the checkpoint skips them."""
        for retailer, day in units:
            self._write(layout.out_of_reach(retailer, day), {"run_id": run_id})

    def out_of_reach(self) -> set[RetailerDay]:
        """All retailer-days that were requested in vain and have not been completed since."""
        return self._units(layout.OUT_OF_REACH) - self.done()

    def checkpoint(self, retailer: str) -> date | None:
        """The date up to which scheduled runs have completed all of the retailer's days; None before the first."""
        values = self._read_or_none(layout.checkpoint(retailer))
        return date.fromisoformat(values["date"]) if values else None

    def set_checkpoint(self, retailer: str, day: date) -> None:
        """Record how far the retailer has come."""
        self._write(layout.checkpoint(retailer), {"date": day.isoformat()})

    def settled(
        self, tasks: Iterable[str], *, out_of_reach: Collection[RetailerDay] = ()
    ) -> set[RetailerDay]:
        """Units done or `out_of_reach`, less those of the newest run if it had these tasks and did not end well.

        Its days may be done all the same: it may have been forced to do them again, or was killed while recording its
        end. A comparison takes only complete days, and leaves them complete.
        """
        found, newest = self.done().union(out_of_reach), self.newest()
        if newest is None or self.outcome(newest) in ("success", "partial"):
            return found
        run = self.run(newest)
        return found - set(run.units) if run.tasks == tuple(tasks) and not run.reconcile else found

    def _units(self, prefix: str) -> set[RetailerDay]:
        keys = (key.removesuffix(".json").split("/") for key in self._storage.list(prefix))
        return {(key[2], date.fromisoformat(key[3])) for key in keys}

    def _write(self, key: str, values: dict[str, Any]) -> None:
        text = json.dumps(mask_values(values), indent=1, ensure_ascii=False)
        self._storage.write(key, text.encode())

    def _read(self, key: str) -> dict[str, Any]:
        try:
            values: dict[str, Any] = json.loads(self._storage.read(key))
            if not isinstance(values, dict):
                raise ValueError("not an object")
        except ValueError as error:
            raise StorageError(
                f"{self._storage.url}/{key} is not the JSON of a record: {error}",
                hint="delete this one object; the step that it records is repeated",
            ) from None
        return values

    def _read_or_none(self, key: str) -> dict[str, Any] | None:
        try:
            return self._read(key)
        except ObjectNotFoundError:
            return None
