"""No secret leaves the process in any spelling, and no control character reaches a terminal."""

from __future__ import annotations

import base64
import html
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import structlog
from rich.table import Table
from rich.text import Text

from retail import cli
from retail.cli.output import console
from retail.cli.output.streams import _Masked
from retail.config import logs
from retail.config.secrets import Secret
from retail.errors import ConfigurationError, ExtractError, RetailError
from retail.lake.storage.local import LocalStorage
from retail.outgoing_text import MASK, PIECE, SHORTEST, mask, mask_values, printable
from retail.runs.ledger import Ledger

# With every character that an encoding changes; made of nothing else that the tests show.
SECRET = "Atzr|Zq7+/x=\"k'&<9Wm>v3 Rt5~Yb1;Nc8"
SHORT = "hX4!tq9z"
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "percent": lambda each: quote(each, safe=""),
    "percent in lower case": lambda each: quote(each, safe="").lower(),
    "every character in percent": lambda each: "".join(f"%{byte:02x}" for byte in each.encode()),
    "percent twice": lambda each: quote(quote(each, safe=""), safe=""),
    "a form": quote_plus,
    "JSON": json.dumps,
    "JSON of JSON": lambda each: json.dumps(json.dumps(each)),
    "JSON with a slash escaped": lambda each: json.dumps(each).replace("/", "\\/"),
    "every character in JSON": lambda each: "".join(f"\\u{ord(character):04X}" for character in each),
    "HTML": html.escape,
    "HTML of HTML": lambda each: html.escape(html.escape(each)),
    "HTML in numbers": lambda each: "".join(f"&#{ord(character)};" for character in each),
    "HTML in hex": lambda each: "".join(f"&#X{ord(character):x};" for character in each),
    "HTML in JSON": lambda each: json.dumps(html.escape(each)),
    "percent of JSON": lambda each: quote(json.dumps(each)),
    "base64": lambda each: base64.b64encode(each.encode()).decode(),
    "base64 of a pair": lambda each: base64.b64encode(f"id:{each}:x".encode()).decode(),
    "base64 of a longer pair": lambda each: base64.b64encode(f"user:{each}".encode()).decode(),
    "base64 for addresses": lambda each: base64.urlsafe_b64encode(f"i:{each}".encode()).decode(),
    "base64 in percent": lambda each: quote(base64.b64encode(each.encode()).decode(), safe=""),
    "hex": lambda each: each.encode().hex(),
    "repr": repr,
}


def leaks(text: str, secret: str) -> str:
    """The longest piece of the secret that any decoding finds in the text."""
    forms = [text, text.lower(), html.unescape(html.unescape(text)), text.replace("\\", "")]
    return max(
        (secret[start:end] for start in range(len(secret)) for end in range(start, len(secret) + 1)
         if any(secret[start:end] in form for form in forms)),
        key=len,
    )  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("secret", [SECRET, SHORT], ids=["long", "short"])
def test_a_secret_is_masked_in_every_spelling(spelling: str, secret: str) -> None:
    Secret(secret)
    spelt = SPELLINGS[spelling](secret)

    shown = mask(f"the shop said: {spelt} and no more")

    assert shown.startswith("the shop said: ") and shown.endswith(" and no more")
    assert MASK in shown
    assert len(shown) < len("the shop said:  and no more") + 2 * len(MASK) + 16
    assert len(leaks(shown, secret)) < 5


@pytest.mark.parametrize("spelling", ["plain", "percent", "JSON", "HTML"])
def test_a_secret_that_is_cut_is_masked_down_to_a_few_characters(spelling: str) -> None:
    Secret(SECRET)
    for start in range(len(SECRET)):
        for end in range(start + PIECE, len(SECRET) + 1):
            assert MASK in mask(f"… {SPELLINGS[spelling](SECRET[start:end])} …")


def test_a_short_value_would_mask_ordinary_words_and_does_not() -> None:
    Secret("retail")
    Secret("a")

    assert mask("retail: a run of a retailer") == "retail: a run of a retailer"
    assert len("retail") < SHORTEST


def test_letters_whose_lower_case_is_longer_do_not_move_the_mask() -> None:
    Secret(SECRET)

    assert mask(f"{'İ' * 9} {SECRET} {'İ' * 9}") == f"{'İ' * 9} {MASK} {'İ' * 9}"


def test_a_text_of_a_megabyte_is_masked_within_a_second_or_so() -> None:
    Secret(SECRET)
    text = ("lorem ipsum &amp; %20 dolor \\u0041 sit amet, " * 30_000)[:1_000_000]
    began = time.process_time()

    assert mask(text) == text
    assert mask(text + SECRET).endswith(MASK)
    assert time.process_time() - began < 20


def test_an_error_holds_no_secret_whatever_raises_it() -> None:
    Secret(SECRET)
    error = ExtractError(f"shop: said {SECRET}", hint=f"use {quote(SECRET)}")

    for text in (str(error), repr(error), error.message, error.hint, *map(str, error.args)):
        assert len(leaks(text, SECRET)) < 5


def test_the_ledger_holds_none(tmp_path: Path) -> None:
    Secret(SECRET)
    ledger = Ledger(LocalStorage(tmp_path))
    ledger.begin("run-1", [], tasks=["ingest"], engine="sail")

    ledger.end_step("run-1", "extract", {"failed": {"shop": f"said {SECRET}"}, SECRET: [SECRET]}, seconds=1)
    ledger.end("run-1", "failed", reason=f"said {SECRET}")

    kept = "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    assert MASK in kept
    assert len(leaks(kept, SECRET)) < 5
    assert ledger.outcome("run-1") == "failed"


def test_values_are_masked_with_their_shape_kept() -> None:
    Secret(SECRET)

    assert mask_values({"a": [SECRET, 1, None, (True,)], SECRET: 2.5}) == {
        "a": [MASK, 1, None, [True]],
        MASK: 2.5,
    }


def test_logs_hold_none_and_no_control_character(capsys: pytest.CaptureFixture[str]) -> None:
    Secret(SECRET)
    logs.configure()
    try:
        try:
            raise RuntimeError(f"\x1b]0;title\x07 {SECRET}")
        except RuntimeError:
            structlog.get_logger().exception(f"said {SECRET}", **{SECRET: {"inner": [f"\x9b2J{SECRET}"]}})
    finally:
        structlog.reset_defaults()

    written = capsys.readouterr().err
    assert MASK in written and "\\u001b" not in written
    assert len(leaks(json.loads(written)["exception"], "raise RuntimeError")) > 0
    assert len(leaks(written, SECRET)) < 5


def test_a_stream_masks_whoever_writes() -> None:
    Secret(SECRET)
    content = io.BytesIO()
    stream = _Masked.over(io.TextIOWrapper(content, encoding="utf-8"))

    print("a", SECRET, file=stream, flush=True)

    assert content.getvalue() == f"a {MASK}\n".encode()


PROGRAM = """
import sys, warnings, logging
import click
from retail.cli import main
from retail.config.secrets import Secret
from pathlib import Path

@main.command()
def attack():
    secret = Secret(sys.stdin.read()).reveal()
    print(secret)
    click.echo(secret.upper())
    logging.getLogger("urllib3").warning("said \\x1b[2J %s", secret)
    warnings.warn(secret)
    Path("written").write_text("x")
    Path("made").mkdir()
    raise ValueError(f"\\x1b]0;title\\x07{secret}")

main(["attack"])
"""


@pytest.mark.slow
def test_a_process_shows_no_secret_even_as_it_crashes_and_keeps_its_files_private(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    ended = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        input=SECRET,
        capture_output=True,
        text=True,
        check=False,
    )

    shown = ended.stdout + ended.stderr
    assert ended.returncode == 1
    assert "ValueError" in shown and shown.count(MASK) >= 5
    assert len(leaks(shown, SECRET)) < 5
    assert "\x1b" not in shown and "\x07" not in shown
    assert (tmp_path / "written").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o700


def test_the_umask_can_be_another_and_a_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    monkeypatch.setattr(os, "umask", used.append)
    for umask in ("027", "0077"):
        monkeypatch.setenv("RETAIL_UMASK", umask)
        cli._keep_files_private()
    monkeypatch.delenv("RETAIL_UMASK")
    cli._keep_files_private()
    assert used == [0o027, 0o077, 0o077]

    for wrong in ("", "9", "7777", "-1", "none"):
        monkeypatch.setenv("RETAIL_UMASK", wrong)
        with pytest.raises(ConfigurationError):
            cli._keep_files_private()


HOSTILE = "a\x1b[2J\x1b]0;owned\x07\x9b31m\rb\x7f\u202egnp.exe\u2028\x00c"


def test_control_characters_are_shown_as_escapes() -> None:
    shown = printable(HOSTILE)

    assert shown.isprintable()
    assert "\\x1b[2J" in shown and "\\u202e" in shown
    assert printable("two\nlines\tand ünïcode €") == "two\nlines\tand ünïcode €"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_nothing_printed_controls_the_terminal(monkeypatch: pytest.MonkeyPatch, is_terminal: bool) -> None:
    Secret(SECRET)
    out = (
        console.console()
        if not is_terminal
        else console._SafeConsole(highlight=False, force_terminal=True, width=60)
    )
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE + SECRET)
    with out.capture() as captured:
        out.print(HOSTILE, markup=False)
        out.print(f"[link=http://x]{HOSTILE}[/link] :warning: {SECRET}")
        out.print(Text(HOSTILE))
        out.print(table)
        out.print(console.rows_table([HOSTILE], [(f"{HOSTILE}\nretail: [ok] all is well",)]))

    shown = captured.get().replace("\x1b[1m", "").replace("\x1b[0m", "").replace("\x1b[3m", "")
    assert not [each for each in "\x1b\x07\x9b\r\x7f\u202e\u2028\x00" if each in shown]
    assert "[link=http://x]" in shown and ":warning:" in shown
    assert "\nretail: [ok]" not in shown
    assert len(leaks(shown.replace("\n", ""), SECRET)) < PIECE


def test_an_error_is_printed_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    import click
    from click.testing import CliRunner

    from retail.cli.options import Commands

    @click.group(cls=Commands)
    def group() -> None:
        pass

    @group.command()
    def fail() -> None:
        raise RetailError(f"said {HOSTILE}", hint=HOSTILE)

    result = CliRunner().invoke(group, ["fail"])

    assert result.exit_code == 1
    assert not [each for each in "\x1b\x07\x9b\r\x7f\u202e" if each in result.output]


def test_a_password_that_is_an_ordinary_word_changes_no_record(tmp_path: Path) -> None:
    Secret("retailer")
    ledger = Ledger(LocalStorage(tmp_path))
    day = ("retailer_1", date(2017, 1, 5))
    ledger.begin("run-1", [day], tasks=["ingest"], engine="sail")
    ledger.end("run-1", "failed", reason="it said retailer")
    assert ledger.run("run-1").units == (day,)
    assert ledger.ended("run-1")["reason"] == f"it said {MASK}"
