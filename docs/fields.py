"""docs/FIELDS.md from each vendor's fields.toml: see generate.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from retail.sources import fields
from retail.sources.fields import FieldTable
from retail.sources.registry import SERVICES


def pieces() -> dict[str, str]:
    """A part for each vendor: the tables of its objects, in the order of its file."""
    return {vendor: _vendor(fields.tables(f"retail.sources.{vendor}")) for vendor in SERVICES}


def _vendor(tables: Mapping[str, FieldTable]) -> str:
    return "\n\n".join(_object(name, table) for name, table in tables.items())


def _object(name: str, table: FieldTable) -> str:
    place, *others = (f"`{each}`" if each else "the answer itself" for each in table.at)
    where = f"{place}; also {', '.join(others)}" if others else place
    parts = [f"### {name}", f"{table.api}: {where}."]
    parts += _table("used", "serves", table.used.items())
    parts += _table("watched", "a value would mean", table.watched.items())
    parts += _table(
        "ignored", "because", [(path, each.because) for each in table.ignored for path in each.fields]
    )
    return "\n\n".join(parts)


def _table(kind: str, meaning: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    """One row for each meaning, with all of its fields; nothing where there is no row."""
    paths: dict[str, list[str]] = {}
    for path, why in rows:
        paths.setdefault(why, []).append(_shown(path))
    lines = [f"| {', '.join(names)} | {why} |" for why, names in paths.items()]
    return ["\n".join([f"| {kind} | {meaning} |", "|---|---|", *lines])] if lines else []


def _shown(path: str) -> str:
    """A path as the documents show it; what stands for everything below something is said in words."""
    if path == "**":
        return "all others"
    return f"`{path.removesuffix('.**')}` and below" if path.endswith(".**") else f"`{path}`"
