"""Energy of a generic digital accelerator: arithmetic, weight, state and spike traffic, and the quantised network on
the same memories.

    e_SOP = e_add(state) + w/64 * E(C_w) + 2 * v/64 * E(C_v) + e_address
    E_neu = N * T * (2 * v/64 * E(C_v) + 2 * e_add(state))
    E_spk = spikes * (log2 N + payload)/64 * E(C_fifo) * 2
    e_MAC = e_mul(b, w) + e_add(acc) + (w/64 * E(C_w) + b/64 * E(C_a)) / R + 2 * acc/64 * E(C_o) / R_o

with E(C) the energy of a 64-bit access to a memory of C bytes. The terms follow Lemaire et al., ICONIP 2022 and
Dampfhoffer et al., IEEE TETCI 7(3), 2023; the reference of ``ceil(log2(levels + 1))`` bits Yan et al., arXiv
2409.08290.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from spikec.energy.bill import Bill
from spikec.energy.counts import Counts
from spikec.energy.sampling import Quantiles, Samples
from spikec.energy.value import BreakEven, Reference, ReferencePoint
from spikec.energy.workload import LayerWork, Workload
from spikec.ir.graph import IntegerGraph

_INPUT_BITS = 8
#: Operations per fetched value along the break-even curve.
_REUSE_CURVE = tuple(2**power for power in range(9))
_MEMORY = ("e_sram_8k", "e_sram_32k", "e_sram_1m", "e_dram")
_ADD = ("e_add8", "e_add32")

#: Constants that enter each item.
TERMS = {
    "additions": (*_ADD, "e_address"),
    "weight reads": _MEMORY,
    "state of synops": _MEMORY,
    "neuron updates": (*_ADD, *_MEMORY),
    "spikes": ("e_sram_8k",),
    "first layer": (*_ADD, *_MEMORY, "e_mul8"),
}
_SRAM = (("e_sram_8k", 8 * 1024), ("e_sram_32k", 32 * 1024), ("e_sram_1m", 1024 * 1024))


def access(constants: Mapping[str, Samples], size: float, on_chip: float) -> Samples:
    """Joules of a 64-bit access to a memory of ``size`` bytes: log-log through the three published SRAM sizes, extended
    up to ``on_chip``. Anything below the smallest costs as much as that, anything beyond ``on_chip`` is DRAM."""
    if size > on_chip:
        return np.asarray(constants["e_dram"])
    points = [(math.log(capacity), np.log(constants[key])) for key, capacity in _SRAM]
    x = math.log(max(size, _SRAM[0][1]))
    (x0, y0), (x1, y1) = points[:2] if x < points[1][0] else points[1:]
    return np.asarray(np.exp(y0 + (y1 - y0) * (x - x0) / (x1 - x0)))


def add(constants: Mapping[str, Samples], bits: int) -> Samples:
    """Joules of an integer addition: linear in the width through the 8 and 32 bit values."""
    slope = (constants["e_add32"] - constants["e_add8"]) / 24
    return np.asarray(constants["e_add8"] + slope * (bits - 8))


def multiply(constants: Mapping[str, Samples], bits: int, weight_bits: int) -> Samples:
    return np.asarray(constants["e_mul8"] * (bits * weight_bits / 64))


def levels(graph: IntegerGraph) -> int:
    """Largest number a neuron can convey in one inference."""
    steps = graph.timesteps
    return max([steps, *(population.neuron.reach(steps) for population in graph.populations)])


def price(
    work: Workload, constants: Mapping[str, Samples], counts: Counts, sizes: Mapping[str, Any], reuse: int = 1
) -> Bill:
    """Bill of one image. ``reuse``: operations per fetched value in a first layer that is computed densely; an event
    uses what it fetches once."""
    c, supply = constants, constants["supply"] ** 2
    w, v, on_chip = sizes["weight_bits"], sizes["state_bits"], sizes["on_chip_bytes"]
    items: dict[str, Samples] = {name: np.zeros(1) for name in TERMS}
    for layer in work.layers:
        spiking = layer.synops - layer.input_synops
        weights, state = access(c, layer.weights * w / 8, on_chip), access(c, layer.neurons * v / 8, on_chip)
        address = math.ceil(math.log2(max(2, layer.neurons))) + counts.populations[layer.name].payload_bits
        queue = access(c, sizes["fifo_bytes"], on_chip)
        terms = (
            spiking * (add(c, v) + c["e_address"]),
            (spiking - layer.direct) * w / 64 * weights,
            spiking * 2 * v / 64 * state,
            layer.neurons * work.steps * (2 * v / 64 * state + 2 * add(c, v)),
            layer.spikes * address / 64 * queue * 2,
            layer.input_synops * _mac(c, layer, _INPUT_BITS, reuse, sizes),
        )
        for name, term in zip(TERMS, terms, strict=True):
            items[name] = items[name] + supply * term
    return Bill(items, TERMS)


def reference(
    work: Workload, constants: Mapping[str, Samples], sizes: Mapping[str, Any], bits: int, reuse: int
) -> Samples:
    """Joules per image of the network run once with ``bits``-bit activations and 8-bit inputs, every fetched value used
    ``reuse`` times. A first layer left to the host is left out here too."""
    total = np.zeros(1)
    for layer in work.layers:
        from_input = 0 if work.first_layer == "bias_current" else layer.input_macs
        inner = _mac(constants, layer, bits, reuse, sizes) * (layer.dense_macs - layer.input_macs)
        outer = _mac(constants, layer, _INPUT_BITS, reuse, sizes) * from_input
        output = layer.neurons * bits / 64 * access(constants, layer.neurons * bits / 8, sizes["on_chip_bytes"])
        total = total + inner + outer + output
    return np.asarray(constants["supply"] ** 2 * total)


def _mac(c: Mapping[str, Samples], layer: LayerWork, bits: int, reuse: int, sizes: Mapping[str, Any]) -> Samples:
    w, acc, on_chip = sizes["weight_bits"], sizes["accumulator_bits"], sizes["on_chip_bytes"]
    weights = access(c, layer.weights * w / 8, on_chip)
    activations = access(c, layer.inputs * bits / 8, on_chip)
    partial = access(c, layer.neurons * acc / 8, on_chip) / (1 if reuse == 1 else sizes["output_reuse"])
    arithmetic = multiply(c, bits, w) + add(c, acc)
    return np.asarray(arithmetic + (w / 64 * weights + bits / 64 * activations) / reuse + 2 * acc / 64 * partial)


def comparison(
    graph: IntegerGraph, work: Workload, counts: Counts, constants: Mapping[str, Samples], sizes: Mapping[str, Any]
) -> Reference:
    """The quantised network on the same memories, for each assumed reuse, and where the two break even.

    ``s_star`` compares the whole spiking network with the reference: it is negative where what does not depend on
    synaptic operations (neuron updates, first layer) alone costs more. Joules and ratios are p5, p50, p95 of joint
    samples: both networks share every constant.
    """
    signed = any(population.neuron.least(graph.timesteps) < 0 for population in graph.populations)
    bits = math.ceil(math.log2(levels(graph) + 1)) + signed
    spiking = sum((layer.synops - layer.input_synops for layer in work.layers), np.zeros(1))
    synapses = sum(layer.dense_macs - layer.input_macs for layer in work.layers)
    points: list[ReferencePoint] = []
    curve: list[BreakEven] = []
    for reuse in sorted({*sizes["reuse"], *_REUSE_CURVE}):
        bill = price(work, constants, counts, sizes, reuse)
        items, total = bill.items, bill.total
        per_synop = items["additions"] + items["weight reads"] + items["state of synops"] + items["spikes"]
        other = reference(work, constants, sizes, bits, reuse)
        s_star = None
        if synapses and spiking.min() > 0:
            s_star = Quantiles.of((other - (total - per_synop)) * spiking / per_synop / synapses)
        if reuse in _REUSE_CURVE and s_star is not None:
            curve.append(BreakEven(reuse, s_star))
        if reuse in sizes["reuse"]:
            points.append(ReferencePoint(reuse, Quantiles.of(other), Quantiles.of(total / other), s_star))
    measured = float(spiking.mean()) / synapses if synapses else 0.0
    return Reference(bits, sizes["weight_bits"], measured, tuple(points), tuple(curve))
