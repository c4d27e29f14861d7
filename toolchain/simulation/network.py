"""A graph prepared for execution: weights in their exact dtypes, biases pushed through linear chains once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

import torch
from torch import Tensor

from toolchain.errors import RangeError
from toolchain.ir.integer import Affine, Convolution, InputNode, IntegerGraph, Linear, Node, Population, Readout
from toolchain.ir.linear import apply_linear
from toolchain.quantization.ranges import Ranges
from toolchain.simulation.neurons import Currents, Parameters, Watch, emit_all, fire, integrate


@dataclass(frozen=True)
class Signal:
    """Output of a node for a chunk of N images.

    ``driven`` [S, N, *shape]: by spikes, per step (layerwise: S = 1, the number the emissions code). ``image``
    [N, *shape] or None: by the constant image, at every step. The part by biases is constant and kept by the network.
    """

    driven: Tensor | None = None
    image: Tensor | None = None


@dataclass(frozen=True)
class Emission:
    """What a population sent: ``raster`` [S, N, *shape] (pipelined) or ``value``/``counts`` [N, *shape] (layerwise)."""

    raster: Tensor | None = None
    value: Tensor | None = None
    counts: Tensor | None = None


@dataclass
class Result:
    """One chunk: emissions by population; the readout's membrane [S, N, classes] per step (layerwise: S = 1)."""

    emissions: dict[str, Emission] = field(default_factory=dict)
    readout: Tensor = field(default_factory=lambda: torch.empty(0))


class Network:
    """Executes chunks of images; ``watches`` gather membrane ranges over all of them."""

    def __init__(self, graph: IntegerGraph, ranges: Ranges, *, strict: bool) -> None:
        self.graph = graph
        self.watches = {n.name: Watch(n.name, strict) for n in graph if isinstance(n, Population | Readout)}
        self._pipelined = graph.schedule == "pipelined"
        self._bit_serial = any(p.kind == "bit_serial" for p in graph.populations)
        self._dtype = {n.name: _dtype(n, ranges) for n in graph}
        self._weight = {n.name: torch.from_numpy(n.weight).to(self._dtype[n.name]) for n in graph.synapses}
        self._parameters = {p.name: Parameters.of(p, self._dtype[p.name]) for p in graph.populations}
        self._last_use = {source: n.name for n in graph for source in n.sources}
        self._bias: dict[str, Tensor | None] = {}
        for node in graph:
            self._bias[node.name] = self._bias_of(node)

    @property
    def bytes_per_image(self) -> int:
        """Estimate of the largest working set of one image: what is alive around a node, doubled for workspace."""
        steps = self.graph.emission_steps if self._pipelined else 1
        alive: dict[str, int] = {}
        peak = 1
        for node in self.graph:
            size = int(torch.Size(node.output_shape).numel()) * self._dtype[node.name].itemsize
            alive[node.name] = size * steps
            peak = max(peak, sum(alive.values()))
            alive = {name: b for name, b in alive.items() if self._last_use.get(name) != node.name}
        return 2 * peak

    def run(self, integers: Tensor, first_image: int) -> Result:
        """Execute a chunk: ``integers`` int64 [N, *input shape]; ``first_image`` is its offset, for messages."""
        images = len(integers)
        signals: dict[str, Signal] = {}
        result = Result()
        for node in self.graph:
            if isinstance(node, InputNode):
                signals[node.name] = Signal(image=integers)
                continue
            arriving = self._gather(node, [signals[source] for source in node.sources])
            if isinstance(node, Population):
                emission = self._emit(node, arriving, images, first_image)
                result.emissions[node.name] = emission
                driven = emission.raster if emission.value is None else emission.value[None]
                signals[node.name] = Signal(driven=driven)
            elif isinstance(node, Readout):
                result.readout = self._read(node, arriving, images, first_image)
            else:
                signals[node.name] = self._apply(node, arriving)
            for source in node.sources:
                if self._last_use[source] == node.name:
                    del signals[source]
        return result

    def _gather(self, node: Node, sources: Sequence[Signal]) -> Signal:
        dtype = self._dtype[node.name]

        def total(parts: list[Tensor]) -> Tensor | None:
            return reduce(torch.add, (part.to(dtype) for part in parts)) if parts else None

        return Signal(
            total([s.driven for s in sources if s.driven is not None]),
            total([s.image for s in sources if s.image is not None]),
        )

    def _apply(self, node: Linear, x: Signal) -> Signal:
        weight = self._weight.get(node.name)
        driven = None
        if x.driven is not None:
            steps, images = x.driven.shape[:2]
            driven = apply_linear(node, x.driven.flatten(0, 1), weight).view(steps, images, *node.output_shape)
        return Signal(driven, None if x.image is None else apply_linear(node, x.image, weight))

    def _bias_of(self, node: Node) -> Tensor | None:
        """Bias at the output of a linear node, or at the input of a population or readout; [*shape]."""
        if isinstance(node, InputNode):
            return None
        dtype = self._dtype[node.name]
        parts = [b.to(dtype) for s in node.sources if (b := self._bias[s]) is not None and self._carries_bias(s)]
        total = reduce(torch.add, parts) if parts else None
        if isinstance(node, Population | Readout):
            return total
        if total is not None:
            total = apply_linear(node, total[None], self._weight.get(node.name))[0]
        if isinstance(node, Convolution | Affine):
            own = torch.from_numpy(node.bias).to(dtype).reshape(-1, *[1] * (len(node.output_shape) - 1))
            total = own.expand(node.output_shape) if total is None else total + own
        return total

    def _carries_bias(self, source: str) -> bool:
        return not isinstance(self.graph.nodes[source], Population)

    def _steady(self, node: Population | Readout, x: Signal) -> Tensor:
        """Image and bias current of one step, [N or 1, *shape]."""
        bias = self._bias[node.name]
        if bias is None:
            bias = torch.zeros(node.shape, dtype=self._dtype[node.name])
        return bias[None] if x.image is None else x.image + bias

    def _received(self, node: Population | Readout, x: Signal, images: int) -> Tensor:
        """Layerwise: the membrane after all T steps arrived; the constant part enters T times, bit-serial once."""
        times = 1 if self._bit_serial else self.graph.timesteps
        v = torch.from_numpy(node.v_init).to(self._dtype[node.name]) + times * self._steady(node, x)
        return (v if x.driven is None else v + x.driven[0]).expand(images, *node.shape).clone()

    def _emit(self, node: Population, x: Signal, images: int, first_image: int) -> Emission:
        parameters, watch = self._parameters[node.name], self.watches[node.name]
        steps = self.graph.emission_steps
        if self._pipelined:
            currents = Currents(x.driven, self._steady(node, x), steps, steps - self.graph.drain)
            raster = fire(parameters, currents, watch, images, first_image, self.graph.timesteps)
            return Emission(raster=raster)
        value, counts = emit_all(parameters, self._received(node, x, images), self.graph.timesteps, watch, first_image)
        return Emission(value=value, counts=counts)

    def _read(self, node: Readout, x: Signal, images: int, first_image: int) -> Tensor:
        if not self._pipelined:
            v = self._received(node, x, images)
            self.watches[node.name].see(v, first_image)
            return v[None]
        steps = self.graph.timesteps + self.graph.drain
        currents = Currents(x.driven, self._steady(node, x), steps, self.graph.timesteps)
        return integrate(node, currents, self.watches[node.name], images, first_image, self._dtype[node.name])


def _dtype(node: Node, ranges: Ranges) -> torch.dtype:
    """The cheapest dtype in which no partial sum of the node can be rounded."""
    magnitude = 255 if isinstance(node, InputNode) else ranges.magnitudes[node.name]
    if magnitude < 2**24:
        return torch.float32
    if magnitude < 2**53:
        return torch.float64
    if magnitude < 2**62:
        return torch.int64
    raise RangeError(f"{node.name}: a value may reach {magnitude}, beyond 62 bits; use fewer steps or smaller weights")
