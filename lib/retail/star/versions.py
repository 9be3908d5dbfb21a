"""The order of versions: which of two rows of one key counts. It is stated only here, for windows and for MERGE.

Of two versions the greater by `ORDER` counts: the retailer's later change; for the same change, the result of the newer
mapping; for the same mapping, the later response. Rows equal in all three come from one response, so the row being
staged now counts: newer code has read the same response again (docs/decisions/0027-content-hash.md).
"""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

# Each column with its type. None of them is null in the star, except `updated_at` in the unknown members.
ORDER: Final = {"updated_at": "timestamp", "mapping_version": "int", "fetch_order": "string"}

# Run, logical date and page of the response, such as `20261126T214733Z-3fa9c1 2017-01-05 00001`, which sort
# by time; empty if `source_ref` names no page, as for a catalogue description.
FETCH_ORDER: Final = (
    "CASE WHEN source_ref LIKE 'payloads/%/date=%/run=%/page-%' THEN regexp_replace(source_ref, "
    "'(?s)^payloads/[^/]+/date=([^/]+)/run=([^/]+)/page-([0-9]+)[.].*$', '$2 $1 $3') ELSE '' END"
)


def newest_first(*then: str) -> list[Column]:
    """The order for a window: the row that counts first. Rows of one response are ordered by content, then by `then`.

    So the first row does not depend on the order of arrival, unless rows are equal in all of these.
    """
    return [F.desc(name) for name in (*ORDER, "content_hash", *then)]


def counts_over(order: tuple[str, ...], *, new: str, old: str) -> str:
    """SQL that is true if the row with prefix `new` counts over the table's row with prefix `old`.

    `order` is the table's. A table without an order, such as the calendar, takes any row with different content.
    """
    condition = f"{new}content_hash <> {old}content_hash"
    for name in reversed(order):
        ours, theirs = f"{new}{name}", f"{old}{name}"
        condition = f"({ours} > {theirs} OR ({ours} = {theirs} AND {condition}))"
    return condition
