"""The breakages of catalogue.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutation:
    """In `file`, the text `right`, which stands there once, becomes `wrong`; one of `tests` must fail then.

    `nightly` says why only `make nightly` catches it; empty where `make test` does.
    """

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]
    nightly: str = ""

    def applied_to(self, text: str) -> str:
        """The broken text. Raises ValueError where `right` does not stand there just once."""
        if text.count(self.right) != 1:
            raise ValueError(
                f"{self.name}: {self.right!r} stands {text.count(self.right)} times in {self.file}"
            )
        return text.replace(self.right, self.wrong)


def read() -> list[Mutation]:
    """All of them, in the order of the file."""
    values = tomllib.loads(Path(__file__).with_name("catalogue.toml").read_text(encoding="utf-8"))
    return [Mutation(**{**each, "tests": tuple(each["tests"])}) for each in values["mutation"]]
