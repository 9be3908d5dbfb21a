"""`retail maintain`: keep the lake's Delta tables at few files and a short log, and delete files no reader can request.

It works the same way on either engine: the deltalake package compacts and writes checkpoints; the log itself shows
which files and log entries are older than the promised days.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import structlog

from retail.config.settings import MaintainSettings
from retail.errors import StorageError
from retail.lake import delta, layout
from retail.lake.storage import Storage
from retail.lake.storage.object_info import ObjectInfo
from retail.runs import lease, table_rewrites
from retail.runs.fenced_storage import FencedStorage

if TYPE_CHECKING:
    from deltalake import DeltaTable

ROOMS: Final = (layout.STAR, layout.STAGED, f"{layout.QUARANTINE}/", layout.QUALITY)
# Every run rewrites these tables, so compacting them is pointless.
_REPLACED: Final = layout.STAGED

_LOG: Final = "/_delta_log/"
_ENTRY: Final = re.compile(r"/_delta_log/(?P<version>\d{20})\.(?P<kind>json|crc|checkpoint\.parquet)$")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintained:
    """What was done to a table or, in a dry run, would be done; `files_after` is then unknown.

    `files_before` and `files_after` count the data files of its newest version, `deleted` those that no version of the
    promised days has.
    """

    table: str
    files_before: int
    files_after: int | None
    to_compact: int
    deleted: int
    freed_bytes: int
    log_entries_deleted: int
    versions_kept: int


class NotMaintainedError(StorageError):
    """Some tables could not be read or rewritten; `done` holds the results for the others."""

    def __init__(self, done: list[Maintained], failed: Mapping[str, StorageError]) -> None:
        reasons = "".join(f"\n  - {table}: {error.message}" for table, error in failed.items())
        hint = "; ".join(dict.fromkeys(error.hint for error in failed.values()))
        super().__init__(
            f"{len(failed)} of {len(done) + len(failed)} tables were not maintained:{reasons}", hint=hint
        )
        self.done = done


def maintain(
    storage: Storage,
    settings: MaintainSettings,
    *,
    dry_run: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    lease_lifetime: timedelta = lease.LIFETIME,
) -> list[Maintained]:
    """Compact, checkpoint and clean every Delta table of the lake. A dry run works alongside any other run.

    Raises LeaseHeldError, naming the run, if one is working. Raises NotMaintainedError, once all other tables are done,
    naming the tables that could not be read or rewritten.
    """
    began = now()
    cutoff = began - timedelta(days=settings.retention_days)
    done, failed = [], dict[str, StorageError]()
    with _lease(storage, began, lease_lifetime, dry_run=dry_run) as held:
        if held is not None:
            storage = FencedStorage(storage, held.require)
        for table, stored in tables_of(storage).items():
            if held is not None:
                held.check()
            try:
                with delta.failing(storage, table, "be maintained"):
                    done.append(_maintain(storage, settings, table, stored, cutoff=cutoff, dry_run=dry_run))
            except StorageError as error:
                failed[table] = error
                log.error("table not maintained", table=table, error=error.message)
            else:
                log.info("table maintained", dry_run=dry_run, **_fields(done[-1]))
    if failed:
        raise NotMaintainedError(done, failed)
    return done


def keep_only_newest(storage: Storage, table: str, because: str) -> None:
    """Delete every version of the table but the newest, with all that only older ones refer to.

    A commit without rows comes first, whose property says `because` of what: the one before it may name what is to be
    gone. Nobody else may be writing. Only for the holder of the lease.
    """
    from deltalake import PostCommitHookProperties

    opened = delta.table(storage, table)
    hooks = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
    with delta.as_writer(storage), delta.failing(storage, table, "be cleaned", "give the same command again"):
        with table_rewrites.noted(storage, table, opened.version()):
            opened.alter.set_table_properties(
                {"retail.cleaned": because}, raise_if_not_exists=False, post_commithook_properties=hooks
            )
        opened.update_incremental()
        opened.create_checkpoint()
        delta.forget_last_checkpoint(storage, table)
    stored = [*storage.details(f"{table}/")]
    entries = _entries(stored)
    newest, always = max(entries), datetime.max.replace(tzinfo=UTC)
    unneeded = _unneeded_files(storage, table, stored, entries, first=newest, cutoff=always)
    for each in [*unneeded, *_past_entries(stored, newest)]:
        storage.delete(each.key)


def _lease(
    storage: Storage, began: datetime, lifetime: timedelta, *, dry_run: bool
) -> AbstractContextManager[lease.Lease | None]:
    if dry_run:
        return nullcontext()
    return lease.hold(storage, f"{began:%Y%m%dT%H%M%SZ}-maintain", lifetime=lifetime)


def tables_of(storage: Storage) -> dict[str, list[ObjectInfo]]:
    """Every Delta table of the lake by its key, with its objects."""
    stored = [each for room in ROOMS for each in storage.details(room)]
    tables = sorted({each.key.partition(_LOG)[0] for each in stored if _ENTRY.search(each.key)})
    return {table: [each for each in stored if each.key.startswith(f"{table}/")] for table in tables}


def _maintain(
    storage: Storage,
    settings: MaintainSettings,
    table: str,
    stored: list[ObjectInfo],
    *,
    cutoff: datetime,
    dry_run: bool,
) -> Maintained:
    opened = delta.table(storage, table)
    before = _sizes(opened)
    small = _small_files(before, settings.target_file_bytes)
    if not dry_run:
        _rewrite(storage, table, opened, settings, compact=bool(small) and not table.startswith(_REPLACED))
        stored = [*storage.details(f"{table}/")]
    entries = _entries(stored)
    first = _first_promised(entries, cutoff)
    unneeded = _unneeded_files(storage, table, stored, entries, first=first, cutoff=cutoff)
    past = _past_entries(stored, first)
    if not dry_run:
        # Oldest first: wherever this is interrupted, the rest of the log stays readable.
        for each in [*unneeded, *past]:
            storage.delete(each.key)
    return Maintained(
        table=table,
        files_before=len(before),
        files_after=None if dry_run else len(_sizes(delta.table(storage, table))),
        to_compact=0 if table.startswith(_REPLACED) else small,
        deleted=len(unneeded),
        freed_bytes=sum(each.size for each in [*unneeded, *past]),
        log_entries_deleted=len(past),
        versions_kept=max(entries) - first + 1,
    )


def _rewrite(
    storage: Storage, table: str, opened: DeltaTable, settings: MaintainSettings, *, compact: bool
) -> None:
    """Set the promised days and compact, each as its own commit, noted beforehand; then write a checkpoint."""
    from deltalake import PostCommitHookProperties

    promised = f"interval {settings.retention_days} days"
    properties = {"delta.logRetentionDuration": promised, "delta.deletedFileRetentionDuration": promised}
    differ = {
        name: value
        for name, value in properties.items()
        if opened.metadata().configuration.get(name) != value
    }
    hint = "nothing was lost; check that the lake is writable, then run `retail maintain` again"
    with delta.as_writer(storage), delta.failing(storage, table, "be compacted", hint):
        with table_rewrites.noted(storage, table, opened.version()) if differ or compact else nullcontext():
            # The log is cleaned below, once every promised version is known to be readable.
            hooks = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
            if differ:
                opened.alter.set_table_properties(differ, post_commithook_properties=hooks)
            if compact:
                opened.optimize.compact(
                    target_size=settings.target_file_bytes, post_commithook_properties=hooks
                )
        opened.update_incremental()
        opened.create_checkpoint()
        delta.forget_last_checkpoint(storage, table)


def _sizes(opened: DeltaTable) -> dict[str, int]:
    """The data files of the opened version with their sizes, by path in the table."""
    import pyarrow as pa

    actions = pa.table(opened.get_add_actions())
    paths, sizes = actions["path"].to_pylist(), actions["size_bytes"].to_pylist()
    return dict(zip(paths, sizes, strict=True))


def _small_files(sizes: dict[str, int], target: int) -> int:
    """Number of files below the target size that share their partition with another such file."""
    folders: dict[str, int] = {}
    for path, size in sizes.items():
        if size < target:
            folder = path.rpartition("/")[0]
            folders[folder] = folders.get(folder, 0) + 1
    return sum(files for files in folders.values() if files > 1)


def _entries(stored: Iterable[ObjectInfo]) -> dict[int, ObjectInfo]:
    """The commits in the log, by version."""
    found = ((_ENTRY.search(each.key), each) for each in stored)
    return {int(entry["version"]): each for entry, each in found if entry and entry["kind"] == "json"}


def _first_promised(entries: dict[int, ObjectInfo], cutoff: datetime) -> int:
    """The newest version at the start of the promised period; the oldest existing one if all are younger."""
    before = [version for version, entry in entries.items() if entry.modified <= cutoff]
    return max(before, default=min(entries))


def _unneeded_files(
    storage: Storage,
    table: str,
    stored: Iterable[ObjectInfo],
    entries: dict[int, ObjectInfo],
    *,
    first: int,
    cutoff: datetime,
) -> list[ObjectInfo]:
    """Data files, written before the promised period, that no version from `first` on refers to."""
    needed = {unquote(path) for path in _sizes(delta.table(storage, table, at=first))}
    for version, entry in entries.items():
        if version > first:
            needed |= {unquote(path) for path in _added(storage.read(entry.key))}
    return [
        each
        for each in stored
        if each.key.endswith(".parquet")
        and _LOG not in each.key
        and each.modified <= cutoff
        and unquote(each.key.removeprefix(f"{table}/")) not in needed
    ]


def _added(commit: bytes) -> Iterable[str]:
    for line in commit.splitlines():
        action: dict[str, Any] = json.loads(line) if line.strip() else {}
        if "add" in action:
            yield action["add"]["path"]


def _past_entries(stored: Iterable[ObjectInfo], first: int) -> list[ObjectInfo]:
    """Log entries, oldest first, before the newest checkpoint at or below version `first`."""
    entries = [(entry, each) for each in stored if (entry := _ENTRY.search(each.key))]
    checkpoints = [int(entry["version"]) for entry, _ in entries if entry["kind"].startswith("checkpoint")]
    start = max((version for version in checkpoints if version <= first), default=0)
    past = [
        (int(entry["version"]), each.key, each) for entry, each in entries if int(entry["version"]) < start
    ]
    return [each for _, _, each in sorted(past, key=lambda found: found[:2])]


def _fields(done: Maintained) -> dict[str, object]:
    return {name: getattr(done, name) for name in done.__dataclass_fields__}
