"""The graph of a file as nir's own objects, and back to a file: without HDF5 in between, and without its type check."""

from __future__ import annotations

import io
import warnings
from typing import Any

import h5py
import nir
import numpy as np

from spikec.errors import GraphError
from spikec.hdf5.tree import Tree, Value
from spikec.ir.profile.reading import graph_of
from spikec.nir.graph import RawNode, words
from spikec.nir.nodes import GRAPH


def as_nir(graph: RawNode) -> nir.NIRGraph:
    """The graph as :func:`spikec.ir.profile.reading.read_nir` gives it. Raises :class:`GraphError` where that fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, of numbers that the findings name
        try:
            entries = _entries(graph)
        except ValueError as error:
            raise GraphError(str(error)) from error
        return graph_of(entries)


def _entries(node: RawNode) -> dict[str, Any]:
    entries: dict[str, Any] = {"type": node.kind, **{key: _plain(value) for key, value in node.fields.items()}}
    if node.metadata:
        entries["metadata"] = _metadata(node.metadata)
    if node.kind == GRAPH:
        entries["nodes"] = {name: _entries(inner) for name, inner in node.nodes.items()}
        entries["edges"] = list(node.edges)
        entries["type_check"] = False
    return entries


def _plain(value: Value) -> Any:
    if value.data is None:
        raise ValueError(f"a value cannot be used: {value.why}")
    return value.data[()] if isinstance(value.data, np.ndarray) and value.data.ndim == 0 else value.data


def _metadata(tree: Tree) -> dict[str, Any]:
    return {
        key: _metadata(value) if isinstance(value, dict) else _plain(value)
        for key, value in tree.items()
        if isinstance(value, dict) or value.data is not None
    }


def content(graph: RawNode) -> bytes:
    """The graph as an HDF5 file of nir's layout. Raises :class:`GraphError` for what no file can hold."""
    stream = io.BytesIO()  # HDF5 does not survive a full disk: it ends the process
    try:
        with h5py.File(stream, "w") as file:
            file.create_dataset("version", data=nir.version, dtype=h5py.string_dtype())
            _write_node(file.create_group("node"), graph)
    except Exception as error:  # h5py raises many kinds
        raise GraphError(f"it cannot be written: {' '.join(str(error).split())}") from error
    return stream.getvalue()


def _write_node(group: h5py.Group, node: RawNode) -> None:
    if node.kind:
        _write(group, "type", words(node.kind))
    _write_tree(group, node.other)
    if node.metadata:
        _write_tree(group.create_group("metadata"), node.metadata)
    for key, value in node.fields.items():
        _write(group, key, value)
    if node.kind == GRAPH:
        inside = group.create_group("nodes")
        for name, inner in node.nodes.items():
            _write_node(inside.create_group(name), inner)
        _write_tree(inside, node.stray)
        edges = np.empty((len(node.edges), 2), dtype=object)
        edges[:] = node.edges if node.edges else edges
        _write(group, "edges", Value(edges.shape, "text", edges))


def _write_tree(group: h5py.Group, tree: Tree) -> None:
    for key, value in tree.items():
        if isinstance(value, dict):
            _write_tree(group.create_group(key), value)
        else:
            _write(group, key, value)


def _write(group: h5py.Group, key: str, value: Value) -> None:
    if value.text:
        data = value.data if isinstance(value.data, str) else [_bytes(item) for item in value.data.reshape(-1)]
        if isinstance(data, str):
            group.create_dataset(key, data=_bytes(data), dtype=h5py.string_dtype())
        else:
            array = np.empty(len(data), dtype=object)
            array[:] = data
            group.create_dataset(key, data=array.reshape(value.shape), shape=value.shape, dtype=h5py.string_dtype())
    elif value.data is None:
        raise ValueError(f"{key} was not read: {value.why}")
    elif value.data.ndim and value.data.size:
        group.create_dataset(key, data=value.data, compression="gzip")
    else:
        group.create_dataset(key, data=value.data)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
