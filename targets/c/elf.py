"""Reads 32-bit ELF files of either byte order: what a program takes of flash and RAM, and where its symbols are."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spikec.errors import DataError

_MAGIC, _CLASS_32, _LITTLE = b"\x7fELF", 1, 1
_SYMBOLS, _NO_BITS = 2, 8
_WRITE, _ALLOCATE, _EXECUTE = 1, 2, 4
_LOADED = 1


@dataclass(frozen=True)
class Section:
    """``size`` in bytes; ``stored``: its content is in the file."""

    name: str
    size: int
    loaded: bool
    writable: bool
    executable: bool
    stored: bool


@dataclass(frozen=True)
class Segment:
    """Bytes that lie at ``address`` when the program starts."""

    address: int
    data: bytes


@dataclass(frozen=True)
class Program:
    """An object file or a linked program. ``order``: ``<`` or ``>``, the byte order; ``symbols``: address and size."""

    order: str
    sections: tuple[Section, ...]
    segments: tuple[Segment, ...]
    symbols: Mapping[str, tuple[int, int]]

    @property
    def code(self) -> int:
        """Bytes of instructions."""
        return sum(s.size for s in self.sections if s.loaded and s.executable)

    @property
    def constants(self) -> int:
        """Bytes that are only read."""
        return sum(s.size for s in self.sections if s.loaded and not s.executable and not s.writable)

    @property
    def data(self) -> int:
        """Bytes that are written and have a value at the start: they take flash and RAM."""
        return sum(s.size for s in self.sections if s.loaded and s.writable and s.stored)

    @property
    def zeros(self) -> int:
        """Bytes that are written and start as zero."""
        return sum(s.size for s in self.sections if s.loaded and s.writable and not s.stored)

    @property
    def flash(self) -> int:
        return self.code + self.constants + self.data

    @property
    def ram(self) -> int:
        """Static memory; the stack is not among it."""
        return self.data + self.zeros


def read_elf(path: Path) -> Program:
    """The file at ``path``. Raises ``DataError`` for anything but a 32-bit ELF file."""
    data = path.read_bytes()
    if data[:4] != _MAGIC or data[4] != _CLASS_32:
        raise DataError(f"{str(path)!r} is no 32-bit ELF file")
    order = "<" if data[5] == _LITTLE else ">"
    try:
        return Program(order, *_tables(data, order))
    except (struct.error, ValueError) as error:
        raise DataError(f"{str(path)!r} is a damaged ELF file: {error}") from error


def _tables(data: bytes, order: str) -> tuple[tuple[Section, ...], tuple[Segment, ...], dict[str, tuple[int, int]]]:
    programs_at, sections_at = struct.unpack_from(order + "II", data, 28)
    program_size, programs, section_size, sections, names_at = struct.unpack_from(order + "5H", data, 42)
    headers = [struct.unpack_from(order + "10I", data, sections_at + k * section_size) for k in range(sections)]
    found, symbols = [], {}
    for name, kind, flags, _, offset, size, link, *_ in headers:
        kept = bool(flags & _ALLOCATE)
        title = _text(data, headers[names_at][4] + name)
        writable, executable = bool(flags & _WRITE), bool(flags & _EXECUTE)
        found.append(Section(title, size, kept, writable, executable, kind != _NO_BITS))
        if kind == _SYMBOLS:
            for at in range(offset, offset + size, 16):
                word, value, length = struct.unpack_from(order + "III", data, at)
                symbols[_text(data, headers[link][4] + word)] = value, length
    segments = []
    for k in range(programs):
        kind, offset, address, _, size = struct.unpack_from(order + "5I", data, programs_at + k * program_size)
        if kind == _LOADED and size:
            segments.append(Segment(address, data[offset : offset + size]))
    return tuple(found), tuple(segments), symbols


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode("utf-8", "replace")
