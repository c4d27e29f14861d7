"""What every plain NIR graph goes through before it is imported: flat, without what leads nowhere, its ends checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

import nir

from spikec.conversion.from_nir import REFUSED
from spikec.conversion.from_nir.flattening import flattened
from spikec.errors import GraphError
from spikec.ir.metadata import metadata_of
from spikec.ir.profile.portable import NOTE
from spikec.ir.profile.reading import read_nir
from spikec.words import either

Edge = tuple[str, str]
_SHOWN, _NAMED = 5, 20


@dataclass(frozen=True)
class Connected:
    """The part of a NIR graph that its outputs depend on: ``nodes`` by name and ``edges``, without graphs inside.
    ``left_out``: names of the nodes beside it."""

    nodes: dict[str, nir.NIRNode]
    edges: set[Edge]
    left_out: tuple[str, ...]

    @property
    def remark(self) -> str:
        """What to tell the user of ``left_out``; empty where nothing was left out."""
        if not self.left_out:
            return ""
        more = f" and {len(self.left_out) - _NAMED} more" if len(self.left_out) > _NAMED else ""
        names = ", ".join(self.left_out[:_NAMED])
        return f"left out, since no output of the NIR graph depends on it: {names}{more}"


def opened(source: nir.NIRGraph | str | os.PathLike[str]) -> nir.NIRGraph:
    """The graph, or that of a file. Raises :class:`GraphError` where it is one of this toolchain's own."""
    graph = source if isinstance(source, nir.NIRGraph) else read_nir(source)
    if metadata_of(graph):
        taken = either("load it with tc.load", "spikec run, verify and report take it as it is")
        raise GraphError(f"{REFUSED}it is a deployment file already; {taken}")
    if NOTE in graph.metadata:
        raise GraphError(
            f"{REFUSED}it is the portable form of a deployment, for other simulators; "
            + either("load the deployment with tc.load", "give the deployment itself")
        )
    return graph


def connected(graph: nir.NIRGraph) -> Connected:
    """``graph`` flat, and without nodes from which no path leads to an Output.

    Where a node leads nowhere, or nothing feeds it, NIR itself adds an Output ``output_NAME`` or an Input
    ``input_NAME`` when it checks types. These are taken away again, but for Outputs beside which there is no other and
    for an only Input. Raises :class:`GraphError` where graphs inside cannot be written flat.
    """
    nodes, edges = flattened(graph)
    nodes, edges = _as_built(nodes, edges)
    ends = {name for name, node in nodes.items() if isinstance(node, nir.Output)}
    if not ends:
        return Connected(nodes, edges, ())
    # Where an edge names a node that does not exist, nobody knows where it leads.
    kept = _leading_to(ends | {b for _, b in edges if b not in nodes}, edges)
    kept |= {name for name, node in nodes.items() if isinstance(node, nir.Input)}
    beside = nodes.keys() - kept
    return Connected(
        {name: node for name, node in nodes.items() if name in kept},
        {(a, b) for a, b in edges if not {a, b} & beside},
        tuple(sorted(beside)),
    )


def _as_built(nodes: dict[str, nir.NIRNode], edges: set[Edge]) -> tuple[dict[str, nir.NIRNode], set[Edge]]:
    """Without the Inputs and Outputs that NIR added."""
    added = set()
    for kind, word in ((nir.Input, "input"), (nir.Output, "output")):
        found = [name for name, node in nodes.items() if isinstance(node, kind)]
        inward = kind is nir.Input
        extra = []
        for name in found:
            beside = [b if inward else a for a, b in edges if name in (a, b)]
            if len(beside) != 1 or not re.fullmatch(rf"{word}_{re.escape(beside[0])}(_\d+)?", name):
                continue
            if sum(beside[0] == (b if inward else a) for a, b in edges) == 1:  # NIR adds none beside others
                extra.append(name)
        # Where all are such, they are the ends of the graph, whoever wrote them; but there can be one Input only.
        if len(extra) < len(found) or (inward and len(found) > 1):
            added.update(extra)
    return (
        {name: node for name, node in nodes.items() if name not in added},
        {(a, b) for a, b in edges if not {a, b} & added},
    )


def _leading_to(ends: set[str], edges: set[Edge]) -> set[str]:
    """``ends``, and all from which a path leads there."""
    before: dict[str, list[str]] = {}
    for a, b in edges:
        before.setdefault(b, []).append(a)
    found, frontier = set(ends), list(ends)
    while frontier:
        new = {a for a in before.get(frontier.pop(), ()) if a not in found}
        found |= new
        frontier += new
    return found


def end_obstacles(nodes: Mapping[str, nir.NIRNode], edges: set[Edge]) -> list[str]:
    """What is wrong with where a flat graph begins and ends, and with edges to nowhere; one phrase each."""
    found = []
    for kind in (nir.Input, nir.Output):
        names = [name for name, node in nodes.items() if isinstance(node, kind)]
        if not names:
            free = sorted(nodes.keys() - {a if kind is nir.Output else b for a, b in edges})
            loose = f"; nothing {'reads' if kind is nir.Output else 'feeds'} {', '.join(free[:_SHOWN])}" if free else ""
            found.append(f"it has 0 {kind.__name__} nodes of its own, it must have one{loose}")
        elif len(names) > 1 and kind is nir.Input:
            found.append(f"it has {len(names)} Input nodes ({', '.join(names[:_SHOWN])}), it must have one")
    found += sorted({f"{a}: it feeds {b!r}, which does not exist" for a, b in edges if b not in nodes})
    found += sorted({f"{b}: its source {a!r} does not exist" for a, b in edges if a not in nodes})
    fed, read = {b for _, b in edges}, {a for a, _ in edges}
    for name, node in nodes.items():
        if isinstance(node, nir.Output) and name in read:
            found.append(f"{name}: an Output node feeds others")
        if isinstance(node, nir.Input) and name in fed:
            found.append(f"{name}: an Input node has sources")
        if isinstance(node, nir.Input) and name not in read:
            found.append(f"{name}: no output depends on this input")
        if not isinstance(node, nir.Input) and name not in fed:
            found.append(f"{name}: nothing feeds this node; connect it, or leave it out")
    return found


def refuse(found: list[str]) -> None:
    """Raise :class:`GraphError` with the first obstacles, if there are any."""
    if found:
        raise GraphError.listing(REFUSED.removesuffix(": "), found, most=_SHOWN)


def in_order(nodes: Mapping[str, nir.NIRNode], edges: set[Edge]) -> list[str]:
    """Names with every source before its readers; ties by name. There must be no cycle."""
    waiting = {name: {a for a, b in edges if b == name} for name in nodes}
    order: list[str] = []
    while waiting:
        chosen = min(name for name, needs in waiting.items() if not needs)
        order.append(chosen)
        del waiting[chosen]
        for needs in waiting.values():
            needs.discard(chosen)
    return order
