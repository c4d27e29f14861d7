"""Reading and writing deployment files: atomic, byte-identical for identical graphs, refusing damaged ones."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import nir
import numpy as np

from spikec.calls import named_arguments
from spikec.errors import GraphError
from spikec.hdf5.opening import named
from spikec.hdf5.seal import seal_of
from spikec.hdf5.writing import fields_of, write_graph
from spikec.ir.graph import IntegerGraph
from spikec.ir.metadata import KEY, TYPE_CHECK_OFF, list_of, metadata_of, text_of
from spikec.ir.operations import Operation
from spikec.ir.profile.build import PRODUCER, requirements
from spikec.ir.profile.decode import decoded
from spikec.ir.profile.hashes import CONTENT_KEY, HASH_KEY, content_sha256, metadata_sha256
from spikec.ir.profile.nir_graph import NIRGraph
from spikec.ir.profile.reading import read_nir
from spikec.whole_files import replacing


def _sorted(value: Any) -> Any:
    return {key: _sorted(value[key]) for key in sorted(value)} if isinstance(value, dict) else value


def _canonical(graph: nir.NIRGraph) -> nir.NIRGraph:
    """The same graph with sorted nodes, edges and metadata: HDF5's byte layout follows the order of writing."""
    nodes = {}
    for name in sorted(graph.nodes):
        fields = fields_of(graph.nodes[name])
        fields["metadata"] = _sorted(fields.get("metadata") or {})
        for field in ("stride", "padding", "dilation", "input_shape", "kernel_size"):
            if fields.get(field) is not None and not isinstance(fields[field], str):
                fields[field] = np.asarray(fields[field], dtype=np.int64)
        for field in ("groups", "start_dim", "end_dim"):
            if field in fields:
                fields[field] = int(fields[field])
        nodes[name] = nir.dict2NIRNode(fields)
    metadata = _sorted(graph.metadata)
    edges = sorted((str(a), str(b)) for a, b in graph.edges)
    return nir.NIRGraph(nodes=nodes, edges=edges, metadata=metadata, type_check=False)


@named_arguments
def save(graph: nir.NIRGraph, path: str | os.PathLike[str]) -> Path:
    """Write a verified graph to ``path`` through a temporary file; returns the path.

    The hashes are those of what is written. Items that an edited graph needs but does not list are added to
    ``requires``, since readers of the file rely on it. ``graph`` itself stays as it is. Raises :class:`GraphError` when
    the graph breaks the profile or the file cannot be written.

    >>> tc.save(graph, folder / "net.nir").name
    'net.nir'
    """
    target = named(path)
    needs = requirements(decoded(graph, copied=False))
    canonical = _canonical(graph)
    profile = {k: v for k, v in metadata_of(canonical).items() if k != HASH_KEY}
    listed = list_of(profile, "requires")
    if not set(needs) <= set(listed):
        profile["requires"] = json.dumps(sorted({*listed, *needs}))
    canonical.metadata = {**canonical.metadata, KEY: profile}
    if not text_of(profile, CONTENT_KEY):  # otherwise decode has compared it with what the nodes hold
        profile[CONTENT_KEY] = content_sha256(canonical)
    profile[HASH_KEY] = metadata_sha256(canonical)
    return write_nir(canonical, target)


def write_nir(graph: nir.NIRGraph, path: str | os.PathLike[str]) -> Path:
    """Write any NIR graph to ``path`` through a temporary file; returns the path.

    The SHA-256 of its bytes follows them (:mod:`spikec.hdf5.seal`), where every reader of HDF5 ignores it. Raises
    :class:`GraphError` when the file cannot be written.
    """
    target = named(path)
    content = io.BytesIO()  # HDF5 does not survive a full disk: it ends the process
    write_graph(content, graph)
    try:
        with replacing(target) as temporary, temporary.open("wb") as file:
            file.write(content.getbuffer())
            file.write(seal_of(content.getbuffer()))
    except OSError as error:
        raise GraphError(f"cannot write {target}: {error.strerror or error}") from error
    return target


@named_arguments
def load(path: str | os.PathLike[str]) -> nir.NIRGraph:
    """Read and verify a deployment file.

    Raises :class:`GraphError`, in one sentence, for a missing, truncated, foreign or edited file.

    >>> tc.load(tc.save(graph, folder / "net.nir"))
    <NIRGraph: ... 2 layers, 56 neurons, 435 weights, T 4, pipelined>
    """
    graph = read_nir(path)
    try:
        check_deployment(graph)
    except GraphError as error:
        raise GraphError(f"{Path(path)}: {error}") from error
    return NIRGraph.of(graph)


def _typed(graph: IntegerGraph, requires: list[str]) -> None:
    """Raises :class:`GraphError` where a file does not say that NIR infers other sizes than it means."""
    odd = [node.name for node in graph if isinstance(node, Operation) and not node.passes_type_check]
    if odd and TYPE_CHECK_OFF not in requires:
        why = f"NIR infers another size for it, and requires does not list {TYPE_CHECK_OFF}"
        raise GraphError(f"not a sound spikec graph: {odd[0]}: {why}")


def check_deployment(graph: nir.NIRGraph) -> None:
    """Raises :class:`GraphError`, in one sentence, for a graph from a file that is foreign or was edited. Files of ours
    have both hashes; those of other writers may leave them out."""
    metadata = metadata_of(graph)
    stored = text_of(metadata, HASH_KEY)
    try:
        _typed(decoded(graph, copied=False), list_of(metadata, "requires"))
        missing = [key for key in (CONTENT_KEY, HASH_KEY) if not text_of(metadata, key)]
        if missing and text_of(metadata, "producer") == PRODUCER:
            lacks = f"it names {PRODUCER} as its producer and has no {' and no '.join(missing)}"
            raise GraphError(f"not a sound spikec graph: {lacks}: it was changed after the file was written")
        if stored and stored != metadata_sha256(graph):  # other writers leave it out
            raise GraphError("not a sound spikec graph: metadata was changed after the file was written")
    except GraphError:
        raise
    except Exception as error:  # a damaged value may have any type
        raise GraphError(f"not a sound spikec graph: {error}") from error
