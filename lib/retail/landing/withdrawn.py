"""Lines that the star has and the retailer no longer: a page of them, with nothing sold, to overwrite the sale.

No retailer answers such a page. It is kept beside the answers, so that the raw file still depends on the pages alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from retail.records import FIELDS, SalesRecord
from retail.sources.service import cancelled
from retail.sources.values.json_path import JSON, entries, text

_LINES: Final = "lines"


def page(lines: Iterable[SalesRecord], *, status: str) -> JSON:
    """The page's answer: the lines with this status and nothing sold."""
    ended = (cancelled(line, status=status) for line in lines)
    return {_LINES: [{name: getattr(line, name) for name in FIELDS} for line in ended]}


def records(answer: JSON, source: str) -> Iterator[SalesRecord]:
    """The lines of a page; `source` is the object that holds it."""
    for place, line in enumerate(entries(answer, _LINES) or []):
        values = {name: text(line, name) for name in FIELDS if name != "source_ref"}
        yield SalesRecord(**values, source_ref=f"{source}#/answer/{_LINES}/{place}")
