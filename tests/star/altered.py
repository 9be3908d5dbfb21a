"""The code with another schema, as a contributor would have it, at work on a lake that today's code has made.

A copy of the package with some lines replaced stages a day in a process of its own, which prints what came of it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import retail
from retail import star
from retail.config.secrets import Secrets
from retail.config.settings import home
from retail.lake import delta
from retail.lake.engine import open_session
from retail.lake.storage.local import LocalStorage
from retail.pipeline.workspace import Workspace
from retail.quality import tie_out
from retail.runs.ledger import Ledger
from retail.star import migration, staging
from retail.star.build import build
from tests.conftest import settings_for
from tests.steps import step_context

# A module's path in the package, to each text in it and what stands there instead.
Changes = Mapping[str, Mapping[str, str]]

_REPOSITORY = Path(__file__).parents[2]


def copy_package(to: Path, changes: Changes) -> Path:
    """A folder of Python's path with the changed package in it. Each text must be in its module."""
    package = to / "retail"
    shutil.copytree(Path(retail.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    for module, replaced in changes.items():
        text = (package / module).read_text(encoding="utf-8")
        for old, new in replaced.items():
            assert old in text, f"{module} has no {old!r} any more"
            text = text.replace(old, new)
        (package / module).write_text(text, encoding="utf-8")
    return to


def stage_again(code: Path, engine: str, lake: Path, run_id: str, day: date) -> dict[str, Any]:
    """Migrate the lake, stage and merge retailer_1's day by the code in that folder.

    Gives `actions` and `versions` of each table, and the rows of each by their key in `rows`.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "tests.star.altered", engine, str(lake), run_id, str(day)],
        env={**os.environ, "PYTHONPATH": f"{code}:{_REPOSITORY}", "RETAIL_HOME": str(home())},
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert ended.returncode == 0, ended.stderr[-5000:]
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    assert found["package"] == str(code / "retail")
    return found


def _main(engine: str, lake: str, run_id: str, day: str) -> None:
    settings, storage = settings_for(engine, Path(lake)), LocalStorage(Path(lake))
    with open_session(settings) as session:
        work = Workspace(settings, Secrets({}))
        work.__dict__ |= {"session": session, "storage": storage, "ledger": Ledger(storage)}
        context = step_context(work, run_id)
        migration.migrate(context, star.TABLES)
        staged = staging.stage(context, [("retailer_1", date.fromisoformat(day))], row_rules=[])
        built = build(context, staged)
        tie_out.require([tie_out.STAGED, tie_out.MERGED, tie_out.DELTA], [*staged.counts, *built.counts])
        rows = {
            table.name: {
                row[table.key]: row.asDict()
                for row in delta.read(session, storage, table.path).select(*table.columns).collect()
            }
            for table in star.TABLES
        }
    found = {"package": str(Path(retail.__file__).parent), "rows": rows, **asdict(built)}
    print(json.dumps(found, default=str))  # noqa: T201 - what the test reads


if __name__ == "__main__":
    _main(*sys.argv[1:])
