"""The tie-out: proof that no row and no cent goes missing between two hops.

An identity is a line of text over the names of hops. It must hold in rows and in money for each retailer, business date
and currency; the same text is shown to people if it does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from retail.errors import TieOutError
from retail.runs import counts as hops
from retail.runs.counts import HopCount

FETCHED: Final = hops.FETCHED
READ: Final = "landed = read"
STAGED: Final = "read = duplicate + quarantined + staged"
QUARANTINED: Final = "quarantined = in_quarantine"
MERGED: Final = "staged = inserted + updated_in + deleted + unchanged + stale"
DELTA: Final = "delta_after = delta_before + inserted + updated_in + deleted - updated_out"
RESTORED: Final = "delta_after = delta_before"
POSTGRESQL: Final = "postgresql = delta_after"
VIEWS: Final = "views = postgresql"

# The identities checked once a step has ended, in pipeline order. SQL checks the last one, over all views.
IDENTITIES: Final[dict[str, tuple[str, ...]]] = {
    "land": (FETCHED,),
    "gate": (READ, STAGED, QUARANTINED),
    "merge": (MERGED, DELTA),
    "check": (POSTGRESQL,),
    "refresh": (VIEWS,),
}

# Hops that count everything the star holds on a day; only a run's own lines reach the others.
_OF_THE_STAR: Final = frozenset({"delta_before", "delta_after", "postgresql", "views"})

_TERM: Final = re.compile(r"([=+-]?)\s*(\w+)")


@dataclass(frozen=True)
class Difference:
    """A group for which an identity does not hold: left side minus right side."""

    identity: str
    retailer_id: str
    business_date: str | None
    currency: str | None
    rows: int
    money: Decimal

    def __str__(self) -> str:
        group = f"{self.retailer_id}, {self.business_date or 'no date'}, {self.currency or 'no currency'}"
        return f"{self.identity} does not hold for {group}: {self.rows:+d} rows, {self.money:+f} in money"


def differences(identity: str, counts: Iterable[HopCount]) -> list[Difference]:
    """The groups in which the identity does not hold; hops that it does not name do not count."""
    signs = _signs(identity)
    rows: dict[tuple[str, str | None, str | None], int] = {}
    money: dict[tuple[str, str | None, str | None], Decimal] = {}
    for count in counts:
        if count.hop in signs:
            group = count.group
            rows[group] = rows.get(group, 0) + signs[count.hop] * count.rows
            money[group] = money.get(group, Decimal(0)) + signs[count.hop] * count.money
    return [
        Difference(identity, *group, rows[group], money[group])
        for group in sorted(rows, key=str)
        if rows[group] or money[group]
    ]


def hops_of(identity: str) -> frozenset[str]:
    """The hops that the identity names."""
    return frozenset(_signs(identity))


def of_run(counts: Iterable[HopCount]) -> list[HopCount]:
    """The counts of the groups that a run's own lines belong to."""
    counts = list(counts)
    own = {count.group for count in counts if count.hop not in _OF_THE_STAR}
    return [count for count in counts if count.group in own]


def require(identities: Iterable[str], counts: Iterable[HopCount], *, likely: str = "") -> None:
    """Raises TieOutError with the figures of every group in which an identity does not hold.

    `likely` is what to try first, for the hint.
    """
    counts = list(counts)
    found = [each for identity in identities for each in differences(identity, counts)]
    if found:
        shown = "\n".join(f"  - {each}" for each in found[:20])
        more = f"\n  … and {len(found) - 20} more" if len(found) > 20 else ""
        raise TieOutError(
            f"rows or money do not tie out:\n{shown}{more}",
            hint=f"{likely}nothing more is published; "
            "`retail status` shows the run, docs/DATA_QUALITY.md lists what to check",
        )


def _signs(identity: str) -> dict[str, int]:
    """+1 for the hop left of `=`, −1 for those right of it, and reversed after a minus."""
    left, right = identity.split("=")
    return {left.strip(): 1} | {name: 1 if sign == "-" else -1 for sign, name in _TERM.findall(right)}
