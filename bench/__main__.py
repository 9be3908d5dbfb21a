"""Run all of it and print the table: python -m bench [--lines 10000 100000 1000000] [--write FILE]"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from bench import lines, watched
from retail.lake import spark_artifacts

STEPS = ("stage", "gate", "merge")


@dataclass(frozen=True)
class Measured:
    """One load by one tool; seconds of each step, and the peak of the process tree's memory in MiB."""

    tool: str
    load: str
    rows: int
    seconds: dict[str, float]
    peak: float

    @property
    def total(self) -> float:
        return sum(value for step, value in self.seconds.items() if step != "start")


def main() -> None:
    arguments = argparse.ArgumentParser(prog="make bench")
    arguments.add_argument("--lines", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    arguments.add_argument("--tools", nargs="+", default=["sail", "spark", "duckdb", "dlt", "dlt-arrow"])
    arguments.add_argument(
        "--write", type=Path, help="put the table into this file, after its first line of dashes"
    )
    chosen = arguments.parse_args()
    shown = [head()]
    for number in chosen.lines:
        with tempfile.TemporaryDirectory(prefix="retail-bench-") as scratch:
            shown.append(_table(_measure(Path(scratch), number, chosen.tools), number))
        print(shown[-1] if number != chosen.lines[0] else "\n".join(shown), flush=True)
    if chosen.write:
        words = chosen.write.read_text(encoding="utf-8").split("\n---\n")[0]
        chosen.write.write_text(words + "\n---\n\n" + "\n".join(shown), encoding="utf-8")


def _measure(scratch: Path, number: int, tools: list[str]) -> list[Measured]:
    raw = scratch / "lines"
    raw.mkdir()
    lines.write_first(raw, number)
    measured = []
    for tool in tools:
        folder = scratch / tool
        shutil.copytree(raw, folder)
        measured.append(_run(tool, folder, "first", number))
        lines.write_next_days(folder, number)
        measured.append(_run(tool, folder, "next days", number // 100, lines.NEXT_DAYS))
        lines.write_corrections(folder, number)
        measured.append(_run(tool, folder, "corrections", number // 100, lines.CORRECTIONS))
        shutil.rmtree(folder)
    return measured


def _run(tool: str, folder: Path, load: str, rows: int, day: str | None = None) -> Measured:
    run_id = load.replace(" ", "-")
    ours = [sys.executable, "-m", "bench.ours", tool, str(folder), run_id, *([day] if day else [])]
    other = [sys.executable, "-m", "bench.others", tool, str(folder), day or "all"]
    told, peak = watched.run(ours if tool in ("sail", "spark") else other)
    return Measured(tool, load, rows, told, peak)


def _table(measured: list[Measured], number: int) -> str:
    out = [
        f"### {number:,} lines\n",
        "| tool | load | stage | gate | merge | all, s | lines/s | peak, MiB | of Sail |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    sail = {each.load: each.total for each in measured if each.tool == "sail"}
    for each in measured:
        steps = " | ".join(f"{each.seconds[step]:.2f}" if step in each.seconds else "" for step in STEPS)
        ratio = f"{each.total / sail[each.load]:.2f}" if each.load in sail else ""
        out.append(
            f"| {each.tool} | {each.load} | {steps} | {each.total:.2f} | {each.rows / each.total:,.0f} | "
            f"{each.peak:,.0f} | {ratio} |"
        )
    return "\n".join(out) + "\n"


def head() -> str:
    """The machine and the versions."""
    names = ("pysail", "pyspark", "great-expectations", "duckdb", "dlt", "deltalake")
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}; "
        + ", ".join(f"{name} {version(name)}" for name in names)
        + f", Delta {spark_artifacts.find().pair.delta_version} on Spark"
        + "\n"
    )


if __name__ == "__main__":
    main()
