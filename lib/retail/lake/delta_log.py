"""The log of a Delta table as a listing shows it: is it whole, and do the data files that it names exist.

A reader does not see most damage: Sail and the deltalake package take a commit of 0 bytes for one that changes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import unquote

from retail.errors import ObjectNotFoundError
from retail.lake.storage import Storage
from retail.lake.storage.object_info import ObjectInfo

FOLDER: Final = "/_delta_log/"
_COMMIT: Final = re.compile(r"/_delta_log/(\d{20})\.json$")
# Whole, in parts, or with a name of its own.
_CHECKPOINT: Final = re.compile(r"/_delta_log/(\d{20})\.checkpoint(\.[^/]+)?\.(parquet|json)$")


@dataclass(frozen=True)
class Log:
    """The objects of the table at `table`: `commits` and `checkpoints` of its log by version, and its data `files`.

    `files` maps each path in the table to its size in bytes.
    """

    table: str
    commits: Mapping[int, ObjectInfo]
    checkpoints: Mapping[int, list[ObjectInfo]]
    files: Mapping[str, int]

    @cached_property
    def newest(self) -> int | None:
        """The newest version that the log shows; None if there is no log."""
        return max((*self.commits, *self.checkpoints), default=None)

    @cached_property
    def needed(self) -> range:
        """The versions whose commits a reader of the newest version needs: those after the newest checkpoint."""
        if self.newest is None:
            return range(0)
        first = max(self.checkpoints) + 1 if self.checkpoints else 0
        return range(first, self.newest + 1)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The names of the log's objects that a reader of the newest version needs, with their sizes."""
        first = self.needed.start
        found = [*(each for version, each in self.commits.items() if version >= first)]
        found += [
            each for version in self.checkpoints if version == first - 1 for each in self.checkpoints[version]
        ]
        return {each.key.rpartition("/")[2]: each.size for each in found}


def logs(storage: Storage, rooms: Iterable[str]) -> dict[str, Log]:
    """Each Delta table below the folders `rooms`, by its key: one listing of each folder."""
    stored = [each for room in rooms for each in storage.details(room)]
    by_table: dict[str, list[ObjectInfo]] = {
        each.key.partition(FOLDER)[0]: [] for each in stored if FOLDER in each.key
    }
    for each in stored:
        table = next((key for key in _parents(each.key) if key in by_table), None)
        if table is not None:
            by_table[table].append(each)
    return {table: _log(table, objects) for table, objects in sorted(by_table.items())}


def name_of(table: str, version: int) -> str:
    """The key of the commit that made `version` of the table."""
    return f"{table}{FOLDER}{version:020}.json"


def fault(storage: Storage, log: Log, *, known: Iterable[str] = ()) -> tuple[str, str] | None:
    """The key of the first object that is damaged or missing, and what is wrong with it; None if the log is whole.

    Reads the commits that a reader of the newest version needs, except those whose names are `known` to be whole.
    """
    whole = frozenset(known)
    for version in log.needed:
        key = name_of(log.table, version)
        if version not in log.commits:
            return key, "is missing"
        if log.commits[version].size == 0:
            return key, "has 0 bytes"
        if key.rpartition("/")[2] not in whole and not _is_whole(storage, key):
            return key, "is cut off or altered: it is not a list of JSON objects"
    return None


def missing_file(log: Log, live: Mapping[str, int]) -> tuple[str, str] | None:
    """The key of the first data file of the newest version, `live`, that is missing or has another size, and which."""
    for path, size in live.items():
        name = unquote(path)
        if name not in log.files:
            return f"{log.table}/{name}", "is missing"
        if log.files[name] != size:
            return f"{log.table}/{name}", f"has {log.files[name]:,} bytes instead of {size:,}"
    return None


def changes_data(storage: Storage, log: Log, versions: Iterable[int]) -> bool:
    """Whether one of these commits adds or removes rows; a compaction only rewrites them.

    So may one that cannot be read: no reader needs it, if a checkpoint came after it.
    """
    try:
        return any(
            action[kind].get("dataChange", True)
            for version in versions
            if version in log.commits
            for action in _actions(storage.read(name_of(log.table, version)))
            for kind in ("add", "remove")
            if kind in action
        )
    except (ValueError, ObjectNotFoundError):
        return True


def _log(table: str, stored: Iterable[ObjectInfo]) -> Log:
    commits, checkpoints, files = dict[int, ObjectInfo](), dict[int, list[ObjectInfo]](), dict[str, int]()
    for each in stored:
        if found := _COMMIT.search(each.key):
            commits[int(found[1])] = each
        elif found := _CHECKPOINT.search(each.key):
            checkpoints.setdefault(int(found[1]), []).append(each)
        elif FOLDER not in each.key:
            files[unquote(each.key.removeprefix(f"{table}/"))] = each.size
    return Log(table, commits, checkpoints, files)


def _parents(key: str) -> list[str]:
    parts = key.split("/")
    return ["/".join(parts[:number]) for number in range(1, len(parts))]


def _is_whole(storage: Storage, key: str) -> bool:
    try:
        return bool(_actions(storage.read(key)))
    except (ValueError, ObjectNotFoundError):
        return False


def _actions(commit: bytes) -> list[dict[str, Any]]:
    """The commit's actions. Raises ValueError if it is not a list of JSON objects."""
    actions = [json.loads(line) for line in commit.splitlines() if line.strip()]
    if not all(isinstance(action, dict) for action in actions):
        raise ValueError("not an object")
    return actions
