"""What a user would pick instead, on the same lines: python -m bench.others duckdb|dlt FOLDER first|update"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from retail.records import FIELDS, TYPES


def duckdb_alone(folder: Path, load: str) -> None:
    """Read, type, deduplicate, write parquet. An update reads what is there and writes it all again."""
    import duckdb

    columns = ", ".join(f"{name}: 'VARCHAR'" for name in FIELDS)
    typed = ", ".join(f"{name}::{TYPES[name]} AS {name}" if name in TYPES else name for name in FIELDS)
    files = (
        f"{folder}/raw/*/*/*/*/sales_data.json" if load == "first" else f"{folder}/raw/*/year=2018/*/*/*.json"
    )
    lines = f"SELECT {typed} FROM read_json('{files}', format = 'newline_delimited', columns = {{{columns}}})"
    star = folder / "duckdb.parquet"
    if load == "update":
        lines = f"SELECT * FROM '{star}' UNION ALL {lines}"
    duckdb.execute(f"""
        COPY (SELECT * FROM ({lines}) QUALIFY row_number() OVER (
            PARTITION BY retailer_id, transaction_id, line_id ORDER BY updated_at DESC) = 1)
        TO '{star}.new' (FORMAT parquet)
    """)
    Path(f"{star}.new").replace(star)


def dlt_merge(folder: Path, load: str) -> None:
    """Merge into a Delta table by the natural key, with dlt's own defaults and its arrow reader's batches."""
    import dlt
    import pyarrow.json

    files = sorted(
        (folder / "raw").rglob("sales_data.json" if load == "first" else "year=2018/**/sales_data.json")
    )

    @dlt.resource(
        name="sales", write_disposition="merge", primary_key=["retailer_id", "transaction_id", "line_id"],
        table_format="delta",
    )  # fmt: skip
    def sales() -> Iterator[pyarrow.Table]:
        schema = pyarrow.schema([(name, pyarrow.string()) for name in FIELDS])
        for file in files:
            parsed = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
            yield pyarrow.json.read_json(file, parse_options=parsed)

    pipeline = dlt.pipeline(
        "bench", destination=dlt.destinations.filesystem(str(folder / "dlt")), dataset_name="star",
        pipelines_dir=str(folder / "dlt_state"),
    )  # fmt: skip
    pipeline.run(sales())


if __name__ == "__main__":
    tool, folder, load = sys.argv[1:4]
    import_module(tool)  # loading a library is not what is compared
    began = time.perf_counter()
    {"duckdb": duckdb_alone, "dlt": dlt_merge}[tool](Path(folder), load)
    print(json.dumps({"all": time.perf_counter() - began}))
