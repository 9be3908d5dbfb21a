"""Every parser of outside data survives hostile input: it ends with a value or a RetailError, in time."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, play

CORPUS = Path(__file__).parent / "corpus"
# No example takes as long; one that hangs is shown by pytest's own timeout.
_LONGEST = 20.0


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**32))
def test_hostile_input_ends_with_a_value_or_a_name(name: str, seed: int) -> None:
    began = time.process_time()
    play(name, seed)
    assert time.process_time() - began < _LONGEST


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.json")), ids=lambda path: path.stem)
def test_what_was_found_once_stays_fixed(path: Path) -> None:
    case = json.loads(path.read_text())
    began = time.process_time()
    if "seed" in case:
        play(case["target"], case["seed"])
    else:
        content = case["text"].encode() if "text" in case else base64.b64decode(case["base64"])
        TARGETS[case["target"]].run(content, Random(0))  # noqa: S311 - to be repeated
    assert time.process_time() - began < _LONGEST
