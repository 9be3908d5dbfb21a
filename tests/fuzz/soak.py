"""Hostile input with new seeds, for a given time: `make fuzz SECONDS=600`.

Ends with 1 at the first example that ends otherwise than with a value or a RetailError, takes too long or too much
memory, and prints the target and the seed to try it again: `python -m tests.fuzz.soak --target amazon --seed 123`.
A file of tests/fuzz/corpus keeps it.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import resource
import sys
import time
import traceback
from random import SystemRandom

import structlog

from tests.fuzz.targets import TARGETS, play

# Of one example, and of the process beyond what it needs before the first.
_SECONDS = 30
_MEBIBYTES = 512


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, help="this seed only")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append", help="these targets only")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    names, played, before = asked.target or list(TARGETS), 0, _mebibytes()
    for name in names:
        started = time.monotonic()
        while time.monotonic() - started < asked.seconds / len(names):
            seed = asked.seed if asked.seed is not None else SystemRandom().randrange(2**32)
            faulthandler.dump_traceback_later(_SECONDS, exit=True)
            try:
                play(name, seed)
            except Exception:
                traceback.print_exc()
                print(f"target {name}, seed {seed}", flush=True)
                return 1
            finally:
                faulthandler.cancel_dump_traceback_later()
            if _mebibytes() - before > _MEBIBYTES:
                print(f"target {name}, seed {seed}: {_mebibytes():,} MiB, {before:,} before", flush=True)
                return 1
            played += 1
            if asked.seed is not None:
                break
    print(f"{played:,} examples of {', '.join(names)}; {_mebibytes() - before:,} MiB more than before")
    return 0


def _mebibytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    sys.exit(main())
