"""The fast path: a population as a quantiser of its accumulated input.

Write c(t) for the net spike count after step t and U(t) for v_init plus all input up to step t. Then v(t) = U(t) -
theta*c(t), so that m >= theta at step t means floor(U(t) / theta) > c(t-1), and m <= -1 means it is < c(t-1). With
q = clip(floor(U / theta), 0, T):

* ``if``: c(t) = clip(q(t), c(t-1), c(t-1) + 1);
* ``signed_if`` with negative threshold 1: c(t) = clip(q(t), c(t-1) - 1, c(t-1) + 1);
* layerwise ``if``, ``graded``, ``bit_serial``: the number emitted is q itself, clipped at T, L and 2**T - 1.

Counts are small non-negative integers, so layers exchange accumulated counts as u8, synapses run on 8-bit kernels, and
where a population reads one synapse, the kernel's output stage computes q. Membranes never exist here: this path serves
graphs whose ranges are proven to fit. Float32 enters only where :func:`supports` and ``_stage_of`` show it to be exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from toolchain.ir.integer import (
    Affine,
    Convolution,
    Flatten,
    Int64,
    IntegerGraph,
    Linear,
    Node,
    Population,
    Readout,
    SumPool,
)
from toolchain.ir.linear import apply_linear
from toolchain.quantization.ranges import Ranges
from toolchain.simulation.biases import bias_currents
from toolchain.simulation.emission import Emission, LevelRecord, Result, from_value, separate_events
from toolchain.simulation.int8 import Int8Synapse, exact_synapse
from toolchain.simulation.registers import Watch

_U8 = 255
_FLOAT32_EXACT = 2**24


def supports(graph: IntegerGraph, ranges: Ranges) -> bool:
    """Whether this path is exact for ``graph``: its neuron kinds, the 24-bit proof, and every sum below 2**24."""
    for node in graph.populations:
        if node.kind == "calibrated_if" or (node.theta_neg is not None and (node.theta_neg != 1).any()):
            return False
        top = top_level(graph, node)
        next_count = 1 if graph.schedule == "pipelined" else 0  # the limit count + 1 has to fit into u8 as well
        if top + next_count > _U8 or int(node.theta.max()) * (top + 1) >= _FLOAT32_EXACT:
            return False
    return ranges.fits and all(
        accumulated(graph, ranges, node) < _FLOAT32_EXACT for node in graph.nodes if node != graph.input.name
    )


def top_level(graph: IntegerGraph, node: Population) -> int:
    """Largest accumulated count, payload or binary number that a population can send."""
    if node.kind == "graded":
        return node.levels or 0
    return 2**graph.timesteps - 1 if node.kind == "bit_serial" else graph.timesteps


def accumulated(graph: IntegerGraph, ranges: Ranges, name: str) -> int:
    """Bound on any partial sum of a node when its input is accumulated over all steps."""
    pipelined_linear = graph.schedule == "pipelined" and not isinstance(graph.nodes[name], Population | Readout)
    return ranges.magnitudes[name] * (graph.emission_steps if pipelined_linear else 1)


@dataclass(frozen=True)
class _Stage:
    """A population computed by its synapses, scaled by 1 / theta: per step one synapse per source, and a bias [O].

    One synapse rounds and clips in its own output stage; the sum of several is truncated.
    """

    synapses: Sequence[Sequence[Int8Synapse]]
    biases: Sequence[Tensor]

    def __call__(self, step: int, inputs: Sequence[Tensor]) -> Tensor:
        """Quotients u8 [N, *shape] after ``step``, from the input of each synapse."""
        synapses, bias = self.synapses[step], self.biases[step]
        if len(synapses) == 1:
            return synapses[0].quantised(inputs[0], bias)
        total = synapses[0].current(inputs[0], bias)
        for synapse, x in zip(synapses[1:], inputs[1:], strict=True):
            total += synapse.current(x)
        return total.clamp_(0, _U8).to(torch.uint8)


class LevelNetwork:
    """Executes chunks of images of a graph that :func:`supports` accepts; no membrane is ever shown to the watches.

    Step by step, and within a step node by node: what a layer sends is read again while it is still in cache.
    """

    def __init__(self, graph: IntegerGraph, ranges: Ranges) -> None:
        self.graph = graph
        self._pipelined = graph.schedule == "pipelined"
        self._last_use = {source: node.name for node in graph for source in node.sources}
        self._ranges = ranges
        self._bias = bias_currents(graph, dict.fromkeys(graph.nodes, torch.float32))
        once = any(p.kind in ("bit_serial", "graded") for p in graph.populations)
        pipelined = range(1, graph.emission_steps + 1)
        #: How often image and bias have been added after each step.
        self._times = (
            [min(t, graph.timesteps) for t in pipelined] if self._pipelined else [1 if once else graph.timesteps]
        )
        self._arriving: dict[str, int | None] = {}  # largest accumulated count at the input of a node; None: not u8
        self._top: dict[str, int | None] = {}  # the same at its output
        self._int8: dict[str, Int8Synapse] = {}
        self._stages: dict[str, _Stage] = {}
        self._postponed: set[str] = set()  # synapses that run in the stage of the population behind them
        self._pixels: set[str] = set()  # those of them that read the image
        self._weight = {n.name: torch.from_numpy(n.weight).to(torch.float32) for n in graph.synapses}
        for node in graph:
            self._prepare(node)

    @property
    def bytes_per_image(self) -> int:
        """Estimate of the working set of one image: every node once as u8, the widest four times as float32."""
        sizes = [int(torch.Size(n.output_shape).numel()) for n in self.graph]
        return sum(sizes) + 16 * max(sizes)

    def _prepare(self, node: Node) -> None:
        tops = [self._top[source] for source in node.sources]
        total = sum(t or 0 for t in tops)
        arriving = self._arriving[node.name] = None if not tops or None in tops or total > _U8 else total
        self._top[node.name] = None
        if isinstance(node, Convolution | Affine) and arriving is not None:
            synapse = exact_synapse(node, arriving)
            if synapse is not None:
                self._int8[node.name] = synapse
        elif isinstance(node, Population):
            self._top[node.name] = top_level(self.graph, node)
            stage = self._stage_of(node)
            if stage is not None:
                self._stages[node.name] = stage
                self._postponed.update(node.sources)
                self._pixels.update(s for s in node.sources if self.graph.input.name in self.graph.nodes[s].sources)
        elif isinstance(node, Linear) and arriving is not None:
            window = node.kernel[0] * node.kernel[1] if isinstance(node, SumPool) else 1
            self._top[node.name] = arriving * window if arriving * window <= _U8 else None

    def _stage_of(self, node: Population) -> _Stage | None:
        """The synapses before ``node`` as its quantiser, where they can be and are exact.

        floor(U / theta) = floor((U + 1/2) / theta) for integers, and the argument is at least 1 / (2*theta) away from
        an integer. In float32, with unit roundoff u = 2**-24, scales, products, biases and sums of k synapses err
        together by less than u * ((k + 1) * (sum |U_i| + |bias|) + theta * (top + 3)) / theta: hence the 2**23.
        """
        sources = [self.graph.nodes[name] for name in node.sources]
        theta, v_init = _per_channel(node.theta), _per_channel(node.v_init)
        synapses = [
            s for s in sources if isinstance(s, Convolution | Affine) and len(self.graph.consumers(s.name)) == 1
        ]
        if len(synapses) < len(sources) or theta is None or v_init is None:
            return None
        from_image = synapses[0].sources == (self.graph.input.name,) and self.graph.input.dtype == "uint8"
        if from_image:
            usable = len(synapses) == 1 and exact_synapse(synapses[0], _U8) is not None
        else:
            usable = all(s.name in self._int8 for s in synapses)
        constant = [times * sum(s.bias for s in synapses) + v_init for times in self._times]
        largest = sum(accumulated(self.graph, self._ranges, s.name) for s in synapses)
        largest += max(int(np.abs(c).max()) for c in constant)
        reach = (len(synapses) + 1) * largest + int(theta.max()) * (top_level(self.graph, node) + 3)
        if not usable or reach >= 2**23:
            return None

        def scaled(times: int) -> list[Int8Synapse]:
            return [Int8Synapse(s, torch.from_numpy(times * 2.0**s.weight_exp / theta).float()) for s in synapses]

        # An image stands for one step: t of them have arrived after step t. Counts are accumulated already.
        per_step = [scaled(times) for times in self._times] if from_image else [scaled(1)] * len(self._times)
        rounding = 0.5 if len(synapses) == 1 else 0.0  # floor(x) is the rounding of x - 1/2
        return _Stage(per_step, [torch.from_numpy((c + 0.5) / theta - rounding).float() for c in constant])

    def run(self, integers: Tensor, watches: Mapping[str, Watch], *, events: bool, spikes: bool) -> Result:
        """As :meth:`Network.run`."""
        image = self._images(integers)
        steady = {n.name: self._steady(n, image) for n in self.graph if isinstance(n, Population | Readout)}
        records = {p.name: self._record(p, len(integers), events, spikes) for p in self.graph.populations}
        pixels = image[self.graph.input.name].to(torch.uint8)
        readout = []
        for step in range(len(self._times)):
            sent: dict[str, Tensor] = {}
            for node in self.graph:
                arriving = [sent[source] for source in node.sources if source in sent]
                if isinstance(node, Population):
                    if node.name in self._stages:
                        quotient = self._stages[node.name](step, arriving)
                    else:
                        quotient = self._quotient(node, self._accumulated(node, step, arriving, steady[node.name]))
                    record = records[node.name]
                    if len(quotient) < len(integers):  # neither image nor spikes: the same for every image
                        quotient = quotient.expand_as(record.last).clone()
                    record.see(self._limited(node, quotient, record.last))
                    sent[node.name] = record.last
                elif isinstance(node, Readout):
                    u = self._accumulated(node, step, arriving, steady[node.name])
                    readout.append(u.expand(len(integers), *node.shape))
                elif node.name in self._pixels:
                    sent[node.name] = pixels
                elif arriving and isinstance(node, Linear):
                    total = self._sum(node, arriving)
                    sent[node.name] = total if node.name in self._postponed else self._linear(node, total)
                for source in node.sources:
                    if self._last_use[source] == node.name:
                        sent.pop(source, None)
        emissions = {name: self._emission(name, record, spikes) for name, record in records.items()}
        return Result(emissions, torch.stack(readout))

    def _images(self, integers: Tensor) -> dict[str, Tensor]:
        """What the constant image adds at every step at the output of each linear node it reaches, float32."""
        image = {self.graph.input.name: channels_last(integers.float())}
        for node in self.graph:
            parts = [image[source] for source in node.sources if source in image]
            if parts and node.name not in self._pixels and isinstance(node, Linear):
                weight = self._weight.get(node.name)
                image[node.name] = channels_last(apply_linear(node, reduce(torch.add, parts), weight))
        return image

    def _steady(self, node: Population | Readout, image: Mapping[str, Tensor]) -> Tensor | None:
        """Image and bias current of one step, float32 [N or 1, *shape]."""
        parts = [image[source] for source in node.sources if source in image]
        bias = self._bias[node.name]
        if bias is not None:
            parts.append(channels_last(bias[None]))
        return reduce(torch.add, parts) if parts else None

    def _record(self, node: Population, images: int, events: bool, spikes: bool) -> LevelRecord:
        layout = torch.channels_last if len(node.shape) == 3 else torch.contiguous_format
        zero = torch.empty((images, *node.shape), dtype=torch.uint8, memory_format=layout).zero_()
        stepwise = self._pipelined
        events = events and stepwise and separate_events(self.graph, node)
        return LevelRecord(zero, len(self._times), events=events, spikes=spikes and stepwise)

    def _emission(self, name: str, record: LevelRecord, spikes: bool) -> Emission:
        if self._pipelined:
            return record.emission
        node = self.graph.nodes[name]
        assert isinstance(node, Population)  # only populations have records
        return from_value(self.graph, node, record.last, spikes=spikes)

    def _sum(self, node: Node, parts: Sequence[Tensor]) -> Tensor:
        if len(parts) == 1:
            return parts[0]
        dtype = torch.float32 if self._arriving[node.name] is None else torch.uint8
        return reduce(torch.add, (part.to(dtype) for part in parts))

    def _linear(self, node: Linear, x: Tensor) -> Tensor:
        if node.name in self._int8:
            return self._int8[node.name].current(x)
        if isinstance(node, SumPool) and self._top[node.name] is not None:
            return _pool_u8(node, x)
        if isinstance(node, Flatten):
            return x.reshape(len(x), -1)
        return apply_linear(node, x.float(), self._weight.get(node.name))

    def _accumulated(
        self, node: Population | Readout, step: int, arriving: Sequence[Tensor], steady: Tensor | None
    ) -> Tensor:
        """U after ``step``, float32 [N or 1, *shape], the caller's to change."""
        u = channels_last(torch.from_numpy(node.v_init).float()[None])
        if steady is not None:
            u = torch.add(u, steady, alpha=self._times[step])
        return u + self._sum(node, arriving) if arriving else u

    def _quotient(self, node: Population, u: Tensor) -> Tensor:
        """clip(floor(u / theta), 0, top), u8: IEEE division never rounds a quotient up to the next integer while
        theta * (top + 1) < 2**24."""
        theta = channels_last(torch.from_numpy(node.theta).float()[None])
        return u.div_(theta).clamp_(0, top_level(self.graph, node)).to(torch.uint8)

    def _limited(self, node: Population, quotient: Tensor, count: Tensor) -> Tensor:
        """The net count after this step, from the quotient, which is overwritten, and the count before it."""
        if node.kind == "signed_if" or not self._pipelined:
            quotient.clamp_(max=top_level(self.graph, node))
        if not self._pipelined:
            return quotient
        return quotient.clamp_(count.clamp(min=1).sub_(1) if node.kind == "signed_if" else count, count + 1)


def _per_channel(array: Int64) -> Int64 | None:
    """One value per channel [O], or None where it varies within a channel."""
    rows = array.reshape(array.shape[0], -1)
    first: Int64 = rows[:, 0]
    return first if (rows == first[:, None]).all() else None


def _pool_u8(node: SumPool, x: Tensor) -> Tensor:
    """Window sums of u8 [N, C, H, W] in channels-last memory, rows first: long contiguous runs."""
    (kh, kw), (_, height, width) = node.kernel, node.output_shape
    pixels = x.permute(0, 2, 3, 1)
    rows = reduce(torch.add, (pixels[:, i : height * kh : kh] for i in range(kh)))
    return reduce(torch.add, (rows[:, :, i : width * kw : kw] for i in range(kw))).permute(0, 3, 1, 2)


def channels_last(x: Tensor) -> Tensor:
    """Images [N, C, H, W] in channels-last memory, anything else unchanged."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x
