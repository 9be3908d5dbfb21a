"""The same day merged into a star of 1,000,000 facts and into one of 10,000,000: python -m bench.large

Each time in a process of its own and in turns, into fresh copies of both lakes; the medians are told.
"""

from __future__ import annotations

import argparse
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

ROWS: Final = 1_000_000
DAY: Final = 10_000
COPIES: Final = 9


def main() -> None:
    arguments = argparse.ArgumentParser(prog="make bench-large")
    arguments.add_argument("--engine", default="sail")
    arguments.add_argument("--times", type=int, default=5)
    arguments.add_argument("--lakes", type=Path, help="keep the two lakes here, and take them from here")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="retail-bench-") as scratch:
        lakes = chosen.lakes or Path(scratch)
        prepare(lakes)
        measured: dict[str, list[dict[str, float]]] = {"small": [], "large": []}
        for _ in range(chosen.times):
            for size, found in measured.items():
                found.append(_day(lakes / size, lakes / "day", chosen.engine))
        print(head())
        print(_table(measured["small"], measured["large"]))


def prepare(lakes: Path) -> None:
    """The lakes `small` and `large` in that folder, where they are not there yet."""
    small, large = lakes / "small", lakes / "large"
    if not small.exists():
        lines.write_newest(small, ROWS)
        watched.run([sys.executable, "-m", "bench.ours", "sail", str(small), "first"])
        shutil.rmtree(small / "raw")
        lines.write_incremental_day(small, DAY)
    if not large.exists():
        command = [sys.executable, "-m", "bench.large_lake", str(small), str(large), str(COPIES)]
        watched.run(command)


def _day(lake: Path, copy: Path, engine: str) -> dict[str, float]:
    copy_of(lake, copy)
    command = [sys.executable, "-m", "bench.ours", engine, str(copy), "day", "--checks", lines.NEXT_DAYS]
    seconds, peak = watched.run(command)
    shutil.rmtree(copy)
    return {**seconds, "peak, MiB": peak}


def _table(small: Sequence[dict[str, float]], large: Sequence[dict[str, float]]) -> str:
    steps = [name for name in small[0] if name not in ("start", "peak, MiB")]
    out = ["| | 1,000,000 facts | 10,000,000 facts | ratio |", "|---|---:|---:|---:|"]
    for name in (*steps, "all, s", "peak, MiB"):
        few, many = (
            median(sum(each[step] for step in steps) if name == "all, s" else each[name] for each in runs)
            for runs in (small, large)
        )
        digits = 0 if "MiB" in name else 2
        out.append(f"| {name} | {few:,.{digits}f} | {many:,.{digits}f} | {many / few:.2f} |")
    return "\n".join(out)


if __name__ == "__main__":
    main()
