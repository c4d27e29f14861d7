"""What both ways of executing a graph share: the walk over its nodes, and what a chunk of images leaves behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch
from torch import Tensor

from toolchain.ir.integer import InputNode, IntegerGraph, Linear, Node, Population, Readout
from toolchain.simulation.neurons import Watch

Flow = TypeVar("Flow")


@dataclass(frozen=True)
class Emission:
    """What a population sent, in one of three forms.

    ``raster`` [S, N, *shape]: what it sent at each step; ``levels``: net count [N, *shape] after each step; ``value``
    [N, *shape]: layerwise, the number its emissions code (spikes, payload, or the binary number of ``bit_serial``).
    """

    raster: Tensor | None = None
    levels: Sequence[Tensor] | None = None
    value: Tensor | None = None


@dataclass
class Result:
    """One chunk: emissions by population; the readout's membrane [S, N, classes] per step (layerwise: S = 1)."""

    emissions: dict[str, Emission] = field(default_factory=dict)
    readout: Tensor = field(default_factory=lambda: torch.empty(0))


class Engine(ABC, Generic[Flow]):
    """Evaluates a graph node by node in topological order, all steps of a chunk at once, and forgets what no node needs
    any more. ``Flow`` is what an engine passes along an edge.
    """

    def __init__(self, graph: IntegerGraph) -> None:
        self.graph = graph
        self.pipelined = graph.schedule == "pipelined"
        self._last_use = {source: node.name for node in graph for source in node.sources}

    def run(self, integers: Tensor, watches: Mapping[str, Watch]) -> Result:
        """Execute ``integers`` int64 [N, *input shape], with a watch per population and readout."""
        images = len(integers)
        flows: dict[str, Flow] = {}
        result = Result()
        for node in self.graph:
            if isinstance(node, InputNode):
                flows[node.name] = self._input(integers)
                continue
            arriving = self._gather(node, [flows[source] for source in node.sources])
            if isinstance(node, Population):
                result.emissions[node.name], flows[node.name] = self._emit(node, arriving, images, watches[node.name])
            elif isinstance(node, Readout):
                result.readout = self._read(node, arriving, images, watches[node.name])
            else:
                flows[node.name] = self._apply(node, arriving)
            for source in node.sources:
                if self._last_use[source] == node.name:
                    del flows[source]
        return result

    @property
    @abstractmethod
    def bytes_per_image(self) -> int:
        """Estimate of the working set of one image."""

    @abstractmethod
    def _input(self, integers: Tensor) -> Flow: ...

    @abstractmethod
    def _gather(self, node: Node, flows: Sequence[Flow]) -> Flow:
        """Sum of the sources of ``node``."""

    @abstractmethod
    def _apply(self, node: Linear, x: Flow) -> Flow: ...

    @abstractmethod
    def _emit(self, node: Population, x: Flow, images: int, watch: Watch) -> tuple[Emission, Flow]: ...

    @abstractmethod
    def _read(self, node: Readout, x: Flow, images: int, watch: Watch) -> Tensor: ...


def channels_last(x: Tensor) -> Tensor:
    """Images [N, C, H, W] in channels-last memory, anything else unchanged."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x
