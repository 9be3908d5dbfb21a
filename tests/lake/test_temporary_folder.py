"""A process's temporary folder goes with it, or with the next one's."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

import pytest

from retail.lake import temporary_folder

ASK = "from retail.lake import temporary_folder; print(temporary_folder.folder(), flush=True); input()"


def asking(temporary: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that has asked for its folder, and lives until it is given a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", ASK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_process_that_ends_takes_its_folder_with_it(tmp_path: Path) -> None:
    process, folder = asking(tmp_path)
    assert list(tmp_path.iterdir()) == [folder]
    process.communicate("\n")
    assert list(tmp_path.iterdir()) == []


def test_the_next_sweeps_away_what_a_killed_one_left_and_nothing_else(tmp_path: Path) -> None:
    others = tmp_path / "retail-lakehouse-of-somebody-else"
    others.mkdir()
    killed, left = asking(tmp_path)
    (left / "blockmgr").mkdir()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert (left / "blockmgr").exists()
    living, kept = asking(tmp_path)
    third, _ = asking(tmp_path)
    third.communicate("\n")
    assert sorted(tmp_path.iterdir()) == sorted([others, kept])
    living.communicate("\n")


def test_a_folder_that_is_swept_in_the_moment_before_its_lock_is_given_up_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lock = fcntl.flock
    swept: list[Path] = []

    def swept_before(file: IO[str], how: int) -> None:
        if not swept:
            swept.append(Path(file.name).parent)
            shutil.rmtree(swept[0])
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", swept_before)
    made = temporary_folder._locked()
    assert made.is_dir()
    assert made != swept[0]
