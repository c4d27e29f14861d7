"""Zip archives with a bounded directory, whose members say beforehand how many bytes they unpack to."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from spikec.errors import DataError
from spikec.guarded.files import open_regular, reading
from spikec.memory import usable_memory

#: Bytes of a directory: some 100,000 members.
_DIRECTORY = 2**23


class _Directory:
    """A file that gives at most so many bytes at once, as long as ``most`` is set: zipfile reads a directory whole."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.most: int | None = _DIRECTORY

    def read(self, count: int = -1) -> bytes:
        if self.most is not None and count > self.most:
            raise zipfile.BadZipFile(f"a directory of {count:,} bytes")
        return self._file.read(count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def open_zip(path: str | os.PathLike[str], what: str) -> Iterator[zipfile.ZipFile]:
    """The open archive. Raises :class:`DataError`, also for what its members raise inside the ``with`` block: where it
    is damaged, has two members of one name, or promises more than the memory holds."""
    with reading(path, what), open_regular(path) as file:
        bounded: Any = _Directory(file)
        try:
            archive = zipfile.ZipFile(bounded)
        except zipfile.BadZipFile as error:
            raise DataError(f"cannot read {path}: it is no {what.removeprefix('a ')}, or damaged ({error})") from error
        with archive:
            bounded.most = None
            names = archive.namelist()
            if len(set(names)) != len(names):
                raise DataError(f"{path} is damaged: it holds two members of one name")
            yield archive


def check_sizes(path: str | os.PathLike[str], members: list[zipfile.ZipInfo]) -> None:
    """Raise :class:`DataError` where ``members`` unpack to more than the memory holds."""
    promised, there = sum(member.file_size for member in members), usable_memory()
    if promised > there:
        raise DataError(
            f"{path} unpacks to {promised / 1e9:.3g} GB, and there are {there / 1e9:.3g} GB of memory; "
            "give a smaller file"
        )
