"""Rows and money at each hop of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from tests.oracle.lines import Values
from tests.oracle.rows import Key, Row, Version

# (hop or reason, retailer, business date, currency) → (rows, money)
Figures = dict[tuple[str, str, str | None, str | None], tuple[int, Decimal]]


def add(figures: Figures, hop: str, retailer: str, values: Row, sign: int = 1) -> None:
    day = values.get("business_date")
    group = (hop, retailer, str(day) if day else None, values.get("currency"))
    rows, money = figures.get(group, (0, Decimal(0)))
    figures[group] = (rows + sign, money + sign * (values.get("total_amount") or Decimal(0)))


def count_duplicates(figures: Figures, good: Sequence[Values], staged: Mapping[Key, Version]) -> None:
    """Every good line that is not the one of its key that was staged."""
    for values in good:
        add(figures, "duplicate", values["retailer_id"], values)
    for version in staged.values():
        add(figures, "duplicate", version.columns["retailer_id"], version.columns, sign=-1)
    for group in [group for group, (rows, _) in figures.items() if group[0] == "duplicate" and not rows]:
        del figures[group]
