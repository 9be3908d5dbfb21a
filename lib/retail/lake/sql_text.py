"""SQL text parsing: where a statement ends, and whether it only reads."""

from __future__ import annotations

import re
from typing import Final

# Text in which a semicolon or a word does not count; an unclosed quote or comment reaches to the end.
_QUOTED: Final = r"""
    '(?:[^'\\]|\\.)*(?:'|\Z) | "(?:[^"\\]|\\.)*(?:"|\Z) | `[^`]*(?:`|\Z) | --[^\n]* | /\*.*?(?:\*/|\Z)
"""
_QUOTED_OR_END: Final = re.compile(f"{_QUOTED} | ;", re.VERBOSE | re.DOTALL)
_ASIDE: Final = re.compile(_QUOTED, re.VERBOSE | re.DOTALL)
_COMMENT: Final = re.compile(r"\s*(?:--[^\n]*(?:\n|\Z)|/\*.*?(?:\*/|\Z))", re.DOTALL)

_READING: Final = frozenset("SELECT WITH FROM VALUES TABLE SHOW DESCRIBE DESC EXPLAIN".split())
_WRITING: Final = frozenset("INSERT MERGE UPDATE DELETE".split())
_OF_THIS_SESSION: Final = re.compile(r"CREATE (?:OR REPLACE )?TEMP(?:ORARY)? VIEW\b")


def split(text: str) -> tuple[list[str], str]:
    """The statements that end in `;`, without it, and the text after the last of them."""
    found, start = [], 0
    for piece in _QUOTED_OR_END.finditer(text):
        if piece[0] == ";":
            found.append(text[start : piece.start()].strip())
            start = piece.end()
    return [statement for statement in found if not is_empty(statement)], text[start:].strip()


def is_empty(text: str) -> bool:
    """Whether the text is nothing but space and comments."""
    while comment := _COMMENT.match(text):
        text = text[comment.end() :]
    return not text.strip()


def only_reads(statement: str) -> bool:
    """Whether the statement, by its words, changes nothing that outlives the session: a guard against accidents."""
    words = re.findall(r"\w+", _ASIDE.sub(" ", statement).upper())
    if not words or not _WRITING.isdisjoint(words):
        return False
    return words[0] in _READING or bool(_OF_THIS_SESSION.match(" ".join(words)))
