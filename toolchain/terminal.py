"""Text as a terminal may show it: what would move the cursor, set colours, reorder or hide text is escaped. Pages,
drawings and documents escape the same characters, in their own way.

File names, names of nodes and messages come from files that anybody may have written, and a terminal obeys what stands
in them. The command line passes all its output through :class:`Shown`.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable
from typing import Any, TextIO

#: Control characters but line feed and tab; marks that change the direction of text; separators of lines that terminals
#: take for anything; characters of no width, which hide in names; what is no character; bytes of names that
#: are no UTF-8.
_SPECIAL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
#: Python reads a byte of a file name that is no UTF-8 as this character plus the byte.
_BYTE = 0xDC00
_RESTART = "\r\x1b[K"


def shown(text: str) -> str:
    """``text`` with escapes such as ``\\x1b`` and ``\\u202e`` in place of what a terminal would obey."""
    return _SPECIAL.sub(_escape, text)


def in_markup(text: str) -> str:
    """``text`` as it may stand in HTML or SVG, also in an attribute: XML has no control characters, and marks that
    reorder text do so on a page too."""
    return html.escape(shown(text), quote=True)


def in_json(document: str) -> str:
    """A JSON ``document`` with the escapes of JSON (``\\u202e``) in place of the same characters."""
    return _SPECIAL.sub(lambda found: json.dumps(found.group())[1:-1], document)


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    if _BYTE + 0x80 <= code <= _BYTE + 0xFF:
        code -= _BYTE
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class Shown:
    """A text stream that writes :func:`shown` text to another one, ``raw``, and is that stream in all else.

    ``before`` is called before each write: it takes away what stands on the line for the moment."""

    def __init__(self, raw: TextIO, before: Callable[[], None] | None = None) -> None:
        self.raw, self.before = raw, before

    def write(self, text: str) -> int:
        if self.before is not None:
            self.before()
        self.raw.write(shown(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


def restart_line(stream: TextIO) -> None:
    """Empty the line of a terminal and go to its start: the one control sequence that is our own."""
    raw: TextIO = getattr(stream, "raw", stream) if isinstance(stream, Shown) else stream
    raw.write(_RESTART)
