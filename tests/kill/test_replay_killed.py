"""A replay that is killed at every step: the same command, given again, brings in all that was refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from retail.pipeline.tasks import STEPS
from tests.end_to_end.installation import star_of, warehouse_of
from tests.end_to_end.strict import strict_home
from tests.kill.chains import FIRST
from tests.kill.conftest import Install
from tests.kill.runs import Place, Preloaded
from tests.kill.state import left_over

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

_OF_A_REPLAY = STEPS[STEPS.index("stage") :]


def test_what_a_killed_replay_took_out_of_quarantine_comes_in_with_the_next(
    process: Preloaded, install: Install, tmp_path: Path
) -> None:
    made, undisturbed = install("replay_killed"), install("nothing_refused")
    assert process.retail(undisturbed, *FIRST).returncode == 0
    strict = strict_home(tmp_path) | {"RETAIL_QUALITY__QUARANTINE_SHARE": "1"}
    assert process.retail(made, *FIRST, **strict).returncode == 0
    assert star_of(made) != star_of(undisturbed)

    replay = ("quarantine", "replay")
    strikes = [
        Place("retail.runs.pending_replays:begin", "1+"),
        Place("retail.star.quarantine.table:replace", "1"),
        Place("retail.star.quarantine.table:replace", "1+"),
        *(Place("retail.pipeline.runner:_do_once", "1", step) for step in _OF_A_REPLAY),
        *(Place("retail.runs.ledger:Ledger.end_step", "1", step) for step in _OF_A_REPLAY),
        Place("retail.runs.pending_replays:end", "1"),
    ]
    for strike in strikes:
        assert process.retail(made, *replay, strike=strike).returncode == -9, strike
    status = process.retail(made, "status").output
    assert "also: retail quarantine replay --from 2017-01-01 --to 2017-01-02 --only retailer_1 " in status
    ended = process.retail(made, *replay)
    assert ended.returncode == 0, ended.output
    assert re.search(r"^6 retailer-days ", ended.output, re.MULTILINE)
    assert star_of(made) == star_of(undisturbed)
    assert warehouse_of(made) == warehouse_of(undisturbed)
    assert left_over(made) == []
    assert process.retail(made, *replay).returncode == 0
    assert made.delta("quarantine").num_rows == 0
    assert not (made.folder / "lake/ops/replays.json").exists()
