"""`retail quarantine`: what was refused is seen, and comes in when its cause is mended; nothing lost, nothing twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.end_to_end.installation import Figures, Installation, star_of, warehouse_of
from tests.end_to_end.strict import strict_home

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

DAY = date(2017, 1, 1)  # no overlap with a day before
RUN = ("run", "--date", str(DAY))
Install = Callable[[str], Installation]


def test_what_a_rule_refused_comes_in_when_it_is_mended_and_the_star_is_as_if_it_never_had(
    install: Install, tmp_path: Path, truth: Callable[[list[date]], Figures]
) -> None:
    made = install("replayed")
    strict = strict_home(tmp_path)
    stopped = made.retail(*RUN, **strict)
    assert stopped.returncode == 4
    assert "retail quarantine list" in stopped.stderr
    assert not (
        made.folder / "lake/star"
    ).exists()  # the gate stopped it; the lines are in quarantine all the same

    ran = made.retail(*RUN, RETAIL_QUALITY__QUARANTINE_SHARE="1", **strict)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "quarantined; in quarantine in total: " in ran.stdout
    listed = made.retail("quarantine", "list")
    refused = sum(rows for rows, _ in truth([DAY]).values()) - sum(
        rows for rows, _ in made.delta_figures().values()
    )
    assert f"total: {refused} rows, " in listed.stdout
    assert len(re.findall(r"retailer_\d +2017-01-01 +error +too dear", listed.stdout)) == 3
    shown = made.retail("quarantine", "show", "--only", "retailer_2", "--most", "1")
    assert f"{made.folder}/lake/payloads/retailer_2/date=2017-01-01/" in shown.stdout
    assert '"retailer_id": "retailer_2"' in shown.stdout

    replayed = made.retail("quarantine", "replay", "--only", "retailer_1")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert "; now: 0 rows" in replayed.stdout
    assert "retailer_1" not in made.retail("quarantine", "list").stdout
    assert made.retail("quarantine", "replay").returncode == 0
    assert made.delta_figures() == truth([DAY])
    assert made.retail("quarantine", "replay").returncode == 0
    assert made.delta("quarantine").num_rows == 0

    undisturbed = install("undisturbed")
    assert undisturbed.retail(*RUN).returncode == 0
    assert star_of(made) == star_of(undisturbed)
    assert warehouse_of(made) == warehouse_of(undisturbed)


def test_a_day_whose_replay_the_gate_stopped_for_another_is_replayed_again(
    install: Install, tmp_path: Path, truth: Callable[[list[date]], Figures]
) -> None:
    made = install("replay_stopped")
    ran = made.retail(*RUN, RETAIL_QUALITY__QUARANTINE_SHARE="1", **strict_home(tmp_path / "both"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert made.delta_figures() != truth([DAY])
    following = DAY + timedelta(days=1)
    when = f"total_amount > 8 AND business_date = DATE '{following}'"
    mended_for_the_first = strict_home(tmp_path / "following", when=when)
    assert made.retail("run", "--date", str(following), **mended_for_the_first).returncode == 4

    replay = ("quarantine", "replay", "--only", "retailer_1")
    assert made.retail(*replay, **mended_for_the_first).returncode == 4
    assert f"retailer_1  {DAY}" not in made.retail("quarantine", "list").stdout
    status = " ".join(made.retail("status").stdout.split())
    left = f"also: retail quarantine replay --from {DAY} --to {following} --only retailer_1 (2 retailer-days"
    assert left in status
    of_the_first = made.retail(*replay, "--to", str(DAY), **mended_for_the_first)
    assert of_the_first.returncode == 0, of_the_first.stdout + of_the_first.stderr
    assert "1 retailer-days were restaged by an earlier replay and are not complete" in of_the_first.stdout
    key = ("retailer_1", str(DAY))
    assert made.delta_figures()[key] == made.postgresql_figures()[key] == truth([DAY])[key]
    assert made.retail("quarantine", "replay").returncode == 0
    assert made.delta_figures() == made.postgresql_figures() == truth([DAY, following])
    assert "retail quarantine replay" not in made.retail("status").stdout


def test_a_replay_that_was_taken_back_leaves_its_days_done_and_comes_again_by_itself(
    install: Install, tmp_path: Path, truth: Callable[[list[date]], Figures]
) -> None:
    made = install("replay_taken_back")
    ran = made.retail(*RUN, RETAIL_QUALITY__QUARANTINE_SHARE="1", **strict_home(tmp_path))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    refused = made.postgresql_figures()
    assert made.retail("quarantine", "replay").returncode == 0
    taken_back = made.retail("publish", "--rollback")
    assert taken_back.returncode == 0, taken_back.stdout + taken_back.stderr
    assert made.postgresql_figures() == refused
    again = "publish, check and show them again: `retail quarantine replay`\n"
    assert again in taken_back.stdout
    status = made.retail("status").stdout
    assert len(re.findall(rf"^retailer_\d .* {DAY} +1 +{DAY + timedelta(days=1)}", status, re.MULTILINE)) == 3
    assert "until a run publishes again: `retail quarantine replay`\n" in status
    assert f"also: retail quarantine replay --from {DAY} --to {DAY} " in status
    replayed = made.retail("quarantine", "replay")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert made.delta_figures() == made.postgresql_figures() == truth([DAY])
    status = made.retail("status").stdout
    assert "rolled back on" not in status
    assert "quarantine replay" not in status


def test_what_nobody_will_ever_mend_is_accepted_and_its_day_comes_through_the_gate(
    install: Install, tmp_path: Path
) -> None:
    made = install("accepted")
    critical = strict_home(tmp_path, "critical")
    assert made.retail(*RUN, **critical).returncode == 4
    in_all = made.retail("quarantine", "list").stdout.partition("total: ")[2].strip()
    accepted = made.retail(
        "quarantine", "accept", "--reason", "too dear", "--because", "no one will look at it"
    )
    assert f"{in_all}, because: no one will look at it" in accepted.stdout, accepted.stderr

    ran = made.retail(*RUN, **critical)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    refused = int(in_all.split()[0])
    assert f"{refused} quarantined, {refused} of them accepted" in ran.stdout
    (staged,) = made.folder.glob(f"lake/ops/runs/{ran.stdout.split()[-2].rstrip(':')}/steps/stage.json")
    assert json.loads(staged.read_text())["in_quarantine"] == "0 rows"
    for command in ("list", "replay"):
        assert "retailer_" not in made.retail("quarantine", command).stdout
    tied = made.retail("status", "--tie-out")
    assert tied.returncode == 0
    assert f"quarantined lines accepted for good: {in_all}" in tied.stdout
    with made.postgresql() as cursor:
        cursor.execute(
            "SELECT hop, sum(rows) FROM marts.tie_out WHERE hop IN ('accepted', 'quarantined') GROUP BY 1"
        )
        assert dict(cursor.fetchall()) == {"accepted": refused, "quarantined": refused}

    without_the_rule = made.retail("transform", "--date", str(DAY)).stdout
    told = f"{refused:,} lines that were accepted in quarantine are no longer rejected"
    assert told in " ".join(without_the_rule.split())

    assert made.retail("quarantine", "reopen", "--from", str(DAY)).returncode == 0
    assert made.retail(*RUN, "--again", **critical).returncode == 4


def test_a_field_that_no_answer_had_before_is_told_once(install: Install) -> None:
    made = install("drifted")
    assert made.retail("ingest", "--date", str(DAY)).returncode == 0
    path = made.folder / "lake/ops/payload-fields/retailer_3.json"
    known = json.loads(path.read_text())
    del known["fields"]["data.orders.nodes[].currencyCode"]  # as if it came for the first time now
    path.write_text(json.dumps(known))
    new = "retailer_3: data.orders.nodes[].currencyCode (text) is new on 2017-01-01"
    for run_id, told in (("after", True), ("once", False)):
        ended = made.retail("ingest", "--date", str(DAY), "--only", "retailer_3", "--run-id", run_id)
        assert ("1 new fields in the responses" in ended.stdout) == told, ended.stdout + ended.stderr
        (record,) = made.folder.glob(f"lake/ops/runs/*-{run_id}/steps/extract.json")
        assert json.loads(record.read_text())["warnings"] == [new] * told


def test_what_the_mapping_spoilt_is_landed_anew_from_the_payloads(
    install: Install, tmp_path: Path, truth: Callable[[list[date]], Figures]
) -> None:
    made = install("landed_anew")
    assert made.retail("ingest", "--date", str(DAY)).returncode == 0
    raw = made.folder / "lake/raw/retailer_1/year=2017/month=01/day=01/sales_data.json"
    first, second, *others = raw.read_text().splitlines()
    spoilt = json.dumps({**json.loads(first), "total_amount": "1,50"})
    raw.write_text("\n".join([spoilt, second[:100], *others]) + "\n")
    critical = strict_home(tmp_path, "critical") | {"RETAIL_QUALITY__QUARANTINE_SHARE": "1"}
    stopped = made.retail("transform", "--date", str(DAY), **critical)
    assert stopped.returncode == 4
    assert "[gate]" in stopped.stderr
    assert not (made.folder / "lake/star").exists()
    for task in ("transform", "check", "refresh"):
        assert made.retail(task, "--date", str(DAY)).returncode == 0
    assert made.delta_figures() != truth([DAY])

    still = made.retail("quarantine", "replay")
    assert still.returncode == 0, still.stdout + still.stderr
    assert made.delta("quarantine").num_rows == 2
    anew = made.retail("quarantine", "replay", "--land")
    assert anew.returncode == 0, anew.stdout + anew.stderr
    assert made.delta("quarantine").num_rows == 0
    assert made.delta_figures() == made.postgresql_figures() == truth([DAY])
