"""A NIR graph as the file holds it, whether nir would take it or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikec.hdf5.tree import Tree, Value
from spikec.nir.findings import Finding
from spikec.nir.nodes import GRAPH, nodes
from spikec.words import nearest, shown


@dataclass
class RawNode:
    """A node: ``kind`` is its type, empty where it has none. A graph also has ``nodes`` and ``edges``.

    ``other`` and ``stray``: content of the node and of its group of nodes that NIR has no place for.
    """

    name: str
    kind: str
    fields: dict[str, Value] = field(default_factory=dict)
    metadata: Tree = field(default_factory=dict)
    nodes: dict[str, RawNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    other: Tree = field(default_factory=dict)
    stray: Tree = field(default_factory=dict)

    def array(self, name: str) -> Any:
        """The numbers of a field, None where there are none."""
        value = self.fields.get(name)
        return value.data if value is not None and isinstance(value.data, np.ndarray) and not value.text else None

    def graphs(self, prefix: str = "") -> Iterator[tuple[str, RawNode]]:
        """This graph and all graphs inside it, each with its place."""
        yield prefix, self
        for name, node in self.nodes.items():
            if node.kind == GRAPH:
                yield from node.graphs(f"{prefix}.{shown(name)}" if prefix else shown(name))

    def sources(self, name: str) -> list[str]:
        return [a for a, b in self.edges if b == name]

    def readers(self, name: str) -> list[str]:
        return [b for a, b in self.edges if a == name]


def numbers(values: Any, dtype: Any = None) -> Value:
    """A field made from numbers."""
    array = np.asarray(values, dtype=dtype)
    return Value(array.shape, str(array.dtype), array)


def words(text: str) -> Value:
    return Value((), "text", text)


def parse(tree: Tree, name: str, found: list[Finding]) -> RawNode:
    """The node in ``tree``; what is wrong with its outer form goes into ``found``."""
    stated = tree.get("type")
    kind = stated.data if isinstance(stated, Value) and isinstance(stated.data, str) else ""
    if not kind:
        why = "it has no type" if stated is None else "its type is no text"
        found.append(Finding("node_type", shown(name), "error", f"{why}, so nobody can read it", "write the file anew"))
    elif kind not in nodes() and kind != GRAPH:
        close = nearest(kind, [*nodes(), GRAPH])
        hint = f"did you mean {close}?" if close else "NIR's nodes are a closed set; write it as several of them"
        message = f"NIR 1.0.8 has no node {shown(kind)}"
        found.append(Finding("unknown_kind", shown(name), "error", message, hint))
    node = RawNode(name, kind, other={} if kind or stated is None else {"type": stated})
    inner_names = {"type", "metadata", *(("nodes", "edges") if kind == GRAPH else ())}
    for key, value in tree.items():
        if key == "metadata" and isinstance(value, Value):
            message = "its metadata are one value, not a group"
            found.append(Finding("metadata_value", shown(name), "warning", message, "nir cannot read or keep them"))
            node.other[key] = value
        elif key == "metadata" and isinstance(value, dict):
            node.metadata = value
        elif key not in inner_names and isinstance(value, Value):
            node.fields[key] = value
        elif key not in inner_names and isinstance(value, dict) and "type" not in value:
            rest = _without_nodes(value)
            if not rest and _holds_nodes(value):
                continue  # a node whose name holds several '/'
            message = f"NIR has no group {shown(key)} in a node, and nir.read refuses it"
            found.append(Finding("unknown_field", shown(name), "error", message, "put it into metadata"))
            node.other[key] = rest
    if kind == GRAPH:
        _fill(node, tree, found)
    return node


def _fill(graph: RawNode, tree: Tree, found: list[Finding]) -> None:
    """The nodes and edges of a graph."""
    inside: list[Finding] = []
    held, edges = tree.get("nodes"), tree.get("edges")
    if isinstance(held, dict):
        _collect(graph, held, "", inside)
    else:
        inside.append(Finding("root", "", "error", "the graph has no group of nodes", "export the file again"))
    graph.edges = _edges(edges, inside)
    found += [finding.inside(shown(graph.name) if graph.name else "") for finding in inside]


def _collect(graph: RawNode, held: Tree, prefix: str, found: list[Finding]) -> None:
    """Nodes in a group; a name with '/' has become a group inside a group."""
    for key, value in held.items():
        name = f"{prefix}{key}"
        if isinstance(value, Value):
            if not prefix:  # else it is a field of the node above
                found.append(Finding("node_type", shown(name), "error", "it is a dataset where a node has to be"))
                graph.stray[key] = value
            continue
        if prefix and "type" not in value and not _holds_nodes(value):
            continue  # metadata, or a group that parse() reports
        if "type" in value or not _holds_nodes(value):
            graph.nodes[name] = parse(value, name, found)
            if prefix:
                message = "a '/' in a node's name makes HDF5 put it into another node, and nir.read fails"
                found.append(Finding("slash_in_name", shown(name), "error", message, "use another name", True))
        kind = graph.nodes[name].kind if name in graph.nodes else ""
        own = {"type", "metadata", "nodes"} if kind == GRAPH else {"type", "metadata"}
        inner: Tree = {k: v for k, v in value.items() if k not in own and isinstance(v, dict)}
        if inner:
            _collect(graph, inner, f"{name}/", found)


def _holds_nodes(tree: Tree) -> bool:
    """Whether some group in it, at any depth, has a type."""
    return any(isinstance(v, dict) and k != "metadata" and ("type" in v or _holds_nodes(v)) for k, v in tree.items())


def _without_nodes(tree: Tree) -> Tree:
    """What is in it beside nodes, which :func:`_collect` takes out."""
    rest: Tree = {}
    for key, value in tree.items():
        if isinstance(value, Value) or key == "metadata" or not ("type" in value or _holds_nodes(value)):
            rest[key] = value
        elif "type" not in value and _without_nodes(value):
            rest[key] = _without_nodes(value)
    return rest


def _edges(value: Value | Tree | None, found: list[Finding]) -> list[tuple[str, str]]:
    if not isinstance(value, Value):
        found.append(Finding("edges", "", "error", "the graph has no list of edges", "export the file again"))
        return []
    if 0 in value.shape:
        return []
    if not value.text or isinstance(value.data, str) or len(value.shape) != 2 or value.shape[1] != 2:
        message = f"edges must be text of shape (n, 2), not {value.dtype} of shape {value.shape}"
        found.append(Finding("edges", "", "error", message, "export the file again"))
        return []
    return [(str(a), str(b)) for a, b in value.data]
