"""The tasks and steps of a run in their order."""

from __future__ import annotations

from typing import Final

# The tasks of a scheduler and the steps in each; `land` by itself makes raw files anew from what was fetched.
TASKS: Final[dict[str, tuple[str, ...]]] = {
    "land": ("land",),
    "ingest": ("extract", "land"),
    "transform": ("stage", "gate", "merge", "publish"),
    "check": ("check",),
    "refresh": ("refresh",),
}

# What a day goes through to come all the way.
ALL_TASKS: Final = ("ingest", "transform", "check", "refresh")
STEPS: Final = tuple(step for task in ALL_TASKS for step in TASKS[task])
