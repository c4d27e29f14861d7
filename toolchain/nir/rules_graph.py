"""Rules about edges and structure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from spikec.nir.findings import Finding
from spikec.nir.graph import RawNode
from spikec.nir.nodes import GRAPH, STATEFUL, nodes
from spikec.nir.shapes import Shapes
from spikec.words import listed, nearest, shown


def edge(pair: tuple[str, str]) -> str:
    return f"{shown(pair[0])} -> {shown(pair[1])}"


def edges(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    for pair, count in Counter(graph.edges).items():
        absent = [end for end in dict.fromkeys(pair) if end not in graph.nodes]
        for end in absent:
            close = nearest(end, graph.nodes)
            hint = f"did you mean {shown(close)}?" if close else "export the file again"
            both = len(absent) == len(set(pair))
            message = f"there is no node {shown(end)}" + ("; neither end exists" if both else "")
            yield Finding("edge_end_missing", edge(pair), "error", message, hint, both)
        if count > 1:
            message = f"the edge appears {count} times; nir refuses that, and an edge cannot mean x + x"
            yield Finding("duplicate_edge", edge(pair), "error", message, "", True)


def cycles(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    for members in loops(graph):
        rank = {name: place for place, name in enumerate(members)}
        inner = [(a, b) for a, b in graph.edges if a in rank and b in rank]
        where = f"{shown(members[0])} -> {shown(members[0])}" if len(members) == 1 else listed(members)
        what = "feeds itself" if len(members) == 1 else "feed each other"
        told = f"{listed(members)} {what} ({len(set(inner))} edges)"
        stateless = {name for name in members if graph.nodes[name].kind in nodes().keys() - set(STATEFUL)}
        if loops_among(stateless, inner):
            message = f"{told}, and one way round passes no neuron and no delay: its value depends on itself"
            yield Finding("cycle_without_state", where, "error", message, "put a Delay or a neuron into the cycle")
        else:
            message = f"{told}: recurrence carries what was emitted one step before"
            yield Finding("cycle", where, "note", message, "importers differ in how they step it")


def loops(graph: RawNode) -> list[list[str]]:
    """Groups of nodes that feed each other, and nodes that feed themselves."""
    return loops_among(set(graph.nodes), graph.edges)


def loops_among(names: set[str], pairs: list[tuple[str, str]]) -> list[list[str]]:
    """Strongly connected components with a cycle (Tarjan's algorithm, without recursion)."""
    readers: dict[str, list[str]] = {name: [] for name in sorted(names)}
    for a, b in dict.fromkeys(pairs):
        if a in names and b in names:
            readers[a].append(b)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found = []
    for root in readers:
        if root in index:
            continue
        work = [(root, iter(readers[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            name, rest = work[-1]
            following = next(rest, None)
            if following is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    place = stack.index(name)
                    members, stack[place:] = stack[place:], []
                    on_stack -= set(members)
                    if len(members) > 1 or name in readers[name]:
                        found.append(members)
            elif following not in index:
                index[following] = low[following] = len(index)
                stack.append(following)
                on_stack.add(following)
                work.append((following, iter(readers[following])))
            elif following in on_stack:
                low[name] = min(low[name], index[following])
    return found


def ends(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    """Inputs, outputs, and nodes at loose ends."""
    inputs = [name for name, node in graph.nodes.items() if node.kind == "Input"]
    outputs = [name for name, node in graph.nodes.items() if node.kind == "Output"]
    for rule, kind, found in (("inputs", "Input", inputs), ("outputs", "Output", outputs)):
        if not found:
            message = f"there is no {kind} node; nir adds one at every loose end whose shape it knows"
            yield Finding(rule, "", "error", message, f"add the {kind} node that is meant")
        elif len(found) > 1:
            message = f"{len(found)} {kind} nodes ({listed(found)}); most importers take one"
            yield Finding(rule, "", "warning", message, "say which one each tool is to use")
    fed, read = {b for _, b in graph.edges}, {a for a, _ in graph.edges}
    yield from (Finding("inputs", shown(n), "error", "an Input node has a source") for n in inputs if n in fed)
    yield from (Finding("outputs", shown(n), "error", "an Output node has a reader") for n in outputs if n in read)
    for name, node in graph.nodes.items():
        if node.kind != "Input" and name not in fed:
            message = "nothing feeds this node; nir adds an Input of its own for it"
            severity = "error" if node.kind == "Output" else "warning"
            yield Finding("no_source", shown(name), severity, message, "connect it, or remove it")  # type: ignore[arg-type]
        if node.kind != "Output" and name not in read:
            message = "nothing reads this node; nir adds an Output of its own for it"
            yield Finding("dead_end", shown(name), "warning", message, "connect it, or remove it")
    reached = _reached(graph, [*inputs, *(n for n in graph.nodes if n not in fed)])
    lost = [name for name in graph.nodes if name not in reached]
    if lost and inputs:
        message = f"no path from an Input leads to {listed(lost)}"
        yield Finding("unreachable", "", "warning", message, "connect them, or remove them")


def _reached(graph: RawNode, starts: list[str]) -> set[str]:
    readers: dict[str, list[str]] = {}
    for a, b in graph.edges:
        readers.setdefault(a, []).append(b)
    reached, waiting = set(starts), list(starts)
    while waiting:
        for name in readers.get(waiting.pop(), []):
            if name not in reached:
                reached.add(name)
                waiting.append(name)
    return reached


def nested(graph: RawNode, shapes: Shapes) -> Iterator[Finding]:
    from spikec.nir.flat import why_not_flat

    for name, node in graph.nodes.items():
        if node.kind == GRAPH:
            why = why_not_flat(graph, name)
            message = "a graph inside the graph; nir.read cannot switch its type check off, and several importers fail"
            hint = f"it cannot be written flat: {why}" if why else "write it flat"
            yield Finding("nested_graph", shown(name), "warning", message, hint, not why)


RULES = (edges, cycles, ends, nested)
