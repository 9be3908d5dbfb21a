"""What the last run left of each Delta table, so that the next one sees damage before it writes.

    ops/tables.json    {"star/fact_sales": {"version": 12, "rows": 4441, "money": {"USD": "10.00"}, "log": {…}, …}}

`log` has the log's objects with their sizes, `last` a digest of the last commit's bytes. A table may have moved on
since: a run was killed, `retail maintain` or another program compacted it. So commits after the recorded version are
judged by what they do; only rows and money that nothing of ours explains are damage
(docs/decisions/0032-damage.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from retail.errors import ObjectNotFoundError, StorageError, TableDamagedError, named_by_rebuild
from retail.lake import delta, delta_log, layout
from retail.lake.delta_log import Log
from retail.lake.storage import Storage
from retail.runs.ledger import Ledger

if TYPE_CHECKING:
    import pyarrow as pa

# Where our tables are; beside them somebody may keep tables of his own.
ROOMS: Final = (
    *(f"{layout.star_table(name)}/" for name in layout.STAR_TABLES),
    layout.STAGED,
    f"{layout.QUARANTINE}/",
    f"{layout.PROFILE}/",
)


@dataclass(frozen=True)
class TableState:
    """A table at `version`; `log` and `last` as above.

    `rows` is None if nobody compares them or the log does not say, `money` by currency if nobody counted it.
    """

    version: int
    rows: int | None
    money: dict[str, str] | None
    log: dict[str, int]
    last: str


def record(storage: Storage, *, money: Mapping[str, Mapping[str, Decimal]] | None = None) -> None:
    """Record every table as it is now; `money` by table and currency. Only for the holder of the lease."""
    before, counted = _read(storage), money or {}
    after = {}
    for table, log in delta_log.logs(storage, ROOMS).items():
        if log.newest is None:
            continue
        known = before.get(table)
        same = known is not None and (known.version, known.log) == (log.newest, log.sizes)
        sums = counted.get(table)
        text = {name: str(value) for name, value in sums.items()} if sums is not None else None
        if same and known is not None:
            after[table] = known if text is None else TableState(**{**asdict(known), "money": text})
        elif delta_log.fault(storage, log, known=_unchanged(log, known)):
            # Damaged since this run began: what was known stays, so that the next run names the object.
            after |= {table: known} if known is not None else {}
        else:
            rows = _rows(storage, log) if table.startswith(layout.STAR) else None
            after[table] = TableState(log.newest, rows, text, log.sizes, _digest(storage, log, log.newest))
    if after != before:
        _write(storage, after)


def forget(storage: Storage, tables: Iterable[str]) -> None:
    """Forget what the last run left of these tables: they are about to be replaced. Only for the lease's holder."""
    gone, before = set(tables), _read(storage)
    _write(storage, {table: state for table, state in before.items() if table not in gone})


def recorded(storage: Storage) -> dict[str, TableState]:
    """What the last run left of each table, by its key. Raises StorageError."""
    return _read(storage)


def require_sound(storage: Storage, ledger: Ledger) -> None:
    """Compare each Delta table with what the last run left, without reading data unless something unknown changed it.

    Raises TableDamagedError, naming the first object that is damaged or missing.
    """
    found = delta_log.logs(storage, ROOMS)
    states = {table: state for table, state in _read(storage).items() if f"{table}/".startswith(ROOMS)}
    for table in sorted({*states, *found}):
        state = states.get(table)
        log = found.get(table, Log(table, {}, {}, {}))
        fault = (state is not None and _older(log, state)) or delta_log.fault(
            storage, log, known=_unchanged(log, state)
        )
        if not fault and log.newest is not None:
            fault = _altered(storage, log, state) or delta_log.missing_file(log, _live(storage, log))
        if fault:
            raise TableDamagedError(f"{storage.url}/{fault[0]}", fault[1], table=table)
        if state is not None:
            _require_rows(storage, ledger, log, state)


def _unchanged(log: Log, state: TableState | None) -> list[str]:
    """The log's objects that are as large as they were recorded: they were read or written whole before."""
    return [] if state is None else [name for name, size in log.sizes.items() if state.log.get(name) == size]


def _older(log: Log, state: TableState) -> tuple[str, str] | None:
    """The newest commit that is missing, if the table is older than its record."""
    if log.newest is not None and log.newest >= state.version:
        return None
    what = "is missing: the log ends" + (
        f" at version {log.newest}" if log.newest is not None else " before it"
    )
    return delta_log.name_of(log.table, state.version), what


def _altered(storage: Storage, log: Log, state: TableState | None) -> tuple[str, str] | None:
    """The first commit whose size, or whose bytes if it was the last one, are not the recorded ones."""
    if state is None:
        return None
    for name, size in sorted(state.log.items()):
        # A checkpoint may be written again, by another writer in another size: it is judged when it is opened.
        if ".checkpoint." not in name and name in log.sizes and log.sizes[name] != size:
            return (
                f"{log.table}{delta_log.FOLDER}{name}",
                f"has {log.sizes[name]:,} bytes instead of {size:,}",
            )
    if state.last and state.version in log.commits and _digest(storage, log, state.version) != state.last:
        return delta_log.name_of(log.table, state.version), "is not the commit that the last run left"
    return None


def _require_rows(storage: Storage, ledger: Ledger, log: Log, state: TableState) -> None:
    """Raises TableDamagedError if the table's rows or money differ and none of our own commits explains it."""
    table = log.table
    if not table.startswith(layout.STAR) or log.newest == state.version:
        return
    if _is_a_merge(ledger, table.removeprefix(layout.STAR), state.version):
        return
    assert log.newest is not None  # noqa: S101 - it is not older than the record
    if not delta_log.changes_data(storage, log, range(state.version + 1, log.newest + 1)):
        return
    rows = _rows(storage, log)
    if state.rows is not None and rows is not None and rows != state.rows:
        what = f"holds {rows:,} rows instead of {state.rows:,}, and no run of the ledger changed it"
        raise TableDamagedError(f"{storage.url}/{table}", what, table=table)
    if state.money is not None and not are_equal(now := money_of(storage, table), state.money):
        what = (
            f"holds {in_words(now)} instead of {in_words(state.money)}, and no run of the ledger changed it"
        )
        raise TableDamagedError(f"{storage.url}/{table}", what, table=table)


def _is_a_merge(ledger: Ledger, name: str, version: int) -> bool:
    """Whether a run has merged into that version of the table, or may have: its own identities prove what it did.

    A run whose merge has ended without a new version did not.
    """
    for run_id in reversed(ledger.run_ids()):
        planned = ledger.step(run_id, layout.merge_plan(name))
        if planned is not None and planned["version"] < version:
            return False
        if planned is not None:
            ended = ledger.step(run_id, "merge")
            if ended is None or ended["versions"].get(name, version) > version:
                return True
    return False


def money_of(storage: Storage, table: str) -> dict[str, str]:
    """The sum of `total_amount` by currency. Reads two columns of the table."""
    sums = delta.query(
        storage, table, "SELECT currency, sum(total_amount) AS money FROM {table} GROUP BY currency"
    )
    return {str(row["currency"]): str(row["money"]) for row in sums}


def are_equal(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether both are the same money by currency."""
    return {name: Decimal(text) for name, text in one.items()} == {
        name: Decimal(text) for name, text in other.items()
    }


def in_words(money: Mapping[str, str]) -> str:
    """Money by currency, for a person."""
    return ", ".join(f"{amount} {currency}" for currency, amount in sorted(money.items())) or "no money"


def _live(storage: Storage, log: Log) -> dict[str, int]:
    """The data files of the newest version with their sizes, by path in the table."""
    files = _files(storage, log)
    paths, sizes = files["path"].to_pylist(), files["size_bytes"].to_pylist()
    return dict(zip(paths, sizes, strict=True))


def _rows(storage: Storage, log: Log) -> int | None:
    """The rows that the log counts; None if a data file was written without statistics."""
    files = _files(storage, log)
    if "num_records" not in files.column_names:
        return None if files.num_rows else 0
    numbers = files["num_records"].to_pylist()
    return None if None in numbers else sum(numbers)


def _files(storage: Storage, log: Log) -> pa.Table:
    """The data files of the newest version as the log has them. Raises StorageError, also if S3 does not answer."""
    import pyarrow as pa
    from deltalake import DeltaTable

    hint = (
        "check that the lake can be reached, then run the same command again; if it can, the table is damaged: "
        f"`retail rebuild --table {named_by_rebuild(log.table)}`"
    )
    with delta.failing(storage, log.table, "be read", hint):
        opened = DeltaTable(
            storage.delta_url(log.table), version=log.newest, storage_options=storage.delta_options()
        )
        return pa.table(opened.get_add_actions())


def _digest(storage: Storage, log: Log, version: int) -> str:
    """A digest of the commit's bytes; empty if only a checkpoint is left of that version."""
    if version not in log.commits:
        return ""
    return hashlib.sha256(storage.read(delta_log.name_of(log.table, version))).hexdigest()


def _read(storage: Storage) -> dict[str, TableState]:
    try:
        noted = json.loads(storage.read(layout.TABLES))
        return {table: TableState(**values) for table, values in noted.items()}
    except ObjectNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{storage.url}/{layout.TABLES} cannot be read: {error!r}",
            hint="delete this one object: the next run records the tables again, as they are then",
        ) from None


def _write(storage: Storage, states: Mapping[str, TableState]) -> None:
    noted = {table: asdict(state) for table, state in sorted(states.items())}
    storage.write(layout.TABLES, json.dumps(noted, indent=1).encode())
