"""A load in a process of its own: what it told, and the most memory that it and its children held."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import psutil


def run(command: Sequence[str]) -> tuple[dict[str, float], float]:
    """The JSON in the last line of what `command` printed, and the peak of its tree's resident memory in MiB."""
    os.sync()  # what was written before belongs to no load
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peak))
    watcher.start()
    out, error = process.communicate()
    watcher.join()
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: {error[-2000:]}")
    return json.loads(out.strip().splitlines()[-1]), peak[0]


def _watch(pid: int, peak: list[float]) -> None:
    """Keep the highest sum of resident memory over the process and its children."""
    try:
        process = psutil.Process(pid)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            tree = [process, *process.children(recursive=True)]
            peak[0] = max(peak[0], sum(each.memory_info().rss for each in tree) / 2**20)
            time.sleep(0.1)
    except psutil.NoSuchProcess:
        pass
