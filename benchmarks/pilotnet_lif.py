"""Counts of the PilotNet LIF benchmark of lava-dl, simulated from its published weights.

Intel measured this network on Loihi 2 (lava-dl, tutorials/lava/lib/dl/netx/pilotnet_snn/benchmark.ipynb); the weights
lie beside the notebook as ``network.net``. In the published run the input layer is silent, so biases drive everything.
Rule per step: every layer reads what the layer before emitted in the step before; membranes decay by
``(4096 - vDecay) / 4096`` towards zero, a neuron above ``64 * vThMant`` fires and returns to 0, and every 16 steps a
layer's membranes are cleared.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch

from spikec.energy import SynapseCounts, count
from spikec.ir import Affine, Convolution, Flatten, InputNode, IntegerGraph, Node, Population, Readout, Synapse
from spikec.ir.kinds import IF
from spikec.simulation.trace import Trace

PERIOD = 16
PERIODS = 14
COUNTED = 8  # the last periods, in equilibrium


@dataclass(frozen=True)
class Measured:
    """Averages per step over the counted periods."""

    neurons: dict[str, int]
    spikes: dict[str, float]
    synapses: dict[str, SynapseCounts]
    steps: int


def load(path: Path) -> tuple[IntegerGraph, dict[str, tuple[int, int]]]:
    """The network as an integer graph, and (vDecay, vThMant) of every population."""
    nodes: list[Node] = []
    neurons = {}
    with h5py.File(path, "r") as file:
        layers = [file["layer"][str(i)] for i in range(len(file["layer"]))]
        shape = tuple(int(n) for n in layers[0]["shape"][()])
        nodes.append(InputNode("input", shape, "uint8", 1.0))
        for index, layer in enumerate(layers[1:], start=1):
            kind, last = layer["type"][0].decode(), nodes[-1]
            if kind == "flatten":
                nodes.append(Flatten("flatten", (last.name,), shape, (int(np.prod(shape)),)))
                shape = (int(np.prod(shape)),)
                continue
            weight, bias = layer["weight"][()].astype(np.int64), layer["bias"][()].astype(np.int64)
            name = f"{kind}{index if kind == 'conv' else index - 1}"
            if kind == "conv":
                out = tuple(int(n) for n in layer["shape"][()])
                geometry = [(int(layer[key][0]), int(layer[key][1])) for key in ("stride", "padding", "dilation")]
                groups = int(layer["groups"][()])
                nodes.append(Convolution(name, (last.name,), shape, out, weight, bias, *geometry, groups))
            elif kind == "dense":
                out = (len(bias),)
                nodes.append(Affine(name, (last.name,), shape, out, weight.reshape(len(bias), -1), bias))
            else:
                raise SystemExit(f"{path}: a layer of type {kind!r} is not in this benchmark")
            shape = out
            neurons[f"{name}.lif"] = (int(layer["neuron"]["vDecay"][()]), int(layer["neuron"]["vThMant"][()]))
            theta = np.full(shape, 64 * int(layer["neuron"]["vThMant"][()]), dtype=np.int64)
            nodes.append(Population(f"{name}.lif", (name,), shape, IF(), theta, np.zeros(shape, dtype=np.int64)))
    nodes.append(Readout("readout", (nodes[-1].name,), shape, np.zeros(shape, dtype=np.int64), 1.0))
    return IntegerGraph({node.name: node for node in nodes}, PERIOD, "pipelined"), neurons


def simulate(path: Path) -> Measured:
    """Run 14 periods of 16 steps and count the last 8."""
    graph, neurons = load(path)
    layers = graph.populations
    spikes = {p.name: torch.zeros(p.shape, dtype=torch.float64) for p in layers}
    membranes = {p.name: torch.zeros(p.shape, dtype=torch.float64) for p in layers}
    events = {p.name: np.zeros(p.shape, dtype=np.int64) for p in layers}
    for step in range(PERIOD * PERIODS):
        before = dict(spikes)
        for index, layer in enumerate(layers):
            synapse = graph.nodes[layer.sources[0]]
            assert isinstance(synapse, Synapse)
            decay, threshold = neurons[layer.name]
            v = membranes[layer.name]
            if (step - (index + 4)) % PERIOD == 0:
                v = torch.zeros_like(v)
            bias = torch.from_numpy(synapse.bias).double()
            current = bias.reshape(-1, *[1] * (len(layer.shape) - 1)).expand(layer.shape)
            if index > 0:
                source = before[layers[index - 1].name]
                # float64 holds these integers exactly
                current = current + synapse.apply(source.reshape(1, *synapse.input_shape))[0]
            v = torch.trunc(v * (4096 - decay) / 4096) + 64 * current
            fired = v > 64 * threshold
            membranes[layer.name] = torch.where(fired, 0.0, v)
            spikes[layer.name] = fired.double()
            if step >= PERIOD * (PERIODS - COUNTED):
                events[layer.name] += fired.numpy()
    steps = PERIOD * COUNTED
    output = np.zeros((COUNTED, 1), dtype=np.int64)
    trace = Trace(
        {"output": output},
        {"output": 1.0},
        {},
        {},
        input_events=np.zeros(graph.input.shape, np.int32),
        timesteps=PERIOD,
        event_totals=events,
    )
    return Measured(
        neurons={p.name: int(np.prod(p.shape)) for p in layers},
        spikes={name: float(total.sum()) / steps for name, total in events.items()},
        synapses=count(graph, trace).synapses,
        steps=steps,
    )
