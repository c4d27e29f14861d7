"""What an energy interval needs of each image, in place of the counts of every neuron: sums, exact and small."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikec.energy.fanout import fan_outs
from spikec.ir.graph import IntegerGraph, Population
from spikec.ir.types import Int64
from spikec.simulation.trace import Trace

#: Neuron counts that are multiplied at a time.
_BATCH = 1 << 22


class ByImage:
    """Sums up traces of ``graph`` image by image; made once for many batches."""

    def __init__(self, graph: IntegerGraph) -> None:
        self._graph = graph
        self._reached: dict[str, list[tuple[str, Int64, Int64]]] = {p.name: [] for p in graph.populations}
        for node in graph.synapses:
            for origin, fan in fan_outs(graph, node).items():
                if isinstance(graph.nodes[origin], Population):
                    self._reached[origin].append((node.name, fan.synapses, fan.nonzero))

    def __call__(self, trace: Trace) -> Trace:
        """``trace``, which holds counts per image, with ``image_events``, ``image_synops`` and ``image_synops_nonzero``
        in their place; sums over the images are kept."""
        images = trace.images
        events = {p.name: np.zeros(images, np.int64) for p in self._graph.populations}
        synops = {node.name: np.zeros(images, np.int64) for node in self._graph.synapses}
        nonzero = {node.name: np.zeros(images, np.int64) for node in self._graph.synapses}
        for name, reached in self._reached.items():
            every = trace.events[name].reshape(images, -1)
            ones = np.ones(every.shape[1], np.int64)
            columns = [(events[name], ones)]
            columns += [(synops[node], fan.reshape(-1)) for node, fan, _ in reached]
            columns += [(nonzero[node], fan.reshape(-1)) for node, _, fan in reached]
            matrix = np.stack([fan for _, fan in columns], axis=1).astype(np.float64)
            batch = max(1, _BATCH // max(every.shape[1], 1))
            for start in range(0, images, batch):
                part = slice(start, start + batch)
                sums = every[part].astype(np.float64) @ matrix  # far below 2^53 for one image, so exact
                for column, (total, _) in enumerate(columns):
                    total[part] += sums[:, column].astype(np.int64)
        return replace(
            trace, counts={}, events={}, image_events=events, image_synops=synops, image_synops_nonzero=nonzero
        )


__all__ = ["ByImage"]
