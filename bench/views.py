"""What the views spare and what they cost: python -m bench.views [--rows N] [--times N]

The questions of docs/MATERIALIZED_VIEWS.md, each asked of its view and of the star in turns, over one connection as a
dashboard keeps it; then the refresh of all views over the same star, of which nothing changed. The server has vacuumed
and analysed star and views before, as autovacuum does: without that the star would be slower yet.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from bench import lines, warehouse, watched
from bench.__main__ import head
from retail.config.secrets import Secrets
from retail.pipeline.workspace import Workspace
from retail.warehouse.connection import Warehouse
from retail.warehouse.questions import Question, questions
from retail.warehouse.views import refresh

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

AT_LEAST: Final = 10
P95_BELOW: Final = 50
VIEW_EACH_TIME: Final = 10
ALL: Final = "all six, with the tie-out"


@dataclass(frozen=True)
class Asked:
    """Milliseconds of one question, each time that it was asked."""

    question: Question
    of_view: list[float] = field(default_factory=list)
    of_star: list[float] = field(default_factory=list)

    @property
    def p95(self) -> float:
        return sorted(self.of_view)[math.ceil(0.95 * len(self.of_view)) - 1]

    @property
    def ratio(self) -> float:
        return median(self.of_star) / median(self.of_view)


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench.views")
    arguments.add_argument("--rows", type=int, default=warehouse.ROWS)
    arguments.add_argument(
        "--times",
        type=int,
        default=5,
        help=f"of the star and of the refresh; a view is asked {VIEW_EACH_TIME} times as often",
    )
    arguments.add_argument("--load", metavar="LAKE", help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.load:
        print(json.dumps(warehouse.measure(Path(chosen.load), "first", alone=False)))
        return
    with tempfile.TemporaryDirectory(prefix="retail-bench-") as scratch:
        Path(scratch).chmod(0o755)  # the server may run as an account of its own
        lake = Path(scratch) / "lake"
        lines.write_first(lake, chosen.rows)
        watched.run([sys.executable, "-m", "bench.views", "--load", str(lake)])
        with Workspace(warehouse.settings_beside(lake), Secrets({})) as workspace:
            asked = ask(workspace.warehouse, chosen.times)
            rows, seconds = refreshed(workspace.warehouse, chosen.times)
    print(head())
    print(_answers(asked))
    print(_refreshes(rows, seconds))


def ask(warehouse: Warehouse, times: int) -> list[Asked]:
    """Every question, a round at a time. Raises SystemExit where the two forms do not answer the same."""
    asked = [Asked(question) for question in questions()]
    with warehouse.connect("ask the questions") as connection:
        with connection.cursor() as cursor:
            cursor.execute("SET default_statistics_target = 100")  # PostgreSQL's own, which autovacuum takes
            cursor.execute("VACUUM (ANALYZE)")
        for each in asked:
            of_view, of_star = (
                _answer(connection, query)[1] for query in (each.question.of_view, each.question.of_star)
            )
            if of_view != of_star:
                sys.exit(f"{each.question.name}: the view and the star do not answer the same")
        for _ in range(times):
            for each in asked:
                each.of_star.append(_answer(connection, each.question.of_star)[0])
                for _ in range(VIEW_EACH_TIME):
                    each.of_view.append(_answer(connection, each.question.of_view)[0])
    return asked


def refreshed(warehouse: Warehouse, times: int) -> tuple[dict[str, int], dict[str, list[float]]]:
    """Rows of each view, and seconds of each refresh of it and of all."""
    rows: dict[str, int] = {}
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(times):
        began = time.perf_counter()
        done = refresh(warehouse, every_view=True)
        seconds[ALL].append(time.perf_counter() - began)
        for view in done.views:
            rows[view.view] = view.rows
            seconds[view.view].append(view.seconds or 0)
    return rows, seconds


def _answer(connection: Connection, query: str) -> tuple[float, list[tuple[object, ...]]]:
    """Milliseconds until the last row was here, and the rows."""
    with connection.cursor() as cursor:
        began = time.perf_counter()
        cursor.execute(query)
        rows = cursor.fetchall()
        return 1000 * (time.perf_counter() - began), rows


def _answers(asked: Sequence[Asked]) -> str:
    out = [
        "| view | question | view p50, ms | view p95, ms | star p50, ms | times as fast |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for each in asked:
        out.append(
            f"| {each.question.view} | {each.question.title} | {median(each.of_view):.2f} | {each.p95:.2f} | "
            f"{median(each.of_star):,.1f} | {each.ratio:,.0f} |"
        )
    fast = sum(each.ratio >= AT_LEAST for each in asked)
    short = sum(each.p95 < P95_BELOW for each in asked)
    out.append(f"\n{fast} of {len(asked)} at least {AT_LEAST} times as fast as asked of the star")
    out.append(f"{short} of {len(asked)} with a p95 below {P95_BELOW} ms\n")
    return "\n".join(out)


def _refreshes(rows: dict[str, int], seconds: dict[str, list[float]]) -> str:
    out = ["| view | rows | refresh, s |", "|---|---:|---:|"]
    out += [f"| {view} | {number:,} | {median(seconds[view]):.2f} |" for view, number in rows.items()]
    out.append(f"| {ALL} | {sum(rows.values()):,} | {median(seconds[ALL]):.2f} |")
    return "\n".join(out)


if __name__ == "__main__":
    main()
