"""What a user would pick instead, on the same lines: python -m bench.others TOOL FOLDER all|DATE"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from retail.records import FIELDS, TYPES


def duckdb_alone(folder: Path, load: str) -> None:
    """Read, type, deduplicate, write parquet. A later load reads what is there and writes it all again."""
    import duckdb

    columns = ", ".join(f"{name}: 'VARCHAR'" for name in FIELDS)
    typed = ", ".join(f"{name}::{TYPES[name]} AS {name}" if name in TYPES else name for name in FIELDS)
    files = str(folder / _pattern(load))
    lines = f"SELECT {typed} FROM read_json('{files}', format = 'newline_delimited', columns = {{{columns}}})"
    star = folder / "duckdb.parquet"
    if star.exists():
        lines = f"SELECT * FROM '{star}' UNION ALL {lines}"
    duckdb.execute(f"""
        COPY (SELECT * FROM ({lines}) QUALIFY row_number() OVER (
            PARTITION BY retailer_id, transaction_id, line_id ORDER BY updated_at DESC) = 1)
        TO '{star}.new' (FORMAT parquet)
    """)
    Path(f"{star}.new").replace(star)


def dlt_merge(folder: Path, load: str) -> None:
    """Merge into a Delta table by the natural key, reading the files as dlt's documentation does."""
    from dlt.sources.filesystem import filesystem, read_jsonl

    files = filesystem(bucket_url=folder.as_uri(), file_glob=_pattern(load))
    _merge_with_dlt(folder, (files | read_jsonl()).with_name("sales"))


def dlt_merge_arrow(folder: Path, load: str) -> None:
    """The same, fed by hand with Arrow tables of a schema that is told beforehand: the fastest way into dlt."""
    import dlt
    import pyarrow.json

    @dlt.resource(name="sales")
    def sales() -> Iterator[pyarrow.Table]:
        schema = pyarrow.schema([(name, pyarrow.string()) for name in FIELDS])
        for file in sorted(folder.glob(_pattern(load))):
            parsed = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
            yield pyarrow.json.read_json(file, parse_options=parsed)

    _merge_with_dlt(folder, sales())


def _merge_with_dlt(folder: Path, resource: Any) -> None:
    import dlt

    pipeline = dlt.pipeline(
        "bench", destination=dlt.destinations.filesystem(str(folder / "dlt")), dataset_name="star",
        pipelines_dir=str(folder / "dlt_state"),
    )  # fmt: skip
    pipeline.run(
        resource, write_disposition="merge", primary_key=["retailer_id", "transaction_id", "line_id"],
        table_format="delta",
    )  # fmt: skip


def _pattern(load: str) -> str:
    """The raw files of a load: all, or those of one logical date."""
    if load == "all":
        return "raw/*/*/*/*/sales_data.json"
    year, month, day = load.split("-")
    return f"raw/*/year={year}/month={month}/day={day}/sales_data.json"


TOOLS = {"duckdb": ("duckdb", duckdb_alone), "dlt": ("dlt", dlt_merge), "dlt-arrow": ("dlt", dlt_merge_arrow)}

if __name__ == "__main__":
    tool, folder, load = sys.argv[1:4]
    library, run = TOOLS[tool]
    import_module(library)  # loading a library is not what is compared
    began = time.perf_counter()
    run(Path(folder), load)
    print(json.dumps({"all": time.perf_counter() - began}))
