"""Trino, of whose engine Athena has a version, runs Athena's views over the star, with its own types and divisions.

Needs `make trino`, and a Java 25 that `RETAIL_TEST_JAVA_25` names if `java` is another.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any, Final

import pytest

from retail.config.settings import home
from retail.lake import sql_text
from retail.star import TABLES
from retail.star.table import Table
from tests.end_to_end.conftest import VIEWS, Shown
from tests.end_to_end.installation import Installation

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.trino, pytest.mark.xdist_group("spark")]

BETWEEN: Final = "\n;;\n"
TYPES: Final = {"string": "varchar", "int": "integer", "timestamp": "timestamp(6) with time zone"}
VALUES: Final[dict[str, Callable[[str], Any]]] = {
    "decimal": Decimal, "bigint": int, "integer": int, "date": date.fromisoformat, "varchar": str,
}  # fmt: skip


@pytest.fixture(scope="module")
def java() -> list[str]:
    """Java with Trino on its class path."""
    libraries = home() / "var" / "trino"
    if not (libraries / ".complete").exists():
        pytest.skip("Trino is not here: `make trino` fetches it")
    found = shutil.which(os.environ.get("RETAIL_TEST_JAVA_25", "java"))
    version = subprocess.run([found, "-version"], capture_output=True, text=True).stderr if found else ""
    if found is None or int((re.findall(r'version "(\d+)', version) or ["0"])[0]) < 25:
        pytest.skip("Trino needs Java 25: name one with RETAIL_TEST_JAVA_25")
    return [found, "--add-modules=jdk.incubator.vector", "-Xmx2g", "-cp", f"{libraries}/*"]


@pytest.fixture(scope="module")
def answers(java: list[str], hard_lake: Installation, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What Trino answers to each of `VIEWS`."""
    folder = tmp_path_factory.mktemp("trino")
    asked = [statement for table in TABLES for statement in loading(table, hard_lake)]
    for view in VIEWS:
        text = (home() / "sql" / "athena" / f"{view}.sql").read_text(encoding="utf-8")
        asked += [*sql_text.split(text)[0], f"SELECT * FROM {view}"]
    (folder / "asked").write_text(BETWEEN.join(asked), encoding="utf-8")
    ended = subprocess.run(
        [*java, str(home() / "tests" / "trino" / "Ask.java"), str(folder / "asked"), str(folder / "answers")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    return (folder / "answers").read_text(encoding="utf-8").split(BETWEEN)


def loading(table: Table, lake: Installation) -> Iterator[str]:
    types = [TYPES.get(kind, kind) for kind in table.types.values()]
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(table.types, types, strict=True))
    yield f"CREATE TABLE {table.name} ({columns})"
    rows = lake.delta(table.path).select(list(table.types)).to_pylist()
    for start in range(0, len(rows), 100):
        some = rows[start : start + 100]
        values = ",\n".join(f"({', '.join(map(literal, row.values(), types))})" for row in some)
        yield f"INSERT INTO {table.name} VALUES {values}"


def literal(value: object, kind: str) -> str:
    text = str(value).removesuffix("+00:00").replace("'", "''")
    return "NULL" if value is None else f"CAST('{text}{' UTC' if 'zone' in kind else ''}' AS {kind})"


def read(answer: str) -> Shown:
    columns, types, *lines = (line.split("\t") for line in answer.split("\n"))
    kinds = [VALUES[kind.partition("(")[0]] for kind in types]
    return columns, Counter(
        tuple(None if text == r"\N" else kind(text) for kind, text in zip(kinds, line, strict=True))
        for line in lines
    )


@pytest.mark.parametrize("view", VIEWS)
def test_trino_shows_what_postgresql_s_views_show(
    view: str, answers: list[str], shown: dict[str, Shown]
) -> None:
    assert read(answers[VIEWS.index(view)]) == shown[view]
