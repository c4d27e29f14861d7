"""Hashes of a NIR graph: of what its nodes hold, and of the profile's metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

from spikec.ir.metadata import metadata_of
from spikec.ir.operations import OPERATIONS

#: Where the hash of the nodes, and that of the metadata, are kept.
CONTENT_KEY, HASH_KEY = "content_sha256", "metadata_sha256"

#: Numbers that are hashed at a time.
_PIECE = 2**16

#: Numeric fields of neurons that the content hash covers.
_OF_NEURONS = ("r", "tau_mem", "tau_syn", "threshold", "v_leak", "v_reset", "v_threshold", "w_in")


def hashed_fields() -> list[str]:
    """Numeric fields the content hash covers, in the order they are hashed."""
    return sorted({*_OF_NEURONS, *(field for operation in OPERATIONS.values() for field in operation.hashed)})


@dataclass(frozen=True)
class _Numbers:
    """An array as it is hashed: as float64, in pieces, since 10^8 weights would take a gigabyte. ``before``: bytes that
    belong to the same part."""

    array: npt.NDArray[Any]
    before: bytes = b""

    @classmethod
    def of(cls, value: Any) -> _Numbers:
        return cls(np.ascontiguousarray(value))  # one number has the shape (1,)

    @property
    def shape(self) -> bytes:
        return str(self.array.shape).encode()

    def __len__(self) -> int:
        return len(self.before) + 8 * self.array.size

    def pieces(self) -> Iterator[bytes | memoryview]:
        yield self.before
        flat = self.array.reshape(-1)
        for first in range(0, len(flat), _PIECE):
            yield flat[first : first + _PIECE].astype(np.float64).data


def _update(digest: Any, *parts: bytes | _Numbers) -> None:
    # Every part carries its length, so that no two different sequences give the same bytes.
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        for piece in part.pieces() if isinstance(part, _Numbers) else (part,):
            digest.update(piece)


def content_sha256(graph: nir.NIRGraph) -> str:
    """Hash of node names, node types, numeric fields (as float64) and sorted edges; metadata is not part of it."""
    digest = hashlib.sha256()
    covered = hashed_fields()
    for name in sorted(graph.nodes):
        node = graph.nodes[name]
        _update(digest, name.encode(), type(node).__name__.encode())
        for field in covered:
            value = getattr(node, field, None)
            if value is None:
                continue
            if isinstance(value, str):
                _update(digest, field.encode(), b"str", value.encode())
                continue
            numbers = _Numbers.of(value)
            _update(digest, field.encode(), numbers.shape, numbers)
    for source, target in sorted((str(a), str(b)) for a, b in graph.edges):
        _update(digest, source.encode(), target.encode())
    return digest.hexdigest()


def _metadata_items(prefix: str, value: Any) -> Iterator[tuple[str, bytes | _Numbers]]:
    if isinstance(value, dict):
        for key in sorted(value):
            if not (prefix == "" and key == HASH_KEY):
                yield from _metadata_items(f"{prefix}/{key}", value[key])
    elif isinstance(value, str | bytes):
        yield prefix, value if isinstance(value, bytes) else value.encode()
    else:
        # Scalars come back from HDF5 as numpy scalars: hash value and rank, not the Python type.
        numbers = _Numbers.of(value)
        yield prefix, replace(numbers, before=numbers.shape)


def metadata_sha256(graph: nir.NIRGraph) -> str:
    """Hash of all profile metadata but this hash itself; stored in files, so that an edited v_init is noticed."""
    digest = hashlib.sha256()
    for key, data in _metadata_items("", metadata_of(graph)):
        _update(digest, key.encode(), data)
    for name in sorted(graph.nodes):
        for key, data in _metadata_items(name, metadata_of(graph.nodes[name])):
            _update(digest, key.encode(), data)
    return digest.hexdigest()
