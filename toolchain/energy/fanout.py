"""How many synapses leave each neuron: exact integer maps, composed through chains of operations.

Every operation says itself how many connections leave each of its inputs (``Synapse.fan_out``) and how a map over its
outputs is carried to its inputs (``Operation.pull_back``). Counting by maps is the adjoint of running the network on
events: one map per pair (origin, synapse node) serves every image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikec.ir.coding import InputNode
from spikec.ir.graph import Delayed, IntegerGraph, Node, Population, Readout
from spikec.ir.operations import MaxPool, Operation, Synapse
from spikec.ir.pools import of_image
from spikec.ir.types import Int64


@dataclass(frozen=True)
class FanOut:
    """Per neuron of one origin, int64 of the origin's shape: paths into a synapse node and synapses beyond.

    ``entering``: copies of one event that reach the node (0 where a pool drops it); ``synapses``: synapses it
    charges there; ``nonzero``: the same along non-zero quantised weights only.
    """

    entering: Int64
    synapses: Int64
    nonzero: Int64

    def __add__(self, other: FanOut) -> FanOut:
        return FanOut(self.entering + other.entering, self.synapses + other.synapses, self.nonzero + other.nonzero)


def fan_outs(graph: IntegerGraph, node: Synapse) -> dict[str, FanOut]:
    """Fan-out into ``node`` of every neuron (or pixel) that can reach it without passing another neuron.

    Keys are names of populations, of the input and of max pools of the input. An operation between origin and synapse
    passes on one copy of an event per connection (a sum pool: one per window): a pooled cell's fan-out is charged for
    each of its events. Delayed leaves the population that it repeats.
    """
    every, stored = node.structure(), node.nonzero()
    local = FanOut(np.ones(node.input_shape, dtype=np.int64), node.fan_out(every), node.fan_out(stored))
    found: dict[str, FanOut] = {}
    for source in node.sources:
        _walk(graph, graph.nodes[source], local, found)
    return found


def _walk(graph: IntegerGraph, node: Node, after: FanOut, found: dict[str, FanOut]) -> None:
    if isinstance(node, Readout):
        return
    if isinstance(node, Delayed):
        node = graph.nodes[node.of]
    if isinstance(node, InputNode | Population | MaxPool):  # a pool here is one of the image: its pixels leave it
        found[node.name] = found[node.name] + after if node.name in found else after
        return
    assert isinstance(node, Operation)
    every, stored = (node.structure(), node.nonzero()) if isinstance(node, Synapse) else (None, None)
    before = FanOut(
        node.pull_back(after.entering, every),
        node.pull_back(after.synapses, every),
        node.pull_back(after.nonzero, stored),
    )
    for source in node.sources:
        _walk(graph, graph.nodes[source], before, found)


def direct_fan_outs(graph: IntegerGraph, node: Population | Readout) -> dict[str, Int64]:
    """Fan-out into a neuron layer along connections that hold no weights: identities and sum pools.

    Keys as in :func:fan_outs; paths through a synapse node are left out, their synapses are charged there.
    """
    found: dict[str, Int64] = {}

    def walk(source: Node, after: Int64) -> None:
        if isinstance(source, Delayed):
            source = graph.nodes[source.of]
        if isinstance(source, InputNode | Population) or (isinstance(source, MaxPool) and of_image(graph, source)):
            found[source.name] = found.get(source.name, np.zeros_like(after)) + after
        elif isinstance(source, Operation) and not isinstance(source, Synapse):
            before = source.pull_back(after)
            for name in source.sources:
                walk(graph.nodes[name], before)

    for name in node.sources:
        walk(graph.nodes[name], np.ones(node.shape, dtype=np.int64))
    return found
