"""Writes the parts of docs/*.md that come from the code: make data-model. --check only compares."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import configuration
import data_model
import errors
import fields
import materialized_views

import cli

DOCUMENTS = {
    "CLI.md": cli.pieces,
    "CONFIGURATION.md": configuration.pieces,
    "DATA_MODEL.md": data_model.pieces,
    "ERRORS.md": errors.pieces,
    "FIELDS.md": fields.pieces,
    "MATERIALIZED_VIEWS.md": materialized_views.pieces,
}
BEGIN, END = "<!-- from the code{}: make data-model -->", "<!-- end of what is from the code -->"

_PIECE = re.compile(rf"{BEGIN.format('(?:, ([a-z_]+))?')}\n.*?{END}", re.DOTALL)


def with_pieces(text: str, pieces: dict[str, str]) -> str:
    """The document with each piece between its two marks. Raises SystemExit where marks and pieces differ."""
    marked = _PIECE.findall(text)
    if sorted(marked) != sorted(pieces):
        raise SystemExit(f"the marks are of {sorted(marked)}, the pieces are {sorted(pieces)}")
    return _PIECE.sub(lambda found: _piece(found[1] or "", pieces), text)


def with_new_marks(text: str, pieces: dict[str, str]) -> str:
    """The document with a section at its end for each piece that has no marks yet, such as a new view's."""
    for name in sorted(set(pieces) - set(_PIECE.findall(text))):
        purpose = "**Purpose**: TODO, what the view is for."
        text = f"{text.rstrip()}\n\n## {name}\n\n{purpose}\n\n{BEGIN.format(f', {name}')}\n{END}\n"
    return text


def _piece(name: str, pieces: dict[str, str]) -> str:
    begin = BEGIN.format(f", {name}" if name else "")
    return f"{begin}\n\n{pieces[name]}\n\n{END}"


def main() -> None:
    for name, pieces in DOCUMENTS.items():
        document = Path(__file__).with_name(name)
        text = document.read_text(encoding="utf-8")
        if "--check" not in sys.argv:
            document.write_text(with_pieces(with_new_marks(text, pieces()), pieces()), encoding="utf-8")
        elif with_pieces(text, pieces()) != text:
            sys.exit(f"docs/{name} is not what the code says; `make data-model` rewrites it")


if __name__ == "__main__":
    main()
