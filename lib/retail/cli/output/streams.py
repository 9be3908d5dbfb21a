"""The standard streams: as they are given to us, closed, full, or not able to show every character; and masked."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import Final, TextIO

from retail.outgoing_text import mask

# What a full disk, a full quota or a reader that is gone answers.
_OUTPUT_LOST: Final = (errno.ENOSPC, errno.EDQUOT, errno.EPIPE)


def prepare() -> None:
    """Give each closed stream to /dev/null, print characters that a stream's encoding lacks as `\\u2026`, mask secrets.

    Without the first, the next file opened would get the number of a closed stream, and whatever prints would write
    into that file.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            _occupy(number)
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, _Masked.over(stream))


class _Masked(io.TextIOWrapper):
    """A stream in which no secret is shown, whoever writes: a library, a traceback, or we."""

    _given: io.TextIOWrapper

    @classmethod
    def over(cls, stream: io.TextIOWrapper) -> _Masked:
        """The same file, and the given stream with it, which would close the file with itself."""
        stream.flush()
        masked = cls(
            stream.buffer,
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        masked._given = stream
        return masked

    def write(self, text: str) -> int:
        super().write(mask(text))
        return len(text)


def of_data() -> TextIO:
    """Standard output for rows of tables: nothing is masked, for a short secret may be a part of an ordinary word."""
    return sys.stdout._given if isinstance(sys.stdout, _Masked) else sys.stdout


def why_lost(error: BaseException) -> str | None:
    """Why the output could not be written, if that is what the error says."""
    is_lost = isinstance(error, OSError) and error.errno in _OUTPUT_LOST and error.filename is None
    return os.strerror(error.errno) if is_lost else None  # type: ignore[attr-defined]


def _occupy(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
