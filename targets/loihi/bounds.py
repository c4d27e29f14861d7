"""Cores that no placement under the same limits and the same storage can undercut."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from targets.loihi.boxes import volume, whole
from targets.loihi.needs import AXONS_OUT, COMPARTMENTS, SYNAPSES, Demand, Layer, capacity, connections
from toolchain.energy.fanout import fan_out, structure
from toolchain.ir.integer import (
    Affine,
    Convolution,
    Flatten,
    Int64,
    IntegerGraph,
    Population,
    Readout,
    SumPool,
    Synapse,
)


def lower_bound(demand: Demand, layers: Sequence[Layer]) -> int:
    """Every neuron once; every weight that is not fed by the input once; every spike to all cores its targets need.

    A neuron's weights are on its core, so the targets of one spike, all output channels of the nodes it enters, fill at
    least their weights' share of a core's memory.
    """
    room = capacity(demand.limits)
    net = demand.net
    neurons = sum(volume(whole(layer.shape)) for layer in layers)
    least = [1, _cores(neurons * demand.per_neuron, room[COMPARTMENTS])]
    inner = (node for node in net.synapses if _fed_by(net, node.name) != {net.input.name} and _alone(net, node))
    stored = (_stored(demand, node) for node in inner)
    least.append(_cores(sum(stored), room[SYNAPSES]))
    if AXONS_OUT in room:
        pairs = sum(int(cores_reached(demand, layer).sum()) for layer in net.populations)
        least.append(_cores(pairs, room[AXONS_OUT]))
    return max(least)


def _cores(needed: int, limit: int) -> int:
    return math.ceil(needed / limit)


def _stored(demand: Demand, node: Synapse) -> int:
    if demand.shared or isinstance(node, Affine):
        return demand.bits[node.name] * node.weight.shape[0]
    return connections(node, whole(node.output_shape)) * demand.widths[node.name]


def cores_reached(demand: Demand, layer: Population) -> Int64:
    """Fewest cores each neuron sends to, int64 of the layer's shape: those that the weights of its targets fill."""
    entered = np.zeros(layer.shape, dtype=np.int64)
    direct = np.zeros(layer.shape, dtype=np.int64)
    for consumer in demand.net.consumers(layer.name):
        behind = demand.net.consumers(consumer.name) if isinstance(consumer, Flatten) else (consumer,)
        for node in behind:
            if isinstance(node, Population | Readout):
                direct |= 1
            elif not isinstance(node, Convolution | Affine) or not _alone(demand.net, node):
                continue
            elif demand.shared or isinstance(node, Affine):
                groups = node.groups if isinstance(node, Convolution) else 1
                reaches = fan_out(node, structure(node)).reshape(layer.shape) > 0
                entered += reaches * (demand.bits[node.name] * node.weight.shape[0] // groups)
    reached: Int64 = np.maximum(-(-entered // capacity(demand.limits)[SYNAPSES]), direct)
    return reached


def _alone(net: IntegerGraph, node: Synapse) -> bool:
    """Whether only neurons, pools and flattenings lie around a node; a chain of two is multiplied out and may need
    fewer weights than it has."""

    def synapse(name: str, onwards: bool) -> bool:
        near = net.consumers(name) if onwards else tuple(net.nodes[source] for source in net.nodes[name].sources)
        return any(
            isinstance(other, Convolution | Affine)
            or (isinstance(other, Flatten | SumPool) and synapse(other.name, onwards))
            for other in near
        )

    return not synapse(node.name, True) and not synapse(node.name, False)


def _fed_by(net: IntegerGraph, name: str) -> set[str]:
    """Neurons, or the input, a node gets its values from."""
    found: set[str] = set()
    for source in net.nodes[name].sources:
        node = net.nodes[source]
        found |= _fed_by(net, source) if isinstance(node, Convolution | Affine | Flatten | SumPool) else {source}
    return found
