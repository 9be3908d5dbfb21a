"""Suites of a test's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retail.config.settings import home

WriteSuite = Callable[..., None]


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteSuite:
    """Writes a suite of these expectations, by its name, beside the shipped ones."""
    shutil.copytree(home() / "conf", tmp_path / "conf")
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path))

    def write(name: str, *expectations: dict[str, Any]) -> None:
        text = json.dumps({"name": name, "expectations": expectations})
        (tmp_path / "conf/expectations" / f"{name}.json").write_text(text)

    return write
