"""What fetching and landing costs beside the retailers' own work: python -m bench.ingest

CPU seconds of the client and of the simulator that answers it, and the client's peak memory by the number of pages.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import requests

from retail.cli.local import demo
from retail.config.secrets import Secrets
from retail.config.settings import Settings, load_settings
from retail.lake.storage.local import LocalStorage
from retail.landing.fetch import extract
from retail.landing.land import land
from retail.sources.registry import open_service, sales_of
from retail.sources.window import window_of_unit

FIRST = date(2017, 1, 1)
CLOCK = datetime(2017, 3, 1, tzinfo=UTC)


def main() -> None:
    with demo.simulator(demo.demo_environment(), clock=CLOCK) as address:
        print(
            "| days | page size | pages | lines | client CPU, s | simulator CPU, s | client / simulator | peak, MiB |"
        )
        print("|---:|---:|---:|---:|---:|---:|---:|---:|")
        for days, page_size in ((7, 100), (7, 10), (28, 100), (28, 10)):
            before = _cpu_of_simulator(address)
            command = [sys.executable, "-m", "bench.ingest", address, str(days), str(page_size)]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            cost = json.loads(told.splitlines()[-1])
            simulator = _cpu_of_simulator(address) - before
            figures = (days, page_size, f"{cost['pages']:,}", f"{cost['lines']:,}", f"{cost['cpu']:.2f}")
            ratio = f"{cost['cpu'] / simulator:.2f}"
            row = (*figures, f"{simulator:.2f}", ratio, f"{cost['peak']:.0f}")
            print(f"| {' | '.join(map(str, row))} |", flush=True)


def client(address: str, days: int, page_size: int) -> dict[str, float]:
    """Fetch and land so many days of all three retailers; imports do not count."""
    settings = _with_pages_of(page_size, demo.pointed_at(load_settings(), address))
    secrets = Secrets(demo.demo_environment())
    services = {name: open_service(name, settings, secrets) for name in settings.retailers}
    pages = lines = 0
    with tempfile.TemporaryDirectory(prefix="retail-bench-") as folder:
        lake = LocalStorage(Path(folder))
        began = time.process_time()
        for name, service in services.items():
            for day in (FIRST + timedelta(days=n) for n in range(days)):
                window = window_of_unit(settings, (name, day))
                pages += extract(service, lake, retailer_id=name, window=window, run_id="bench").pages
                lines += land(sales_of(name, settings), lake, retailer_id=name, logical_date=day).rows
        cpu = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"pages": pages, "lines": lines, "cpu": cpu, "peak": peak}


def _with_pages_of(size: int, settings: Settings) -> Settings:
    most = {"retailer_1": 100, "retailer_2": 200, "retailer_3": 50}
    retailers = {
        name: retailer.model_copy(
            update={"options": {**retailer.options, "page_size": min(size, most[name])}}
        )
        for name, retailer in settings.retailers.items()
    }
    return settings.model_copy(update={"retailers": retailers})


def _cpu_of_simulator(address: str) -> float:
    usage = requests.get(f"{address}/simulator/usage", timeout=30).json()
    return float(usage["cpu_seconds"])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(client(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
    else:
        main()
