"""A graph inside a graph, written flat: its nodes move up, its Input and Output go away."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from spikec.nir.graph import RawNode
from spikec.nir.nodes import GRAPH
from spikec.words import shown


def why_not_flat(graph: RawNode, name: str) -> str:
    """Why the graph ``name`` inside ``graph`` cannot be written flat with certainty; empty where it can."""
    inner = graph.nodes[name]
    for kind in ("Input", "Output"):
        count = sum(node.kind == kind for node in inner.nodes.values())
        if count != 1:
            return f"it has {count} {kind} nodes"
    for kind in ("Input", "Output"):
        (outer,) = (name for name, node in inner.nodes.items() if node.kind == kind)
        if (inner.sources if kind == "Input" else inner.readers)(outer):
            return f"its {kind} node is in the middle of it"
    if any(end not in inner.nodes for pair in inner.edges for end in pair):
        return "its edges name nodes that do not exist"
    if inner.fields or inner.other or inner.stray:
        return "it holds what NIR has no place for"
    (start,), (end,) = ([n for n, node in inner.nodes.items() if node.kind == kind] for kind in ("Input", "Output"))
    if (start, end) in inner.edges and (name, name) in graph.edges:
        return "its output feeds its own input"
    after = _joined(graph, name)[1]
    if len(set(after)) < len(after):
        return "an edge would appear twice"
    return ""


def flatten(graph: RawNode) -> list[str]:
    """Write all graphs inside ``graph`` flat that can be, innermost first; returns what was done, one phrase each."""
    done = []
    for name in list(graph.nodes):
        node = graph.nodes.get(name)
        if node is None or node.kind != GRAPH:
            continue
        done += [f"{shown(name)}: {phrase}" for phrase in flatten(node)]
        if not why_not_flat(graph, name):
            nodes, edges = _joined(graph, name)
            graph.nodes.clear()
            graph.nodes.update(nodes)
            graph.edges[:] = edges
            ends = [end for end in node.nodes.values() if end.kind in ("Input", "Output")]
            lost = "; metadata of the graph, its Input and its Output left out"
            lost = lost if any(one.metadata for one in (node, *ends)) else ""
            done.append(f"{shown(name)}: its nodes moved up as {shown(name)}.NAME{lost}")
    return done


def _joined(graph: RawNode, name: str) -> tuple[dict[str, RawNode], list[tuple[str, str]]]:
    """Nodes and edges once the graph ``name`` is part of ``graph``."""
    inner = graph.nodes[name]
    (start,) = (n for n, node in inner.nodes.items() if node.kind == "Input")
    (end,) = (n for n, node in inner.nodes.items() if node.kind == "Output")
    nodes = {key: node for key, node in graph.nodes.items() if key != name}
    renamed = {}
    for key, node in inner.nodes.items():
        if key in (start, end):
            continue
        candidate = f"{name}.{key}"
        while candidate in nodes:
            candidate += "_"
        renamed[key] = candidate
        nodes[candidate] = replace(node, name=candidate)
    heads = [renamed[b] for a, b in inner.edges if a == start and b != end]
    tails = [renamed[a] for a, b in inner.edges if b == end and a != start]
    through = Counter(inner.edges)[start, end]
    outer = [(a, b) for a, b in graph.edges if name not in (a, b)]
    sources, readers = graph.sources(name), graph.readers(name)
    loop = name in sources
    sources, readers = [n for n in sources if n != name], [n for n in readers if n != name]
    edges = outer + [(renamed[a], renamed[b]) for a, b in inner.edges if a != start and b != end]
    edges += [(a, b) for a in sources for b in heads] + [(a, b) for a in tails for b in readers]
    edges += [(a, b) for a in sources for b in readers] * through
    edges += [(a, b) for a in tails for b in heads] if loop else []
    return nodes, edges
