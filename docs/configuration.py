"""The keys of docs/CONFIGURATION.md, from the settings' own classes: see generate.py."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from retail.config.settings import RetailerSettings, Settings


def pieces() -> dict[str, str]:
    """The only part: each key with its meaning, default and environment variable, by the table it stands in."""
    own = {name: each for name, each in Settings.model_fields.items() if _section(each) is None}
    own.pop("retailers")
    parts = ["## At the top", "\n".join(_table(own, prefix="RETAIL_"))]
    for name, each in Settings.model_fields.items():
        section = _section(each)
        if section is not None:
            parts += [f"## `[{name}]`", _meaning(section)]
            parts.append("\n".join(_table(section.model_fields, prefix=f"RETAIL_{name.upper()}__")))
    parts += ["## `[retailers.<id>]`", _meaning(RetailerSettings)]
    parts.append("\n".join(_table(RetailerSettings.model_fields, prefix="RETAIL_RETAILERS__<ID>__")))
    return {"": "\n\n".join(parts)}


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _meaning(section: type[BaseModel]) -> str:
    return " ".join((section.__doc__ or "").split())


def _table(fields: dict[str, FieldInfo], *, prefix: str) -> Iterator[str]:
    yield "| key | meaning | default | environment variable |"
    yield "|---|---|---|---|"
    for name, field in fields.items():
        if not field.description:
            raise SystemExit(f"{prefix}{name} has no meaning: write it below the key in settings.py")
        yield f"| `{name}` | {' '.join(field.description.split())} | {_default(field)} | `{prefix}{name.upper()}` |"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    return (
        "–"
        if value is None or value == {}
        else f"`{str(value).lower() if isinstance(value, bool) else value}`"
    )
