"""Archives of tar: which files they hold, and where. What they say of sizes and names is never trusted with memory."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from spikec.errors import DataError
from spikec.guarded.files import open_regular, reading

#: Bytes that one header may take, extended ones included: they hold names, which have some hundred.
_HEADER_MOST = 2**13
_BLOCK = 512


class Member(NamedTuple):
    """A regular file in an archive: its name, and where its bytes begin and how many there are."""

    name: str
    start: int
    size: int


def members(path: Path) -> Iterator[Member]:
    """The regular files of an archive that is not compressed, in its order, from its headers alone. Folders and links
    are passed over.

    Raises :class:`DataError` for what is no such archive, and for one that ends inside a file.
    """
    with reading(path, "a tar archive"), open_regular(path) as file:
        total = os.fstat(file.fileno()).st_size
        if file.read(2) == b"\x1f\x8b":
            raise DataError(f"{path} is compressed, and images are taken from its middle: unpack it with gunzip")
        file.seek(0)
        with tarfile.open(fileobj=cast(BinaryIO, _Headers(file, path)), mode="r:") as archive:
            last = -1
            while (found := archive.next()) is not None:
                if archive.offset <= last:  # or it would go round for ever
                    raise DataError(f"{path} is damaged: a header points back to byte {archive.offset}")
                last = archive.offset
                archive.members.clear()  # type: ignore[attr-defined]  # it would keep them all
                if not found.isreg() or found.issparse():
                    continue
                if found.size < 0 or found.offset_data + found.size > total:
                    raise DataError(f"{path} ends inside {found.name[:80]!r}: it was not copied whole")
                yield Member(found.name, found.offset_data, found.size)
            file.seek(archive.offset)
            if file.read(_BLOCK) != bytes(_BLOCK):  # tarfile takes any damage behind the first file for the end
                raise DataError(f"{path} has no end: a header is damaged, or it was not copied whole")


class _Headers:
    """A file from which ``tarfile`` reads headers: not all the bytes that one of them asks for."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _HEADER_MOST:
            raise DataError(f"{self._path} is damaged: a header asks for {size:,} bytes")
        return self._file.read(size)

    def seek(self, place: int, whence: int = 0) -> int:
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()
