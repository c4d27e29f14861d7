"""The numbers that the emissions of a run convey."""

from __future__ import annotations

import numpy as np

import spikec.ir as ig
from spikec.errors import DataError
from spikec.ir.types import Int64
from spikec.simulation.trace import Trace


def levels_sent(graph: ig.IntegerGraph, population: ig.Population, trace: Trace) -> Int64:
    """What each neuron of ``population`` sent, int64 [N, *shape]: net emissions, or the number they write where steps
    have different place values. Raises ``DataError`` where that needs a raster and the trace has none."""
    kind, name = population.neuron, population.name
    if not kind.weighted:
        return trace.counts[name].astype(np.int64)
    if name not in trace.spikes:
        raise DataError(f"{name}: emissions of {kind.name} neurons differ in value by step; record the spikes")
    emissions = np.moveaxis(trace.spikes[name], 1, 0)
    total = np.zeros(emissions.shape[1:], dtype=np.int64)
    for step, emitted in enumerate(emissions):
        total += kind.place_value(step, graph.timesteps) * emitted.astype(np.int64)
    return total
