"""Exact operation counts of an execution: integers from the integer graph and a :class:`Trace`, nothing sampled.

An *event* is a non-zero emission of a neuron in one step (a spike of either sign, or a graded payload) or a non-zero
pixel applied in one step. A *SynOp* is one event meeting one existing synapse: taps on the padding do not exist. This
is the convention of NeuroBench's dense and effective synaptic operations (Yik et al., 2025); ``synops_nonzero`` leaves
out zero quantised weights, as Loihi 2 silicon does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from spikec.energy.fanout import FanOut, direct_fan_outs, fan_outs
from spikec.errors import DataError
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.operations import Synapse
from spikec.ir.pools import image_pools
from spikec.ir.types import Int64
from spikec.simulation.trace import Trace


@dataclass(frozen=True)
class SynapseCounts:
    """One synapse node. Event counts are totals over images and steps; the rest is per network.

    ``kind``: the word for its operation. ``synops``, ``synops_nonzero``, ``events`` count whatever feeds the node;
    pixels of the input count as events at every step. ``input_*``: the part that comes from the input, which the energy
    model charges by its first layer mode (``input_fed``: there is such a part). ``mac``: SynOps that need a
    multiplication (input pixels, payloads); ``acc``: additions. ``dense_macs``: number of synapses, which is the
    multiply-accumulates of one pass of the ANN without those on the padding; ``padded_macs``: with them (as usual
    profilers count). ``bias_adds``: total over images and steps.
    """

    name: str
    kind: str
    synops: int
    synops_nonzero: int
    events: int
    mac: int
    input_synops: int
    input_synops_nonzero: int
    input_events: int
    input_fed: bool
    dense_macs: int
    dense_macs_nonzero: int
    padded_macs: int
    weights: int
    weights_nonzero: int
    bias_adds: int
    inputs: int
    outputs: int

    @property
    def acc(self) -> int:
        return self.synops - self.mac

    @property
    def synop_kind(self) -> Literal["acc", "mac"]:
        return "mac" if self.mac else "acc"


@dataclass(frozen=True)
class PopulationCounts:
    """One layer of neurons (or the readout, which emits nothing). Totals over images and steps.

    ``kind``: name of its neurons. ``updates``: neuron-steps; ``spikes_out``: non-zero emissions; ``direct_synops``:
    events that arrive over connections without weights (identities, pools); ``payload_bits``: bits of one message
    besides its address, as many as the largest number it can carry needs (0 if that is 1), and one for a sign;
    ``dead``: neurons that never emitted; ``saturated``: those that emitted at every step of every image.
    """

    name: str
    kind: str
    neurons: int
    updates: int
    spikes_out: int
    direct_synops: int
    payload_bits: int
    dead: int
    saturated: int

    @property
    def rate(self) -> float:
        """Emissions per neuron and step."""
        return self.spikes_out / self.updates if self.updates else 0.0


@dataclass(frozen=True)
class Counts:
    """Counts of N images. ``steps``: steps in which every layer emits, per image; ``input_steps``: in which the
    input is applied. ``fan_out[origin][synapse]`` are the maps behind the SynOps, ``events`` the events of every
    neuron, summed over images and steps."""

    images: int
    timesteps: int
    steps: int
    input_steps: int
    synapses: dict[str, SynapseCounts]
    populations: dict[str, PopulationCounts]
    fan_out: dict[str, dict[str, FanOut]] = field(repr=False)
    events: dict[str, Int64] = field(repr=False)

    @property
    def synops(self) -> int:
        return sum(s.synops for s in self.synapses.values())

    @property
    def synops_nonzero(self) -> int:
        return sum(s.synops_nonzero for s in self.synapses.values())

    @property
    def dense_macs(self) -> int:
        return sum(s.dense_macs for s in self.synapses.values())

    @property
    def spikes(self) -> int:
        return sum(p.spikes_out for p in self.populations.values())

    @property
    def updates(self) -> int:
        return sum(p.updates for p in self.populations.values())

    @property
    def neurons(self) -> int:
        return sum(p.neurons for p in self.populations.values())


def count(graph: IntegerGraph, trace: Trace) -> Counts:
    """Exact counts of ``trace``, an execution of ``graph``; ``DataError`` when the two do not belong together."""
    graph = graph.lasting(trace.timesteps) if graph.sequences else graph
    _check(graph, trace)
    steps = graph.emission_steps
    applied = 1 if graph.sequences else graph.constant_steps  # a trace of sequences counts every frame
    totals = {p.name: _event_totals(p, trace) for p in graph.populations}
    assert trace.input_events is not None
    totals[graph.input.name] = trace.input_events.astype(np.int64) * applied
    for pool in image_pools(graph):
        totals[pool.name] = trace.pooled_events[pool.name].astype(np.int64) * applied
    maps: dict[str, dict[str, FanOut]] = {name: {} for name in totals}
    synapses = {}
    for node in graph.synapses:
        reach = fan_outs(graph, node)
        for origin, value in reach.items():
            maps[origin][node.name] = value
        synapses[node.name] = _synapse(graph, node, reach, totals, _all_steps(graph, trace, graph.constant_steps))
    possible = _all_steps(graph, trace, steps)
    populations = {node.name: _population(graph, node, totals, possible) for node in graph.layers}
    return Counts(trace.images, graph.timesteps, steps, applied, synapses, populations, maps, totals)


def _all_steps(graph: IntegerGraph, trace: Trace, steps: int) -> int:
    """Steps of all images together, ``steps`` each; those of sequences as far as they go."""
    return steps * trace.images if trace.steps is None else int(trace.steps.sum())


def _check(graph: IntegerGraph, trace: Trace) -> None:
    ran, runs = (trace.timesteps, trace.extra_steps), (graph.timesteps, graph.emission_steps - graph.timesteps)
    if trace.timesteps and ran != runs:  # 0: a trace made by hand, which does not state it
        raise DataError(
            f"the trace ran {ran[0]} steps and {ran[1]} beyond, the graph runs {runs[0]} and {runs[1]}; "
            "pass the graph the trace was made with"
        )
    if trace.steps is not None and not graph.sequences:
        raise DataError("images of this trace stopped early, but counts need all steps: run without early exit")
    if trace.input_events is None:
        raise DataError(
            "the trace holds no input events, so the first layer cannot be counted; use the trace of simulate()"
        )
    lacking = [pool.name for pool in image_pools(graph) if pool.name not in trace.pooled_events]
    if lacking:
        raise DataError(f"the trace holds no events of the pooled image {lacking[0]!r}; use the trace of simulate()")
    if tuple(trace.input_events.shape) != graph.input.shape:
        raise DataError(
            f"the trace's input has shape {tuple(trace.input_events.shape)}, the graph's {graph.input.shape}; "
            "pass the graph the trace was made with"
        )


def _event_totals(population: Population, trace: Trace) -> npt.NDArray[np.int64]:
    """Events of every neuron, summed over the images; works for a trace that kept only these sums too."""
    name = population.name
    if name in trace.event_totals:
        totals = trace.event_totals[name]
    elif name in trace.events:
        totals = trace.events[name].sum(axis=0, dtype=np.int64)
    else:
        totals = np.empty(0, np.int64)
    if totals.shape != population.shape:
        raise DataError(
            f"the trace has no events of layer {name!r} with shape {population.shape}; "
            "pass the graph the trace was made with"
        )
    return totals


def _charged(totals: npt.NDArray[np.int64], fan: Int64) -> int:
    """Sum of events x fan-out as a Python integer, exact beyond 64 bits."""
    product = totals.reshape(-1) @ fan.reshape(-1)
    if float(totals.sum()) * float(fan.max(initial=0)) >= 2**63:
        return sum(int(a) * int(b) for a, b in zip(totals.flat, fan.flat, strict=True))
    return int(product)


def _synapse(
    graph: IntegerGraph, node: Synapse, reach: dict[str, FanOut], totals: dict[str, Int64], bias_steps: int
) -> SynapseCounts:
    per_origin = {
        origin: tuple(_charged(totals[origin], m) for m in (fan.synapses, fan.nonzero, fan.entering))
        for origin, fan in reach.items()
    }
    pixels = [values for origin, values in per_origin.items() if not isinstance(graph.nodes[origin], Population)]
    from_input = [sum(values[i] for values in pixels) for i in range(3)]
    synops, synops_nonzero, events = (sum(values[i] for values in per_origin.values()) for i in range(3))
    mac = sum(values[0] for origin, values in per_origin.items() if _multiplies(graph, origin))
    every, stored = node.structure(), node.nonzero()
    outputs = int(np.prod(node.output_shape))
    biased = np.count_nonzero(node.bias) * (outputs // len(node.bias))
    return SynapseCounts(
        name=node.name,
        kind=node.word,
        synops=synops,
        synops_nonzero=synops_nonzero,
        events=events,
        mac=mac,
        input_synops=from_input[0],
        input_synops_nonzero=from_input[1],
        input_events=from_input[2],
        input_fed=bool(pixels),
        dense_macs=int(node.fan_out(every).sum()),
        dense_macs_nonzero=int(node.fan_out(stored).sum()),
        padded_macs=node.padded_macs,
        weights=int(every.sum()),
        weights_nonzero=int(stored.sum()),
        bias_adds=int(biased) * bias_steps,
        inputs=int(np.prod(node.input_shape)),
        outputs=outputs,
    )


def _multiplies(graph: IntegerGraph, origin: str) -> bool:
    node = graph.nodes[origin]
    return not isinstance(node, Population) or node.neuron.multiplied  # pixels, or payloads


def _population(
    graph: IntegerGraph, node: Population | Readout, totals: dict[str, Int64], possible: int
) -> PopulationCounts:
    """``possible``: steps of all images together."""
    neurons = int(np.prod(node.shape))
    direct = sum(_charged(totals[origin], fan) for origin, fan in direct_fan_outs(graph, node).items())
    if isinstance(node, Readout):
        return PopulationCounts(node.name, "integrator", neurons, neurons * possible, 0, direct, 0, 0, 0)
    events = totals[node.name]
    return PopulationCounts(
        name=node.name,
        kind=node.neuron.name,
        neurons=neurons,
        updates=neurons * possible,
        spikes_out=int(events.sum()),
        direct_synops=direct,
        payload_bits=node.neuron.payload_bits,
        dead=int((events == 0).sum()),
        saturated=int((events == possible).sum()),
    )
