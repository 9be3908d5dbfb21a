"""A chain: a run of the first two days and one of the third, each killed again and again before it comes to its end."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from retail.pipeline.tasks import STEPS
from tests.end_to_end.installation import Installation
from tests.kill.runs import Moment, Place, Preloaded, Strike
from tests.kill.state import State, differences, left_over, state_of

FIRST = ("run", "--from", "2017-01-01", "--to", "2017-01-02")
FOLLOWING = ("run", "--date", "2017-01-03")


@dataclass(frozen=True)
class Command:
    """How one of the two runs is asked for, each time that it was killed as well."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


BY_DAYS = (Command(FIRST), Command(FOLLOWING))
# As a scheduler asks: from each retailer's checkpoint on.
BY_CHECKPOINT = tuple(Command(("run",), {"RETAIL_RUNS__UNTIL": f"2017-01-0{day}"}) for day in (2, 3))


@dataclass(frozen=True)
class Undisturbed:
    """The state after the first days and after the day that follows, and how long the steps took."""

    states: tuple[State, State]
    seconds: tuple[dict[str, float], dict[str, float]]


def undisturbed(process: Preloaded, made: Installation, **environment: str) -> Undisturbed:
    states, seconds = [], []
    for command in (FIRST, FOLLOWING):
        ended = process.retail(made, *command, **environment)
        assert ended.returncode == 0, ended.output
        assert left_over(made) == []
        states.append(state_of(made))
        seconds.append(ended.seconds)
    return Undisturbed((states[0], states[1]), (seconds[0], seconds[1]))


def play(
    process: Preloaded,
    made: Installation,
    expected: Undisturbed,
    *strikes: Sequence[Strike],
    asked: Sequence[Command] = BY_DAYS,
    less: Collection[str] = (),
    **environment: str,
) -> None:
    """Each run is killed at all its strikes, one command for each, then let end; the state must be as expected.

    The first run only, where there are no strikes for the other. `less` are tables of the state that may differ.
    """
    for command, of_run, state in zip(asked, strikes, expected.states, strict=False):
        variables = {**environment, **command.environment}
        for strike in of_run:
            killed = process.retail(made, *command.arguments, strike=strike, **variables)
            assert killed.returncode == -9, f"not killed {strike}: {killed.returncode}\n{killed.output}"
        ended = process.retail(made, *command.arguments, **variables)
        told = f"killed {', then '.join(map(str, of_run))}"
        assert ended.returncode == 0, f"{told}\n{ended.output}"
        found = [*differences(state_of(made), state, less=less), *left_over(made)]
        assert not found, "\n".join([told, *found])


def at_begin() -> list[Strike]:
    return [Place("retail.pipeline.runner:_do_once", "1", step) for step in STEPS]


def done_but_not_recorded() -> list[Strike]:
    return [Place("retail.runs.ledger:Ledger.end_step", "1", step) for step in STEPS]


def at_random(seconds: dict[str, float], chosen: random.Random) -> list[Strike]:
    """Once within each step, at any moment of the time that it takes; now and then twice."""
    strikes: list[Strike] = []
    for step in STEPS:
        for _ in range(chosen.choice((1, 1, 1, 2))):
            strikes.append(Moment(step, chosen.uniform(0, seconds[step])))
    return strikes
