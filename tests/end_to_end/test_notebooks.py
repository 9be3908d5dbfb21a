"""The notebooks run from first cell to last on a lake and a warehouse, and are committed without what they print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

from retail.cli.local.demo import demo_environment
from retail.config.settings import home
from tests.end_to_end.installation import Installation

NOTEBOOKS = sorted((home() / "notebooks").glob("*.ipynb"))
PLOTS = {"bi_views": 5, "explore_star": 4}


def cells(path: Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.xdist_group("spark")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_draws(
    path: Path, hard_lake: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SPARK_CONNECT_MODE_ENABLED", "SPARK_REMOTE", "SPARK_LOCAL_REMOTE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**demo_environment(), "RETAIL_CONF": str(hard_lake.conf)}.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(path, as_version=4)
    with hard_lake.postgresql():
        nbclient.NotebookClient(
            notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}
        ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == PLOTS[path.stem]
    told = [output["text"] for output in outputs if output.output_type == "stream"]
    assert told == [], "a notebook that warns looks broken"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_output(path: Path) -> None:
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells(path))


def test_there_is_a_notebook_of_delta_and_one_of_postgresql() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted(PLOTS)
