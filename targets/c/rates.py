"""How often layers send something, as measured: layers that read many spikes are written in another way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from spikec.ir import IntegerGraph
from spikec.simulation import simulate


def rates(graph: IntegerGraph, batches: Iterable[Any]) -> dict[str, float]:
    """The share of emissions that are not zero, by population, over batches of images or sequences as the golden model
    takes them. Of a layerwise network: the share of neurons that send anything, since the code sends numbers there."""
    layerwise = graph.schedule == "layerwise"
    sent = {population.name: 0 for population in graph.populations}
    steps = 0
    for batch in batches:
        trace = simulate(graph, batch, counts=True if layerwise else "totals")
        every = 1 if layerwise else trace.timesteps + trace.extra_steps
        steps += trace.images * every if trace.steps is None else int(trace.steps.sum())
        for name in sent:
            sent[name] += int(np.count_nonzero(trace.counts[name]) if layerwise else trace.event_totals[name].sum())
    return {
        population.name: sent[population.name] / (steps * population.theta.size) for population in graph.populations
    }
