"""The SHA-256 at the end of a file, over all bytes before it.

HDF5 knows where its data end and ignores what follows, so every reader takes a sealed file. A program that changes the
file through HDF5 cuts the seal off; a byte that flips breaks it. It finds damage and proves nothing about the writer,
since anyone can compute it: a sealed file is read with the same care as any other.
"""

from __future__ import annotations

import hashlib
import re

_MARK = b"\nspikec sha256 "
_DIGITS = re.compile(rb"[0-9a-f]{64}\n")
#: Bytes of a seal: the mark, 64 hexadecimal digits, the end of the line.
LENGTH = len(_MARK) + 64 + 1


def seal_of(content: bytes | memoryview) -> bytes:
    """What follows ``content`` in a sealed file."""
    return _MARK + hashlib.sha256(content).hexdigest().encode() + b"\n"


def sealed(content: bytes | memoryview) -> bytes:
    """``content`` with its seal."""
    return b"".join((content, seal_of(content)))


def is_whole(content: bytes | memoryview) -> bool | None:
    """Whether the seal of ``content`` holds; False also where it is cut off, or its mark damaged; None
    where there is none, as in files of other writers."""
    end = bytes(memoryview(content)[-LENGTH:])
    place = end.rfind(_MARK)
    if place < 0:
        digits = end[len(_MARK) :]
        own = _DIGITS.fullmatch(digits) and digits == seal_of(memoryview(content)[:-LENGTH])[len(_MARK) :]
        return False if own else None
    body = memoryview(content)[: len(content) - len(end) + place]
    return end[place:] == seal_of(body)
