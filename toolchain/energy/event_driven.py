"""Energy and time of an event-driven many-core chip (Loihi 1, Loihi 2).

    E_dynamic = synops*e_syn + updates*e_neuron + spikes*e_spike + messages*e_message
              + hops_ew*e_hop_ew + hops_ns*e_hop_ns
    E_floor   = (chips*P_static + P_host) * steps*t_step
    t_step    = max(busiest core: S*t_syn + U*t_neuron + M*t_message, mesh, barrier)
    mesh      = busiest tile: messages through it * t_tile + longest way: ew*t_hop_ew + ns*t_hop_ns

after Davies et al., IEEE Micro 38(1), 2018 (the terms) and Boyle et al., IEEE TCAD 44, 2025 (the silicon fit). S, U and
M are means per step of the busiest core of a placement; without one, of the most loaded layer spread evenly over its
cores, and the mesh is left out. ``t_tile`` is one over the spike bandwidth of a tile (3.44 messages per ns, Davies).
Several chips wait for a slower barrier.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spikec.energy.bill import Bill
from spikec.energy.cores import CoreAssignment
from spikec.energy.sampling import Samples
from spikec.energy.workload import Workload

_MESH = ("t_tile", "t_hop_east_west", "t_hop_north_south")
_TIME = ("t_syn", "t_neuron", "t_message", "t_barrier", "t_barrier_chips", *_MESH)

#: Constants that enter each item; a book may lack some.
TERMS = {
    "synapses": ("e_syn", "e_syn_conv", "e_syn_dense"),
    "neurons": ("e_neuron", "e_neuron_active", "e_neuron_inactive", "active_share"),
    "messages": ("e_message",),
    "static": ("p_static", *_TIME),
    "spikes": ("e_spike",),
    "hops": ("e_hop_east_west", "e_hop_north_south"),
    "host on chip": ("p_host", *_TIME),
    "reset": ("e_reset",),
}


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
    if "e_hop_east_west" in c:
        east_west, north_south = (
            sum((layer.spikes * hops[layer.name] for layer in work.layers), np.zeros(1))
            for hops in (where.hops_east_west, where.hops_north_south)
        )
        items["hops"] = supply * (east_west * c["e_hop_east_west"] + north_south * c["e_hop_north_south"])
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
    loads = _per_core(work, c, where) if where.loads else _per_layer(work, c, where)
    barrier = c["t_barrier"] if where.chips == 1 else c["t_barrier_chips"]
    bounds = {**loads, "the mesh": _mesh(work, c, where), "the barrier": barrier}
    names = list(bounds)
    table = np.stack(np.broadcast_arrays(*bounds.values()))
    most_often = np.bincount(table.argmax(axis=0), minlength=len(names)).argmax()
    return table.max(axis=0), names[most_often]


def _mesh(work: Workload, c: Mapping[str, Samples], where: CoreAssignment) -> Samples:
    """Seconds per step until the busiest tile has passed on its messages and the last one has gone the longest way."""
    if not where.mesh.ways or "t_tile" not in c:
        return np.zeros(1)
    through = np.zeros((len(next(iter(where.mesh.through.values()))), 1))
    for layer in work.layers:
        if layer.name in where.mesh.through:
            through = through + np.outer(where.mesh.through[layer.name], layer.spikes / work.steps)
    ways = [ew * c["t_hop_east_west"] + ns * c["t_hop_north_south"] for ew, ns in where.mesh.ways]
    return np.asarray(through.max(axis=0) * c["t_tile"] + np.max(np.stack(np.broadcast_arrays(*ways)), axis=0))


def _per_layer(work: Workload, c: Mapping[str, Samples], where: CoreAssignment) -> dict[str, Samples]:
    """Seconds per step of the cores of every layer, its work spread evenly over them."""
    arriving = {layer.name: np.zeros(1) for layer in work.layers}
    for layer in work.layers:
        for target in layer.targets:
            arriving[target] = arriving[target] + layer.spikes / work.steps
    return {
        f"the cores of layer {layer.name}": layer.synops / work.steps / where.cores[layer.name] * c["t_syn"]
        + layer.neurons / where.cores[layer.name] * c["t_neuron"]
        + arriving[layer.name] * c["t_message"]
        for layer in work.layers
    }


def _per_core(work: Workload, c: Mapping[str, Samples], where: CoreAssignment) -> dict[str, Samples]:
    """Seconds per step of every core, from the spikes that reach it."""
    layers = {layer.name: layer for layer in work.layers}
    found = {}
    for index, load in enumerate(where.loads):
        seconds = load.neurons * c["t_neuron"]
        for name, share in load.synops.items():
            seconds = seconds + layers[name].synops / work.steps * share * c["t_syn"]
        for name, each in load.messages.items():
            seconds = seconds + layers[name].spikes / work.steps * each * c["t_message"]
        found[f"core {index} ({', '.join(load.synops) or 'neurons of the first layer'})"] = np.asarray(seconds)
    return found
