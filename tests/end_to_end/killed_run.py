"""`retail run`, killed without warning at a named place: python killed_run.py MODULE:FUNCTION CALL ARGUMENTS…

The function is replaced by one that does its work on calls before the CALL-th, and on that call kills the process:
before doing the work with `2`, after doing it with `2+`.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any


def kill_at(place: str, call: str) -> None:
    module_name, name = place.split(":")
    module = importlib.import_module(module_name)
    *owner_names, name = name.split(".")
    owner: Any = module
    for each in owner_names:
        owner = getattr(owner, each)
    real = getattr(owner, name)
    left = [int(call.rstrip("+"))]

    def deadly(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] > 0:
            return real(*args, **kwargs)
        if call.endswith("+"):
            real(*args, **kwargs)
        return os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, deadly)


if __name__ == "__main__":
    kill_at(sys.argv[1], sys.argv[2])
    from retail.cli import main

    main(sys.argv[3:])
