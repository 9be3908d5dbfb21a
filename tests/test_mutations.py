"""Each breakage of `make mutations` still fits the code, and names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.mutations.catalogue import ROOT, Mutation, read

MUTATIONS = read()


def test_there_are_enough_of_them_and_each_has_a_name_of_its_own() -> None:
    assert len(MUTATIONS) >= 60
    assert len({each.name for each in MUTATIONS}) == len(MUTATIONS)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.name)
def test_a_breakage_fits_the_code_and_its_tests_are_there(mutation: Mutation) -> None:
    right = (ROOT / mutation.file).read_text(encoding="utf-8")
    assert mutation.applied_to(right) != right
    for test in mutation.tests:
        file, _, name = test.partition("::")
        text = Path(ROOT, file).read_text(encoding="utf-8")
        assert not name or re.search(rf"^def {re.escape(name.partition('[')[0])}\b", text, re.MULTILINE), test
