"""docs/ERRORS.md from the errors' own classes: see generate.py."""

from __future__ import annotations

from collections.abc import Iterator

from retail.errors import RetailError


def pieces() -> dict[str, str]:
    """The only part: each error's code, exit code and meaning."""
    rows = [f"| `{each.code}` | {each.exit_code} | {_meaning(each)} |" for each in _all(RetailError)]
    return {"": "\n".join(["| code | exit code | meaning |", "|---|---|---|", *rows])}


def _all(error: type[RetailError]) -> Iterator[type[RetailError]]:
    yield error
    for below in error.__subclasses__():
        if below.__module__ == error.__module__:  # what others derive has the code of what it is
            yield from _all(below)


def _meaning(error: type[RetailError]) -> str:
    if "code" not in vars(error):
        raise SystemExit(f"{error.__name__} has no code of its own")
    return " ".join((error.__doc__ or "").split("\n\n")[0].split())
