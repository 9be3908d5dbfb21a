"""Row rules: what is wrong with a single row, and how gravely. Kept in `conf/expectations/row_rules.toml`."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from retail.errors import ConfigurationError
from retail.records import RowRule, Severity
from retail.settings import home


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, pattern="^[^;]*$")  # a row's reasons are joined by `; `
    when: str = Field(min_length=1)
    severity: Severity = "error"


class _Rules(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rule: list[_Rule]


def load_row_rules(path: Path | None = None) -> list[RowRule]:
    """The rules in the order of the file. Raises ConfigurationError naming what is wrong with the file."""
    path = path or home() / "conf" / "expectations" / "row_rules.toml"
    try:
        rules = _Rules(**tomllib.loads(path.read_text(encoding="utf-8"))).rule
    except OSError as error:
        raise ConfigurationError([f"{path} cannot be read: {error.strerror}"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([f"{path} is not TOML: {error}"]) from None
    except ValidationError as error:
        problems = [f"{path}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError(problems) from None
    twice = [reason for reason, times in Counter(rule.reason for rule in rules).items() if times > 1]
    if twice:
        raise ConfigurationError([f"{path}: reason {reason!r} stands twice" for reason in twice])
    return [RowRule(**rule.model_dump()) for rule in rules]
