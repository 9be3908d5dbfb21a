"""The same day merged into a star of 1,000,000 facts and into one of 10,000,000: python -m bench.large [--rows N]

Each time in a process of its own and in turns, into fresh copies of both lakes; the medians are told.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

from bench import lines, watched
from bench.__main__ import head
from bench.large_lake import copy_of

COPIES: Final = 9

TRANSFORM: Final = ("stage", "merge")
QUALITY: Final = ("gate", "check", "totals")
PEAK: Final = "peak, MiB"


def main() -> None:
    arguments = argparse.ArgumentParser(prog="make bench-large")
    arguments.add_argument("--engine", default="sail")
    arguments.add_argument(
        "--rows", type=int, default=1_000_000, help="of the smaller star; a day has 1 in 100"
    )
    arguments.add_argument("--times", type=int, default=5)
    arguments.add_argument(
        "--lakes", type=Path, help="keep the two lakes here, and take them from here, of whatever size"
    )
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="retail-bench-") as scratch:
        lakes = chosen.lakes or Path(scratch)
        prepare(lakes, chosen.rows)
        measured: dict[str, list[dict[str, float]]] = {"small": [], "large": []}
        for _ in range(chosen.times):
            for size, found in measured.items():
                found.append(_day(lakes / size, lakes / "day", chosen.engine))
                print(size, json.dumps(found[-1]), file=sys.stderr, flush=True)
        print(head())
        few, many = f"{chosen.rows:,}", f"{chosen.rows * (COPIES + 1):,}"
        print(_table(measured["small"], measured["large"], f"{few} facts", f"{many} facts"))
        first = json.loads((lakes / "first.json").read_text(encoding="utf-8"))
        print(
            _shares(
                {
                    f"first load of {few}": [first],
                    f"the day, at {few}": measured["small"],
                    f"the day, at {many}": measured["large"],
                }
            )
        )


def prepare(lakes: Path, rows: int) -> None:
    """The lakes `small` and `large` in that folder, where they are not there yet."""
    small, large = lakes / "small", lakes / "large"
    if not small.exists():
        lines.write_newest(small, rows)
        seconds, peak = watched.run(
            [sys.executable, "-m", "bench.ours", "sail", str(small), "first", "--checks"]
        )
        (lakes / "first.json").write_text(json.dumps({**seconds, PEAK: peak}), encoding="utf-8")
        shutil.rmtree(small / "raw")
        lines.write_incremental_day(small, rows // 100)
    if not large.exists():
        command = [sys.executable, "-m", "bench.large_lake", str(small), str(large), str(COPIES)]
        watched.run(command)


def _day(lake: Path, copy: Path, engine: str) -> dict[str, float]:
    copy_of(lake, copy)
    command = [sys.executable, "-m", "bench.ours", engine, str(copy), "day", "--checks", lines.NEXT_DAYS]
    seconds, peak = watched.run(command)
    shutil.rmtree(copy)
    return {**seconds, PEAK: peak}


def _table(
    small: Sequence[dict[str, float]], large: Sequence[dict[str, float]], few_facts: str, many_facts: str
) -> str:
    """The medians of each step side by side."""
    steps = [*TRANSFORM, *QUALITY]
    out = [f"| | {few_facts} | {many_facts} | ratio |", "|---|---:|---:|---:|"]
    for name in (*steps, "all", "CPU", PEAK):
        few, many = (
            median(sum(each[step] for step in steps) if name == "all" else each[name] for each in runs)
            for runs in (small, large)
        )
        shown, digits = (name, 0) if name == PEAK else (f"{name}, s", 2)
        out.append(f"| {shown} | {few:,.{digits}f} | {many:,.{digits}f} | {many / few:.2f} |")
    return "\n".join(out) + "\n"


def _shares(loads: dict[str, list[dict[str, float]]]) -> str:
    """The quality work of each load beside its transform."""
    out = ["| | transform, s | quality, s | share |", "|---|---:|---:|---:|"]
    for name, runs in loads.items():
        transform, quality = (
            median(sum(each[step] for step in steps) for each in runs) for steps in (TRANSFORM, QUALITY)
        )
        out.append(f"| {name} | {transform:.2f} | {quality:.2f} | {quality / transform:.2f} |")
    return "\n".join(out)


if __name__ == "__main__":
    main()
