"""Which edges of a cycle carry what was emitted one step before."""

from __future__ import annotations

from collections.abc import Sequence

from spikec.conversion.from_nir.connections import Edge


def feedback_edges(nodes: Sequence[str], edges: set[Edge], firing: set[str]) -> frozenset[Edge] | None:
    """Edges that leave neurons and close a cycle, so that no cycle is left without them; empty where there is none.

    NIR leaves the order of a step open. Here all layers of a step run one after the other, from the input on, and what
    runs against that order arrives in the next step: layers of neurons are numbered by their distance from the input
    (in layers, ties by name), and an edge is delayed if it leads, through weights, to a layer that comes no later than
    the one it leaves. None where that does not break every cycle.
    """
    after = {name: sorted(b for a, b in edges if a == name) for name in nodes}
    if _acyclic(nodes, edges):
        return frozenset()
    targets = {(name, b): _layers(after, b, firing) for name in nodes if name in firing for b in after[name]}
    rank = _ranks(nodes, edges, after, firing)
    found = set()
    for edge, layers in targets.items():
        on_cycle = {layer for layer in layers if edge[0] in _reached(after, layer) or layer == edge[0]}
        if any(rank[layer] <= rank[edge[0]] for layer in on_cycle):
            found.add(edge)
    return frozenset(found) if _acyclic(nodes, edges - found) else None


def _acyclic(nodes: Sequence[str], edges: set[Edge]) -> bool:
    waiting = {name: {a for a, b in edges if b == name} for name in nodes}
    while waiting:
        ready = {name for name, needs in waiting.items() if not needs & waiting.keys()}
        if not ready:
            return False
        waiting = {name: needs for name, needs in waiting.items() if name not in ready}
    return True


def _layers(after: dict[str, list[str]], start: str, firing: set[str]) -> set[str]:
    """Layers of neurons that a node is, or reaches through other nodes."""
    found: set[str] = set()
    seen, frontier = {start}, [start]
    while frontier:
        name = frontier.pop()
        if name in firing:
            found.add(name)
            continue
        new = [b for b in after.get(name, []) if b not in seen]
        seen.update(new)
        frontier += new
    return found


def _reached(after: dict[str, list[str]], start: str) -> set[str]:
    found: set[str] = set()
    frontier = [start]
    while frontier:
        new = [b for b in after.get(frontier.pop(), []) if b not in found]
        found.update(new)
        frontier += new
    return found


def _ranks(
    nodes: Sequence[str], edges: set[Edge], after: dict[str, list[str]], firing: set[str]
) -> dict[str, tuple[int, str]]:
    """The place of every layer of neurons: its distance from nodes that nothing feeds, then its name."""
    fed = {b for _, b in edges}
    distance = {name: len(nodes) for name in firing}
    frontier = sorted({layer for name in nodes if name not in fed for layer in _layers(after, name, firing)})
    step = 0
    while frontier:
        for name in frontier:
            distance[name] = step
        step += 1
        reached = {layer for name in frontier for b in after[name] for layer in _layers(after, b, firing)}
        frontier = sorted(layer for layer in reached if distance[layer] == len(nodes))
    return {name: (found, name) for name, found in distance.items()}
