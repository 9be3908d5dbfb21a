"""Random shops are read day by day and compared at the end; what lands is then worth what their truth says."""

from __future__ import annotations

from pathlib import Path
from random import Random, SystemRandom

import pytest

from tests.cases.mixtures import FATES, shop
from tests.cases.player import playing
from tests.cases.reading import differences

SHOPS = 20


@pytest.mark.parametrize("service", FATES)
def test_a_random_shop_is_worth_what_its_truth_says(service: str, tmp_path: Path) -> None:
    with playing() as player:
        for number in range(SHOPS):
            seed = SystemRandom().randrange(10**6)
            made = shop(service, Random(seed))  # noqa: S311 - no secret is made of it

            found = differences(player, made, tmp_path / str(number))

            again = f"python -m tests.cases.soak --service {service} --seed {seed}"
            assert found == {}, f"seed {seed}: {again}"
    assert player.not_played == []
