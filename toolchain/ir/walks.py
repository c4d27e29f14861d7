"""Functions that walk an integer graph: depth, longest path, origins, constant nodes."""

from __future__ import annotations

from spikec.ir.coding import InputNode
from spikec.ir.graph import Delayed, IntegerGraph, Node, Population, Readout
from spikec.ir.kinds import Maximum
from spikec.ir.operations import Operation, Synapse


def depths(graph: IntegerGraph) -> dict[str, int]:
    """Populations on the longest path to each node, itself included. Neurons behind a max pool are none: they pass on
    at once what others fire."""
    found: dict[str, int] = {}
    for node in graph:
        found[node.name] = max((found[s] for s in node.sources), default=0) + fires(node)
    return found


def fires(node: Node) -> bool:
    """Whether a node integrates and fires: a population that is not behind a max pool."""
    return isinstance(node, Population) and not isinstance(node.neuron, Maximum)


def depth(graph: IntegerGraph) -> int:
    """Populations on the longest path."""
    return max(depths(graph).values())


def longest_way(graph: IntegerGraph) -> tuple[str, ...]:
    """Names of the neuron layers on the longest path from input to a readout, the readout included; the first of equal
    ones."""
    best: dict[str, tuple[str, ...]] = {}
    for node in graph:
        before = max((best[source] for source in node.sources), key=len, default=())
        best[node.name] = (*before, node.name) if isinstance(node, Population | Readout) else before
    return max((best[readout.name] for readout in graph.readouts), key=len)


def latency_steps(graph: IntegerGraph) -> int:
    """Steps from the first of an image until its last output is there, the steps of rehearsal included."""
    way, steps = [graph.nodes[name] for name in longest_way(graph)], graph.emission_steps
    deep = len(way)
    passing = sum(isinstance(node, Population) and not fires(node) for node in way)  # max pools pass on at once
    rehearsal = sum(p.neuron.rehearsal for p in graph.populations)
    return ((deep - passing) * steps + passing if graph.schedule == "layerwise" else steps + deep) + rehearsal


def groups(graph: IntegerGraph) -> list[tuple[Node, ...]]:
    """The nodes in groups that can be computed one after the other, for all steps at once: each node on its own, but
    those of one cycle together. Within a group they are in the order of the graph."""
    if not graph.delayed:
        return [(node,) for node in graph]
    after = {node.name: {n.name for n in graph.consumers(node.name)} for node in graph}
    for delayed in graph.delayed:
        after[delayed.of].add(delayed.name)
    reached = {name: _reached(after, name) for name in graph.nodes}
    waiting: list[list[str]] = []
    for name in graph.nodes:
        home = next((g for g in waiting if g[0] in reached[name] and name in reached[g[0]]), None)
        if home is None:
            waiting.append([name])
        else:
            home.append(name)
    found: list[tuple[Node, ...]] = []
    while waiting:
        blocked = {name for group in waiting for name in group}
        ready = next(g for g in waiting if not any(_needs(graph, name) & (blocked - set(g)) for name in g))
        waiting.remove(ready)
        found.append(tuple(graph.nodes[name] for name in ready))
    return found


def _needs(graph: IntegerGraph, name: str) -> set[str]:
    node = graph.nodes[name]
    return {node.of} if isinstance(node, Delayed) else set(node.sources)


def _reached(after: dict[str, set[str]], name: str) -> set[str]:
    """What can be reached from a node; itself only if it lies on a cycle."""
    found: set[str] = set()
    frontier = set(after[name])
    while frontier:
        found |= frontier
        frontier = set().union(*(after[each] for each in frontier)) - found
    return found


def origins(graph: IntegerGraph, name: str) -> set[str]:
    """Populations, or the input, that a node gets its values from through operations alone."""
    sources = [graph.nodes[source] for source in graph.nodes[name].sources]
    return set().union(*(origins(graph, n.name) if isinstance(n, Operation) else {n.name} for n in sources))


def operations_before(graph: IntegerGraph, name: str) -> list[str]:
    """Operations between the nearest neurons and a node."""
    found = []
    for source in graph.nodes[name].sources:
        if isinstance(graph.nodes[source], Operation):
            found += [source, *operations_before(graph, source)]
    return found


def layers_reached(graph: IntegerGraph, name: str) -> set[str]:
    """Populations and readouts that a node feeds through operations alone."""
    reached: set[str] = set()
    for consumer in graph.consumers(name):
        if isinstance(consumer, Operation):
            reached |= layers_reached(graph, consumer.name)
        else:
            reached.add(consumer.name)
    return reached


def constant_nodes(graph: IntegerGraph) -> set[str]:
    """Nodes that the image reaches without passing a population."""
    found: set[str] = set()
    for node in graph:
        if isinstance(node, InputNode) or (
            not isinstance(node, Population) and any(source in found for source in node.sources)
        ):
            found.add(node.name)
    return found


def weighted(graph: IntegerGraph, name: str) -> bool:
    """Whether a synapse lies at or before a node on the way from the image or the populations."""
    node = graph.nodes[name]
    if isinstance(node, Synapse):
        return True
    return not isinstance(node, Population | InputNode) and any(weighted(graph, s) for s in node.sources)
