"""Walmart's error codes."""

from __future__ import annotations

from retail.sources.values.json_path import JSON, text


def error_code(body: JSON) -> str:
    """The code of the first error in a response; the gateway and the newer pages name the list differently."""
    return text(body, "error", 0, "code") or text(body, "errors", 0, "code") or ""
