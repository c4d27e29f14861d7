"""Packs arrays as streams that every reader of HDF5's ``shuffle`` and ``gzip`` takes, so that packing and reading take
little time.

NIR holds whole numbers of 8 bits as float32: of the four bytes of each, two are zero, one is nearly random and one has
few values. HDF5's filter ``shuffle`` puts first bytes, second bytes and so on together, and ``gzip`` packs the rest;
searching it for repetitions takes most of the time and finds nothing. So each of these planes becomes a piece of its
own in a stream of ``gzip``: coded by how often each byte occurs, or as it is where that leaves more than a quarter,
since unpacking it would take most of the time that reading takes.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

#: Every so many bytes of a plane are looked at, and from how many bits of entropy on it is not packed.
_LOOK, _RANDOM = 64, 2.0
#: The first bytes of a stream.
HEADER = b"\x78\x01"


def packed(part: npt.NDArray[Any]) -> bytes:
    """The bytes of an array, shuffled and as a stream of ``gzip`` of HDF5 (zlib, RFC 1950)."""
    rows = np.ascontiguousarray(part).view(np.uint8).reshape(-1, part.dtype.itemsize)
    planes = np.ascontiguousarray(rows.T)
    pieces = [HEADER]
    for number, plane in enumerate(planes):
        last = number + 1 == len(planes)
        pieces.append(_stream(plane, last) if plane.any() else zeros(len(plane), last))
    return b"".join((*pieces, zlib.adler32(planes.data).to_bytes(4, "big")))


def _stream(plane: npt.NDArray[np.uint8], last: bool) -> bytes:
    level, how = (0, zlib.Z_DEFAULT_STRATEGY) if _entropy(plane[::_LOOK]) > _RANDOM else (1, zlib.Z_RLE)
    made = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, how)
    return made.compress(plane.data) + made.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)


@lru_cache(maxsize=4)
def zeros(count: int, last: bool) -> bytes:
    """What a plane of ``count`` zeros becomes."""
    return _stream(np.zeros(count, np.uint8), last)


def _entropy(values: npt.NDArray[np.uint8]) -> float:
    """Bits of a value."""
    counts = np.bincount(values)
    share = counts[counts > 0] / len(values)
    return float(-(share * np.log2(share)).sum())


@lru_cache(maxsize=8)
def repeated(number: bytes, count: int) -> bytes:
    """What ``count`` numbers become that all have these bytes."""
    return packed(np.full(count, np.frombuffer(number, f"u{len(number)}")[0]))
