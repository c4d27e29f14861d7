"""Cores, messages and hops of a network: as a placement has them, or by capacity where there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from spikec.analysis.placement import Placement
from spikec.energy.arrivals import arriving
from spikec.energy.counts import Counts
from spikec.energy.mesh import MeshLoad, longest_ways, through_tiles
from spikec.energy.profile import Profile
from spikec.energy.workload import Workload
from spikec.ir.graph import IntegerGraph

_WEIGHT_BITS = 8


@dataclass(frozen=True)
class CoreLoad:
    """What one core does: its ``neurons``; by layer the share of its synaptic operations (``synops``), and messages to
    this core per spike of a layer (``messages``)."""

    neurons: int
    synops: Mapping[str, float]
    messages: Mapping[str, float]


@dataclass(frozen=True)
class CoreAssignment:
    """Cores of every layer, the chips they fill, and where that comes from.

    ``destinations``, ``hops_east_west`` and ``hops_north_south``: cores a spike of each layer goes to and tile borders
    its messages cross, on average over its spikes; ``crossings``: borders of chips. ``loads`` of every core and
    ``mesh``: empty without a placement.
    """

    cores: dict[str, int]
    chips: int
    destinations: dict[str, float]
    hops_east_west: dict[str, float]
    hops_north_south: dict[str, float]
    crossings: dict[str, float]
    total_cores: int
    assumed: bool
    loads: tuple[CoreLoad, ...] = ()
    mesh: MeshLoad = field(default_factory=MeshLoad)


def cores_by_capacity(work: Workload, profile: Profile) -> CoreAssignment:
    """Fewest cores that hold each layer's neurons and its weights, shared along a convolution; layers share none, a
    spike goes to every core of the layers it feeds, and messages travel the mean distance of a square mesh."""
    limits = profile.data
    cores = {
        layer.name: max(
            1,
            math.ceil(layer.neurons / limits["neurons_per_core"]),
            math.ceil(layer.weights * _WEIGHT_BITS / limits["synapse_bits_per_core"]),
        )
        for layer in work.layers
    }
    total = sum(cores.values())
    tiles = math.ceil(total / limits["cores_per_tile"])
    distance = 2 * (tiles - 1) / (3 * math.sqrt(tiles))
    destinations = {layer.name: float(sum(cores[target] for target in layer.targets)) for layer in work.layers}
    hops = {name: distance / 2 * messages for name, messages in destinations.items()}
    chips = math.ceil(total / limits["cores_per_chip"])
    crossings = dict.fromkeys(destinations, 0.0)
    return CoreAssignment(cores, chips, destinations, hops, dict(hops), crossings, total, assumed=True)


def cores_by_placement(net: IntegerGraph, placement: Placement, counts: Counts, nonzero_only: bool) -> CoreAssignment:
    """Cores, destinations, hops and loads of a placement, averaged over the spikes that were counted."""
    destinations, east_west, north_south, crossings = (dict.fromkeys(counts.populations, 0.0) for _ in range(4))
    through, sent = {}, []
    total = len(placement.cores)
    messages: list[dict[str, float]] = [{} for _ in range(total)]
    for layer in net.populations:
        events = counts.events[layer.name]
        spikes = int(events.sum())
        if spikes:
            far = placement.hops(layer.name)
            destinations[layer.name] = int((events * placement.messages(layer.name)).sum()) / spikes
            east_west[layer.name] = int((events * far.east_west).sum()) / spikes
            north_south[layer.name] = int((events * far.north_south).sum()) / spikes
            crossings[layer.name] = int((events * far.crossings).sum()) / spikes
            for core, number in enumerate(placement.messages_into(layer.name, events)):
                if number:
                    messages[core][layer.name] = int(number) / spikes
            sent.append(placement.routes(layer.name, events))
            through[layer.name] = through_tiles(placement.places, sent[-1]).reshape(-1) / spikes
    masks = {node.name: node.nonzero() if nonzero_only else node.structure() for node in net.synapses}
    emitted = {layer.name: counts.events[layer.name][None] for layer in net.populations}
    synops: list[dict[str, float]] = [{} for _ in range(total)]
    neurons = np.zeros(total, dtype=np.int64)
    for name in counts.populations:
        home = placement.core_of[name].reshape(-1)
        neurons += np.bincount(home, minlength=total)
        received = arriving(net, emitted, name, masks).reshape(-1) if emitted else np.zeros(home.shape)
        if received.sum():
            shares = np.bincount(home, weights=received, minlength=total) / received.sum()
            for core in np.flatnonzero(shares):
                synops[core][name] = float(shares[core])
    loads = tuple(CoreLoad(int(n), s, m) for n, s, m in zip(neurons, synops, messages, strict=True))
    return CoreAssignment(
        cores=dict(placement.cores_of),
        chips=placement.chips,
        destinations=destinations,
        hops_east_west=east_west,
        hops_north_south=north_south,
        crossings=crossings,
        total_cores=total,
        assumed=False,
        loads=loads,
        mesh=MeshLoad(through, longest_ways(placement.places, sent)),
    )
