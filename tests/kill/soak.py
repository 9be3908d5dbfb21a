"""Random chains of kills with new seeds for as long as told; part of `make soak`.

Ends with 1 at the first chain that does not end like an undisturbed one, and prints what differs, where it was killed,
and the seed to try it again: `python -m tests.kill.soak --seed 123`.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path

from retail.cli.local import demo
from retail.warehouse.embedded import server
from tests.end_to_end.installation import Installation
from tests.kill.chains import BY_CHECKPOINT, BY_DAYS, at_random, play, undisturbed
from tests.kill.runs import preloaded

CLOCK = datetime(2017, 1, 20, 12, tzinfo=UTC)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", help="this seed only")
    asked = parser.parse_args()
    started, kills = time.monotonic(), 0
    with (
        tempfile.TemporaryDirectory(prefix="retail-kill-") as name,
        demo.simulator(demo.demo_environment(), clock=CLOCK, options=["--changes"]) as address,
        preloaded() as process,
    ):
        folder = Path(name)
        folder.chmod(0o755)  # for the user who runs PostgreSQL for root

        def install(name: str) -> Installation:
            return Installation(folder / name, address, folder / "postgresql", date(2017, 1, 1))

        with server.running(install("shared").settings.warehouse):
            expected = undisturbed(process, install("undisturbed"))
            while True:
                seed = asked.seed or str(secrets.randbelow(2**32))
                chosen = random.Random(seed)  # noqa: S311
                first, following = (at_random(seconds, chosen) for seconds in expected.seconds)
                try:
                    made, days = install(f"killed_{seed}"), chosen.choice((BY_DAYS, BY_CHECKPOINT))
                    play(process, made, expected, first, following, asked=days)
                except BaseException:
                    print(f"seed {seed} fails: python -m tests.kill.soak --seed {seed}", flush=True)
                    raise
                kills += len(first) + len(following)
                minutes = (time.monotonic() - started) / 60
                print(f"{kills} kills in {minutes:.1f} minutes; seed {seed} passed", flush=True)
                if asked.seed is not None or time.monotonic() - started >= asked.seconds:
                    return 0


if __name__ == "__main__":
    sys.exit(main())
