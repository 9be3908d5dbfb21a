"""The checkpoint: the last logical date up to which a retailer's days have all come to the views."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from retail.runs.ledger import Unit


def checkpoint(retailer_id: str, done: Iterable[Unit], *, start_date: date) -> date | None:
    """The last date of the unbroken run of done dates from `start_date` on; None where the first is missing."""
    days = {day for retailer, day in done if retailer == retailer_id}
    last = start_date - timedelta(days=1)
    while last + timedelta(days=1) in days:
        last += timedelta(days=1)
    return last if last >= start_date else None
