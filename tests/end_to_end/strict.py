"""The project's home with a row rule that refuses good lines; without it the rule is mended."""

from __future__ import annotations

import shutil
from pathlib import Path

from retail.config.settings import home


def strict_home(folder: Path, severity: str = "error", *, when: str = "total_amount > 8") -> dict[str, str]:
    """The environment of a command under that rule."""
    for each in ("conf", "sql"):
        shutil.copytree(home() / each, folder / each)
    with (folder / "conf/expectations/row_rules.toml").open("a") as rules:
        rules.write(f'\n[[rule]]\nreason = "too dear"\nwhen = "{when}"\nseverity = "{severity}"\n')
    return {"RETAIL_HOME": str(folder)}
