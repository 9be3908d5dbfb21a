"""A few bad lines go to quarantine; a retailer's day of them stops the run."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from retail.config.settings import QualitySettings
from retail.errors import GateError
from retail.quality.quarantine_gate import stop_on_critical, stop_on_share
from retail.runs.counts import HopCount


def counts(**bad_of_read: tuple[int, int]) -> list[HopCount]:
    found = []
    for retailer_id, (bad, read) in bad_of_read.items():
        for hop, rows in (("quarantined", bad), ("read", read)):
            found.append(
                HopCount(
                    hop=hop,
                    retailer_id=retailer_id,
                    business_date=None,
                    currency=None,
                    rows=rows,
                    money=Decimal(0),
                )
            )
    return found


def test_a_small_retailer_that_is_lost_is_seen_beside_a_large_one() -> None:
    with pytest.raises(GateError, match=r"50 of 50 lines of small \(100.00%\)") as caught:
        stop_on_share(counts(large=(0, 10_000), small=(50, 50)), QualitySettings())
    assert "large" not in str(caught.value)


def test_a_small_retailer_s_few_bad_lines_stop_nothing() -> None:
    stop_on_share(counts(small=(5, 20)), QualitySettings())
    with pytest.raises(GateError):
        stop_on_share(counts(small=(6, 20)), QualitySettings())


def test_up_to_the_share_is_let_pass() -> None:
    stop_on_share(counts(large=(100, 10_000)), QualitySettings())
    with pytest.raises(GateError):
        stop_on_share(counts(large=(101, 10_000)), QualitySettings())


def test_a_replay_may_refuse_again_what_was_refused_before_and_no_line_more() -> None:
    stop_on_share(counts(small=(20, 25)), QualitySettings(), {"small": 20})
    with pytest.raises(GateError, match=r"\b21\b.*\b25\b.*\bsmall\b"):
        stop_on_share(counts(small=(21, 25)), QualitySettings(), {"small": 20})
    with pytest.raises(GateError, match=r"\b20\b.*\b25\b.*\bother\b"):
        stop_on_share(counts(small=(20, 25), other=(20, 25)), QualitySettings(), {"small": 20})


def test_nothing_read_is_nothing_to_judge() -> None:
    stop_on_share([], QualitySettings())
    stop_on_share(counts(silent=(0, 0)), QualitySettings())


def test_one_line_that_breaks_a_critical_rule_is_too_many() -> None:
    stop_on_critical([])
    (bad, _) = counts(small=(1, 5_000))
    with pytest.raises(GateError, match=r"lines break a critical rule:\n.*1 lines of small, None: an e-mail"):
        stop_on_critical([replace(bad, hop="critical", reason="an e-mail")])


def test_what_was_accepted_is_held_against_nobody() -> None:
    found = counts(small=(20, 25))
    accepted = replace(found[0], hop="accepted", rows=15)
    stop_on_share([*found, accepted], QualitySettings())
    with pytest.raises(GateError, match=r"\b6\b.*\b25\b.*\bsmall\b"):
        stop_on_share([*found, replace(accepted, rows=14)], QualitySettings())


def test_a_line_that_breaks_a_critical_rule_stops_no_run_once_it_was_accepted() -> None:
    critical = replace(counts(small=(2, 25))[0], hop="critical", reason="an e-mail")
    accepted = replace(critical, hop="accepted")
    stop_on_critical([critical], [accepted])
    for other in (
        replace(accepted, rows=1),
        replace(accepted, reason="else"),
        replace(accepted, currency="USD"),
    ):
        with pytest.raises(GateError, match=r"\bsmall\b.*an e-mail"):
            stop_on_critical([critical], [other])
