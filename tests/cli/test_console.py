"""What a person reads when a command has ended."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO

import pytest
from rich.console import Console

from retail.cli.output import console
from retail.pipeline.runner import Result
from retail.runs.counts import HopCount


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
    console.show_result(Console(file=out, width=120), Result("run-1", "complete"), counts)  # type: ignore[arg-type]
    return out.getvalue()


@pytest.mark.parametrize(
    ("hops", "said"),
    [
        (("staged", "delta_before", "delta_after", "postgresql", "views"), "every identity"),
        (("staged", "inserted", "delta_after", "postgresql", "views"), "every identity"),  # the first run
        (("staged", "inserted", "delta_after", "postgresql"), "every identity checked so far"),
        (("delta_after", "postgresql"), "every identity checked so far"),  # a lone check
    ],
)
def test_every_identity_holds_only_where_a_run_that_merged_came_to_the_views(
    hops: tuple[str, ...], said: str
) -> None:
    assert f"tie-out: {said} holds, in rows and in money" in shown(*hops)


@pytest.mark.parametrize(
    ("skipped", "said"),
    [
        (3, "Nothing to do: all 3 retailer-days are already complete; no row was changed."),
        (0, "Nothing is due: every day that has ended, and that its retailer still shows, is complete; "),
    ],
)
def test_a_command_that_began_no_run_says_why(skipped: int, said: str) -> None:
    out = StringIO()
    console.show_result(Console(file=out, width=200), Result(None, "success", skipped_units=skipped), [])
    assert said in out.getvalue()


@pytest.mark.parametrize(
    ("force", "said"),
    [
        (False, "Give the same command later to fetch what is missing; complete days are skipped."),
        (
            True,
            "`retail status` names the command that fetches what is missing; this one re-fetches every day.",
        ),
    ],
)
def test_what_fetches_a_failed_retailer_s_days_is_told_as_it_is(force: bool, said: str) -> None:
    out = StringIO()
    result = Result("run-1", "partial", {"retailer_2": "it does not answer"}, force=force)
    console.show_result(Console(file=out, width=120), result, [])
    assert "retailer_2 FAILED, the others continued: it does not answer" in out.getvalue()
    assert said in out.getvalue()
    assert out.getvalue().count("fetches") == said.count("fetches")
