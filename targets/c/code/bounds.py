"""How large the sums of the generated code can get, partial sums included, whatever the image.

The golden model's ranges bound what arrives in all; here every part is bounded as this code adds it up: source by
source, the part of the image apart from the part of the spikes, and in any order within a part. An emission may always
be 0, so a sum that is not complete yet is one that some other emissions would give: it lies between the ends of the
interval, or between one of them and 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikec.analysis.ranges import Ranges, bounds
from spikec.errors import RangeError
from spikec.ir.coding import InputNode
from spikec.ir.graph import Delayed, IntegerGraph, Node, Population
from spikec.ir.integers import ADDABLE
from spikec.ir.operations import MaxPool, Operation, Synapse
from spikec.ir.types import Int64

Ends = tuple[Int64, Int64]


@dataclass(frozen=True)
class Part:
    """Lowest and highest number of each place, 0 included."""

    lowest: Int64
    highest: Int64

    @classmethod
    def of(cls, low: int, high: int, shape: tuple[int, ...]) -> Part:
        return cls(np.full(shape, min(low, 0), np.int64), np.full(shape, max(high, 0), np.int64))

    @property
    def low(self) -> int:
        return int(self.lowest.min())

    @property
    def high(self) -> int:
        return int(self.highest.max())

    def __add__(self, other: Part) -> Part:
        """Raises ``RangeError`` beyond 62 bits, where two of them could no longer be added."""
        found = Part(self.lowest + other.lowest, self.highest + other.highest)
        if max(-found.low, found.high) >= ADDABLE:
            raise RangeError(f"a sum may reach {max(-found.low, found.high):.3g}, beyond 62 bits; use smaller weights")
        return found


class Bounds:
    """Of each node what it sends in one step (layerwise: in all), ``driven`` by spikes or frames and by the constant
    ``image``, both without biases; ``biases``: what the biases of operations add up to, [*shape] of each node that any
    reaches. For populations and readouts the three are what arrives."""

    def __init__(self, graph: IntegerGraph, every_step: bool) -> None:
        """``every_step``: what the network reads drives it like spikes."""
        self.ranges: Ranges = bounds(graph)
        self.driven: dict[str, Part] = {}
        self.image: dict[str, Part] = {}
        self.biases: dict[str, Int64] = {}
        self._graph, self._every_step = graph, every_step
        for node in graph:
            self._enter(node)

    def _enter(self, node: Node) -> None:
        graph = self._graph
        if isinstance(node, InputNode):
            into = self.driven if self._every_step else self.image
            into[node.name] = Part.of(node.low, node.high, node.shape)
            return
        if isinstance(node, Delayed):
            of = graph.nodes[node.of]
            assert isinstance(of, Population | InputNode)  # the rules of the profile
            self.driven[node.name] = self.sent(of)
            return
        for known in (self.driven, self.image):
            parts = [
                self._through(node, self._sent(known, source)) for source in node.sources if self._has(known, source)
            ]
            if parts:
                known[node.name] = sum(parts[1:], parts[0])
        self._add_biases(node)

    def _has(self, known: dict[str, Part], source: str) -> bool:
        node = self._graph.nodes[source]
        return known is self.driven if isinstance(node, Population) else source in known

    def _sent(self, known: dict[str, Part], source: str) -> Part:
        node = self._graph.nodes[source]
        return self.sent(node) if isinstance(node, Population) else known[source]

    def sent(self, node: Population | InputNode) -> Part:
        """What a population emits in one step, layerwise in all; what a frame holds."""
        if isinstance(node, InputNode):
            return Part.of(node.low, node.high, node.shape)
        if self._graph.schedule == "layerwise":
            steps = self._graph.timesteps
            return Part.of(node.neuron.least(steps), node.neuron.reach(steps), node.shape)
        return Part.of(*node.neuron.emission, node.shape)

    @staticmethod
    def _through(node: Node, part: Part) -> Part:
        if not isinstance(node, Operation):
            return part
        low, high, _ = node.interval(part.lowest, part.highest)
        return Part(np.minimum(low, 0), np.maximum(high, 0))

    def _add_biases(self, node: Node) -> None:
        fires = {p.name for p in self._graph.populations}
        parts = [self.biases[s] for s in node.sources if s in self.biases and s not in fires]
        total = sum(parts[1:], parts[0]) if parts else None
        if isinstance(node, MaxPool) or not isinstance(node, Operation):
            if total is not None:
                self.biases[node.name] = total
            return
        if total is not None:
            total = node.interval(total, total)[0]
        if isinstance(node, Synapse) and node.bias.any():
            total = node.spread_bias() if total is None else total + node.spread_bias()
        if total is not None:
            self.biases[node.name] = total

    def bias(self, node: Node) -> Int64:
        """What biases add to the input of a population or readout in one step, int64 [*shape]."""
        return self.biases.get(node.name, np.zeros(node.output_shape, np.int64))
