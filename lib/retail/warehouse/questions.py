"""Analysts' questions, `sql/questions/mv_<name>.sql`: each as a query of its view and as a query of the star."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from retail.config.settings import home
from retail.errors import WarehouseError
from retail.warehouse.schema.ddl import view_files

_QUESTION: Final = re.compile(
    r"-- Question (?P<title>[a-z_]+)\n-- (?P<words>.+\?)\n(?P<of_view>[^;]+;)\n\n"
    r"-- From the star\n(?P<of_star>[^;]+;)\n+"
)


@dataclass(frozen=True)
class Question:
    """A question in words, the view that answers it, and its two queries, which return the same rows."""

    view: str
    title: str
    words: str
    of_view: str
    of_star: str

    @property
    def name(self) -> str:
        return f"{self.view}/{self.title}"


def questions() -> Iterator[Question]:
    """All questions, view by view, in the order of their files. Raises WarehouseError if a file has another form."""
    for view in view_files():
        yield from questions_of(view.stem)


def questions_of(view: str) -> Iterator[Question]:
    """The questions to one view, in order. Raises WarehouseError if its file has another form."""
    file = question_file(view)
    text = file.read_text(encoding="utf-8")
    at = 0
    while at < len(text):
        found = _QUESTION.match(text, at)
        if found is None:
            raise WarehouseError(
                f"{file}, line {text.count(chr(10), 0, at) + 1}: not a question in its two forms",
                hint="write `-- Question title`, the question in one line of comment, the query of the view,"
                " `-- From the star` and the query of the star, each query with one semicolon, at its end",
            )
        yield Question(view, **found.groupdict())
        at = found.end()


def question_file(view: str) -> Path:
    """The file that holds the view's questions."""
    return home() / "sql" / "questions" / f"{view}.sql"
