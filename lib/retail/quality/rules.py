"""Row rules: which single row goes to quarantine, and why. Kept in `conf/expectations/row_rules.toml`."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from retail.errors import ConfigurationError
from retail.settings import home


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str
    when: str


class _Rules(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rule: list[_Rule]


def load_row_rules(path: Path | None = None) -> dict[str, str]:
    """Reason → SQL condition on a typed row. Raises ConfigurationError naming what is wrong with the file."""
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
    return {rule.reason: rule.when for rule in rules}
