"""Hashes of a NIR graph: of what its nodes hold, and of the profile's metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import nir
import numpy as np

from spikec.ir.metadata import metadata_of
from spikec.ir.operations import OPERATIONS

#: Where the hash of the nodes, and that of the metadata, are kept.
CONTENT_KEY, HASH_KEY = "content_sha256", "metadata_sha256"

#: Numeric fields of neurons that the content hash covers.
_OF_NEURONS = ("r", "tau_mem", "tau_syn", "threshold", "v_leak", "v_reset", "v_threshold", "w_in")


def hashed_fields() -> list[str]:
    """Numeric fields the content hash covers, in the order they are hashed."""
    return sorted({*_OF_NEURONS, *(field for operation in OPERATIONS.values() for field in operation.hashed)})


def _update(digest: Any, *parts: bytes) -> None:
    # Every part carries its length, so that no two different sequences give the same bytes.
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)


def _array_parts(value: Any) -> tuple[bytes, bytes]:
    array = np.ascontiguousarray(np.asarray(value, dtype=np.float64))
    return str(array.shape).encode(), array.tobytes()


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
            parts = (b"str", value.encode()) if isinstance(value, str) else _array_parts(value)
            _update(digest, field.encode(), *parts)
    for source, target in sorted((str(a), str(b)) for a, b in graph.edges):
        _update(digest, source.encode(), target.encode())
    return digest.hexdigest()


def _metadata_items(prefix: str, value: Any) -> Iterable[tuple[str, bytes]]:
    if isinstance(value, dict):
        for key in sorted(value):
            if not (prefix == "" and key == HASH_KEY):
                yield from _metadata_items(f"{prefix}/{key}", value[key])
    elif isinstance(value, str | bytes):
        yield prefix, value if isinstance(value, bytes) else value.encode()
    else:
        # Scalars come back from HDF5 as numpy scalars: hash value and rank, not the Python type.
        shape, data = _array_parts(value)
        yield prefix, shape + data


def metadata_sha256(graph: nir.NIRGraph) -> str:
    """Hash of all profile metadata but this hash itself; stored in files, so that an edited v_init is noticed."""
    digest = hashlib.sha256()
    for key, data in _metadata_items("", metadata_of(graph)):
        _update(digest, key.encode(), data)
    for name in sorted(graph.nodes):
        for key, data in _metadata_items(name, metadata_of(graph.nodes[name])):
            _update(digest, key.encode(), data)
    return digest.hexdigest()
