"""Row rules: what is wrong with a single row, and how severe it is. Kept in `conf/expectations/row_rules.toml`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from retail.errors import ConfigurationError
from retail.quality import conf_files
from retail.records import RowRule, Severity


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, pattern="^[^;]*$")  # a row's reasons are joined by `; `
    when: str = Field(min_length=1)
    severity: Severity = "error"


class _Rules(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rule: list[_Rule]


def load_row_rules(path: Path | None = None, *, beside: Path | None = None) -> list[RowRule]:
    """The rules in the order of the file, by default of the one for a configuration in the folder `beside`.

    Raises ConfigurationError naming what is wrong with the file.
    """
    path = path or conf_files.find("row_rules.toml", beside)
    rules = conf_files.read_toml(path, _Rules).rule
    twice = [reason for reason, times in Counter(rule.reason for rule in rules).items() if times > 1]
    if twice:
        raise ConfigurationError([f"{path}: reason {reason!r} appears twice" for reason in twice])
    return [RowRule(**rule.model_dump()) for rule in rules]
