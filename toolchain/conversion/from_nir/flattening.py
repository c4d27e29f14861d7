"""Graphs inside a NIR graph: one flat graph of the same nodes and edges."""

from __future__ import annotations

import nir

from spikec.errors import GraphError

Edges = set[tuple[str, str]]


def flattened(graph: nir.NIRGraph) -> tuple[dict[str, nir.NIRNode], Edges]:
    """Nodes by name and edges, without graphs inside. A node ``b`` of a graph ``a`` is called ``a.b``; edges into and
    out of ``a`` end at what its Input and Output nodes are joined to.

    Raises :class:`GraphError` where an inner graph lacks an Input or an Output, and where two nodes get one name.
    """
    nodes: dict[str, nir.NIRNode] = {}
    edges: Edges = {(str(a), str(b)) for a, b in graph.edges}
    for name, node in graph.nodes.items():
        if not isinstance(node, nir.NIRGraph):
            _add(nodes, str(name), node)
            continue
        inner, within = flattened(node)
        ends = {
            kind: [key for key, each in inner.items() if isinstance(each, kind)] for kind in (nir.Input, nir.Output)
        }
        if any(len(found) != 1 for found in ends.values()):
            raise GraphError(f"{name}: a graph inside the graph needs one Input and one Output node")
        (first,), (last,) = ends[nir.Input], ends[nir.Output]
        for key, each in inner.items():
            if key not in (first, last):
                _add(nodes, f"{name}.{key}", each)
        edges = _spliced(edges, str(name), within, first, last)
    return nodes, edges


def _add(nodes: dict[str, nir.NIRNode], name: str, node: nir.NIRNode) -> None:
    if name in nodes:
        raise GraphError(f"{name}: two nodes have this name once graphs inside the graph are written flat")
    nodes[name] = node


def _spliced(edges: Edges, name: str, within: Edges, first: str, last: str) -> Edges:
    """The edges of a graph once the edges ``within`` its node ``name`` are put in its place."""
    entered = [f"{name}.{b}" if b != last else None for a, b in within if a == first]
    left = [f"{name}.{a}" if a != first else None for a, b in within if b == last]
    found = {(a, b) for a, b in edges if name not in (a, b)}
    found |= {(f"{name}.{a}", f"{name}.{b}") for a, b in within if a != first and b != last}
    sources, targets = [a for a, b in edges if b == name], [b for a, b in edges if a == name]
    found |= {(a, b) for a in sources for b in entered if b is not None}
    found |= {(a, b) for a in left if a is not None for b in targets}
    if None in entered:  # an edge from its Input straight to its Output
        found |= {(a, b) for a in sources for b in targets}
    return found
