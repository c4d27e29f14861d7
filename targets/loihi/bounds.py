"""A lower bound on the number of cores, for any placement under the same limits and the same storage."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.operations import Operation, Synapse
from spikec.ir.operations.boxes import whole
from spikec.ir.types import Int64
from spikec.ir.walks import origins
from spikec.targets.loihi.axons import least_slots
from spikec.targets.loihi.needs import AXONS_OUT, COMPARTMENTS, SYNAPSES, Demand, Layer, capacity


def lower_bound(demand: Demand, layers: Sequence[Layer]) -> int:
    """The largest of three bounds, at least 1.

    Every neuron is placed once. Every weight that is not fed by the input is stored once. Every spike is sent to all
    cores that its targets need, if the number of output axons is published: the weights of a neuron are on its core, so
    the targets of one spike (all output channels of the nodes it enters) take at least as many cores as their weights
    fill.
    """
    room = capacity(demand.limits)
    net = demand.net
    neurons = sum(math.prod(layer.shape) for layer in layers)
    least = [1, _cores(neurons * demand.per_neuron, room[COMPARTMENTS])]
    inner = (node for node in net.synapses if origins(net, node.name) != {net.input.name} and _alone(net, node))
    stored = (_stored(demand, node) for node in inner)
    least.append(_cores(sum(stored), room[SYNAPSES]))
    if AXONS_OUT in room:
        slots = sum(_out_axons(demand, layer) for layer in net.populations)
        least.append(_cores(slots, room[AXONS_OUT]))
    return max(least)


def _cores(needed: int, limit: int) -> int:
    return math.ceil(needed / limit)


def _stored(demand: Demand, node: Synapse) -> int:
    if demand.shared or not node.shares_weights:
        return demand.bits[node.name] * node.weight_shape[0]
    return node.connections(whole(node.output_shape)) * demand.widths[node.name]


def _out_axons(demand: Demand, layer: Population) -> int:
    """Fewest output axons of a layer: those of its neurons, or of populations if the nodes behind accept these."""
    own = {node.name for node in demand.net.synapses} - set(demand.entering)
    shared = cores_reached(demand, layer, set(demand.entering), direct=False)
    return least_slots(cores_reached(demand, layer, own), shared, demand.limits)


def cores_reached(
    demand: Demand, layer: Population, into: Collection[str] | None = None, *, direct: bool = True
) -> Int64:
    """Fewest cores each neuron sends to, int64 of the layer's shape: as many as the weights of its targets fill.

    ``into``: the synapse nodes to look at; None means all. ``direct``: also count connections without weights.
    """
    entered = np.zeros(layer.shape, dtype=np.int64)
    least = np.zeros(layer.shape, dtype=np.int64)
    for consumer in demand.net.consumers(layer.name):
        through = isinstance(consumer, Operation) and consumer.rearranges
        behind = demand.net.consumers(consumer.name) if through else (consumer,)
        for node in behind:
            if isinstance(node, Population | Readout):
                least |= int(direct)
            if not isinstance(node, Synapse) or not (into is None or node.name in into):
                continue
            if _alone(demand.net, node) and (demand.shared or not node.shares_weights):
                bits = demand.bits[node.name] * node.weight_shape[0] // node.groups
                entered += node.entered().reshape(layer.shape) * bits
    reached: Int64 = np.maximum(-(-entered // capacity(demand.limits)[SYNAPSES]), least)
    return reached


def _alone(net: IntegerGraph, node: Synapse) -> bool:
    """Whether only neurons, pools and flattenings lie around a node.

    A chain of two synapses is multiplied out, and may then need fewer weights than the two have.
    """

    def synapse(name: str, onwards: bool) -> bool:
        near = net.consumers(name) if onwards else tuple(net.nodes[source] for source in net.nodes[name].sources)
        return any(
            isinstance(other, Synapse) or (isinstance(other, Operation) and synapse(other.name, onwards))
            for other in near
        )

    return not synapse(node.name, True) and not synapse(node.name, False)
