"""Arrow rows into a PostgreSQL table, as CSV through COPY.

pyarrow quotes every text and leaves NULL empty, which is how COPY tells an empty string from NULL. Decimals are
written digit by digit, timestamps in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
from psycopg2 import sql
from pyarrow import csv

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

_CHUNK_ROWS: Final = 16_384
_CHUNK_BYTES: Final = 1 << 20
_NUL: Final = "\x00"


def copy(connection: Connection, rows: pa.Table, table: sql.Identifier) -> int:
    """Append `rows` to `table`, column by column name; returns the number of rows PostgreSQL took.

    PostgreSQL's text does not allow the NUL character, JSON does: it becomes U+FFFD, the replacement character.
    """
    if rows.num_rows == 0:
        return 0
    statement = sql.SQL("COPY {} ({}) FROM STDIN WITH (FORMAT csv, NULL '', ENCODING 'UTF8')").format(
        table, sql.SQL(", ").join(map(sql.Identifier, rows.column_names))
    )
    with connection.cursor() as cursor:
        cursor.copy_expert(statement, _Csv(rows), size=_CHUNK_BYTES)  # type: ignore[arg-type]
        return cursor.rowcount


class _Csv:
    """The rows as a CSV file, generated chunk by chunk as COPY reads it."""

    def __init__(self, rows: pa.Table) -> None:
        self._chunks = _chunks(rows)
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        part, self._rest = self._rest[:size], self._rest[size:]
        return bytes(part)


def _chunks(rows: pa.Table) -> Iterator[pa.Buffer]:
    plain = pa.table([_plain(column) for column in rows.columns], names=rows.column_names)
    options = csv.WriteOptions(include_header=False, quoting_style="needed")
    for batch in plain.to_batches(max_chunksize=_CHUNK_ROWS):
        sink = pa.BufferOutputStream()
        csv.write_csv(batch, sink, options)
        yield sink.getvalue()


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_string_view(column.type):  # not supported by the CSV writer
        column = column.cast(pa.large_string())
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if is_text and pc.any(pc.match_substring(column, _NUL)).as_py():
        return pc.replace_substring(column, _NUL, "\ufffd")
    return column
