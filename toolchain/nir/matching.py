"""Which node of one graph is which of another: colour refinement, then a search with a bound.

Written for this purpose: labelled directed graphs of some thousand nodes, most of them told apart by their labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

Edges = list[tuple[str, str]]
#: Pairs that the search tries before it gives up.
TRIES = 200_000
#: Rounds of refinement; the search tells the rest apart. A long chain would need as many rounds as it has nodes.
_ROUNDS = 24


class Undecided(Exception):
    """The search ended without an answer."""


@dataclass
class Labelled:
    """A graph to be matched: a label for each node, and edges, each counted as often as it appears."""

    labels: Mapping[str, Hashable]
    edges: Edges

    def __post_init__(self) -> None:
        self.readers: dict[str, Counter[str]] = {name: Counter() for name in self.labels}
        self.sources: dict[str, Counter[str]] = {name: Counter() for name in self.labels}
        for a, b in self.edges:
            self.readers[a][b] += 1
            self.sources[b][a] += 1


def colours(a: Labelled, b: Labelled) -> tuple[dict[str, int], dict[str, int]]:
    """Colours of the nodes of two graphs, with one meaning in both, refined by neighbours."""
    now: list[dict[str, int]] = []
    table: dict[Hashable, int] = {}
    for graph in (a, b):
        now.append({name: table.setdefault(label, len(table)) for name, label in graph.labels.items()})
    count = len(table)
    for _ in range(_ROUNDS):
        table = {}
        following = []
        for graph, colour in zip((a, b), now, strict=True):
            refined = {}
            for name in graph.labels:
                around = tuple(
                    tuple(sorted((colour[other], number) for other, number in beside[name].items()))
                    for beside in (graph.sources, graph.readers)
                )
                refined[name] = table.setdefault((colour[name], around), len(table))
            following.append(refined)
        now = following
        if len(table) == count:
            break
        count = len(table)
    return now[0], now[1]


def match(
    a: Labelled,
    b: Labelled,
    fits: Callable[[str, str], bool] = lambda x, y: True,
    prefer: Callable[[str, str], Hashable] = lambda x, y: x != y,
    tries: int = TRIES,
) -> dict[str, str] | None:
    """A map from the nodes of ``a`` to those of ``b`` that keeps labels and edges and pairs only what ``fits``; None
    where there is none. ``prefer``: the smaller, the earlier a pair is tried. Raises :class:`Undecided` after
    ``tries``.
    """
    of_a, of_b = colours(a, b)
    if Counter(of_a.values()) != Counter(of_b.values()):
        return None
    classes: dict[int, list[str]] = {}
    for name, colour in of_b.items():
        classes.setdefault(colour, []).append(name)
    order = _order(a, {name: len(classes[colour]) for name, colour in of_a.items()})
    chosen: dict[str, str] = {}
    used: set[str] = set()

    def candidates(name: str) -> list[str]:
        free = [other for other in _near(a, b, name, chosen, classes[of_a[name]]) if other not in used]
        free = [other for other in free if of_b[other] == of_a[name]]
        good = [other for other in free if _consistent(a, b, name, other, chosen) and fits(name, other)]
        return sorted(good, key=lambda other: prefer(name, other), reverse=True)  # type: ignore[arg-type,return-value]

    stack: list[list[str]] = []
    while len(stack) < len(order) or not order:
        if not order:
            return {}
        stack.append(candidates(order[len(stack)]))
        while not stack[-1]:  # step back
            stack.pop()
            if not stack:
                return None
            used.discard(chosen.pop(order[len(stack) - 1]))
        tries -= 1
        if tries < 0:
            raise Undecided
        name = order[len(stack) - 1]
        chosen[name] = stack[-1].pop()
        used.add(chosen[name])
    return chosen


def _near(a: Labelled, b: Labelled, name: str, chosen: dict[str, str], otherwise: list[str]) -> list[str]:
    """Where a neighbour is matched already, the nodes beside its partner; else ``otherwise``."""
    for mine, theirs in ((a.sources, b.readers), (a.readers, b.sources)):
        for neighbour in mine[name]:
            if neighbour in chosen:
                return list(theirs[chosen[neighbour]])
    return otherwise


def _consistent(a: Labelled, b: Labelled, name: str, other: str, chosen: dict[str, str]) -> bool:
    """Whether the pair keeps the edges to and from all nodes that are matched already, and its own loop."""
    if a.readers[name][name] != b.readers[other][other]:
        return False
    for mine, theirs in ((a.readers, b.readers), (a.sources, b.sources)):
        for neighbour, number in mine[name].items():
            if neighbour in chosen and theirs[other][chosen[neighbour]] != number:
                return False
    return True


def _order(graph: Labelled, sizes: dict[str, int]) -> list[str]:
    """Nodes so that each is beside earlier ones where it can be, those with few candidates first."""
    order: list[str] = []
    seen: set[str] = set()
    for start in sorted(graph.labels, key=lambda name: (sizes[name], name)):
        waiting = [] if start in seen else [start]
        seen.add(start)
        while waiting:
            name = waiting.pop(0)
            order.append(name)
            beside = [n for n in (*graph.readers[name], *graph.sources[name]) if n not in seen]
            for other in sorted(set(beside), key=lambda n: (sizes[n], n)):
                seen.add(other)
                waiting.append(other)
    return order
