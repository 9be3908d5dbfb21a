"""What docs/OPERATIONS.md quotes is what the commands print."""

from __future__ import annotations

import re

from retail.config.settings import home


def in_operations(message: str, printed: str) -> None:
    """The document has the message, between backquotes, and the command printed it; `…` stands for what varies."""
    document = (home() / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    assert f"`{message}`" in document, f"docs/OPERATIONS.md does not quote {message!r}"
    pattern = r"[\s\S]*?".join(re.escape(part.strip()) for part in message.split("…"))
    assert re.search(pattern, printed), f"{message!r} was not printed:\n{printed}"
