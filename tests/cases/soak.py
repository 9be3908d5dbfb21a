"""Random shops with new seeds for as long as told: `make soak SECONDS=600`.

Ends with 1 at the first shop that is not worth what its truth says, with the seed to try it again.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path
from random import Random, SystemRandom

import structlog

from tests.cases.mixtures import FATES, shop
from tests.cases.player import playing
from tests.cases.reading import differences


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, help="this seed only")
    parser.add_argument("--service", choices=sorted(FATES), action="append", help="these services only")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    started, read = time.monotonic(), 0
    with playing() as player:
        while True:
            seed = asked.seed if asked.seed is not None else SystemRandom().randrange(10**6)
            for service in asked.service or FATES:
                with tempfile.TemporaryDirectory() as folder:
                    found = differences(player, shop(service, Random(seed)), Path(folder))  # noqa: S311
                if found or player.not_played:
                    print(f"seed {seed} of {service}: {found or player.not_played}", flush=True)
                    return 1
                read += 1
            if asked.seed is not None or time.monotonic() - started >= asked.seconds:
                print(f"{read} shops in {(time.monotonic() - started) / 60:.1f} minutes; last seed {seed}")
                return 0


if __name__ == "__main__":
    sys.exit(main())
