"""Writes a NIR graph as ``nir.write`` does, with large arrays packed so that packing and reading take little time.

NIR holds whole numbers of 8 bits as float32: of the four bytes of each, two are zero, one is nearly random and one has
few values. HDF5's filter ``shuffle`` puts first bytes, second bytes and so on together, and ``gzip`` packs the rest;
searching it for repetitions takes most of the time and finds nothing. So each of these planes becomes a piece of its
own in a stream that every reader of ``gzip`` takes: coded by how often each byte occurs, or as it is where that leaves
more than a quarter, since unpacking it would take most of the time that reading takes.
"""

from __future__ import annotations

import copy
import itertools
import zlib
from functools import lru_cache
from typing import Any, BinaryIO

import h5py
import nir
import numpy as np
import numpy.typing as npt

#: Bytes from which on an array is packed here; ``gzip`` of HDF5 packs smaller ones.
_LARGE = 2**18
#: Numbers in a chunk, about.
_CHUNK = 2**18
#: Every so many bytes of a plane are looked at, and from how many bits of entropy on it is not packed.
_LOOK, _RANDOM = 64, 2.0
#: The first bytes of a stream.
HEADER = b"\x78\x01"


def write_graph(out: BinaryIO, graph: nir.NIRNode) -> None:
    """Write ``graph`` where ``nir.read`` finds it; the bytes follow from the graph alone."""
    with h5py.File(out, "w") as file:
        file.create_dataset("version", data=nir.version, dtype=h5py.string_dtype())
        _write(file.create_group("node"), fields_of(graph))


class _Held:
    """An array that ``to_dict`` cannot copy."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self.array = array

    def __deepcopy__(self, memo: Any) -> _Held:
        return self


def fields_of(node: nir.NIRNode) -> dict[str, Any]:
    """``node.to_dict()`` with the arrays themselves: that of a graph copies every one of them twice."""
    stand_in = copy.copy(node)
    for name, value in vars(node).items():
        if isinstance(value, np.ndarray | dict):
            vars(stand_in)[name] = {} if name == "nodes" else _held(value)
    fields: dict[str, Any] = _released(stand_in.to_dict())
    if isinstance(node, nir.NIRGraph):
        fields["nodes"] = {name: fields_of(each) for name, each in node.nodes.items()}
    return fields


def _held(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _held(each) for key, each in value.items()}
    return _Held(value) if isinstance(value, np.ndarray) else value


def _released(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _released(each) for key, each in value.items()}
    return value.array if isinstance(value, _Held) else value


def _write(group: h5py.Group, fields: dict[str, Any]) -> None:
    for key, value in fields.items():
        if isinstance(value, dict):
            if key != "metadata" or value:
                _write(group.create_group(str(key)), value)
        elif isinstance(value, str):
            group.create_dataset(key, data=value, dtype=h5py.string_dtype())
        elif not isinstance(value, np.ndarray):
            group.create_dataset(key, data=value)
        elif value.nbytes >= _LARGE and value.dtype.kind in "iuf":
            _write_large(group, key, value)
        else:
            group.create_dataset(key, data=value, dtype=value.dtype, compression="gzip")


def _write_large(group: h5py.Group, key: str, array: npt.NDArray[Any]) -> None:
    chunk = _chunk(array.shape)
    shuffle = array.dtype.itemsize > 1
    data = group.create_dataset(
        key, array.shape, array.dtype, chunks=chunk, compression="gzip", compression_opts=1, shuffle=shuffle
    )
    for start in itertools.product(*(range(0, n, c) for n, c in zip(array.shape, chunk, strict=True))):
        part = array[tuple(slice(s, s + c) for s, c in zip(start, chunk, strict=True))]
        if part.shape != chunk:  # chunks reach beyond the end
            part = np.pad(part, [(0, c - n) for n, c in zip(part.shape, chunk, strict=True)])
        bits = np.ascontiguousarray(part).reshape(-1).view(f"u{part.dtype.itemsize}")
        same = bool((bits == bits[0]).all())  # as thresholds of a layer mostly are
        data.id.write_direct_chunk(start, _repeated(bits[:1].tobytes(), bits.size) if same else packed(part))


@lru_cache(maxsize=8)
def _repeated(number: bytes, count: int) -> bytes:
    return packed(np.full(count, np.frombuffer(number, f"u{len(number)}")[0]))


def _chunk(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The last axes as a whole, as far as they fit, and as few parts of the one before as hold all of it."""
    left, sizes = _CHUNK, []
    for size in reversed(shape):
        fitting = min(size, max(1, left))
        sizes.append(-(-size // -(-size // fitting)))  # chunks reach beyond the end by as little as may be
        left //= size
    return tuple(reversed(sizes))


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
