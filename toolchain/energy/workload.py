"""What a chip has to do per image: exact counts turned into the charged quantities of an energy model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from spikec.energy.counts import Counts, SynapseCounts
from spikec.energy.sampling import Samples, bootstrap_means
from spikec.errors import ToolchainError
from spikec.ir.graph import IntegerGraph
from spikec.ir.walks import latency_steps, layers_reached
from spikec.simulation.trace import Trace
from spikec.words import option

FirstLayer = Literal["bias_current", "direct_mac", "direct_mac_every_step", "host_encoded", "event_camera"]
#: Those in which what is not 0 enters as events, step by step.
OF_EVENTS: tuple[FirstLayer, ...] = ("event_camera", "host_encoded")
_BATCH = 1 << 22  # neuron counts converted to float64 at a time


@dataclass(frozen=True)
class LayerWork:
    """One layer of neurons with the synapses in front of it, per image: float64 [1] or [draws].

    ``synops`` as the chip charges them, split by whether the layer shares its weights, as a convolution, or holds one
    for every connection, as an affine map; ``input_synops``: the part of them that the input causes; ``direct``:
    events over connections without weights. ``dense_macs`` of the ANN's layer, ``input_macs`` those of them fed by the
    input; ``inputs``: values its synapses read. ``targets``: neuron layers its own spikes go to.
    """

    name: str
    neurons: int
    synops_convolution: Samples
    synops_affine: Samples
    input_synops: float
    direct: Samples
    spikes: Samples
    received: Samples
    weights: int
    inputs: int
    dense_macs: int
    input_macs: int
    targets: tuple[str, ...]

    @property
    def synops(self) -> Samples:
        return self.synops_convolution + self.synops_affine + self.direct


@dataclass(frozen=True)
class Workload:
    """All layers; ``steps`` per image at full throughput, ``latency_steps`` from first input to the last output."""

    layers: tuple[LayerWork, ...]
    steps: int
    latency_steps: int
    first_layer: FirstLayer
    host_macs: int


def check_first_layer(mode: str) -> FirstLayer:
    if mode not in get_args(FirstLayer):
        raise ToolchainError(
            f"{option('first_layer', mode)} is not known; choose one of {', '.join(get_args(FirstLayer))}"
        )
    return mode  # type: ignore[return-value]


def first_layer_synops(counts: Counts, synapse: SynapseCounts, mode: FirstLayer, nonzero_only: bool) -> float:
    """SynOps per image the chip does for what enters from the input.

    ``bias_current``: none, the host computes the layer once and sets a bias (Loihi netx); ``direct_mac``: one dense
    pass, kept; ``direct_mac_every_step``: one at every step; ``host_encoded`` and ``event_camera``: pixels are events.
    """
    dense = synapse.dense_macs_nonzero if nonzero_only else synapse.dense_macs
    if mode == "bias_current" or not synapse.input_fed:
        return 0.0
    if mode == "direct_mac":
        return float(dense)
    if mode == "direct_mac_every_step":
        return float(dense * counts.input_steps)
    return (synapse.input_synops_nonzero if nonzero_only else synapse.input_synops) / counts.images


def workload(
    graph: IntegerGraph,
    trace: Trace,
    counts: Counts,
    *,
    first_layer: FirstLayer,
    nonzero_only: bool,
    draws: int,
    rng: np.random.Generator,
) -> tuple[Workload, Workload]:
    """(means over images, bootstrap samples [draws] of those means) of what the chip does per image."""
    columns, values = _per_image(graph, trace, counts, nonzero_only)
    mean = values.mean(axis=0, keepdims=True)
    return tuple(  # type: ignore[return-value]
        _assemble(graph, counts, columns, table, first_layer, nonzero_only)
        for table in (mean, bootstrap_means(values, draws, rng))
    )


def _per_image(graph: IntegerGraph, trace: Trace, counts: Counts, nonzero_only: bool) -> tuple[list[str], Samples]:
    """Columns: events of every population, then SynOps from spikes of every synapse node; float64 [images, columns].

    Sums stay far below 2**53 per image, so float64 holds them exactly. A trace may hold them already
    (:class:`spikec.energy.by_image.ByImage`). One that kept sums over the images only
    gives one row, their mean, and no spread.
    """
    names = [p.name for p in graph.populations] + [s.name for s in graph.synapses]
    if trace.image_events:
        synops = trace.image_synops_nonzero if nonzero_only else trace.image_synops
        own = [trace.image_events[p.name] for p in graph.populations] + [synops[s.name] for s in graph.synapses]
        return names, np.stack(own, axis=1).astype(np.float64)
    column = {name: index for index, name in enumerate(names)}
    per_image = all(p.name in trace.events for p in graph.populations)
    rows = trace.images if per_image else 1
    table = np.zeros((rows, len(names)))
    for population in graph.populations:
        maps = counts.fan_out[population.name]
        fans = [np.ones(population.shape)] + [m.nonzero if nonzero_only else m.synapses for m in maps.values()]
        matrix = np.stack([fan.reshape(-1) for fan in fans], axis=1).astype(np.float64)
        targets = [column[population.name]] + [column[name] for name in maps]
        source = trace.events[population.name] if per_image else trace.event_totals[population.name] / trace.images
        events = source.reshape(rows, -1)
        batch = max(1, _BATCH // events.shape[1])
        for start in range(0, rows, batch):
            part = events[start : start + batch].astype(np.float64) @ matrix
            table[start : start + batch, targets] += part
    return names, table


def _assemble(
    graph: IntegerGraph,
    counts: Counts,
    columns: list[str],
    table: Samples,
    first_layer: FirstLayer,
    nonzero_only: bool,
) -> Workload:
    per_image = {name: table[:, index] for index, name in enumerate(columns)}
    zero = np.zeros(table.shape[0])
    home = {s.name: _first_layer_reached(graph, s.name) for s in graph.synapses}
    shared = {s.name: s.shares_weights for s in graph.synapses}
    work = []
    for layer in graph.layers:
        into = [counts.synapses[name] for name, reached in home.items() if reached == layer.name]
        from_input = {s.name: first_layer_synops(counts, s, first_layer, nonzero_only) for s in into}
        charged = {s.name: per_image[s.name] + from_input[s.name] for s in into}
        entry = counts.populations[layer.name]
        direct = zero + entry.direct_synops / counts.images
        received = sum(charged.values(), direct)
        work.append(
            LayerWork(
                name=layer.name,
                neurons=entry.neurons,
                synops_convolution=sum((charged[s.name] for s in into if shared[s.name]), zero),
                synops_affine=sum((charged[s.name] for s in into if not shared[s.name]), zero),
                input_synops=sum(from_input.values()),
                direct=direct,
                spikes=per_image.get(layer.name, zero),
                received=np.minimum(received, entry.updates / counts.images),
                weights=sum(s.weights_nonzero if nonzero_only else s.weights for s in into),
                inputs=sum(s.inputs for s in into),
                dense_macs=sum(s.dense_macs for s in into),
                input_macs=sum(s.dense_macs for s in into if s.input_fed),
                targets=tuple(sorted(layers_reached(graph, layer.name))),
            )
        )
    calibration = sum(p.neuron.rehearsal for p in graph.populations)
    host = sum(s.dense_macs for s in counts.synapses.values() if s.input_fed) if first_layer == "bias_current" else 0
    return Workload(tuple(work), counts.steps + calibration, latency_steps(graph), first_layer, host)


def _first_layer_reached(graph: IntegerGraph, name: str) -> str:
    reached = layers_reached(graph, name)
    return next(node.name for node in graph if node.name in reached)
