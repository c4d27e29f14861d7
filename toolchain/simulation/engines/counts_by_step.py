"""The fast path: a population as a quantiser of its accumulated input.

Write c(t) for the net spike count after step t and U(t) for v_init plus all input up to step t. Then v(t) = U(t) -
theta*c(t), so that m >= theta at step t means floor(U(t) / theta) > c(t-1), and m <= -theta_neg means
floor((U(t) + theta_neg - 1) / theta) < c(t-1). With q = clip(floor(U / theta), 0, KT) and
r = clip(floor((U + theta_neg - 1) / theta), 0, KT), which is q for a negative threshold of 1:

* ``if``: c(t) = c(t-1) + [q(t) > c(t-1)];
* ``signed_if``: c(t) = c(t-1) + [q(t) > c(t-1)] - [r(t) < c(t-1)];
* layerwise ``if``, ``graded``, ``bit_serial``: the number emitted is q itself, clipped at KT, L and 2**T - 1.

That is for K = 1. With up to K spikes in a step, floor(m / theta) = floor(U / theta) - c(t-1) and
ceil(-m / theta) = c(t-1) - floor(U / theta). So both move the count towards q, and q and r say when it moves:

* ``if``: c(t) = c(t-1) + clip(q(t) - c(t-1), 0, K); after t steps c <= Kt, so that clipping q at KT hides nothing;
* ``signed_if``: up by min(q(t) - c(t-1), K) where q(t) > c(t-1), which is at most KT - c(t-1) since q is at most KT;
  down by min(c(t-1) - q(t), K) where r(t) < c(t-1), which is at most c(t-1) since q is at least 0.

Counts are small non-negative integers, so layers exchange accumulated counts as u8, synapses run on 8-bit kernels, and
where a population reads one synapse, the kernel's output stage computes q. Membranes never exist here: this path serves
graphs whose ranges are proven to fit. Float32 enters only where :func:`supports` and ``stage_of`` show it to be exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from spikec.analysis.ranges import Ranges
from spikec.ir.graph import IntegerGraph, Node, Population, Readout
from spikec.ir.operations import Operation, Synapse
from spikec.simulation.early_exit import EarlyExit
from spikec.simulation.emission import Result, separate_events
from spikec.simulation.engines.biases import bias_currents
from spikec.simulation.engines.choosing import accumulated, top_level
from spikec.simulation.engines.codes import LevelRecord, from_value
from spikec.simulation.engines.counting import COUNTING, ON_COUNTS
from spikec.simulation.engines.widening import widened
from spikec.simulation.kernels.int8 import U8_MAX, Int8Synapse, channels_last, clipped, exact_synapse
from spikec.simulation.kernels.stages import Stage, stage_of
from spikec.simulation.paths import Kernel, Path, Reason
from spikec.simulation.registers import Watch


class CountsByStep:
    """Executes chunks of images of a graph that :func:`supports` accepts; no membrane is ever shown to the watches.

    It goes step by step, and within a step node by node: what a layer sends is read again while it is still in cache.
    :class:`~spikec.simulation.engines.counts_by_layer.CountsByLayer` does it the other way round.
    """

    def __init__(self, graph: IntegerGraph, ranges: Ranges) -> None:
        self.graph = graph
        self._pipelined = graph.schedule == "pipelined"
        self._last_use = {source: node.name for node in graph for source in node.sources}
        self._bounds = {name: accumulated(graph, ranges, name) for name in graph.nodes if name != graph.input.name}
        self._bias = bias_currents(graph, dict.fromkeys(graph.nodes, torch.float32))
        pipelined = range(1, graph.emission_steps + 1)
        #: How often image and bias have been added after each step.
        self._times = (
            [min(t, graph.emission_steps - graph.drain) for t in pipelined]
            if self._pipelined
            else [graph.constant_steps]
        )
        self._arriving: dict[str, int | None] = {}  # largest accumulated count at the input of a node; None: not u8
        self._top: dict[str, int | None] = {}  # the same at its output
        self._int8: dict[str, Int8Synapse | Reason] = {}
        self._stages: dict[str, Stage] = {}
        self._unstaged: dict[str, Reason] = {}  # why a population has no stage
        self._stage_of: dict[str, str] = {}  # the population in whose stage a synapse runs
        self._pixels: set[str] = set()  # synapses in a stage that read the image
        self._too_large: dict[str, Reason] = {}  # what the largest count of a node would be a reason for
        self._weight = widened(graph.synapses, dict.fromkeys(graph.nodes, torch.float32))
        self._highest = {p.name: top_level(graph, p) for p in graph.populations}
        self._shift = {
            p.name: [channels_last(torch.as_tensor(s).float()[None]) for s in COUNTING(p.neuron).shifts(p)]
            for p in graph.populations
        }
        for node in graph:
            self._prepare(node)
        self._driven = {p.name for p in graph.populations}  # and linear nodes that spikes reach
        for node in graph:
            if isinstance(node, Operation) and not self._driven.isdisjoint(node.sources):
                self._driven.add(node.name)
        self.kernels = {node.name: self._kernel(node) for node in graph if node is not graph.input}

    @property
    def bytes_per_image(self) -> int:
        """Estimate of the working set of one image: every node once as u8, the widest four times as float32."""
        sizes = [math.prod(n.output_shape) for n in self.graph]
        return sum(sizes) + 16 * max(sizes)

    def _prepare(self, node: Node) -> None:
        tops = [self._top[source] for source in node.sources]
        total = sum(t or 0 for t in tops)
        arriving = self._arriving[node.name] = None if not tops or None in tops or total > U8_MAX else total
        self._top[node.name] = None
        if isinstance(node, Synapse):
            self._int8[node.name] = self._not_u8(node) if arriving is None else exact_synapse(node, arriving)
        elif isinstance(node, Population):
            top = self._top[node.name] = self._highest[node.name]
            shifts, restarted = COUNTING(node.neuron).shifts(node), node.neuron.rehearsal > 0
            stage = stage_of(self.graph, node, self._int8, self._bounds, top, self._times, shifts, membranes=restarted)
            if isinstance(stage, Reason):
                self._unstaged[node.name] = stage
            else:
                self._stages[node.name] = stage
                self._stage_of |= dict.fromkeys((node.name, *node.sources), node.name)
                self._pixels.update(s for s in node.sources if self.graph.input.name in self.graph.nodes[s].sources)
        elif isinstance(node, Operation) and node in ON_COUNTS and arriving is not None:
            zero = np.zeros(node.input_shape, np.int64)
            top = int(node.interval(zero, zero + arriving)[1].max())
            self._top[node.name] = top if top <= U8_MAX else None
            self._too_large[node.name] = Reason.beyond("the counts it sends", top, U8_MAX + 1, "u8")

    def _not_u8(self, node: Node) -> Reason:
        """Why what arrives at a node is not u8."""
        for source in node.sources:
            if self._top[source] is None:
                return Reason(f"{source} sends it other numbers than counts of 8 bits")
        return Reason.beyond("the counts it reads together", sum(self._top[s] or 0 for s in node.sources), 256, "u8")

    def _kernel(self, node: Node) -> Kernel:
        """How a node is computed; what runs looks here."""
        name = node.name
        if name in self._stage_of:
            if isinstance(node, Population):
                return Kernel.IN_KERNEL
            return Kernel.ROUNDS if self._stages[self._stage_of[name]].rounds else Kernel.SCALES
        if isinstance(node, Readout):
            return Kernel.READS
        if isinstance(node, Population):
            return Kernel.PASSES if COUNTING(node.neuron).passes else Kernel.DIVIDES
        if name not in self._driven:
            return Kernel.ONCE
        if isinstance(self._int8.get(name), Int8Synapse):
            return Kernel.SUMS
        return Kernel.FLOAT if self._top[name] is None else Kernel.COUNTS

    def order(self, images: int, may_stop: bool) -> str:
        """In which order a chunk of ``images`` is computed, some of which ``may_stop`` early."""
        return "step after step"

    def path(self, node: Node, images: int, may_stop: bool) -> Path:
        """How a node is computed in such a chunk, and why."""
        name, kernel = node.name, self.kernels[node.name]
        u8 = kernel in (Kernel.ROUNDS, Kernel.COUNTS, Kernel.IN_KERNEL, Kernel.DIVIDES, Kernel.PASSES)
        why: Reason | None = None
        if kernel is Kernel.SCALES:
            why = self._stages[self._stage_of[name]].behind
        elif kernel is Kernel.DIVIDES:
            why = self._unstaged[name]
        elif kernel in (Kernel.SUMS, Kernel.ONCE):
            why = next((self._unstaged[n.name] for n in self.graph.consumers(name) if n.name in self._unstaged), None)
        elif kernel is Kernel.FLOAT:
            why = self._wide(node)
        return Path(name, kernel, "uint8" if u8 else "float32", why)

    def _wide(self, node: Node) -> Reason:
        """Why a linear node that spikes reach computes in float32."""
        refused = self._int8.get(node.name)
        if isinstance(refused, Reason):
            return refused
        if node not in ON_COUNTS:
            return Reason(str(ON_COUNTS.refusal(node)))
        return self._not_u8(node) if self._arriving[node.name] is None else self._too_large[node.name]

    def run(
        self,
        integers: Tensor,
        watches: Mapping[str, Watch],
        *,
        events: bool,
        spikes: bool,
        early_exit: EarlyExit | None = None,
    ) -> Result:
        """As :meth:`Network.run`; images that ``early_exit`` stops are left out of all further steps."""
        image = self._images(integers)
        steady = {n.name: self._steady(n, image) for n in self.graph if isinstance(n, Population | Readout)}
        records = {p.name: self._record(p, len(integers), events, spikes) for p in self.graph.populations}
        pixels = clipped(image[self.graph.input.name], U8_MAX, keep=True)
        readouts = {r.name: torch.empty((len(self._times), len(integers), *r.shape)) for r in self.graph.readouts}
        steps = torch.full((len(integers),), len(self._times))
        rows = torch.arange(len(integers))
        for step in range(len(self._times)):
            u = self._step(step, records, steady, pixels)
            for name, curve in readouts.items():
                if len(rows) == len(integers):
                    curve[step] = u[name]
                else:  # a stopped image keeps its readout
                    curve[step] = curve[step - 1]
                    curve[step, rows] = u[name]
            if early_exit is None or step + 1 == len(self._times):
                continue
            running = ~early_exit.decided(u[self.graph.readout.name], step)
            if running.all():
                continue
            steps[rows[~running]] = step + 1
            rows = rows[running]
            for record in records.values():
                record.keep(running)
            steady = {name: x if x is None or len(x) == 1 else channels_last(x[running]) for name, x in steady.items()}
            pixels = channels_last(pixels[running])
            if not len(rows):
                for curve in readouts.values():
                    curve[step + 1 :] = curve[step]
                break
        emissions = {
            p.name: records[p.name].emission
            if self._pipelined
            else from_value(self.graph, p, records[p.name].last, spikes=spikes)
            for p in self.graph.populations
        }
        return Result(emissions, readouts, None if early_exit is None else steps)

    def _step(
        self, step: int, records: Mapping[str, LevelRecord], steady: Mapping[str, Tensor | None], pixels: Tensor
    ) -> dict[str, Tensor]:
        """One step of every node; returns the membrane of each readout [n, *shape]."""
        sent: dict[str, Tensor] = {}
        readouts: dict[str, Tensor] = {}
        for node in self.graph:
            arriving = [sent[source] for source in node.sources if source in sent]
            if isinstance(node, Population):
                record = records[node.name]
                quotients = self._quotients(node, step, arriving, steady[node.name])
                takes_back = COUNTING(node.neuron).takes_back
                if takes_back or not self._pipelined:
                    for quotient in quotients:
                        quotient.clamp_(max=self._highest[node.name])
                if self._pipelined:
                    record.see(step, quotients[0], quotients[-1] if takes_back else None)
                else:
                    record.last.copy_(quotients[0])
                sent[node.name] = record.last
            elif isinstance(node, Readout):
                u = self._accumulated(node, step, arriving, steady[node.name])
                readouts[node.name] = u.expand(len(pixels), *node.shape)
            elif node.name in self._pixels:
                sent[node.name] = pixels
            elif arriving and isinstance(node, Operation):
                total = self._sum(node, arriving)
                sent[node.name] = total if node.name in self._stage_of else self._linear(node, total)
            for source in node.sources:
                if self._last_use[source] == node.name:
                    sent.pop(source, None)
        return readouts

    def _images(self, integers: Tensor) -> dict[str, Tensor]:
        """What the constant image adds at every step at the output of each linear node it reaches, float32."""
        image = {self.graph.input.name: channels_last(integers.float())}
        for node in self.graph:
            parts = [image[source] for source in node.sources if source in image]
            if parts and node.name not in self._pixels and isinstance(node, Operation):
                weight = self._weight.get(node.name)
                image[node.name] = channels_last(node.apply(reduce(torch.add, parts), weight))
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
        most = node.neuron.emission[1]
        return LevelRecord(zero, len(self._times), events=events, spikes=spikes and stepwise, most=most)

    def _sum(self, node: Node, parts: Sequence[Tensor]) -> Tensor:
        if len(parts) == 1:
            return parts[0]
        dtype = torch.float32 if self._arriving[node.name] is None else torch.uint8
        return reduce(torch.add, (part.to(dtype) for part in parts))

    def _linear(self, node: Operation, x: Tensor) -> Tensor:
        synapse = self._int8.get(node.name)
        if isinstance(synapse, Int8Synapse):
            return synapse.current(x)
        if self.kernels[node.name] is Kernel.COUNTS:
            return ON_COUNTS(node)(node, x)
        return node.apply(x.float(), self._weight.get(node.name))

    def _accumulated(
        self, node: Population | Readout, step: int, arriving: Sequence[Tensor], steady: Tensor | None
    ) -> Tensor:
        """U after ``step``, float32 [N or 1, *shape], the caller's to change."""
        u = channels_last(torch.as_tensor(node.v_init).float()[None])
        if steady is not None:
            u = torch.add(u, steady, alpha=self._times[step])
        return u + self._sum(node, arriving) if arriving else u

    def _quotients(
        self, node: Population, step: int, arriving: Sequence[Tensor], steady: Tensor | None
    ) -> list[Tensor]:
        """q, and r where that is another number, u8 [N or 1, *shape], clipped at 255 or lower."""
        kernel = self.kernels[node.name]
        if kernel is Kernel.IN_KERNEL:
            return self._stages[node.name](step, arriving)
        if kernel is Kernel.PASSES:
            return [self._sum(node, arriving)]
        theta = channels_last(torch.as_tensor(node.theta).float()[None])
        u = self._accumulated(node, step, arriving, steady)
        return divided(u, theta, self._shift[node.name], self._highest[node.name])


def divided(u: Tensor, theta: Tensor, shifts: Sequence[Tensor], top: int) -> list[Tensor]:
    """u8 clip(floor((u + shift) / theta), 0, top) by shift, of which the first is zero.

    IEEE division never rounds a quotient up to the next integer while theta * (top + 1) < 2**24.
    """
    return [clipped((u + shift if i else u) / theta, top) for i, shift in enumerate(shifts)]
