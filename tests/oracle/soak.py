"""Random histories with new seeds for as long as told: `make soak SECONDS=600`.

Ends with 1 at the first history whose star is not the model's, shrunk and printed, with the seed to try it again:
`python -m tests.oracle.soak --seed 123`.
"""

from __future__ import annotations

import argparse
import logging
import secrets
import sys
import tempfile
import time
from pathlib import Path

import structlog
from hypothesis import HealthCheck, Phase, given, seed, settings
from pyspark.sql import SparkSession

from retail.lake.engine import open_session
from tests.conftest import settings_for
from tests.oracle.histories import History, histories
from tests.oracle.playing import play

_ENGINE = "sail"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, help="this seed only")
    parser.add_argument("--histories", type=int, default=10, help="histories a seed")
    parser.add_argument("--no-shrink", action="store_true", help="stop at the first failure as it is")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    started, played = time.monotonic(), 0
    with (
        tempfile.TemporaryDirectory() as folder,
        open_session(settings_for(_ENGINE, Path(folder))) as session,
    ):
        while True:
            chosen = asked.seed if asked.seed is not None else secrets.randbelow(2**32)
            try:
                played += _play(session, chosen, histories_a_seed=asked.histories, shrink=not asked.no_shrink)
            except BaseException:
                print(f"seed {chosen} fails: python -m tests.oracle.soak --seed {chosen}", flush=True)
                raise
            minutes = (time.monotonic() - started) / 60
            print(
                f"{played} histories in {minutes:.1f} minutes, {played / minutes:.0f} a minute; "
                f"seed {chosen} passed",
                flush=True,
            )
            if asked.seed is not None or time.monotonic() - started >= asked.seconds:
                return 0


def _play(session: SparkSession, chosen: int, *, histories_a_seed: int, shrink: bool) -> int:
    played = 0
    phases = [Phase.generate, *([Phase.shrink] if shrink else [])]

    @seed(chosen)
    @settings(
        deadline=None, database=None, suppress_health_check=list(HealthCheck), max_examples=histories_a_seed,
        phases=phases, report_multiple_bugs=False,
    )  # fmt: skip
    @given(history=histories())
    def each(history: History) -> None:
        nonlocal played
        with tempfile.TemporaryDirectory() as folder:
            play(history, session, _ENGINE, Path(folder))
        played += 1

    each()
    return played


if __name__ == "__main__":
    sys.exit(main())
