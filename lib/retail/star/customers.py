"""Customers in the Delta tables: unlinked from their sales, with no older version left, and searched for."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from retail.lake import delta, delta_log, layout, location
from retail.lake.storage import Storage
from retail.runs import table_rewrites
from retail.runs.lake_context import LakeContext
from retail.star.quarantine import table as quarantine
from retail.star.quarantine.table import Texts
from retail.star.table import UNKNOWN_KEY, Table, content_hash_sql, surrogate_key
from retail.star.tables import dim_customer, fact_sales

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Customer = tuple[str, str]

# The folders of tables that hold customers: by pseudonym, by key, or in the text of a line.
ROOMS: Final = (
    f"{dim_customer.TABLE.path}/",
    f"{fact_sales.TABLE.path}/",
    layout.STAGED,
    f"{layout.QUARANTINE}/",
)
_BY_ID: Final = "customer_id"
_BY_KEY: Final = dim_customer.TABLE.key
_BY_TEXT: Final = "value"
_SEARCHED: Final = (_BY_ID, _BY_KEY, _BY_TEXT)


def keys_of(session: SparkSession, customers: Collection[Customer]) -> list[int]:
    """The key of each customer, who is a retailer and a pseudonym, in the order in which they are given."""
    rows = session.createDataFrame(
        [(place, *each) for place, each in enumerate(customers)],
        "place int, retailer_id string, customer_id string",
    )
    keyed = rows.select("place", surrogate_key(*dim_customer.TABLE.natural_key).alias("key"))
    return [int(row.key) for row in sorted(keyed.collect(), key=lambda row: int(row.place))]


def known(storage: Storage, customers: Collection[Customer]) -> list[Customer]:
    """Those of the customers who are in dim_customer."""
    path = dim_customer.TABLE.path
    if delta.version(storage, path) is None:
        return []
    rows = delta.rows(
        storage,
        path,
        where="customer_id IN :names",
        values={"names": {name for _, name in customers}},
        columns=["retailer_id", "customer_id"],
    )
    return [each for row in rows if (each := (row["retailer_id"], row["customer_id"])) in customers]


@dataclass(frozen=True)
class Linked:
    """The rows that lead to `customers`, by table, and the texts in quarantine that do."""

    customers: Sequence[Customer]
    keys: Sequence[int]
    rows: Mapping[str, int]
    texts: Texts


def linked(context: LakeContext, customers: Sequence[Customer], without: Callable[[str, str], str]) -> Linked:
    """Find these customers. `without` takes the pseudonyms out of the text of a retailer's line, as of a raw file's."""
    storage, names = context.storage, [name for _, name in customers]
    keys = keys_of(context.session, customers)
    texts = quarantine.texts_to_change(storage, names, without)
    rows = {layout.QUARANTINE: texts.lines}
    for table in delta_log.logs(storage, ROOMS):
        if table != layout.QUARANTINE and (where := _where(storage, table, names, keys)):
            (found,) = delta.query(storage, table, f"SELECT count(*) AS rows FROM {{table}} WHERE {where}")
            rows[table] = found["rows"]
    return Linked(customers, keys, rows, texts)


def unlink(context: LakeContext, customers: Linked) -> None:
    """Make these customers' sales those of the unknown customer, and remove the customers.

    The sales keep every figure, their place in the order of versions, and `changed_run_id`. Each table is one commit;
    a call that was killed is given again.
    """
    storage, names = context.storage, [name for _, name in customers.customers]
    for table, rows in customers.rows.items():
        if not rows:
            continue
        if table == layout.QUARANTINE:
            quarantine.change_texts(storage, customers.texts)
            continue
        version = delta.require_version(storage, table)
        with table_rewrites.noted(storage, table, version), delta.as_writer(storage):
            if table == fact_sales.TABLE.path:
                _unlink_facts(context, fact_sales.TABLE, customers.keys)
            else:
                with delta.failing(
                    storage, table, "be changed", "nothing was lost; give the same command again"
                ):
                    delta.table(storage, table).delete(_where(storage, table, names, customers.keys))


def _unlink_facts(context: LakeContext, table: Table, keys: Iterable[int]) -> None:
    unknown = f"cast({UNKNOWN_KEY} AS bigint)"
    path = location.in_sql(context.storage.engine_path(table.path))
    content_hash = content_hash_sql(*table.content, values={_BY_KEY: unknown})
    context.session.sql(
        f"UPDATE delta.{path} SET {_BY_KEY} = {unknown}, content_hash = {content_hash} "
        f"WHERE {_BY_KEY} IN ({', '.join(map(str, keys))})"
    ).collect()


def _where(storage: Storage, table: str, names: Iterable[str], keys: Iterable[int]) -> str:
    """The condition for the customers' rows, in the deltalake package's SQL; empty if the table holds no customers."""
    columns = {field.name for field in delta.table(storage, table).schema().fields}
    texts = [f"{_BY_TEXT} LIKE '%{name}%'" for name in names]
    terms = {
        _BY_ID: [f"{_BY_ID} IN ({', '.join(map(delta.literal, names))})"],
        _BY_KEY: [f"{_BY_KEY} IN ({', '.join(map(delta.literal, keys))})"],
        _BY_TEXT: texts,
    }
    return " OR ".join(term for column, of_column in terms.items() if column in columns for term in of_column)


def found(storage: Storage, names: Collection[str], keys: Collection[int]) -> Iterator[str]:
    """The objects of the tables that hold these pseudonyms or keys: each data file, live or not, and each log entry."""
    in_text = re.compile(b"|".join(re.escape(each.encode()) for each in [*names, *map(str, keys)]))
    for room in ROOMS:
        for key in storage.list(room):
            data = storage.read(key)
            if key.endswith(".parquet"):
                if _is_in_parquet(data, in_text, keys):
                    yield key
            elif in_text.search(data):
                yield key


def _is_in_parquet(data: bytes, in_text: re.Pattern[bytes], keys: Collection[int]) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(data))
    names = [name for name in file.schema_arrow.names if name in _SEARCHED]
    if not names:  # a checkpoint: its statistics are text
        return any(in_text.search(str(row).encode()) for row in _rows(file))
    wanted = set(keys)
    for batch in file.iter_batches(columns=names):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            values = (
                column.unique().to_pylist() if not pa.types.is_nested(column.type) else column.to_pylist()
            )
            if name == _BY_KEY:
                if wanted.intersection(values):
                    return True
            elif any(value is not None and in_text.search(value.encode()) for value in values):
                return True
    return False


def _rows(file: Any) -> Iterator[Any]:
    for batch in file.iter_batches():
        yield from batch.to_pylist()
