"""NumPy archives: numbers only, each array no larger than its member."""

from __future__ import annotations

import math
import os
import zipfile
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from spikec.errors import DataError
from spikec.guarded.archives import check_sizes, open_zip
from spikec.guarded.files import open_regular

_SUFFIX = ".npy"
#: Kinds of numpy's types that are numbers, and text, which whoever asked for numbers refuses in its own words.
_PLAIN = "biufcSU"
#: Bytes that are unpacked at a time: an array in memory is enough, and nobody needs its bytes beside it.
_PIECE = 2**20
_FORMAT: Any = np.lib.format  # which has no types


def array_names(path: str | os.PathLike[str]) -> list[str]:
    """The names of the arrays in an archive. Raises :class:`DataError`."""
    _refuse_single(path)
    with open_zip(path, "a numpy archive") as archive:
        return [name.removesuffix(_SUFFIX) for name in archive.namelist()]


def read_arrays(path: str | os.PathLike[str], names: tuple[str, ...] | None = None) -> dict[str, npt.NDArray[Any]]:
    """Those of the arrays called ``names`` that an archive holds; None: all. Nothing in it is run.

    Raises :class:`DataError`: damaged, no archive, an array of objects, a header that promises more than there is.
    """
    _refuse_single(path)
    with open_zip(path, "a numpy archive") as archive:
        there = {info.filename.removesuffix(_SUFFIX): info for info in archive.infolist()}
        wanted = {name: there[name] for name in (there if names is None else names) if name in there}
        check_sizes(path, list(wanted.values()))
        return {name: _array(path, archive, info) for name, info in wanted.items()}


def _refuse_single(path: str | os.PathLike[str]) -> None:
    with open_regular(path) as file:
        if file.read(6) == _FORMAT.MAGIC_PREFIX:
            raise DataError(f"{path} is a single array; save x and y with numpy.savez")


def _array(path: str | os.PathLike[str], archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> npt.NDArray[Any]:
    with archive.open(info) as member:
        version = _FORMAT.read_magic(member)
        if version not in ((1, 0), (2, 0)):
            raise DataError(f"{path}: {info.filename} has version {version} of the format; save it with numpy.savez")
        header = _FORMAT.read_array_header_1_0 if version == (1, 0) else _FORMAT.read_array_header_2_0
        shape, by_column, dtype = header(member)  # which refuses long ones
        if dtype.hasobject:
            raise DataError(
                f"{path}: {info.filename} holds Python objects, whose loading could run code; save an array of numbers"
            )
        if dtype.kind not in _PLAIN or not dtype.itemsize:  # of no bytes each there may be any number
            raise DataError(f"{path}: {info.filename} holds {dtype}, which are no numbers; save an array of numbers")
        count = math.prod(shape)  # of Python integers, which do not wrap
        left = info.file_size - member.tell()
        if min(shape, default=0) < 0 or count * dtype.itemsize != left:
            raise DataError(
                f"{path}: {info.filename} promises {' x '.join(map(str, shape)) or 1} of {dtype}, "
                f"{count * dtype.itemsize:,} bytes, and holds {left:,}"
            )
        found = np.empty(count, dtype)
        _fill(member, found.view(np.uint8) if count else found)
        return found.reshape(shape[::-1]).T if by_column else found.reshape(shape)


def _fill(member: IO[bytes], into: npt.NDArray[Any]) -> None:
    """The bytes that ``member`` still has, as many as ``into`` takes. Reads to the end, where its checksum is
    checked."""
    at = 0
    while part := member.read(_PIECE):
        into[at : at + len(part)] = np.frombuffer(part, np.uint8)
        at += len(part)
    if at != into.nbytes:
        raise ValueError(f"it ends after {at:,} of {into.nbytes:,} bytes")
