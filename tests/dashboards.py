"""The login of a BI tool, made by the statements that docs/BI_TOOLS.md tells an administrator to run."""

from __future__ import annotations

import re
from typing import Final

from retail.config.settings import home

LOGIN: Final = "dashboards"


def statements(password: str) -> str:
    """The first block of SQL of docs/BI_TOOLS.md, with a password in it."""
    text = (home() / "docs" / "BI_TOOLS.md").read_text(encoding="utf-8")
    block = re.search(r"^```sql\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert block
    told = block[1]
    assert told.startswith(f"CREATE ROLE {LOGIN} LOGIN PASSWORD '…'")
    return told.replace("…", password, 1)
