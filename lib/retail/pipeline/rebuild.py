"""`retail rebuild`: damaged Delta tables from raw files again, and PostgreSQL from Delta.

A table is emptied in a version after all that it had, and the days that were merged before are staged and merged again
by the usual steps; as the star is the same whatever the order, it is what it was. PostgreSQL sees nothing of it until
the end: then the whole star is compared with it and sent in one transaction (docs/decisions/0033-rebuild.md).
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import structlog

from retail import star
from retail.errors import (
    ConfigurationError,
    StorageError,
    TableDamagedError,
    TieOutError,
    named_by_rebuild,
)
from retail.lake import delta, delta_log, layout
from retail.lake.storage import Storage
from retail.pipeline import runner
from retail.pipeline.runner import Result
from retail.pipeline.schedule import in_parts
from retail.pipeline.step_context import Report, RunOptions
from retail.pipeline.step_results import MergeResult, PublishResult, units_to_process
from retail.pipeline.workspace import LeasedWorkspace, Workspace
from retail.runs import rebuild_note, table_states
from retail.runs.days import RetailerDay
from retail.runs.ledger import Ledger
from retail.runs.rebuild_note import RebuildNote
from retail.runs.run import Run
from retail.star import merge
from retail.star.quarantine.table import groups
from retail.star.tables import fact_sales

# The tables made from raw files, and those that only serve the next run or its comparisons.
FROM_RAW: Final = (*(table.name for table in star.TABLES), layout.QUARANTINE)
STARTED_OVER: Final = (layout.STAGED.rstrip("/"), layout.PROFILE.rpartition("/")[2])

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Rebuilt:
    """The end of a rebuild. `rows` and `money` of the fact, by currency: `before`, as the last run left it, and now.

    `before` is None if that is not known. `restated_days`: retailer-days, published before, whose figures changed.
    """

    tables: tuple[str, ...]
    run_id: str | None
    before: tuple[int, dict[str, str]] | None
    now: tuple[int, dict[str, str]]
    restated_days: int


def rebuild_tables(
    workspace: Workspace,
    tables: Sequence[str],
    report: Report,
    *,
    first: date | None = None,
    last: date | None = None,
    command: str,
) -> Rebuilt:
    """Make `tables` of the lake again, from all days that were merged, or only those from `first` to `last`.

    A killed rebuild resumes where it stopped; other tables join it, and without days it takes all days. With days, the
    log must be whole: only the rows of data files that are missing are made again. Before anything is changed, raises
    StorageError if a day has no raw file, ConfigurationError if its retailer is not configured, TableDamagedError if
    another table is damaged, RebuildLeftError if the days are not those of the rebuild that is left; later, whatever
    a run raises.
    """
    with workspace.lease(_run_id()) as leased:
        note = rebuild_note.read(leased.storage)
        if note is None:
            note = _begin(leased, tables, first, last, command, after=None)
        elif (first or last) and not (note.is_of(first, last) and set(tables) <= set(note.tables)):
            rebuild_note.require_none(leased.storage)
        elif not (first or last) and (note.days or not set(tables) <= set(note.tables)):
            both = tuple(dict.fromkeys((*note.tables, *tables)))
            note = _begin(leased, both, None, None, command, after=note)
        note = _empty(leased, note)
    while note.left:
        part = next(in_parts(note.left, workspace.settings.runs.days_a_run))
        log.info("rebuilding", days=len({day for _, day in part}), left=len(note.left))
        options = RunOptions(
            rebuild=True, force=True, tolerated_rejects=_rejected(workspace.storage, part, note)
        )
        result = runner.run(workspace, part, report, tasks=("merge",), options=options)
        note = replace(note, left=tuple(unit for unit in note.left if unit not in set(part)))
        with workspace.lease(str(result.run_id)) as leased:
            rebuild_note.write(leased.storage, note)
    return _finish(workspace, note, report)


def rebuild_postgresql(workspace: Workspace, report: Report, *, with_others: bool = False) -> Result:
    """Bring PostgreSQL, whatever it holds, to what Delta has: rows that differ, are missing, or are too many.

    One transaction, after which the check and the refresh follow. Days whose published figures stay the same are not
    restated. Raises StorageError if nothing was ever merged, PublishForeignError if PostgreSQL holds runs of another
    lake and not `with_others`, and whatever a run raises.
    """
    units = _newest(_merged(workspace.ledger))
    if not units:
        raise StorageError(
            "no run has merged anything yet", hint="run `retail run` for at least one day first"
        )
    options = RunOptions(rebuild=True, force=True, replace=with_others)
    rebuild_note.require_none(workspace.storage)
    return runner.run(workspace, units, report, tasks=("publish", "check", "refresh"), options=options)


def require_rebuildable(leased: LeasedWorkspace) -> None:
    """Raises StorageError or ConfigurationError if the star could not be made again from raw files."""
    units = _merged(leased.ledger)
    _require_configured(leased, units)
    _require_raw(leased.storage, units)


def publish_whole(workspace: Workspace, report: Report) -> str | None:
    """Publish, check and show the whole star, and return the run that did; None if nothing was ever merged."""
    units = _newest(_merged(workspace.ledger))
    if not units:
        return None
    options = RunOptions(rebuild=True, force=True)
    return runner.run(workspace, units, report, tasks=("publish", "check", "refresh"), options=options).run_id


def _begin(
    leased: LeasedWorkspace,
    tables: Sequence[str],
    first: date | None,
    last: date | None,
    command: str,
    *,
    after: RebuildNote | None,
) -> RebuildNote:
    """Note the rebuild, which takes in the one that is left, `after`, if that is given.

    Raises StorageError or ConfigurationError if a day cannot be rebuilt; then nothing was changed.
    """
    storage, ledger = leased.storage, leased.ledger
    from_raw = [table for table in tables if table in FROM_RAW]
    units = _merged(ledger) if from_raw else []
    units = [(r, day) for r, day in units if (not first or day >= first) and (not last or day <= last)]
    if from_raw and not units:
        raise StorageError(
            "the ledger has no such day that any run merged, so nothing could be made again",
            hint="nothing was changed; if ops/ was lost, restore it from a backup first",
        )
    _require_configured(leased, units)
    _require_raw(storage, units)
    keys = [key for table in tables for key in _keys(storage, table)]
    _require_others_sound(leased, tables, keys)
    fact = table_states.recorded(storage).get(fact_sales.TABLE.path)
    rows, money = (None, None) if fact is None else (fact.rows, fact.money)
    if after is not None:
        rows, money = after.rows, after.money
    if (first or last) and rows is None:
        raise StorageError(
            "no run has recorded yet how many rows the star holds, so a rebuild of some days cannot be compared",
            hint="nothing was changed; leave out --from and --to",
        )
    note = RebuildNote(
        tables=tuple(tables),
        command=command,
        to_empty=() if first or last else tuple(keys),
        versions=_versions(storage, keys, after),
        left=tuple(units),
        days=bool(first or last),
        first=first,
        last=last,
        rows=rows,
        money=money,
    )
    if first or last:
        _drop_missing_files(storage, keys)
    rebuild_note.write(storage, note)
    _forget_plans(ledger, note)
    table_states.forget(storage, keys)
    return note


def _versions(storage: Storage, keys: Sequence[str], after: RebuildNote | None) -> dict[str, int]:
    """For each table the first version that it never had."""
    found, states = delta_log.logs(storage, table_states.ROOMS), table_states.recorded(storage)
    versions = {}
    for key in keys:
        newest = found[key].newest if key in found else None
        known = states[key].version if key in states else -1
        noted = after.versions.get(key, 0) if after is not None else 0
        versions[key] = max((-1 if newest is None else newest) + 1, known + 1, noted)
    return versions


def _forget_plans(ledger: Ledger, note: RebuildNote) -> None:
    """Forget what killed runs planned to merge into tables that are emptied; other tables need theirs.

    A plan explains the rows of its table that no record has yet.
    """
    names = [key.removeprefix(layout.STAR) for key in note.to_empty if key.startswith(layout.STAR)]
    for run_id in ledger.run_ids() if names else ():
        if MergeResult.of(ledger, run_id) is None:
            for plan in map(layout.merge_plan, names):
                if ledger.step(run_id, plan) is not None:
                    ledger.forget_step(run_id, plan)


def _require_configured(leased: LeasedWorkspace, units: Sequence[RetailerDay]) -> None:
    """Raises ConfigurationError if a retailer of these days is not configured: dim_retailer would lack it."""
    lacking = sorted({retailer for retailer, _ in units}.difference(leased.workspace.settings.retailers))
    if lacking:
        raise ConfigurationError(
            [f"{retailer} is not configured, and the lake has merged its days" for retailer in lacking],
            hint="the star was not changed; put it back into conf/*.toml, give the same command again, and remove it "
            "once the rebuild has ended",
        )


def _require_others_sound(leased: LeasedWorkspace, tables: Sequence[str], keys: Sequence[str]) -> None:
    """Raises TableDamagedError if another table is damaged and is found first; its hint names all of them.

    One that is found later joins the rebuild when it is named.
    """
    try:
        table_states.require_sound(leased.storage, leased.ledger)
    except TableDamagedError as error:
        if error.table not in keys:
            named = " ".join(f"--table {each}" for each in (*tables, named_by_rebuild(error.table)))
            error.hint = f"nothing was changed; `retail rebuild {named}` makes them again together"
            raise
    except StorageError:  # of a table that is so damaged that it cannot be opened
        return


def _empty(leased: LeasedWorkspace, note: RebuildNote) -> RebuildNote:
    """Empty the tables that are left to be emptied, one after the other."""
    for key in note.to_empty:
        start_over(leased.storage, key, version=note.versions[key])
        for table in star.TABLES:
            if table.path == key:
                context = leased.step_context(_run_of(leased, note), _Silence(), RunOptions(rebuild=True))
                merge.empty(context, table)
        log.info("table emptied", table=key)
        note = replace(note, to_empty=tuple(each for each in note.to_empty if each != key))
        rebuild_note.write(leased.storage, note)
    return note


def start_over(storage: Storage, key: str, *, version: int) -> None:
    """Begin the log of the table at `key` again, without rows, at a `version` that it never had.

    No version number of the star is used twice: who read the table at one of them gets an error, never other rows. What
    the old log held is kept below `ops/damaged/`. Wherever this is killed, calling it again completes it.
    """
    entry = delta_log.name_of(key, version)
    commit, checkpoint = _first_of_a_log()
    has_versions = key.startswith((layout.STAR, layout.STAGED))
    new = entry.removesuffix("json") if has_versions else None
    old = [each for each in storage.list(f"{key}{delta_log.FOLDER}") if not (new and each.startswith(new))]
    with delta.as_writer(storage):
        if not has_versions:  # nobody refers to one; its first writer creates it
            for each in old:
                _set_aside(storage, each, version)
            return
        storage.write(entry.replace(".json", ".checkpoint.parquet"), checkpoint)
        storage.write(entry, commit)
        for each in old:
            _set_aside(storage, each, version)
        delta.forget_last_checkpoint(storage, key)


def _set_aside(storage: Storage, key: str, version: int) -> None:
    name = key.replace(delta_log.FOLDER, "/log/")
    storage.write(layout.set_aside(f"version-{version}", name), storage.read(key))
    storage.delete(key)


def _first_of_a_log() -> tuple[bytes, bytes]:
    """The commit that creates a table without rows, and the checkpoint of it. Whoever writes next sets the schema."""
    import pyarrow as pa
    from deltalake import DeltaTable

    schema = pa.schema([("run_id", pa.string())])
    with tempfile.TemporaryDirectory(prefix="retail-lakehouse-") as folder:
        made = DeltaTable.create(folder, schema)
        made.create_checkpoint()
        name = Path(folder) / "_delta_log" / f"{0:020}"
        return name.with_suffix(".json").read_bytes(), name.with_suffix(".checkpoint.parquet").read_bytes()


def _drop_missing_files(storage: Storage, keys: Sequence[str]) -> None:
    """Take data files that are missing out of the newest version. Raises TableDamagedError if the log is not whole."""
    found = delta_log.logs(storage, [f"{key}/" for key in keys])
    for key in keys:
        fault = delta_log.fault(storage, found[key]) if key in found else (key, "is missing")
        if fault:
            raise TableDamagedError(f"{storage.url}/{fault[0]}", fault[1], table=key)
        with delta.as_writer(storage), delta.failing(storage, key, "be repaired"):
            delta.table(storage, key).repair()


def _finish(workspace: Workspace, note: RebuildNote, report: Report) -> Rebuilt:
    """Publish, check and show the star, and end the rebuild."""
    if note.days:
        _require_equal(workspace.storage, note)
    run_id, restated = None, 0
    if set(note.tables).intersection(FROM_RAW):
        run_id = publish_whole(workspace, report)
    if run_id is not None:
        published = PublishResult.of(workspace.ledger, run_id)
        restated = published.restated_days if published is not None else 0
    with workspace.lease(_run_id()) as leased:
        rebuild_note.end(leased.storage)
    state = table_states.recorded(workspace.storage).get(fact_sales.TABLE.path)
    now = (0, dict[str, str]()) if state is None else (state.rows or 0, state.money or {})
    before = None if note.rows is None or note.money is None else (note.rows, note.money)
    return Rebuilt(note.tables, run_id, before, now, restated)


def _require_equal(storage: Storage, note: RebuildNote) -> None:
    """Raises TieOutError if the fact is not what it was, once some of its days were rebuilt."""
    table_states.record(storage)
    rows, path = table_states.recorded(storage)[fact_sales.TABLE.path].rows, fact_sales.TABLE.path
    money = table_states.money_of(storage, path)
    if rows == note.rows and (note.money is None or table_states.are_equal(money, note.money)):
        return
    raise TieOutError(
        f"fact_sales holds {rows or 0:,} rows and {table_states.in_words(money)} after these days were rebuilt, and "
        f"held {note.rows or 0:,} rows and {table_states.in_words(note.money or {})}: other days lack rows too",
        hint="nothing was published; `retail rebuild --table fact_sales` without --from and --to rebuilds all days",
    )


def _merged(ledger: Ledger) -> list[RetailerDay]:
    """The days that are complete, and those of runs that merged without being complete."""
    runs = [ledger.run(run_id) for run_id in ledger.run_ids() if ledger.reached_merge(run_id)]
    return sorted(ledger.done().union(*(units_to_process(ledger, run) for run in runs)))


def _newest(units: Collection[RetailerDay]) -> list[RetailerDay]:
    newest = max((day for _, day in units), default=None)
    return sorted(unit for unit in units if unit[1] == newest)


def _require_raw(storage: Storage, units: Sequence[RetailerDay]) -> None:
    there = {
        key
        for retailer in {retailer for retailer, _ in units}
        for key in storage.list(layout.raw_folder(retailer))
    }
    missing = [f"{retailer} {day}" for retailer, day in units if layout.raw_file(retailer, day) not in there]
    if missing:
        more = f" and {len(missing) - 5} more" if missing[5:] else ""
        raise StorageError(
            f"the star cannot be made again: no raw file for {', '.join(missing[:5])}{more}",
            hint="nothing was changed; `retail land` for these dates makes raw files from the fetched pages, "
            "`retail ingest` fetches the days again",
        )


def _keys(storage: Storage, name: str) -> list[str]:
    """The Delta tables in the lake that `name` stands for."""
    if name in (layout.QUARANTINE, *STARTED_OVER[1:]):
        return [layout.QUARANTINE if name == layout.QUARANTINE else layout.PROFILE]
    if name == STARTED_OVER[0]:
        return list(delta_log.logs(storage, [layout.STAGED]))
    return [layout.star_table(name)]


def _rejected(storage: Storage, units: Sequence[RetailerDay], note: RebuildNote) -> dict[str, int]:
    """Lines of these days that are in quarantine, by retailer: the gate has let them pass before.

    If the quarantine is made again it does not have them yet. All days of a rebuild have passed the gate, some in a
    replay or with a wider share: any number passes.
    """
    if layout.QUARANTINE in note.tables:
        return dict.fromkeys((retailer for retailer, _ in units), sys.maxsize)
    lines = Counter[str]()
    for group in groups(storage):
        if (group.retailer_id, group.logical_date) in set(units):
            lines[group.retailer_id] += group.rows
    return dict(lines)


def _run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-rebuild"


def _run_of(leased: LeasedWorkspace, note: RebuildNote) -> Run:
    """Whose rows the unknown members are: those of the newest run that merged, which a publish knows."""
    newest = leased.ledger.newest() or "rebuild"
    return Run(newest, note.left, ("merge",), leased.workspace.settings.engine, "")


class _Silence:
    """Reports nothing: emptying a table is none of a run's steps."""

    def started(self, step: str, *, last_time: float | None = None) -> None: ...

    def expects(self, step: str, total: int, what: str) -> None: ...

    def progress(self, step: str, done: int, text: str) -> None: ...

    def waits(self, step: str, text: str) -> None: ...

    def ended(self, step: str, seconds: float, summary: str, *, resumed: bool) -> None: ...
