"""Text files that people write: UTF-8, whatever editor or shell saved them."""

from __future__ import annotations

import codecs
from pathlib import Path

from retail.errors import ConfigurationError


def read(path: Path) -> str:
    """The text, without a byte order mark. Raises OSError, and ConfigurationError if it is not UTF-8."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        line = content.count(b"\n", 0, error.start) + 1
        what = "UTF-16 text" if is_utf16 else f"not UTF-8 text, as line {line} shows"
        raise ConfigurationError([f"{path} is {what}"], hint="save it as UTF-8") from None
