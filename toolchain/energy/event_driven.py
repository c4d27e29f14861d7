"""Energy and time of an event-driven many-core chip (Loihi 1, Loihi 2).

    E_dynamic = synops*e_syn + updates*e_neuron + spikes*e_spike + messages*e_message + hops*e_hop
    E_floor   = (chips*P_static + P_host) * steps*t_step
    t_step    = max(busiest core: S*t_syn + U*t_neuron + M*t_message, barrier)

after Davies et al., IEEE Micro 38(1), 2018 (the terms) and Boyle et al., IEEE TCAD 44, 2025 (the silicon fit). The
busiest core is that of the most loaded layer, spread evenly over its cores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from toolchain.energy.bill import Bill
from toolchain.energy.counts import Counts
from toolchain.energy.profile import Profile
from toolchain.energy.sampling import Samples
from toolchain.energy.workload import Workload
from toolchain.ir.integer import Int64

_WEIGHT_BITS = 8
_TIME = ("t_syn", "t_neuron", "t_message", "t_barrier")

#: Constants that enter each item; a book may lack some.
TERMS = {
    "synapses": ("e_syn", "e_syn_conv", "e_syn_dense"),
    "neurons": ("e_neuron", "e_neuron_active", "e_neuron_inactive", "active_share"),
    "messages": ("e_message",),
    "static": ("p_static", *_TIME),
    "spikes": ("e_spike",),
    "hops": ("e_hop",),
    "host on chip": ("p_host", *_TIME),
    "reset": ("e_reset",),
}


@dataclass(frozen=True)
class CoreAssignment:
    """Cores of every layer, the chips they fill, and where that comes from.

    ``destinations``: cores a spike of each layer goes to, on average over its spikes.
    """

    cores: dict[str, int]
    chips: int
    cores_per_tile: int
    destinations: dict[str, float]
    total_cores: int
    assumed: bool

    @property
    def hops_per_message(self) -> float:
        """Mean Manhattan distance between two random tiles of the square mesh that holds all cores."""
        tiles = math.ceil(self.total_cores / self.cores_per_tile)
        return 2 * (tiles - 1) / (3 * math.sqrt(tiles))


class Placement(Protocol):
    """What the estimate reads of a placement; ``targets.loihi.place`` makes one."""

    @property
    def cores(self) -> Sequence[object]: ...

    @property
    def chips(self) -> int: ...

    @property
    def cores_of(self) -> Mapping[str, int]: ...

    def messages(self, layer: str) -> Int64:
        """Cores a spike of each neuron goes to, of the layer's shape."""
        ...


def cores_by_capacity(work: Workload, profile: Profile) -> CoreAssignment:
    """Fewest cores that hold each layer's neurons and its weights, shared along a convolution; layers share none, and a
    spike goes to every core of the layers it feeds."""
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
    destinations = {layer.name: float(sum(cores[target] for target in layer.targets)) for layer in work.layers}
    chips = math.ceil(total / limits["cores_per_chip"])
    return CoreAssignment(cores, chips, limits["cores_per_tile"], destinations, total, assumed=True)


def cores_by_placement(work: Workload, profile: Profile, placement: Placement, counts: Counts) -> CoreAssignment:
    """Cores and destinations of a placement, the latter averaged over the spikes that were counted."""
    destinations = {layer.name: 0.0 for layer in work.layers}
    for name, entry in counts.populations.items():
        if entry.spikes_out:
            sent = int((counts.events[name] * placement.messages(name)).sum())
            destinations[name] = sent / entry.spikes_out
    total = len(placement.cores)
    tile = profile.data["cores_per_tile"]
    return CoreAssignment(dict(placement.cores_of), placement.chips, tile, destinations, total, assumed=False)


def price(
    work: Workload, constants: Mapping[str, Samples], where: CoreAssignment, step_seconds: float | None = None
) -> Bill:
    """Bill of one image, given constants (as drawn or nominal) and the work (means or bootstrap samples).

    ``step_seconds``: a measured wall clock per step instead of the chip's bound.
    """
    c = constants
    supply = c["supply"] ** 2
    convolution = sum((layer.synops_convolution for layer in work.layers), np.zeros(1))
    affine = sum((layer.synops_affine + layer.direct for layer in work.layers), np.zeros(1))
    spikes = sum((layer.spikes for layer in work.layers), np.zeros(1))
    messages = sum((layer.spikes * where.destinations[layer.name] for layer in work.layers), np.zeros(1))
    per_step, bound_by = _step(work, c, where)
    if step_seconds is not None:
        per_step, bound_by = np.full_like(per_step, step_seconds), "the measured wall clock"
    seconds = work.steps * per_step
    e_convolution, e_affine = (c[key] if key in c else c["e_syn"] for key in ("e_syn_conv", "e_syn_dense"))
    items = {
        "synapses": supply * (convolution * e_convolution + affine * e_affine),
        "neurons": supply * _neurons(work, c),
        "messages": supply * messages * c["e_message"],
        "static": where.chips * c["p_static"] * seconds,
    }
    if "e_spike" in c:
        items["spikes"] = supply * spikes * c["e_spike"]
    if "e_hop" in c:
        items["hops"] = supply * messages * where.hops_per_message * c["e_hop"]
    if "p_host" in c:
        items["host on chip"] = c["p_host"] * seconds
    if "e_reset" in c:
        items["reset"] = where.chips * c["e_reset"] * np.ones_like(seconds)
    return Bill(items, TERMS, per_step, bound_by)


def _neurons(work: Workload, c: Mapping[str, Samples]) -> Samples:
    updates = sum(layer.neurons for layer in work.layers) * work.steps
    if "e_neuron" in c:
        return np.asarray(updates * c["e_neuron"])
    spiked = sum((layer.spikes for layer in work.layers), np.zeros(1))
    received = sum((np.maximum(layer.received, layer.spikes) for layer in work.layers), np.zeros(1))
    active = spiked + c["active_share"] * (received - spiked)
    return np.asarray(active * c["e_neuron_active"] + (updates - active) * c["e_neuron_inactive"])


def _step(work: Workload, c: Mapping[str, Samples], where: CoreAssignment) -> tuple[Samples, str]:
    """(seconds per step, what bounds most of the draws)."""
    arriving = {layer.name: np.zeros(1) for layer in work.layers}
    for layer in work.layers:
        for target in layer.targets:
            arriving[target] = arriving[target] + layer.spikes / work.steps
    loads = [
        (
            layer.synops / work.steps / where.cores[layer.name] * c["t_syn"]
            + layer.neurons / where.cores[layer.name] * c["t_neuron"]
            + arriving[layer.name] * c["t_message"]
        )
        for layer in work.layers
    ]
    names = [f"the cores of {layer.name}" for layer in work.layers] + ["the barrier"]
    table = np.stack(np.broadcast_arrays(*loads, c["t_barrier"]))
    most_often = np.bincount(table.argmax(axis=0), minlength=len(names)).argmax()
    return table.max(axis=0), names[most_often]
