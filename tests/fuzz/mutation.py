"""Good answers made bad: values replaced, moved or nested, bytes cut, changed or repeated. The seed says how."""

from __future__ import annotations

import gzip
import json
from copy import deepcopy
from random import Random
from typing import Any

# What stands in the place of a value: JSON as it is sent, so that numbers can be what Python has no value for.
JUNK = (
    "null", "true", "false", '""', '" "', "[]", "{}", "[null]", "0", "-0", "-1", "1e99999999", "-1e-99999999",
    "1e999999999999999999", "9" * 400, "0." + "0" * 400 + "1", "NaN", "Infinity", "-Infinity", '"NaN"', '"1e9999"',
    '"-0.0"', '"٣"', '"9999-12-31T23:59:59.999999Z"', '"0000-00-00T00:00:00Z"', '"2017-01-05T10:00:00+99:99"',
    '"2017-01-05"', '"\\ud800"', '"\\u0000"', '"\\u001b[2J\\u0007"', '"a@b.example.com"', '"' + "x" * 5000 + '"',
    '"' + "9" * 5000 + '"', "[" * 90 + "]" * 90, "[" * 150 + "]" * 150, '{"a":' * 60 + "1" + "}" * 60,
    '{"id":{"id":{}}}', "[[],{},[{}]]", '"transactions:"', '"?limit=200"', '"=1+1"', "1483610400000", "253402300800000",
    '"gid://shopify/Order/1"', '"COMPLETED"', '"REPLACEMENT"', '"-1"', "123456789012345678901234567890",
)  # fmt: skip
_MARK = "\x00junk"


def mutated(answer: Any, random: Random) -> bytes:
    """The answer as bytes, with up to four changes of its values, and now and then one of its bytes."""
    answer = deepcopy(answer)
    junk: list[str] = []
    for _ in range(random.choice((0, 1, 1, 1, 2, 4))):
        _change(answer, random, junk)
    text = json.dumps(answer, ensure_ascii=random.random() < 0.5)
    for number, each in enumerate(junk):
        text = text.replace(json.dumps(f"{_MARK}{number}\x00"), each)
        text = text.replace(json.dumps(f"{_MARK}{number}\x00", ensure_ascii=False), each)
    content = text.encode("utf-8", "surrogatepass")
    return _with_bytes_changed(content, random) if random.random() < 0.25 else content


def headers(random: Random) -> dict[str, str]:
    """Headers that the client reads, often none, sometimes nonsense."""
    found = {}
    for name in (
        "Date", "Retry-After", "x-amzn-RateLimit-Limit", "x-current-token-count", "X-Next-Replenishment-Time",
        "Content-Encoding",
    ):  # fmt: skip
        if random.random() < 0.1:
            found[name] = random.choice(
                ("", "0", "-1", "1e99", "9" * 5000, "NaN", "inf", "1e-300", "Mon, 01 Jan 2018 00:00:00 GMT",
                 "Mon, 99 Foo 99999 99:99:99 +9999", "Mon, 01 Jan 2018 00:00:00 +99999999999999999", "gzip", "²",
                 "\x1b[2J")
            )  # fmt: skip
    return found


def _change(answer: Any, random: Random, junk: list[str]) -> None:
    places = list(_places(answer))
    if not places:
        return
    holder, step = random.choice(places)
    match random.randrange(6):
        case 0 if isinstance(holder, dict):
            del holder[step]
        case 1 if isinstance(holder, list):
            holder.extend(deepcopy(holder[step]) for _ in range(random.choice((1, 3, 12))))
        case 2:
            other, there = random.choice(places)
            if there in other if isinstance(other, dict) else there < len(other):
                holder[step] = deepcopy(other[there])
        case 3:
            holder[step] = [holder[step]] if random.random() < 0.5 else {"a": holder[step]}
        case _:
            holder[step] = f"{_MARK}{len(junk)}\x00"
            junk.append(random.choice(JUNK))


def _places(value: Any) -> Any:
    for step, held in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, step
        if isinstance(held, dict | list):
            yield from _places(held)


def _with_bytes_changed(content: bytes, random: Random) -> bytes:
    start = random.randrange(len(content) + 1)
    end = min(len(content), start + random.choice((1, 2, 8, 64)))
    match random.randrange(6):
        case 0:
            return content[:start]
        case 1:
            return content[:start] + content[end:]
        case 2:
            return content[:end] + content[start:end] * random.choice((1, 50)) + content[end:]
        case 3:
            return content[:start] + random.randbytes(end - start) + content[end:]
        case 4:
            return (
                content[:start]
                + random.choice((b"[", b"{", b'"', b"\\", b"\xff", b"\x00", b"e9"))
                + content[start:]
            )
        case _:
            return gzip.compress(content)
