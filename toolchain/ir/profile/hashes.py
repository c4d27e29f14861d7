"""Hashes of a NIR graph: of what its nodes hold, and of the profile's metadata.

The version of the profile says how numbers are hashed. Those of ``spikec.nir/1`` are widened to float64, which for 10^8
weights of 8 bits is a gigabyte; those of ``spikec.nir/1.1`` are hashed in the narrowest type that holds them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import nir
import numpy as np
import numpy.typing as npt

from spikec.ir.metadata import SCHEMA, metadata_of, text_of
from spikec.ir.operations import OPERATIONS

#: Where the hash of the nodes, and that of the metadata, are kept.
CONTENT_KEY, HASH_KEY = "content_sha256", "metadata_sha256"

#: Numbers that are hashed at a time: they stay in the cache while they are converted and compared.
_PIECE = 2**16
#: What numbers are hashed as: the first type that holds all of an array.
_TYPES = ("<i1", "<i2", "<i4", "<i8", "<f8")

#: Numeric fields of neurons that the content hash covers.
_OF_NEURONS = ("r", "tau_mem", "tau_syn", "threshold", "v_leak", "v_reset", "v_threshold", "w_in")


def hashed_fields() -> list[str]:
    """Numeric fields the content hash covers, in the order they are hashed."""
    return sorted({*_OF_NEURONS, *(field for operation in OPERATIONS.values() for field in operation.hashed)})


class _Digest:
    """SHA-256 over parts. Every part carries its length, so that no two different sequences give the same bytes."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()

    def part(self, content: bytes) -> None:
        self._begin(len(content))
        self._sha256.update(content)

    def _begin(self, size: int) -> None:
        self._sha256.update(size.to_bytes(8, "little"))

    def text(self, text: bytes) -> None:
        self.part(b"str")
        self.part(text)

    def numbers(self, value: Any) -> None:
        """Type and shape of numbers, and the numbers in C order, the first alone where all are the same; in the
        narrowest integers that hold them, or float64 where they are not whole."""
        array = np.ascontiguousarray(value)  # one number has the shape (1,)
        flat = _without_repeats(array)
        for kind in _TYPES:
            before = self._sha256.copy()
            self.part(f"{kind}{array.shape}".encode())
            self._begin(np.dtype(kind).itemsize * flat.size)
            if self._all_as(kind, flat):
                return
            self._sha256 = before

    def _all_as(self, kind: str, flat: npt.NDArray[Any]) -> bool:
        """Take numbers as ``kind``. False where it does not hold one of them: then others may have been taken."""
        for first in range(0, flat.size, _PIECE):
            piece = flat[first : first + _PIECE]
            with np.errstate(invalid="ignore"):
                made = piece.astype(kind)
                if kind != _TYPES[-1] and not _same(made, piece):
                    return False
            self._sha256.update(made.data)
        return True

    def widened(self, array: npt.NDArray[Any], before: bytes = b"") -> None:
        """Numbers as ``spikec.nir/1`` hashes them, in one part with the bytes ``before``."""
        self._begin(len(before) + 8 * array.size)
        self._sha256.update(before)
        flat = array.reshape(-1)
        for first in range(0, flat.size, _PIECE):
            self._sha256.update(flat[first : first + _PIECE].astype(np.float64).data)


def _same(made: npt.NDArray[Any], given: npt.NDArray[Any]) -> bool:
    """Whether integers are the numbers that they were made of. Floats of 2^63, which int64 does not hold, are not: what
    conversion makes of them is 2^63 again in a float."""
    if given.dtype.kind == "f" and made.dtype.itemsize == 8 and bool((abs(given) >= 2.0**63).any()):
        return False
    if given.dtype.kind == "u" and bool((made < 0).any()):
        return False
    return bool((made.astype(given.dtype) == given).all())


def _without_repeats(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Its numbers on one axis; the first alone where all are the same."""
    flat = array.reshape(-1)
    for first in range(0, flat.size, _PIECE):
        if not (flat[first : first + _PIECE] == flat[0]).all():
            return flat
    return flat[:1]


def _narrow(graph: nir.NIRGraph) -> bool:
    """Whether numbers of a graph are hashed as narrow as they are: from version 1.1 of the profile on. What is no graph
    of the profile is hashed as in version 1."""
    return text_of(metadata_of(graph), "schema", SCHEMA) != SCHEMA


def content_sha256(graph: nir.NIRGraph) -> str:
    """Hash of node names, node types, numeric fields and sorted edges; metadata is not part of it, but for its version,
    which says how numbers are hashed."""
    digest, narrow = _Digest(), _narrow(graph)
    covered = hashed_fields()
    for name in sorted(graph.nodes):
        node = graph.nodes[name]
        digest.part(name.encode())
        digest.part(type(node).__name__.encode())
        for field in covered:
            value = getattr(node, field, None)
            if value is None:
                continue
            digest.part(field.encode())
            if isinstance(value, str):
                digest.text(value.encode())
            elif narrow:
                digest.numbers(value)
            else:
                array = np.ascontiguousarray(value)
                digest.part(str(array.shape).encode())
                digest.widened(array)
    for source, target in sorted((str(a), str(b)) for a, b in graph.edges):
        digest.part(source.encode())
        digest.part(target.encode())
    return digest.hexdigest()


def _items(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key in sorted(value):
            if not (prefix == "" and key == HASH_KEY):
                yield from _items(f"{prefix}/{key}", value[key])
    else:
        yield prefix, value


def metadata_sha256(graph: nir.NIRGraph) -> str:
    """Hash of all profile metadata but this hash itself; stored in files, so that an edited v_init is noticed."""
    digest, narrow = _Digest(), _narrow(graph)
    nodes = (item for name in sorted(graph.nodes) for item in _items(name, metadata_of(graph.nodes[name])))
    for key, value in (*_items("", metadata_of(graph)), *nodes):
        digest.part(key.encode())
        # Scalars come back from HDF5 as numpy scalars: hash value and rank, not the Python type.
        text = (value if isinstance(value, bytes) else value.encode()) if isinstance(value, str | bytes) else None
        if narrow:
            digest.numbers(value) if text is None else digest.text(text)
        elif text is None:
            array = np.ascontiguousarray(value)
            digest.widened(array, str(array.shape).encode())
        else:
            digest.part(text)
    return digest.hexdigest()
