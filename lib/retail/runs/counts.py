"""Rows and money at each hop, as steps count them for the tie-out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import PlainSerializer

# What becomes of a fetched line. The other identities of the tie-out are in retail.quality.tie_out.
FETCHED: Final = "fetched = skipped + superseded + landed + rounding"


@dataclass(frozen=True, slots=True, kw_only=True)
class HopCount:
    """Rows and money of one group at one hop, for the tie-out.

    `business_date` and `currency` are None if the hop does not know them; `reason` says why lines were left out.
    `money` is Σ total_amount in `currency`; a line whose amount is unreadable counts 0.
    """

    hop: str
    reason: str | None = None
    retailer_id: str
    business_date: str | None
    currency: str | None
    rows: int
    money: Annotated[
        Decimal, PlainSerializer(lambda money: format(money, "f"), return_type=str, when_used="json")
    ]

    @property
    def group(self) -> tuple[str, str | None, str | None]:
        """The group that the figures are for: retailer, business date, currency."""
        return (self.retailer_id, self.business_date, self.currency)

    @property
    def day(self) -> date | None:
        """`business_date`, or None if it is not a date."""
        try:
            return date.fromisoformat(self.business_date or "")
        except ValueError:
            return None

    def as_hop(self, hop: str) -> HopCount:
        """The same figures at another hop."""
        return replace(self, hop=hop)

    def to_json(self) -> dict[str, object]:
        """Plain values; money as text, so that no cent is lost to a float."""
        return {**asdict(self), "money": format(self.money, "f")}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> HopCount:
        return cls(**{**values, "money": Decimal(values["money"])})


def as_json(counts: Iterable[HopCount]) -> list[dict[str, object]]:
    """Counts as a step records them."""
    return [count.to_json() for count in counts]


def rows_at(counts: Iterable[HopCount], hop: str) -> int:
    """Total rows counted at the hop."""
    return sum(count.rows for count in counts if count.hop == hop)


def by_reason(counts: Iterable[HopCount]) -> list[str]:
    """Rows counted for each reason, in words, largest first."""
    rows: Counter[str] = Counter()
    for count in counts:
        rows[count.reason or ""] += count.rows
    return [f"{number:,} {reason}" for reason, number in rows.most_common()]
