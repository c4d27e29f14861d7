"""What rounding a network that runs on sequences to integers changes."""

from __future__ import annotations

from collections.abc import Iterator

import nir
import numpy as np

import spikec.ir as ig
from spikec.conversion.from_nir.running import FloatRun
from spikec.conversion.from_nir.sequences import SequenceNetwork
from spikec.ir.leak import UNIT, UNITY
from spikec.quantization.kernels import Float64
from spikec.simulation import simulate
from spikec.simulation.input_warning import unsaid


def changed(network: SequenceNetwork, graph: ig.IntegerGraph, sequences: Float64, seen: FloatRun) -> tuple[int, float]:
    """Neuron-steps in which the integers fire and the float network does not, or the other way round. Where those are
    equal, as for few spikes or for a readout, what decides is how far membranes are off, in thresholds, and outputs,
    each in its own mean size."""
    with unsaid():  # the import has spoken of them
        found = simulate(graph, sequences, record="membranes")
    spikes, off = 0, 0.0
    for name, curve in seen.outputs.items():
        size = float(np.abs(curve[:, -1]).mean())
        off += float(np.abs(found.logits_of(name) - curve[:, -1]).mean()) / size if size else 0.0
    for name, raster in seen.spikes.items():
        spikes += int(((found.spikes[name] == 1) != raster).sum())
        neurons, node = network.neurons[name], graph.nodes[name]
        assert isinstance(node, ig.Population)
        assert neurons.threshold is not None
        real = (seen.membranes[name] - neurons.reset) / (neurons.threshold - neurons.reset)
        off += float(np.abs(found.membranes[name] / (UNIT * node.theta) - real).mean())
    return spikes, off


def lost(network: SequenceNetwork, graph: ig.IntegerGraph) -> Iterator[str]:
    """What no integer here can hold, so that the deployment is another network; one sentence each."""
    for name, neurons in network.neurons.items():
        kept = neurons.keep_u.max()
        if 1 - 0.5 / UNITY < kept < 1:
            yield (
                f"{name}: a current lasts {1 / (1 - kept):,.0f} steps, and the longest a neuron holds is {UNITY:,}: it "
                "fades sooner here"
            )
    for layer in graph.layers:
        name = (network.outputs[layer.output] or "") if isinstance(layer, ig.Readout) else layer.name
        if name in network.neurons and not (network.neurons[name].gain_u * network.neurons[name].gain_v).any():
            continue  # nothing that comes in counts in the file either
        for source in layer.sources:
            synapse, origin = graph.nodes[source], network.nodes.get(source)
            weight = origin.weight if isinstance(origin, nir.Affine | nir.Linear | nir.Conv1d | nir.Conv2d) else 0
            if isinstance(synapse, ig.Synapse) and not synapse.weight.any() and np.any(weight):
                yield f"{source}: all weights round to 0, they are tiny beside the thresholds they lead to"
