"""Names, metadata access and hashes of the NIR profile ``spikec.nir/1`` (documented in ``docs/nir-profile.md``)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import nir
import numpy as np

from toolchain.errors import GraphError

KEY = "spikec"
SCHEMA = "spikec.nir/1"
INPUT, OUTPUT = "input", "output"
KINDS = ("if", "signed_if", "calibrated_if", "bit_serial", "graded")
SCHEDULES = ("pipelined", "layerwise")
HASH_KEY = "metadata_sha256"

#: Numeric fields the content hash covers, in the order they are hashed.
HASHED_FIELDS = (
    "bias",
    "dilation",
    "groups",
    "kernel_size",
    "padding",
    "r",
    "stride",
    "v_reset",
    "v_threshold",
    "weight",
)


def metadata_of(value: nir.NIRNode) -> dict[str, Any]:
    """The profile's metadata of a node or graph, empty where there is none."""
    metadata = value.metadata if isinstance(value.metadata, dict) else {}
    found = metadata.get(KEY, {})
    return found if isinstance(found, dict) else {}


def text_of(metadata: dict[str, Any], key: str, default: str = "") -> str:
    """A string value, which HDF5 may hand back as bytes or as a numpy scalar."""
    value = metadata.get(key, default)
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)


def shown(value: Any) -> str:
    """A value in a message: at most a few words, of an array its shape and type."""
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"{value.dtype} of shape {value.shape}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def int_of(metadata: dict[str, Any], key: str, default: int) -> int:
    """An integer value; raises :class:`GraphError` where it is none."""
    value = np.asarray(metadata.get(key, default)).reshape(-1)
    if value.size != 1 or value.dtype.kind not in "iuf" or not np.isfinite(value[0]) or value[0] != int(value[0]):
        raise GraphError(f"metadata {key!r} must be one integer, not {shown(metadata.get(key))}")
    return int(value[0])


def float_of(metadata: dict[str, Any], key: str) -> float:
    """A finite real value; raises :class:`GraphError` where it is missing or none."""
    value = np.asarray(metadata.get(key, np.nan)).reshape(-1)
    if value.size != 1 or value.dtype.kind not in "iuf" or not np.isfinite(value[0]):
        raise GraphError(f"metadata {key!r} must be one finite number, not {shown(metadata.get(key))}")
    return float(value[0])


def list_of(metadata: dict[str, Any], key: str) -> list[str]:
    """A list of strings stored as JSON; raises :class:`GraphError` where it is none."""
    raw = text_of(metadata, key, "[]")
    try:
        value = json.loads(raw)
    except json.JSONDecodeError:
        value = None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise GraphError(f"metadata {key!r} must be a JSON list of strings, not {shown(raw)}")
    return value


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
    for name in sorted(graph.nodes):
        node = graph.nodes[name]
        _update(digest, name.encode(), type(node).__name__.encode())
        for field in HASHED_FIELDS:
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
