"""Stage, gate and merge, as a run does them: python -m bench.ours ENGINE LAKE RUN_ID [--checks] DATE…"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

from tests.steps import step_context

from retail.config.secrets import Secrets
from retail.config.settings import LakeSettings, RetailerSettings, Settings, SparkSettings, home
from retail.lake import delta
from retail.pipeline import check_step
from retail.pipeline.gate_step import gate_step
from retail.pipeline.merge_step import merge_step
from retail.pipeline.stage_step import stage_step
from retail.pipeline.step_context import StepContext
from retail.pipeline.workspace import Workspace
from retail.quality.suites import validation
from retail.star import merge
from retail.star.tables import fact_sales


def settings_of(engine: str, lake: Path) -> Settings:
    """Settings of a lake with one retailer."""
    return Settings(
        engine=engine,
        start_date=date(2010, 1, 1),
        lake=LakeSettings(url=str(lake)),
        spark=SparkSettings(driver_memory="3g", jars_folder=str(home() / "var" / "jars")),
        retailers={
            "retailer_1": RetailerSettings(
                service="amazon", name="Bench", base_url="http://127.0.0.1:1", time_zone="America/New_York"
            )
        },
    )


def measure(
    engine: str, lake: str, run_id: str, days: list[date], *, checks: bool = False
) -> dict[str, float]:
    """Seconds of each step, after the session is up (`start`)."""
    seconds = {}
    began = time.perf_counter()
    with Workspace(settings_of(engine, Path(lake)), Secrets({})) as workspace:
        workspace.session.range(1).collect()
        validation.warm_up()
        seconds["start"] = time.perf_counter() - began
        cpu = time.process_time()  # Sail works in this process
        units = [("retailer_1", day) for day in days]
        run = workspace.ledger.begin(run_id, units, tasks=["transform"], engine=engine)
        context = step_context(workspace, run)
        for name, step in (
            ("stage", stage_step),
            ("gate", gate_step),
            ("merge", merge_step),
        ):
            began = time.perf_counter()
            result = step(context)
            seconds[name] = time.perf_counter() - began
            workspace.ledger.end_step(run_id, name, result.to_json(), seconds=seconds[name])
        if checks:
            seconds |= _check_in_the_lake(context)
            seconds["CPU"] = time.process_time() - cpu
    return seconds


def raw_days(lake: Path) -> list[date]:
    """The days of the retailer that lie in the lake, in order."""
    raw = lake / "raw" / "retailer_1"
    keys = [path.parent.relative_to(raw).as_posix() for path in raw.rglob("sales_data.json")]
    return sorted(datetime.strptime(key, "year=%Y/month=%m/day=%d").date() for key in keys)  # noqa: DTZ007


def _check_in_the_lake(context: StepContext) -> dict[str, float]:
    """Seconds of the check but for what PostgreSQL has in it: what is judged, and Delta's part of the tie-out."""
    at = delta.require_version(context.storage, fact_sales.TABLE.path)
    parts: dict[str, Callable[[], object]] = {
        "check": lambda: check_step.judge_lake(context),
        "totals": lambda: merge.totals(context.session, context.storage, fact_sales.TABLE, None, at=at),
    }
    seconds = {}
    for name, part in parts.items():
        began = time.perf_counter()
        part()
        seconds[name] = time.perf_counter() - began
    return seconds


if __name__ == "__main__":
    checks = "--checks" in sys.argv
    engine, lake, run_id, *days = [each for each in sys.argv[1:] if each != "--checks"]
    dates = [date.fromisoformat(day) for day in days]
    print(json.dumps(measure(engine, lake, run_id, dates or raw_days(Path(lake)), checks=checks)))
