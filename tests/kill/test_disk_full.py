"""The lake's disk is full at a step; with room again the same command goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.installation import Installation
from tests.kill.chains import FIRST, Undisturbed
from tests.kill.conftest import Install
from tests.kill.runs import Meanwhile, Place, Preloaded
from tests.kill.state import differences, left_over, state_of
from tests.kill.told import in_operations

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

WRITING = ("extract", "land", "stage", "merge", "check", "refresh")


@contextmanager
def small_disk(lake: Path) -> Iterator[None]:
    lake.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "retail-test", str(lake)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(lake)], check=True)


def test_a_full_disk_is_told_and_once_there_is_room_the_run_goes_on(
    process: Preloaded, install: Install, expected: Undisturbed
) -> None:
    made = install("disk_full")
    lake = made.folder / "lake"
    with small_disk(lake):
        for step in WRITING:
            _run_out_of_room(process, made, step)
        ended = process.retail(made, *FIRST)
        assert ended.returncode == 0, ended.output
        assert differences(state_of(made), expected.states[0]) == []
        assert left_over(made) == []


def _run_out_of_room(process: Preloaded, made: Installation, step: str) -> None:
    filler = made.folder / "lake" / "filler"
    fill = ("bash", "-c", 'dd if=/dev/zero of="$0" bs=64k status=none 2>&-; true', str(filler))
    full = process.retail(
        made, *FIRST, strike=Meanwhile(Place("retail.pipeline.runner:_do_once", "1", step), fill)
    )
    assert full.returncode == 1, f"{step}\n{full.output}"
    in_operations("cannot write …: No space left on device", full.output)
    assert "next: check that the folder of lake.url exists, is writable and not full" in full.output
    filler.unlink()
