"""Ctrl-C and SIGTERM while the engine is at work: the command ends at once, and the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date

import pytest

from retail.cli.local.demo import demo_environment
from retail.lake.engine import without_session
from tests.end_to_end.conftest import Truth
from tests.end_to_end.installation import Installation

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

DAY = date(2017, 1, 1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 1), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_run_that_is_ended_while_the_engine_works_ends_in_seconds_and_is_gone_on_with(
    number: signal.Signals, code: int, install: Callable[..., Installation], truth: Truth
) -> None:
    made = install(f"ended_by_{number.name.lower()}")
    log = made.conf.with_suffix(".log")
    environment = without_session(os.environ | demo_environment()) | {"RETAIL_CONF": str(made.conf)}
    command = [sys.executable, "-m", "retail.cli", "--verbose", "run", "--date", str(DAY)]
    with log.open("w") as file:
        process = subprocess.Popen(command, env=environment, cwd=made.folder, stdout=file, stderr=file)
    try:
        give_up = time.monotonic() + 120
        while '"step": "stage"' not in log.read_text() and time.monotonic() < give_up:
            assert process.poll() is None, log.read_text()
            time.sleep(0.02)
        process.send_signal(number)
        # The engine is left without an answer for longer where it was stopped with the command.
        assert process.wait(20) == code
    finally:
        process.kill()
    assert "Traceback" not in log.read_text()
    assert ("retail: interrupted" in log.read_text()) == (number is signal.SIGINT)

    (extracted,) = made.folder.glob("lake/ops/runs/*/steps/extract.json")
    before = extracted.read_bytes()
    ended = made.retail("run", "--date", str(DAY))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert extracted.read_bytes() == before
    assert [*made.folder.glob("lake/ops/runs/*/run.json")] == [extracted.parents[1] / "run.json"]
    assert made.postgresql_figures() == truth([DAY])
