"""What a person reads when a command has ended."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO

import pytest
from rich.console import Console

from retail import terminal
from retail.pipeline import Result
from retail.records import HopCount


def shown(*hops: str) -> str:
    counts = [
        HopCount(
            hop=hop,
            retailer_id="retailer_1",
            business_date="2017-01-05",
            currency="USD",
            rows=1,
            money=Decimal(1),
        )
        for hop in hops
    ]
    out = StringIO()
    terminal.show_result(Console(file=out, width=120), Result("run-1", "complete"), counts)
    return out.getvalue()


@pytest.mark.parametrize(
    ("hops", "said"),
    [
        (("staged", "delta_before", "delta_after", "postgresql", "views"), "every identity"),
        (("staged", "inserted", "delta_after", "postgresql", "views"), "every identity"),  # the first run
        (("staged", "inserted", "delta_after", "postgresql"), "what was judged so far"),
        (("delta_after", "postgresql"), "what was judged so far"),  # a lone check
    ],
)
def test_every_identity_holds_only_where_a_run_that_merged_came_to_the_views(
    hops: tuple[str, ...], said: str
) -> None:
    assert f"tie-out: {said} holds, in rows and in money" in shown(*hops)
