"""How the rates of the neurons of each layer are spread."""

from __future__ import annotations

import numpy as np

from spikec.energy.counts import Counts
from spikec.ir.graph import IntegerGraph
from spikec.reporting.details import Rates

_BINS = 20


def rates(graph: IntegerGraph, counts: Counts) -> tuple[Rates, ...]:
    """One for each population, over the steps in which it may fire. All have one axis, so that layers can be compared:
    from 0 to 1, or to the largest rate where neurons fire more often than once a step."""
    found = {}
    for population in graph.populations:
        counted = counts.populations[population.name]
        steps = counted.updates // counted.neurons
        if steps:
            found[population.name] = counts.events[population.name].reshape(-1) / steps
    highest = max([1.0, *(float(each.max()) for each in found.values())])
    edges = np.linspace(0.0, highest, _BINS + 1)
    return tuple(
        Rates(
            layer=name,
            edges=tuple(map(float, edges)),
            counts=tuple(map(int, np.histogram(each, bins=edges)[0])),
            silent=int((each == 0).sum()),
        )
        for name, each in found.items()
    )
