"""xxHash64 as Spark hashes a row with it, in plain Python: an oracle may not ask the engine for its keys.

Written from the algorithm's description (XXH64) and from what Spark makes of each type: text is its UTF-8 bytes, a
date its days since 1970, a timestamp its microseconds, a decimal of up to 18 digits its unscaled number; a null
leaves the hash as it is. Columns are chained: each is hashed with the hash before it as the seed, the first with 42.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

_MASK = 2**64 - 1
_P1, _P2, _P3, _P4, _P5 = (
    0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5,
)  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Bigint(int):
    """A number of 8 bytes. Any other int is hashed as Spark's `int`, of 4."""


def spark_hash(values: Iterable[object]) -> int:
    """The hash of a row as a signed 64-bit number."""
    hashed = 42
    for value in values:
        if value is not None:
            hashed = xxh64(_bytes(value), hashed)
    return hashed - 2**64 if hashed >= 2**63 else hashed


def xxh64(data: bytes, seed: int) -> int:
    """XXH64, unsigned."""
    length, rest = len(data), data
    if length >= 32:
        lanes = [(seed + _P1 + _P2) & _MASK, (seed + _P2) & _MASK, seed, (seed - _P1) & _MASK]
        while len(rest) >= 32:
            lanes = [_round(lane, _number(rest[8 * n : 8 * n + 8])) for n, lane in enumerate(lanes)]
            rest = rest[32:]
        rotations = (1, 7, 12, 18)
        hashed = sum(_left(lane, by) for lane, by in zip(lanes, rotations, strict=True)) & _MASK
        for lane in lanes:
            hashed = ((hashed ^ _round(0, lane)) * _P1 + _P4) & _MASK
    else:
        hashed = (seed + _P5) & _MASK
    hashed = (hashed + length) & _MASK
    while len(rest) >= 8:
        hashed = (_left(hashed ^ _round(0, _number(rest[:8])), 27) * _P1 + _P4) & _MASK
        rest = rest[8:]
    if len(rest) >= 4:
        hashed = (_left(hashed ^ (_number(rest[:4]) * _P1) & _MASK, 23) * _P2 + _P3) & _MASK
        rest = rest[4:]
    for byte in rest:
        hashed = (_left(hashed ^ (byte * _P5) & _MASK, 11) * _P1) & _MASK
    hashed = ((hashed ^ hashed >> 33) * _P2) & _MASK
    hashed = ((hashed ^ hashed >> 29) * _P3) & _MASK
    return hashed ^ hashed >> 32


def _bytes(value: object) -> bytes:
    match value:
        case str():
            return value.encode()
        case int():
            return int(value).to_bytes(8 if isinstance(value, Bigint) else 4, "little", signed=True)
        case datetime():
            return ((value - _EPOCH) // timedelta(microseconds=1)).to_bytes(8, "little", signed=True)
        case date():
            return (value - _EPOCH.date()).days.to_bytes(4, "little", signed=True)
        case Decimal():
            sign, digits, exponent = value.as_tuple()
            assert isinstance(exponent, int)
            unscaled = int("".join(map(str, digits)))
            return (-unscaled if sign else unscaled).to_bytes(8, "little", signed=True)
    raise TypeError(f"no hash of {value!r}")


def _round(lane: int, number: int) -> int:
    return (_left((lane + number * _P2) & _MASK, 31) * _P1) & _MASK


def _left(number: int, by: int) -> int:
    return (number << by | number >> 64 - by) & _MASK


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
