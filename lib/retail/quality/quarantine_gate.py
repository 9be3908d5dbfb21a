"""The gate that stops a run if its quarantined lines are not single bad lines but a sign of a changed source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from retail.config.settings import QualitySettings
from retail.errors import GateError
from retail.runs.counts import HopCount

NOBODY: Final[Mapping[str, int]] = {}


def stop_on_critical(counts: Sequence[HopCount], staged: Sequence[HopCount] = ()) -> None:
    """Raises GateError naming the critical rules that lines broke; a single such line is too many.

    Accepted lines, hop `accepted` of `staged`, do not stop the run.
    """
    accepted = Counter[object]()
    for count in staged:
        if count.hop == "accepted":
            accepted[count.group, count.reason] += count.rows
    left = [replace(count, rows=count.rows - accepted[count.group, count.reason]) for count in counts]
    counts = [count for count in left if count.rows > 0]
    if counts:
        named = sorted(
            {
                f"{count.rows:,} lines of {count.retailer_id}, {count.business_date}: {count.reason}"
                for count in counts
            }
        )
        raise GateError(
            "lines break a critical rule:\n" + "\n".join(f"  - {each}" for each in named),
            hint="list them with `retail quarantine list`; fix the source or the rule, then run again",
        )


def stop_on_share(
    counts: Sequence[HopCount], quality: QualitySettings, tolerated_rejects: Mapping[str, int] = NOBODY
) -> None:
    """Raises GateError naming every retailer with too large a share of its lines in quarantine.

    Each retailer is checked separately: next to a large retailer, the loss of a small one would go unnoticed. Accepted
    lines, hop `accepted`, count as good. `tolerated_rejects` is the number of lines per retailer that pass whatever
    their share: in a replay, those that were rejected before.
    """
    stopped = []
    for retailer_id in sorted({count.retailer_id for count in counts}):
        read, bad, accepted = (_rows(counts, retailer_id, hop) for hop in ("read", "quarantined", "accepted"))
        bad -= accepted
        least = max(quality.quarantine_lines, tolerated_rejects.get(retailer_id, 0))
        if bad > least and bad / read > quality.quarantine_share:
            stopped.append(f"{bad:,} of {read:,} lines of {retailer_id} ({bad / read:.2%})")
    if stopped:
        raise GateError(
            f"{'; '.join(stopped)} are in quarantine; quality.quarantine_share allows {quality.quarantine_share:.2%}",
            hint="see why with `retail quarantine list`; fix the source, or accept what will never be fixed "
            "(`retail quarantine accept`); then run again",
        )


def _rows(counts: Sequence[HopCount], retailer_id: str, hop: str) -> int:
    return sum(count.rows for count in counts if (count.retailer_id, count.hop) == (retailer_id, hop))
