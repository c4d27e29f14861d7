"""NeuroBench (``macs.py`` at e521c28): non-zero inputs x non-zero weights, geometry exact."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from spikec.analysis.widths import signed_bits
from spikec.energy.conventions.seen import Layer, Seen
from spikec.energy.counts import Counts
from spikec.ir.graph import IntegerGraph
from spikec.ir.operations import Synapse
from spikec.simulation.trace import Trace


def neurobench(net: IntegerGraph, trace: Trace, counts: Counts) -> dict[str, float]:
    """NeuroBench's metrics by its names (Yik et al., 2025), means per image where they count.

    ``footprint``: bytes of what the deployment stores: weights at the width of their largest mantissa, biases,
    thresholds and initial membranes of 4 bytes (the package takes the element size of tensors instead).
    ``connection_sparsity``: share of zero weights; ``activation_sparsity``: share of neuron-steps without a spike.
    """
    values, _ = operations(Seen(net, trace, counts))
    weights = sum(node.weight_count for node in net.synapses)
    zeros = sum(int((node.narrow_weight == 0).sum()) for node in net.synapses)
    bits = sum(node.weight_count * _width(node) for node in net.synapses)
    words = sum(node.bias.size for node in net.synapses) + sum(r.v_init.size for r in net.readouts)
    words += sum(population.theta.size + population.v_init.size for population in net.populations)
    read = {readout.name for readout in net.readouts}
    steps = sum(entry.updates for name, entry in counts.populations.items() if name not in read)
    return {
        "footprint": bits / 8 + 4 * words,
        "connection_sparsity": zeros / weights if weights else 0.0,
        "activation_sparsity": 1 - counts.spikes / steps if steps else 1.0,
        **{key.lower(): value for key, value in values.items()},
    }


def _width(node: Synapse) -> int:
    """Bits of the largest mantissa."""
    return signed_bits(int(node.narrow_mantissas.min(initial=0)), int(node.narrow_mantissas.max(initial=0)))


def operations(seen: Seen) -> tuple[dict[str, float], list[str]]:
    """Non-zero inputs x non-zero weights; a layer counts as AC in a step where all its inputs are -1, 0 or 1.

    A layer behind a pool sees sums, of which only a raster tells how many are not zero: without one the events of the
    pooled neurons stand for them.
    """
    counts = seen.counts
    effective = {"Effective_ACs": 0, "Effective_MACs": 0}
    notes = ["NeuroBench leaves out zero weights in the effective numbers, as `synops_nonzero` does here"]
    for layer in seen.layers:
        calls = None if layer.from_input else seen.entering(layer.node, layer.origins)
        if calls is not None:
            for acs, number in _calls(layer, calls):
                effective["Effective_ACs" if acs else "Effective_MACs"] += number
            continue
        many = layer.from_input or layer.multiplied or layer.window > 1 or layer.chained
        effective["Effective_MACs" if many else "Effective_ACs"] += layer.counts.synops_nonzero
    if any(layer.window > 1 for layer in seen.layers):
        notes.append("it takes each non-zero pooled value for one operation, here each event of a pooled neuron is one")
        if seen.missing:
            notes.append(f"{seen.missing} pooled events stand in for its non-zero pooled values")
    dense = sum(layer.counts.dense_macs for layer in seen.layers) * counts.steps
    return {**{key: total / counts.images for key, total in effective.items()}, "Dense": float(dense)}, notes


def _calls(layer: Layer, calls: Iterator[npt.NDArray[np.float64]]) -> Iterator[tuple[bool, int]]:
    """(whether accumulations, operations over the images) of every step of a layer fed by neurons."""
    fan = layer.node.fan_out(layer.node.nonzero())
    for values in calls:
        yield bool(np.abs(values).max(initial=0) <= 1), int(((values != 0).sum(axis=0) * fan).sum())
