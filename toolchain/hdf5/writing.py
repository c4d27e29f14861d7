"""Writes a NIR graph as ``nir.write`` does, with large arrays packed here (:mod:`spikec.hdf5.packing`)."""

from __future__ import annotations

import copy
import itertools
from typing import Any, BinaryIO

import h5py
import nir
import numpy as np
import numpy.typing as npt

from spikec.hdf5.packing import packed, repeated

#: Bytes from which on an array is packed here; ``gzip`` of HDF5 packs smaller ones.
_LARGE = 2**18
#: Numbers in a chunk, about.
_CHUNK = 2**18


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
        elif value.nbytes >= _LARGE and value.dtype.kind in "iuf" and value.dtype.itemsize <= 8:
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
        data.id.write_direct_chunk(start, repeated(bits[:1].tobytes(), bits.size) if same else packed(part))


def _chunk(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The last axes as a whole, as far as they fit, and as few parts of the one before as hold all of it."""
    left, sizes = _CHUNK, []
    for size in reversed(shape):
        fitting = min(size, max(1, left))
        sizes.append(-(-size // -(-size // fitting)))  # chunks reach beyond the end by as little as may be
        left //= size
    return tuple(reversed(sizes))
