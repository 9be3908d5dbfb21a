"""The tasks and steps of a run in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# A scheduler's tasks and the steps in each; `land` on its own rebuilds raw files from payloads already
# fetched, `merge` and `publish` are the parts of a rebuild.
TASKS: Final[dict[str, tuple[str, ...]]] = {
    "land": ("land",),
    "ingest": ("extract", "land"),
    "transform": ("stage", "gate", "merge", "publish"),
    "check": ("check",),
    "refresh": ("refresh",),
    "merge": ("stage", "gate", "merge"),
    "publish": ("publish",),
}

# The tasks that a day goes through to be complete.
ALL_TASKS: Final = ("ingest", "transform", "check", "refresh")
STEPS: Final = tuple(step for task in ALL_TASKS for step in TASKS[task])

# Follows `land`. It is none of the eight steps: a day is complete without it.
DESCRIBE: Final = "describe"


def steps_of(tasks: Sequence[str]) -> list[str]:
    """All that these tasks do, in order."""
    steps = [step for task in tasks for step in TASKS[task]]
    if "land" in steps:
        steps.insert(steps.index("land") + 1, DESCRIBE)
    return steps
