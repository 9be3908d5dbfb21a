"""JSON as the retailers send it: read without losing a digit, traversed without trusting its shape."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Final, TypeAlias

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | Decimal | bool | None"

# Marks a number inside a string while the C encoder works; random, so that no response can contain it.
_MARK = uuid.uuid4().hex
_MARKED = re.compile(f'"{_MARK}([^"]*)"')


# What is larger is no number of a retailer's: arithmetic with 1e99999999 does not end.
_MOST_DIGITS: Final = 100
# Real answers are 12 levels deep. Python's own limit is about 1,000 calls, which walk these values.
DEEPEST: Final = 200


class TooDeepError(ValueError):
    """JSON that is nested too deeply."""


def parse(data: bytes | str, *, deepest: int = DEEPEST) -> JSON:
    """The JSON in `data`, its numbers as int or Decimal; a number that is none of a retailer's stays text.

    Raises ValueError if it is not JSON, or is cut off, and TooDeepError if it is nested more deeply than `deepest`.

    >>> parse('{"amount": 0.10}')
    {'amount': Decimal('0.10')}
    """
    try:
        value: JSON = json.loads(data, parse_float=_number, parse_int=_whole, parse_constant=Decimal)
    except RecursionError:
        raise TooDeepError("nested too deeply") from None
    if depth(value, most=deepest) > deepest:
        raise TooDeepError("nested too deeply")
    return value


def depth(value: JSON, *, most: int) -> int:
    """The number of lists and objects within each other; counts no further than `most` + 1.

    >>> depth({"a": [1]}, most=9), depth(1, most=9)
    (2, 0)
    """
    level, found = [value], 0
    while level := [each for each in level if type(each) in (dict, list)]:
        found += 1
        if found > most:
            break
        level = list(chain.from_iterable(each.values() if type(each) is dict else each for each in level))  # type: ignore[misc]
    return found


def dump(value: JSON) -> str:
    """JSON in ASCII with every number in its own digits: `parse(dump(x)) == x`. NaN becomes text.

    >>> dump({"amount": Decimal("0.10")})
    '{"amount":0.10}'
    """
    text = json.dumps(value, default=_marked, separators=(",", ":"))
    return _MARKED.sub(r"\1", text)


def at(value: JSON, *path: str | int) -> JSON:
    """The value at `path`, or None if the path does not exist.

    >>> at({"a": [{"b": 1}]}, "a", 0, "b"), at({"a": "text"}, "a", 0, "b")
    (1, None)
    """
    for step in path:
        if isinstance(step, str):
            if not isinstance(value, dict):
                return None
            value = value.get(step)
        elif isinstance(value, list) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def everywhere(value: JSON, path: str) -> Iterator[JSON]:
    """The values at a path that leads through lists, each None where it does not exist.

    >>> list(everywhere({"a": [{"b": 1}, {"b": 2}, {}]}, "a[].b"))
    [1, 2, None]
    """
    step, _, rest = path.partition(".")
    found = at(value, step.removesuffix("[]"))
    for each in found if step.endswith("[]") and isinstance(found, list) else [found]:
        if rest:
            yield from everywhere(each, rest)
        else:
            yield each


def entries(value: JSON, *path: str | int) -> list[JSON] | None:
    """The list at `path`, or None if there is none."""
    found = at(value, *path)
    return found if isinstance(found, list) else None


def text(value: JSON, *path: str | int) -> str | None:
    """The text or number at `path` as text; None if it is blank or anything else."""
    found = at(value, *path)
    if isinstance(found, str):
        words = found
    elif isinstance(found, int | Decimal) and not isinstance(found, bool):
        words = str(found)
    else:
        return None
    if not words or words.isspace():
        return None
    # A lone surrogate is valid in JSON but cannot be written as UTF-8.
    return words if words.isascii() else words.encode("utf-8", "replace").decode("utf-8")


def _number(digits: str) -> Decimal | str:
    if len(digits) > _MOST_DIGITS:
        return digits
    try:
        number = Decimal(digits)
    except InvalidOperation:  # an exponent beyond what Decimal holds
        return digits
    return number if abs(number.adjusted()) <= _MOST_DIGITS else digits


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MOST_DIGITS else digits


def _marked(value: object) -> str:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} is not JSON")
    return f"{_MARK}{value}" if value.is_finite() else str(value)
