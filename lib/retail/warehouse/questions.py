"""Analysts' questions to the views: the queries in `sql/questions/`, each with a second form that queries the star."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from retail.config.settings import home
from retail.warehouse.schema.ddl import view_files

OF_THE_STAR: Final = "__star"


@dataclass(frozen=True)
class Question:
    """A question in words, the view that answers it, and the files of its two forms, which return the same rows."""

    view: str
    words: str
    of_view: Path
    of_star: Path

    @property
    def name(self) -> str:
        return f"{self.view}/{self.of_view.stem}"


def questions() -> Iterator[Question]:
    """All questions, view by view, in the order of their numbers. Raises WarehouseError if there is no view."""
    for view in view_files():
        for file in sorted((home() / "sql" / "questions" / view.stem).glob("*.sql")):
            if not file.stem.endswith(OF_THE_STAR):
                words = statement(file).splitlines()[0].removeprefix("-- ")
                yield Question(view.stem, words, file, file.with_stem(file.stem + OF_THE_STAR))


def statement(file: Path) -> str:
    return file.read_text(encoding="utf-8")
