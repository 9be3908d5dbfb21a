"""Walmart's error codes."""

from __future__ import annotations

from retail.sources.values.json_path import JSON, text


def error_code(body: JSON) -> str:
    """The code of the first error in a response; the gateway and the newer pages name the list differently."""
    return text(body, "error", 0, "code") or text(body, "errors", 0, "code") or ""


def is_nothing_found(body: JSON) -> bool:
    """Whether the response is Walmart's empty list: a 404 with this code, as a wrong address answers 404 as well."""
    return error_code(body).startswith("CONTENT_NOT_FOUND")
