"""Text that leaves the process: secrets are masked in it, however they are spelt, and control characters made visible.

A `Secret` makes itself known when it is created, and so does a token that a retailer hands out. From then on `mask`
replaces it, and every piece of PIECE characters of it, in plain text, in upper or lower case, percent-encoded, as HTML
or JSON writes it, mixed or nested, and in base64 or hex. A secret of fewer than SHORTEST characters is not masked: it
would take ordinary words with it.
"""

from __future__ import annotations

import base64
import html
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

SHORTEST: Final = 8
# A cut text can end in fewer characters of a longer secret.
PIECE: Final = 16
MASK: Final = "***"

# An encoded character, whichever of the encodings it is in.
_ENCODED: Final = re.compile(
    r"(?:%[0-9a-fA-F]{2})+|&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8}[0-9]{0,2});"
    r"|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\[\\/\"']"
)
# Encodings within encodings are undone this often.
_ROUNDS: Final = 3

# A piece of PIECE characters has one of these many that begins at a multiple of it, wherever the piece begins.
_GRAM: Final = PIECE // 2

# What moves a terminal's cursor, colours or renames it, or turns the direction of text: C0 but tab and line feed, DEL,
# C1, and Unicode's line separators and marks of direction.
_CONTROL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)

# All in lower case. A process works for one configuration, so this is the process's.
_known: set[str] = set()
_whole: set[str] = set()
_pieces: set[str] = set()
_grams: set[str] = set()
_changing = threading.Lock()


def remember(secret: str) -> None:
    """Mask this value from now on."""
    if len(secret) < SHORTEST or secret in _known:
        return
    with _changing:
        for form in _forms(secret):
            if len(form) < PIECE:
                _whole.add(form)
            _pieces.update(_windows(form, PIECE))
            _grams.update(_windows(form, _GRAM) if len(form) >= PIECE else ())
        _known.add(secret)


def mask(text: str, *, short: bool = True) -> str:
    """The text with `***` for each secret, or piece of one, in it; without `short`, for those of PIECE characters."""
    if not _known or len(text) < SHORTEST:
        return text
    found = list(_found(text, short=short))
    if _ENCODED.search(text):
        decoded, places = text, list(range(len(text) + 1))
        for _ in range(_ROUNDS):
            decoded, places = _decoded(decoded, places)
            found += [(places[start], places[end]) for start, end in _found(decoded, short=short)]
    if not found:
        return text
    parts, end = list[str](), 0
    for start, until in sorted(found):
        if start > end or not parts:
            parts += [text[end:start], MASK]
        end = max(end, until)
    return "".join([*parts, text[end:]])


def mask_values(value: Any) -> Any:
    """A copy of plain values, such as JSON holds, with the texts in them masked.

    Keys, ids, names and dates that a short secret is a part of stay: a password may be an ordinary word, and what is
    written by them is read again.
    """
    if isinstance(value, str):
        whole = mask(value)
        is_prose = any(character.isspace() for character in value)
        return whole if is_prose or whole == MASK else mask(value, short=False)
    if isinstance(value, Mapping):
        return {
            mask(key, short=False) if isinstance(key, str) else key: mask_values(held)
            for key, held in value.items()
        }
    if isinstance(value, list | tuple):
        return [mask_values(held) for held in value]
    return value


def printable(text: str) -> str:
    r"""The text with every control character but tab and line feed as its escape, such as `\x1b`.

    >>> printable("\x1b[31mred\x9b")
    '\\x1b[31mred\\x9b'
    """
    return _CONTROL.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _forms(secret: str) -> set[str]:
    """What a secret can look like once the encodings of single characters are undone, in lower case."""
    content = secret.encode("utf-8", "surrogatepass")
    forms = {secret, secret.replace(" ", "+"), content.hex()}
    for lead in range(3):  # a secret can begin anywhere within the three bytes that base64 writes together
        first, rest = -(-lead * 4 // 3), (lead + len(content)) % 3
        whole = base64.b64encode(b"\0" * lead + content)
        core = whole[first : len(whole) - (0, 3, 2)[rest]].decode()
        forms |= {core, core.replace("+", "-").replace("/", "_")}
    return {_lower(form) for form in forms if len(form) >= SHORTEST}


def _found(text: str, *, short: bool) -> Iterator[tuple[int, int]]:
    """Where a text has secrets and pieces of secrets."""
    text = _lower(text)
    for form in list(_whole) if short else ():
        start = text.find(form)
        while start >= 0:
            yield start, start + len(form)
            start = text.find(form, start + 1)
    for place in range(0, len(text) - _GRAM + 1, _GRAM):
        if text[place : place + _GRAM] in _grams:
            for start in range(max(0, place - _GRAM), place + 1):
                if text[start : start + PIECE] in _pieces:
                    yield start, start + PIECE


def _windows(text: str, length: int) -> Iterator[str]:
    return (text[start : start + length] for start in range(len(text) - length + 1))


def _lower(text: str) -> str:
    """In lower case, and as long as before: a few letters become two in lower case."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(each.lower()[:1] for each in text)


def _decoded(text: str, places: list[int]) -> tuple[str, list[int]]:
    """The text with its encoded characters decoded, and where each, and the end, is in the original."""
    parts, moved, end = list[str](), list[int](), 0
    for match in _ENCODED.finditer(text):
        start, until = match.span()
        plain = _character(match[0])
        parts += [text[end:start], plain]
        moved += places[end:start]
        even = len(plain) * 3 == until - start
        moved += [places[start + 3 * number if even else start] for number in range(len(plain))]
        end = until
    return "".join([*parts, text[end:]]), [*moved, *places[end:]]


def _character(encoded: str) -> str:
    if encoded[0] == "%":
        return unquote(encoded, errors="replace")
    if encoded[0] == "&":
        return html.unescape(encoded)
    return chr(int(encoded[2:], 16)) if encoded[1] in "ux" else encoded[1]
