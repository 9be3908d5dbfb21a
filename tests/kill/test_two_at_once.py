"""Two runs at once, on one machine and on two that share S3: one works, the other ends at once with who holds it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from retail.lake.storage import Storage
from retail.lake.storage.s3 import S3Storage
from tests.end_to_end.installation import Installation
from tests.kill.conftest import Install
from tests.kill.runs import Meanwhile, Place, Preloaded
from tests.kill.told import in_operations
from tests.s3 import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

DAY = ("run", "--date", "2017-01-01")
# A machine of another name, with process numbers of its own.
ELSEWHERE = """
import socket, sys
from retail.runs import lease
socket.gethostname = lambda: "machine-two"
lease._machine = lambda: "another kernel"
from retail.cli import main
main(sys.argv[1:])
"""


@contextmanager
def working(process: Preloaded, made: Installation, **environment: str) -> Iterator[None]:
    """A run that has come to its stage step, and goes on when the block ends."""
    here, go_on = made.conf.parent / "here", made.conf.parent / "go_on"
    wait = ("bash", "-c", 'touch "$0"; while [ ! -e "$1" ]; do sleep 0.05; done', str(here), str(go_on))
    with ThreadPoolExecutor(1) as pool:
        strike = Meanwhile(Place("retail.pipeline.runner:_do_once", "1", "stage"), wait)
        run = pool.submit(process.retail, made, *DAY, strike=strike, **environment)
        give_up = time.monotonic() + 120
        while not here.exists():
            assert time.monotonic() < give_up and not run.done(), (
                "the first run did not come to its stage step"
            )
            time.sleep(0.02)
        try:
            yield
        finally:
            go_on.touch()
        ended = run.result()
        assert ended.returncode == 0, ended.output


def test_on_one_machine(process: Preloaded, install: Install) -> None:
    made = install("two_at_once")
    with working(process, made):
        second = made.retail("run", "--date", "2017-01-02")
        assert second.returncode == 1, second.stdout + second.stderr
        in_operations("run … (process … on …) is working on …", second.stderr)
        assert "next: wait for it to end; if it died, its lease expires at " in second.stderr
    assert made.retail("run", "--date", "2017-01-02").returncode == 0


@pytest.mark.s3
@pytest.mark.xdist_group("s3")
@pytest.mark.nightly
def test_on_two_machines_that_share_s3(process: Preloaded, install: Install, s3_server: S3Server) -> None:
    made, lake = install("on_two_machines"), s3_server.new_lake()
    shared = {
        "RETAIL_LAKE__URL": lake.url,
        "RETAIL_LAKE__S3_ENDPOINT": str(lake.s3_endpoint),
        "RETAIL_LAKE__S3_PATH_STYLE": "true",
        "RETAIL_RUNS__LEASE_SECONDS": "600",
    }
    with working(process, made, **shared):
        second = made.python("-c", ELSEWHERE, "run", "--date", "2017-01-02", **shared)
        assert second.returncode == 1, second.stdout + second.stderr
        in_operations("run … (process … on …) is working on …", second.stderr)
    # Killed on the other machine, a run cannot be seen to be dead here: its lease holds until it expires.
    killed = made.python("-c", KILLED_ELSEWHERE, **shared)
    assert killed.returncode == -9
    refused = made.retail("run", "--date", "2017-01-02", **shared)
    assert refused.returncode == 1 and "[lease-held]" in refused.stderr
    assert " on machine-two)" in refused.stderr
    _expire(S3Storage(lake))
    ended = made.retail("run", "--date", "2017-01-02", **shared | {"RETAIL_RUNS__LEASE_SECONDS": "10"})
    assert ended.returncode == 0, ended.stderr
    told = [line for line in ended.stderr.splitlines() if "a lease has expired" in line]
    assert len(told) == 1 and '"host": "machine-two"' in told[0] and '"seconds": 5.0' in told[0], ended.stderr


KILLED_ELSEWHERE = f"""
import os, signal, sys
sys.argv = ["-c", "run", "--date", "2017-01-02"]
from retail.pipeline import runner
runner._do_once = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
{ELSEWHERE}
"""


def _expire(storage: Storage) -> None:
    """As a lease's life without a word does."""
    newest = max(storage.list("ops/lease/"))
    record = json.loads(storage.read(newest))
    expired = {**record, "expires_at": "2020-01-01T00:00:00+00:00", "lifetime_seconds": 10}
    storage.write(newest, json.dumps(expired).encode())
