"""Stage, gate and merge, as a run does them: python -m bench.ours ENGINE LAKE RUN_ID DATE…"""

from __future__ import annotations

import json
import sys
import time
from datetime import date, datetime
from pathlib import Path

from retail import steps
from retail.job import Job
from retail.quality import suites
from retail.resources import Resources
from retail.secrets import Secrets
from retail.settings import LakeSettings, RetailerSettings, Settings, SparkSettings, home


class Silent:
    def started(self, step: str) -> None: ...

    def progress(self, step: str, done: int, text: str) -> None: ...

    def waits(self, step: str, text: str) -> None: ...

    def ended(self, step: str, seconds: float, summary: str, *, resumed: bool) -> None: ...


def measure(engine: str, lake: str, run_id: str, days: list[date]) -> dict[str, float]:
    """Seconds of each step, after the session is up (`start`)."""
    settings = Settings(
        engine=engine,
        start_date=date(2017, 1, 1),
        lake=LakeSettings(url=lake),
        spark=SparkSettings(driver_memory="3g", jars_folder=str(home() / "var" / "jars")),
        retailers={
            "retailer_1": RetailerSettings(
                service="amazon", name="Bench", base_url="http://127.0.0.1:1", time_zone="America/New_York"
            )
        },
    )
    seconds = {}
    began = time.perf_counter()
    with Resources(settings, Secrets({})) as resources:
        resources.session.range(1).collect()
        suites.warm_up()
        seconds["start"] = time.perf_counter() - began
        units = [("retailer_1", day) for day in days]
        run = resources.ledger.begin(run_id, units, tasks=["transform"], engine=engine)
        job = Job(resources, run, Silent())
        for name, step in (
            ("stage", steps.stage_step),
            ("gate", steps.gate_step),
            ("merge", steps.merge_step),
        ):
            began = time.perf_counter()
            record = step(job)
            seconds[name] = time.perf_counter() - began
            resources.ledger.end_step(run_id, name, record, seconds=seconds[name])
    return seconds


if __name__ == "__main__":
    engine, lake, run_id = sys.argv[1:4]
    dates = [date.fromisoformat(day) for day in sys.argv[4:]]
    if not dates:
        raw = Path(lake) / "raw" / "retailer_1"
        keys = [path.parent.relative_to(raw).as_posix() for path in raw.rglob("sales_data.json")]
        dates = sorted(datetime.strptime(key, "year=%Y/month=%m/day=%d").date() for key in keys)  # noqa: DTZ007
    print(json.dumps(measure(engine, lake, run_id, dates)))
