"""The tables of docs/DATA_MODEL.md, from the code's own schema: see generate.py."""

from __future__ import annotations

import re

from retail import star
from retail.config.settings import home
from retail.lake import layout
from retail.quality import profile
from retail.records import TYPES
from retail.star.quarantine import table as quarantine
from retail.star.table import Table
from retail.star.tables import fact_sales

# Columns that Delta alone has.
OF_DELTA = {
    "updated_at": "Time of the newest line or description of the row; an older one never changes it",
    "mapping_version": "Version of the mapping that made it; at equal `updated_at` the higher one wins",
    "fetch_order": "Run, logical date and page of its response; the later one wins. Empty for a description",
    "content_hash": "xxhash64 over the name and value of each non-null column: shows whether two rows differ",
    "business_month": "YYYY-MM of business_date; the partition",
}

OF_QUARANTINE = {
    "logical_date": "The day whose raw file contains the line",
    "from_retailer": "The retailer in whose folder the file is",
    "reasons": "Every rule that the line breaks, joined by `; `",
    "severity": "The most severe: `error`, or `critical`, which stops the run",
    "warnings": "Other findings, which do not reject the line",
    "value": "The raw line, exactly as in the file",
    "run_id": "The last run that staged it",
}

_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+\.\w+) \((.*?)\n\)", re.DOTALL)
OF_PROFILE = {
    "run_id": "The run whose check took the profile",
    "table_name": "`staged_sales`, a dimension, or `fact_sales` (only the rows that the run changed)",
    "column_name": "The profiled column",
    "row_count": "Rows in the table",
    "null_count": "Rows without a value",
    "distinct_count": "Distinct values, accurate to a few percent",
    "minimum": "As text; null for columns that identify customers, transactions or lines",
    "maximum": "As text; null for the same columns",
    "mean": "Mean, for numbers",
    "top_values": "The five most common values, with rows, as JSON; for columns of few values that identify nobody",
    "run_month": "YYYY-MM of the run; the partition",
}

_TYPE = r"(?:bigint|text|integer|date|timestamptz|numeric|boolean|jsonb)(?:\(\d+, \d+\))?"
_COLUMN = re.compile(rf"^    ([a-z_]+) ({_TYPE})", re.MULTILINE)
_COMMENT = re.compile(r"COMMENT ON (?:TABLE|COLUMN) (\S+) IS '((?:[^']|'')*)';")


def pieces() -> dict[str, str]:
    """The only part: the diagram, and a table of columns for each table of Delta and PostgreSQL."""
    files = sorted((home() / "sql" / "star").glob("*.sql"))
    ddl = "\n".join(file.read_text(encoding="utf-8") for file in files)
    columns = {name: dict(_COLUMN.findall(body)) for name, body in _TABLE.findall(ddl)}
    comments = {name: text.replace("''", "'") for name, text in _COMMENT.findall(ddl)}
    parts = [_diagram()]
    parts += [
        _columns(table, columns[f"star.{table.name}"], comments)
        for table in (fact_sales.TABLE, *star.DIMENSIONS)
    ]
    parts += [_quarantine(), _profile()]
    parts += [
        _only_postgresql(name, columns[name], comments) for name in columns if not name.startswith("star.")
    ]
    return {"": "\n\n".join(parts)}


def _diagram() -> str:
    lines = ["```mermaid", "erDiagram"]
    for table in star.DIMENSIONS:
        lines.append(f"    {table.name} ||--o{{ fact_sales : {table.key}")
    for table in (*star.DIMENSIONS, fact_sales.TABLE):
        keys = {each.key for each in star.DIMENSIONS}
        lines.append(f"    {table.name} {{")
        for name, kind in _own(table):
            mark = " PK" if name == table.key else " FK" if name in keys else ""
            mark += ' "natural key"' if name in table.natural_key else ""
            lines.append(f"        {re.sub(r'[(),]+', '_', kind).strip('_')} {name}{mark}")
        lines.append("    }")
    return "\n".join([*lines, "```"])


def _own(table: Table) -> list[tuple[str, str]]:
    return [(part.split()[0], part.split()[1]) for part in table.schema.split(", ")]


def _columns(table: Table, in_postgresql: dict[str, str], comments: dict[str, str]) -> str:
    name = f"star.{table.name}"
    delta = dict((part.split()[0], part.split()[1]) for part in table.full_schema.split(", "))
    rows = [
        f"| `{column}` | {kind} | {in_postgresql.get(column, '–')} | "
        f"{_cell(comments.get(f'{name}.{column}', OF_DELTA.get(column, '')))} |"
        for column, kind in delta.items()
    ]
    grain = f"{comments[name]}. Natural key: {', '.join(table.natural_key)}."
    return "\n".join(
        [f"### {table.name}", "", grain, "", "| column | Delta | PostgreSQL | |", "|---|---|---|---|", *rows]
    )


def _quarantine() -> str:
    rows = [
        f"| `{column}` | {TYPES.get(column, 'date' if column == 'logical_date' else 'string')} | "
        f"{_cell(OF_QUARANTINE.get(column, 'The parsed value, if it could be parsed'))} |"
        for column in quarantine.COLUMNS
    ]
    return "\n".join(
        [
            "### quarantine",
            "",
            "One row per rejected line. In Delta only.",
            "",
            "| column | Delta | |",
            "|---|---|---|",
            *rows,
        ]
    )


def _profile() -> str:
    kinds = dict(part.split() for part in profile.SCHEMA.split(", "))
    rows = [f"| `{column}` | {kind} | {_cell(OF_PROFILE[column])} |" for column, kind in kinds.items()]
    head = "| column | Delta | |\n|---|---|---|"
    grain = "One row per run, table and column. In Delta only."
    return "\n".join([f"### {layout.PROFILE}", "", grain, "", head, *rows])


def _only_postgresql(name: str, columns: dict[str, str], comments: dict[str, str]) -> str:
    rows = [
        f"| `{column}` | {kind} | {_cell(comments[f'{name}.{column}'])} |" for column, kind in columns.items()
    ]
    return "\n".join(
        [f"### {name}", "", f"{comments[name]}.", "", "| column | PostgreSQL | |", "|---|---|---|", *rows]
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
