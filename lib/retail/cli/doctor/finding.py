"""What one check of `retail doctor` found, for a person and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from retail.errors import ConfigurationError, RetailError

EVERY_RETAILER_FAILED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of a check: what was found, where, and what to do next. `exit_code` is 0 if all is well.

    A `warning` stops no run. `retailer` is the retailer that a check is about.
    """

    check: str
    what: str
    where: str
    next: str = ""
    code: str | None = None
    exit_code: int = 0
    warning: bool = False
    retailer: str | None = None

    @property
    def ok(self) -> bool:
        return self.exit_code == 0

    @property
    def is_consequence(self) -> bool:
        """Whether a retailer was not asked because of its configuration, which has a finding of its own."""
        return self.retailer is not None and self.code == ConfigurationError.code

    def to_json(self) -> dict[str, Any]:
        return {"ok": self.ok, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Warned:
    """What a check found that works, and leaves a risk; and what to do about it."""

    what: str
    next: str


def failed(check: str, where: str, error: RetailError, *, retailer: str | None = None) -> Finding:
    """The finding of a check that raised `error`."""
    return Finding(
        check=check,
        what=error.message,
        where=where,
        next=error.hint,
        code=error.code,
        exit_code=error.exit_code,
        retailer=retailer,
    )


def exit_code(findings: Sequence[Finding]) -> int:
    """As a run would end: 2 for configuration, then 1; 3 if only some retailers cannot be read."""
    codes = {each.exit_code for each in findings} - {0}
    asked = [each for each in findings if each.retailer is not None]
    if asked and not any(each.ok for each in asked):
        codes |= {EVERY_RETAILER_FAILED}
    return next((code for code in (2, 1, 3, 4) if code in codes), 0)
