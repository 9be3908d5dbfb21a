"""A process that kills its whole process group, without warning, at a named place in the code.

The function there is replaced by one that does its work on calls before the `call`-th, and on that call something
happens: before doing the work with `2`, after doing it with `2+`. `among` counts only calls with that argument.
"""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable
from typing import Any


def kill_at(place: str, call: str, among: str | None = None) -> None:
    do_at(place, call, among, do=lambda: os.killpg(0, signal.SIGKILL))


def do_at(place: str, call: str, among: str | None = None, *, do: Callable[[], object]) -> None:
    owner, name = _found(place)
    left = [int(call.rstrip("+"))]

    def struck(real: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        left[0] -= among is None or among in args
        if left[0] != 0 or (among is not None and among not in args):
            return real(*args, **kwargs)
        left[0] = -1
        if not call.endswith("+"):
            do()
        result = real(*args, **kwargs)
        if call.endswith("+"):
            do()
        return result

    wrap(owner, name, struck)


def wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Every call of the function `name` becomes one of `around`, which gets it first."""
    real = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return around(real, *args, **kwargs)

    setattr(owner, name, wrapped)


def _found(place: str) -> tuple[Any, str]:
    module_name, path = place.split(":")
    owner: Any = importlib.import_module(module_name)
    *owner_names, name = path.split(".")
    for each in owner_names:
        owner = getattr(owner, each)
    return owner, name
