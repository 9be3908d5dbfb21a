"""All that an installation holds, for comparing one whose runs were killed with one that nobody disturbed.

The runs are called run_1, run_2 … in the order of their beginning, so that even what names a run must be equal. Left
out is what by nature differs:

- which engine it was;
- times of the wall clock: `started_at`, `ended_at`, `fetched_at`, `seconds` and the columns of `_TIMES`;
- numbers of tries: `publish_id`, which skips a number for a transaction that was rolled back, the number of the lease,
  and versions of the tables below `staged/`, which a step that is done again replaces again;
- whose turn it was to write to PostgreSQL last: `ops.turn` has the number of a session and of its lock;
- `span`, the days that the command named: one that goes on from the checkpoints names none;
- what `ops/tables.json` has of each table's log: sizes and a digest of commits, which have times and names in them;
- what a step says of itself, where it was done again and found its work done: `_TOLD`;
- what a retailer answered, word for word: the simulated ones have several ways to say one thing, as the real ones do,
  and take turns. So of payloads their keys, windows and places in the walk, and not which fields came with which.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Iterator, Set
from functools import partial
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from psycopg2 import sql

from tests.end_to_end.installation import Installation
from tests.kill.runs import temporary

State = dict[str, list[str]]

_TIMES = {"published_at", "refreshed_at", "restated_at", "noted_at", "applied_at", "rolled_back_at"}
_TRIES = {"publish_id", "lines_version", "sales_version"}
_OF_NATURE = _TIMES | _TRIES | {"started_at", "ended_at", "fetched_at", "seconds", "engine", "span"}
_ANSWERED = frozenset({"answer", "next_cursor"})
_TOLD = {
    "extract": {"warnings", "summary"},  # a field is new once only
    "publish": {"runs", "months", "sent", "restated_days", "summary"},
    "refresh": {"summary"},
}


def state_of(made: Installation) -> State:
    lake = made.folder / "lake"
    run_ids = sorted(path.name for path in (lake / "ops/runs").iterdir())

    def alike(value: object) -> str:
        text = value if isinstance(value, str) else repr(value)
        for number, run_id in enumerate(run_ids, start=1):
            text = text.replace(run_id, f"run_{number}")
        return text

    state = {name: sorted(map(alike, rows)) for name, rows in [*_delta(lake), *_postgresql(made)]}
    state |= {"files": sorted(map(alike, _files(lake))), "raw": sorted(map(alike, _raw(lake)))}
    state |= {"payloads": sorted(map(alike, _payloads(lake))), "ledger": sorted(map(alike, _ledger(lake)))}
    return state


def differences(found: State, expected: State, *, less: Collection[str] = ()) -> list[str]:
    """In words, at most three rows a table; not those of tables in `less`."""
    lines = []
    for name in sorted({*found, *expected} - set(less)):
        left, right = found.get(name, []), expected.get(name, [])
        if left == right:
            continue
        lines.append(f"{name}: {len(left)} rows, undisturbed {len(right)}")
        more, missing = sorted(set(left) - set(right)), sorted(set(right) - set(left))
        lines += [f"  more: {row[:1000]}" for row in more[:3]]
        lines += [f"  missing: {row[:1000]}" for row in missing[:3]]
    return lines


def left_over(made: Installation) -> list[str]:
    """What only a run that works may have: half files, temporary folders, connections, locks."""
    lake = made.folder / "lake"
    found = [str(path) for path in temporary(made).iterdir()]
    # Hadoop keeps a checksum beside every file that Spark writes into a folder.
    found += [str(path) for path in lake.rglob(".*") if path.suffix != ".crc"]
    with made.postgresql() as cursor:
        cursor.execute(
            # A temporary table whose session died with the server is the server's: autovacuum drops it.
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE relpersistence <> 't'"
            " AND relname LIKE 'staged\\_%'"
            " UNION ALL SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database() AND backend_type = 'client backend'"
            " UNION ALL SELECT gid FROM pg_prepared_xacts"
        )
        found += [f"PostgreSQL: {name}" for (name,) in cursor.fetchall()]
    newest = max((lake / "ops/lease").iterdir())
    if not json.loads(newest.read_text())["released"]:
        found.append("the lease is held")
    return found


def _delta(lake: Path) -> Iterator[tuple[str, list[object]]]:
    for log in sorted(lake.rglob("_delta_log")):
        table = log.parent.relative_to(lake).as_posix()
        opened = DeltaTable(str(log.parent))
        read = opened.to_pyarrow_table()
        columns = sorted(read.column_names)
        yield table, list(zip(*(read[column].to_pylist() for column in columns), strict=True))
        if table.startswith("star/"):
            yield f"{table}, version", [opened.version()]


def _postgresql(made: Installation) -> Iterator[tuple[str, list[object]]]:
    with made.postgresql() as cursor:
        cursor.execute(
            "SELECT nspname, relname, relkind, relispartition FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = relnamespace WHERE nspname IN ('star', 'ops', 'marts') ORDER BY 1, 2"
        )
        relations = cursor.fetchall()
        yield "PostgreSQL's relations", list(relations)
        for schema, name, kind, is_partition in relations:
            if kind not in "rpm" or is_partition or (schema, name) == ("ops", "turn"):
                continue
            cursor.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, name)))
            kept = [i for i, column in enumerate(cursor.description or ()) if column.name not in _OF_NATURE]
            yield f"{schema}.{name}", [tuple(row[i] for i in kept) for row in cursor.fetchall()]


def _files(lake: Path) -> Iterator[str]:
    """Every file but those of Delta tables; of the lease, that there is one."""
    tables = {log.parent for log in lake.rglob("_delta_log")}
    for path in lake.rglob("*"):
        if path.is_file() and not tables.intersection(path.parents):
            yield (path.parent if path.parent.name == "lease" else path).relative_to(lake).as_posix()


def _raw(lake: Path) -> Iterator[str]:
    for path in (lake / "raw").rglob("*.json"):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield f"{path.relative_to(lake)} {line}"


def _payloads(lake: Path) -> Iterator[str]:
    for path in (lake / "payloads").rglob("*.json.gz"):
        payload = json.loads(gzip.decompress(path.read_bytes()))
        yield f"{path.relative_to(lake)} {json.dumps(_plain(payload, _ANSWERED), sort_keys=True)}"


def _ledger(lake: Path) -> Iterator[str]:
    for path in [*(lake / "ops").rglob("*.json")]:
        if path.parent.name in ("lease", "payload-fields") or path.name == "tables.json":
            continue
        values = json.loads(path.read_text(encoding="utf-8"))
        left_out = _TOLD.get(path.stem, set()) if path.parent.name == "steps" else set()
        yield f"{path.relative_to(lake)} {json.dumps(_plain(values, left_out), sort_keys=True)}"


def _plain(values: Any, left_out: Set[str] = frozenset()) -> Any:
    """Without what by nature differs; lists of objects, whose order an engine chooses, in a fixed one."""
    if isinstance(values, dict):
        return {
            name: _plain(value)
            for name, value in values.items()
            if name not in _OF_NATURE and name not in left_out
        }
    if isinstance(values, list):
        return sorted(map(_plain, values), key=partial(json.dumps, sort_keys=True))
    return values
