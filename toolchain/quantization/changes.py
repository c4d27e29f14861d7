"""What rounding a network that runs on sequences to integers changes."""

from __future__ import annotations

import numpy as np

import spikec.ir as ig
from spikec.conversion.from_nir.running import FloatRun
from spikec.conversion.from_nir.sequences import SequenceNetwork
from spikec.ir.leak import UNIT
from spikec.quantization.kernels import Float64
from spikec.simulation import simulate


def changed(network: SequenceNetwork, graph: ig.IntegerGraph, sequences: Float64, seen: FloatRun) -> tuple[int, float]:
    """Neuron-steps in which the integers fire and the float network does not, or the other way round. Where those are
    equal, as for few spikes or for a readout, what decides is how far membranes are off, in thresholds, and the output,
    in its own mean size."""
    found = simulate(graph, sequences, record="membranes")
    spikes, size = 0, float(np.abs(seen.output[:, -1]).mean())
    off = float(np.abs(found.logits - seen.output[:, -1]).mean()) / size if size else 0.0
    for name, raster in seen.spikes.items():
        spikes += int(((found.spikes[name] == 1) != raster).sum())
        neurons, node = network.neurons[name], graph.nodes[name]
        assert isinstance(node, ig.Population)
        assert neurons.threshold is not None
        real = (seen.membranes[name] - neurons.reset) / (neurons.threshold - neurons.reset)
        off += float(np.abs(found.membranes[name] / (UNIT * node.theta) - real).mean())
    return spikes, off
