"""make mutations: applies each breakage to a copy of the project and runs its tests there, which must fail.

Before that, all of these tests must pass in the copy as it is: a test that always fails catches nothing.

`python -m tests.mutations NAME …` does those alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.mutations.catalogue import ROOT, Mutation, read

# The project's own folders; tools and environments below var and .venv are the original's.
_COPIED = ("lib", "sql", "conf", "tests", "jobs", "dags", "docs", "bi", "bench", "notebooks")
_SECONDS = 180
_SECONDS_UNBROKEN = 3600


def main() -> None:
    chosen = sys.argv[1:]
    mutations = [each for each in read() if not chosen or each.name in chosen]
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        copy = _copied(Path(folder) / "project")
        _require_passing(mutations, copy)
        for number, mutation in enumerate(mutations, start=1):
            started = time.monotonic()
            outcome = "caught" if _is_caught(mutation, copy) else "MISSED"
            missed += [mutation.name] * (outcome == "MISSED")
            seconds = time.monotonic() - started
            print(
                f"{number:>3} of {len(mutations)}  {outcome}  {seconds:5.1f} s  {mutation.name}", flush=True
            )
    print(f"\n{len(mutations) - len(missed)} of {len(mutations)} caught")
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


def _copied(project: Path) -> Path:
    project.mkdir()
    for name in _COPIED:
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ROOT.iterdir():
        if file.is_file():
            shutil.copy(file, project)
    (project / "var").symlink_to(ROOT / "var")
    return project


def _is_caught(mutation: Mutation, copy: Path) -> bool:
    file = copy / mutation.file
    right = file.read_text(encoding="utf-8")
    file.write_text(mutation.applied_to(right), encoding="utf-8")
    try:
        ended = _tested(mutation.tests, copy, nightly=bool(mutation.nightly), seconds=_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    finally:
        file.write_text(right, encoding="utf-8")
    # 1: tests failed. Anything else (no test found, a usage error) catches nothing.
    if ended.returncode not in (0, 1):
        print(ended.stdout[-2000:] + ended.stderr[-2000:], file=sys.stderr)
    return ended.returncode == 1


def _require_passing(mutations: Sequence[Mutation], copy: Path) -> None:
    for nightly in (False, True):
        tests = sorted({test for each in mutations if bool(each.nightly) == nightly for test in each.tests})
        if tests:
            started = time.monotonic()
            ended = _tested(tests, copy, nightly=nightly, seconds=_SECONDS_UNBROKEN)
            if ended.returncode:
                sys.exit(
                    f"the tests do not pass on the unbroken code:\n{ended.stdout[-5000:]}{ended.stderr[-2000:]}"
                )
            print(
                f"unbroken: {len(tests)} files of tests pass, {time.monotonic() - started:.1f} s", flush=True
            )


def _tested(
    tests: Sequence[str], copy: Path, *, nightly: bool, seconds: float
) -> subprocess.CompletedProcess[str]:
    """pytest's result in the copy. Raises subprocess.TimeoutExpired."""
    environment = os.environ | {"PYTHONPATH": f"{copy / 'lib'}:{copy}", "RETAIL_HOME": str(copy)}
    marks = "not cluster" if nightly else "not spark and not nightly"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", marks, *tests]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=seconds)


if __name__ == "__main__":
    main()
