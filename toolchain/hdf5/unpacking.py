"""Reads a dataset in parts, so that no more of it is held than a part; the other side of :mod:`spikec.hdf5.packing`.

HDF5 unpacks whatever there is. Two things that our own files are full of are known here before it is asked: a part that
is packed as the one before is the same, and a stream that begins with the bytes of planes of zeros begins with these
planes. Everything is unpacked to the same numbers as by HDF5, or is left to it.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from spikec.hdf5.packing import HEADER, zeros

#: Bytes from which on a dataset is read in parts, and about how many a part of one that is not packed has.
_LARGE = 2**20
#: Bytes that a chunk must have to be a part.
_LEAST = 2**16
#: A chunk packed into fewer bytes than this holds few different numbers, and may well come again.
_SMALL = 2**14
_SHUFFLED = [h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE]


def parts_of(data: h5py.h5d.DatasetID, shape: tuple[int, ...]) -> Iterator[npt.NDArray[Any]]:
    """The numbers of a dataset of ``shape`` in C order, in parts of any shape. A part is good until the next is
    asked for."""
    kind = data.dtype
    size = math.prod(shape) * kind.itemsize
    rows = _rows(data, shape) if size > _LARGE else 0
    if not rows:
        yield _read(data, (), shape, kind)
        return
    made = data.get_create_plist()
    chunked = made.get_layout() == h5py.h5d.CHUNKED
    steps = made.get_chunk() if chunked else (rows, *shape[1:])
    fast = _Fast(data, steps) if chunked and _filters(made) == _SHUFFLED else None
    for start in itertools.product(*(range(0, n, step) for n, step in zip(shape, steps, strict=True))):
        count = tuple(min(step, n - first) for n, step, first in zip(shape, steps, start, strict=True))
        yield _read(data, start, count, kind) if fast is None else fast.part(start, count)


def _rows(data: h5py.h5d.DatasetID, shape: tuple[int, ...]) -> int:
    """How many rows a part has; 0 where parts, one after the other, are not the numbers in C order."""
    made = data.get_create_plist()
    if made.get_layout() == h5py.h5d.CONTIGUOUS:
        return max(1, _LARGE // max(1, math.prod(shape[1:]) * int(data.dtype.itemsize)))
    if made.get_layout() != h5py.h5d.CHUNKED:
        return 0
    chunk = made.get_chunk()
    if math.prod(chunk) * data.dtype.itemsize < _LEAST:  # HDF5 is faster with so many
        return 0
    cut = next((axis for axis, (n, step) in enumerate(zip(shape, chunk, strict=True)) if step > 1), 0)
    whole = all(step == n for n, step in zip(shape[cut + 1 :], chunk[cut + 1 :], strict=True))
    return int(chunk[0]) if whole else 0


def _filters(made: Any) -> list[int]:
    return [made.get_filter(place)[0] for place in range(made.get_nfilters())]


def _read(
    data: h5py.h5d.DatasetID, start: tuple[int, ...], count: tuple[int, ...], kind: np.dtype[Any]
) -> npt.NDArray[Any]:
    values = np.zeros(count, kind)
    if not values.size:
        return values
    if not start:
        data.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
        return values
    space = data.get_space()
    space.select_hyperslab(start, count)
    data.read(h5py.h5s.create_simple(count), space, values)
    return values


class _Fast:
    """Chunks of a dataset that is shuffled and packed with gzip."""

    def __init__(self, data: h5py.h5d.DatasetID, chunk: tuple[int, ...]) -> None:
        self._data, self._chunk, self._kind = data, chunk, data.dtype
        self._last: tuple[bytes, npt.NDArray[Any]] | None = None  # a chunk, packed and not
        count, planes = math.prod(chunk), self._kind.itemsize - 2
        self._zeros = HEADER + zeros(count, False) * planes if planes > 0 and self._kind.byteorder != ">" else None
        self._sum = zlib.adler32(bytes(count * planes)) if self._zeros is not None else 1

    def part(self, start: tuple[int, ...], count: tuple[int, ...]) -> npt.NDArray[Any]:
        """What the chunk at ``start`` holds of the dataset, ``count`` numbers along each axis."""
        try:
            mask, packed = self._data.read_direct_chunk(start)
        except (OSError, RuntimeError, ValueError):  # it was never written, or lies nowhere: HDF5 says what that means
            mask, packed = 1, b""
        inside = tuple(map(slice, count))
        if mask:  # some filter was left out
            return _read(self._data, start, count, self._kind)
        if self._last is not None and packed == self._last[0]:
            return self._last[1][inside]
        part = self._unpacked(packed)
        if part is None:
            part = _read(self._data, start, count, self._kind)
        if count == self._chunk and len(packed) < _SMALL:
            self._last = packed, part
        return part[inside]

    def _unpacked(self, packed: bytes) -> npt.NDArray[Any] | None:
        """The numbers of a stream whose planes are zero, but for the last two."""
        if self._zeros is None or not packed.startswith(self._zeros):
            return None
        count = math.prod(self._chunk)
        rest = memoryview(packed)[len(self._zeros) :]
        planes, total = _as_stored(rest) or _inflated(rest, 2 * count + 1)
        if len(planes) != 2 * count or total != zlib.adler32(planes, self._sum).to_bytes(4, "big"):
            return None
        low, high = np.frombuffer(planes, np.uint8).reshape(2, count)
        numbers = np.zeros((count, self._kind.itemsize // 2), "<u2")
        numbers[:, -1] = low | high.astype(np.uint16) << 8
        found: npt.NDArray[Any] = numbers.view(self._kind).reshape(self._chunk)
        return found


def _as_stored(stream: memoryview) -> tuple[bytes, bytes] | None:
    """What a stream of stored blocks (RFC 1951, 3.2.4) holds, and what follows it; None where it has others."""
    pieces, place, last = [], 0, 0
    while not last:
        if len(stream) < place + 5 or (last := stream[place]) > 1:
            return None
        size = int.from_bytes(stream[place + 1 : place + 3], "little")
        if size ^ int.from_bytes(stream[place + 3 : place + 5], "little") != 0xFFFF:
            return None
        pieces.append(stream[place + 5 : place + 5 + size])
        place += 5 + size
    return b"".join(pieces), bytes(stream[place:])


def _inflated(stream: memoryview, most: int) -> tuple[bytes, bytes]:
    """What a stream holds, ``most`` bytes of it, and what follows it; nothing where it is damaged or goes on."""
    made = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = made.decompress(stream, most)
    except zlib.error:
        return b"", b""
    return (content, made.unused_data) if made.eof else (b"", b"")
