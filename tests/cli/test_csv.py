"""`retail sql --csv`: exact by default, and on request without what a spreadsheet would execute."""

from __future__ import annotations

import csv
import io
import sys
from decimal import Decimal
from typing import Any

import pytest

from retail import outgoing_text
from retail.cli.output import streams
from retail.cli.sql import prompt

FORMULAS = [
    "=1+1", "+1+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1", "\n=1", "  =1", "\x00=1",
    "＝1+1", "＠SUM(1)", "|cmd", "%0A=1", "=HYPERLINK(\"http://x\")",
]  # fmt: skip
HARMLESS = ["", "Tea = 1", "-2.50", "+3", "a-b", "7", "Ω", "O'Neill"]


class Frame:
    """What the writer asks of a result of Spark; a session would take seconds to start."""

    columns = ("=name", "amount")

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows = rows

    def toLocalIterator(self) -> list[tuple[Any, ...]]:  # noqa: N802
        return self._rows


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(prompt, "_presentable", lambda frame: frame)

    def write(rows: list[tuple[Any, ...]], *, terminal: bool = False, **options: bool) -> list[list[str]]:
        out = io.StringIO()
        monkeypatch.setattr(out, "isatty", lambda: terminal)
        monkeypatch.setattr(sys, "stdout", out)
        prompt.as_csv(**options)(Frame(rows))  # type: ignore[arg-type]
        return list(csv.reader(io.StringIO(out.getvalue(), newline="")))

    return write


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_begins_with_an_apostrophe_on_request(written, text) -> None:
    assert written([(text, None)], no_formulas=True) == [["'=name", "amount"], [f"'{text}", ""]]


@pytest.mark.parametrize("text", HARMLESS)
def test_other_texts_and_numbers_stay_as_they_are(written, text) -> None:
    assert written([(text, Decimal("-1.50"))], no_formulas=True)[1] == [text, "-1.50"]


@pytest.mark.parametrize("text", [*FORMULAS, *HARMLESS])
def test_without_the_request_every_text_is_exact(written, text) -> None:
    assert written([(text, Decimal("-1.50"))])[1:] == [[text, "-1.50"]]


def test_on_a_terminal_control_characters_are_escapes(written) -> None:
    hostile = "a\x1b]0;owned\x07\x9b2J"

    assert written([(hostile, None)], terminal=True)[1] == ["a\\x1b]0;owned\\x07\\x9b2J", ""]
    assert written([(hostile, None)])[1] == [hostile, ""]


def test_rows_are_as_they_are_though_a_password_is_an_ordinary_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prompt, "_presentable", lambda frame: frame)
    outgoing_text.remember("postgres")
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", streams._Masked.over(out))
    prompt.as_csv()(Frame([("Learning PostgreSQL", Decimal("19.99"))]))  # type: ignore[arg-type]
    assert out.buffer.getvalue().decode().splitlines()[1] == "Learning PostgreSQL,19.99"
