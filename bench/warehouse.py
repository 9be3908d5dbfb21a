"""The star into PostgreSQL, beside what the server alone needs for the same rows: python -m bench.warehouse

The rows go through a run's own steps: stage, gate and merge, then the whole of publish, check and refresh. The server
alone is COPY of the fact from a file on its disk into the same table, emptied, with its partitions, indexes and keys.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Final

from tests.steps import step_context

from bench import lines, watched
from bench.__main__ import head
from bench.ours import raw_days, settings_of
from retail.config.secrets import Secrets
from retail.config.settings import Settings, WarehouseSettings
from retail.pipeline import check_step, refresh_step
from retail.pipeline.gate_step import gate_step
from retail.pipeline.merge_step import merge_step
from retail.pipeline.publish_step import publish_step
from retail.pipeline.stage_step import stage_step
from retail.pipeline.workspace import Workspace
from retail.quality.suites import validation
from retail.warehouse.connection import Warehouse

ROWS: Final = 1_000_000
STEPS: Final = {
    "stage": stage_step,
    "gate": gate_step,
    "merge": merge_step,
    "publish": publish_step,
    "check": check_step.check_step,
    "refresh": refresh_step.refresh_step,
}
TRANSFORM: Final = ("stage", "merge", "publish")
QUALITY: Final = ("gate", "check")
ALONE: Final = "server alone"


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench.warehouse")
    arguments.add_argument("--rows", type=int, default=ROWS)
    arguments.add_argument("--load", nargs=2, metavar=("LAKE", "NAME"), help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.load:
        lake, name = chosen.load
        print(json.dumps(measure(Path(lake), name)))
        return
    with tempfile.TemporaryDirectory(prefix="retail-bench-") as scratch:
        Path(scratch).chmod(0o755)  # the server may run as an account of its own
        lake = Path(scratch) / "lake"
        measured = {}
        for name, write in (
            ("first", lines.write_first),
            ("next days", lines.write_next_days),
            ("corrections", lines.write_corrections),
        ):
            write(lake, chosen.rows)
            command = [sys.executable, "-m", "bench.warehouse", "--load", str(lake), name]
            measured[name], _ = watched.run(command)
    print(head())
    print(_table(measured))


def settings_beside(lake: Path) -> Settings:
    """Settings of a lake with one retailer and a server of its own beside it."""
    warehouse = WarehouseSettings(embedded=True, data_folder=str(lake.parent / "postgresql"))
    return settings_of("sail", lake).model_copy(update={"warehouse": warehouse})


def measure(lake: Path, name: str, *, alone: bool = True) -> dict[str, float]:
    """Seconds of each step of the load, and for the first of the server alone, unless told not to."""
    seconds = {}
    with Workspace(settings_beside(lake), Secrets({})) as workspace:
        workspace.session.range(1).collect()
        validation.warm_up()
        with workspace.warehouse.connect("begin") as connection:
            connection.cursor().execute("SELECT 1")
        days = {"next days": [lines.NEXT_DAYS], "corrections": [lines.CORRECTIONS]}.get(name)
        units = [
            ("retailer_1", day)
            for day in ([date.fromisoformat(day) for day in days] if days else raw_days(lake))
        ]
        run_id = f"20250101T00000{list(('first', 'next days', 'corrections')).index(name)}Z-{name.replace(' ', '-')}"
        begun = workspace.ledger.begin(run_id, units, tasks=["transform"], engine="sail")
        context = step_context(workspace, begun)
        for step, do in STEPS.items():
            began = time.perf_counter()
            result = do(context)
            seconds[step] = time.perf_counter() - began
            workspace.ledger.end_step(run_id, step, result.to_json(), seconds=seconds[step])
        if name == "first" and alone:
            seconds[ALONE] = _server_alone(workspace.warehouse)
    return seconds


def _server_alone(warehouse: Warehouse) -> float:
    """Seconds of COPY from the server's disk into the emptied fact; rolled back."""
    with warehouse.connect("measure COPY") as connection, connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        (folder,) = cursor.fetchone() or ("",)
        file = f"{folder}/fact_sales.csv"
        cursor.execute(
            "COPY (SELECT * FROM star.fact_sales ORDER BY business_date) TO %s WITH (FORMAT csv)", (file,)
        )
        cursor.execute("CHECKPOINT")
        connection.autocommit = False
        cursor.execute("TRUNCATE star.fact_sales")
        began = time.perf_counter()
        cursor.execute("COPY star.fact_sales FROM %s WITH (FORMAT csv)", (file,))
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        seconds = time.perf_counter() - began
        connection.rollback()
    return seconds


def _table(measured: dict[str, dict[str, float]]) -> str:
    names = [*STEPS, ALONE]
    out = ["| load | " + " | ".join(f"{name}, s" for name in names) + " |", "|---|" + "---:|" * len(names)]
    for load, seconds in measured.items():
        out.append(
            f"| {load} | "
            + " | ".join(f"{seconds[name]:.2f}" if name in seconds else "" for name in names)
            + " |"
        )
    first = measured["first"]
    out.append(f"\nfirst publish: {first['publish'] / first[ALONE]:.2f} times the server alone")
    for load in ("next days", "corrections"):
        share = measured[load]["publish"] / first["publish"]
        out.append(f"publish of {load}: {share:.1%} of the first")
    for load, seconds in measured.items():
        share = sum(seconds[name] for name in QUALITY) / sum(seconds[name] for name in TRANSFORM)
        out.append(f"quality of {load}: {share:.2f} of the transform")
    return "\n".join(out)


if __name__ == "__main__":
    main()
