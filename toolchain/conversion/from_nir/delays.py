"""Delay nodes of NIR as edges that carry what was sent some steps before."""

from __future__ import annotations

from collections.abc import Mapping

import nir
import numpy as np

from spikec.conversion.from_nir import REFUSED
from spikec.conversion.from_nir.connections import Edge
from spikec.conversion.from_nir.dynamics import FIRING
from spikec.errors import GraphError
from spikec.ir.delays import Steps, settled
from spikec.ir.types import TIMESTEPS_MAX
from spikec.words import option


def without_delays(
    nodes: Mapping[str, nir.NIRNode], edges: set[Edge], dt: float | None
) -> tuple[dict[str, nir.NIRNode], set[Edge], dict[Edge, Steps]]:
    """Nodes and edges without Delay nodes, and the steps by which edges are late where there was one: one number, or
    one for each sender.

    A delay is the nearest whole number of steps. Raises :class:`GraphError` where a Delay delays anything but spikes or
    the input, and where a node reads the same both early and late: a file joins two nodes once.
    """
    held = {name: node for name, node in nodes.items() if not isinstance(node, nir.Delay)}
    late: dict[Edge, Steps] = {}
    kept: set[Edge] = set()
    for source, target in sorted(edges):
        if isinstance(nodes.get(target), nir.Delay):
            continue
        origins: dict[str, Steps] = {source: 0}
        for _ in nodes:  # at most all of them in a row
            origins = _unwound(nodes, edges, origins, dt)
        if any(isinstance(nodes.get(name), nir.Delay) for name in origins):
            raise GraphError(f"{REFUSED}{source}: Delay nodes feed each other in a circle")
        for origin, steps in origins.items():
            edge = origin, target
            if edge in kept and late.get(edge, 0) != steps:
                raise GraphError(f"{REFUSED}{target} reads {origin} with two different delays")
            kept.add(edge)
            if steps:
                if not isinstance(nodes.get(origin), (*FIRING, nir.Input)):
                    raise GraphError(f"{REFUSED}{origin}: only spikes and the input can be delayed")
                late[edge] = steps
    return held, kept, late


def _unwound(
    nodes: Mapping[str, nir.NIRNode], edges: set[Edge], origins: dict[str, Steps], dt: float | None
) -> dict[str, Steps]:
    """Sources in place of the Delay nodes among ``origins``, with the steps that pass until what they send arrives."""
    found: dict[str, Steps] = {}
    for name, steps in origins.items():
        node = nodes.get(name)
        before = [a for a, b in edges if b == name] if isinstance(node, nir.Delay) else [name]
        total = _later(name, steps, node, dt) if isinstance(node, nir.Delay) else steps
        for each in before:
            if found.get(each, total) != total:
                raise GraphError(f"{REFUSED}{each} is read with two different delays")
            found[each] = total
    return found


def _later(name: str, steps: Steps, node: nir.Delay, dt: float | None) -> Steps:
    """``steps``, and those of a Delay node before them."""
    delay = np.asarray(node.delay, dtype=np.float64).reshape(-1)
    if not delay.size or not np.isfinite(delay).all() or (delay < 0).any():
        raise GraphError(f"{REFUSED}{name}: delays must be numbers of at least 0")
    if delay.any() and dt is None:
        raise GraphError(f"{REFUSED}{name}: a delay needs the length of a step: give {option('dt')}")
    each = np.rint(delay / (dt or 1.0))
    if each.max() > TIMESTEPS_MAX:
        raise GraphError(f"{REFUSED}{name}: a delay of {each.max():.0f} steps; the most is {TIMESTEPS_MAX}")
    more = settled(each.astype(np.int64))
    if not isinstance(steps, int) and not isinstance(more, int) and len(steps) != len(more):
        raise GraphError(f"{REFUSED}{name}: it has {len(more)} delays, and the Delay behind it {len(steps)}")
    return settled(np.array(steps, dtype=np.int64) + np.array(more, dtype=np.int64))
