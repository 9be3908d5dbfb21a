"""The units of a run: retailers and their logical dates."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

RetailerDay = tuple[str, date]  # a retailer and a logical date


@dataclass(frozen=True)
class Span:
    """Retailers, with every day of each from the first to the last."""

    retailers: tuple[str, ...]
    first: date
    last: date

    @classmethod
    def of(cls, units: Collection[RetailerDay]) -> Span:
        """The smallest span that contains all of these units, of which there is at least one."""
        days = [day for _, day in units]
        return cls(tuple(sorted({retailer for retailer, _ in units})), min(days), max(days))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Span:
        first, last = (date.fromisoformat(values[name]) for name in ("from", "to"))
        return cls(tuple(values["retailers"]), first, last)

    def to_json(self) -> dict[str, object]:
        return {"retailers": list(self.retailers), "from": str(self.first), "to": str(self.last)}

    @property
    def units(self) -> list[RetailerDay]:
        days = (self.last - self.first).days + 1
        return list(units_of(self.retailers, (self.first + timedelta(days=number) for number in range(days))))


def units_of(retailers: Iterable[str], dates: Iterable[date]) -> Iterator[RetailerDay]:
    """Every date for every retailer."""
    days = list(dates)
    for retailer in retailers:
        for day in days:
            yield retailer, day
