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

Where the input z of every step is the same, as in front of the first layer, and 0 <= v_init < theta, no step needs the
one before: c(t) = clip(q(t), 0, Kt) for all three kinds that fire step by step. Under z < 0 no neuron ever fires. Under
0 <= z < K theta, m stays below (K + 1) theta, all of it fires, and 0 <= v < theta again: c(t) = q(t) <= Kt. From
z = K theta on, K fire in every step, and q(t) >= Kt. v is never below zero after a spike, and never theta or more after
a silent step, so that no signed spike is negative and no start of ``calibrated_if`` moves.

Counts are small non-negative integers, so layers exchange accumulated counts as u8, synapses run on 8-bit kernels, and
where a population reads one synapse, the kernel's output stage computes q. Membranes do not exist here, so they have to
be proven to fit. Those of readouts exist, and layerwise those of all neurons: they can be watched instead. Floats enter
only where ``choosing`` and ``stage_of`` show them to be exact: float32 below 2**24, float64 for nodes that go beyond.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor

from spikec.ir.graph import Node, Population, Readout
from spikec.ir.operations import Operation
from spikec.simulation.early_exit import EarlyExit
from spikec.simulation.emission import Result, separate_events
from spikec.simulation.engines.codes import from_value
from spikec.simulation.engines.counting import COUNTING, ON_COUNTS
from spikec.simulation.engines.neurons import EMIT_ALL, Parameters
from spikec.simulation.engines.records import LevelRecord
from spikec.simulation.engines.ways import Ways
from spikec.simulation.kernels.blocks import in_blocks, u8_like
from spikec.simulation.kernels.halves import HalvedSynapse
from spikec.simulation.kernels.int8 import U8_MAX, Int8Synapse, channels_last, clipped
from spikec.simulation.paths import Kernel
from spikec.simulation.registers import Watch


class CountsByStep(Ways):
    """Executes chunks of images of a graph that :func:`supports` accepts. Only membranes of ``watched`` populations are
    shown to the watches.

    It goes step by step, and within a step node by node: what a layer sends is read again while it is still in cache.
    :class:`~spikec.simulation.engines.counts_by_layer.CountsByLayer` does it the other way round.
    """

    @property
    def bytes_per_image(self) -> int:
        """Estimate of the working set of one image: every node once as u8, the widest four times in its floats."""
        return sum(math.prod(n.output_shape) for n in self.graph) + 4 * self._widest

    @property
    def _widest(self) -> int:
        """Bytes of the widest node in its floats, of one image and step."""
        return max(math.prod(n.output_shape) * self._dtype[n.name].itemsize for n in self.graph)

    def order(self, images: int, may_stop: bool) -> str:
        """In which order a chunk of ``images`` is computed, some of which ``may_stop`` early."""
        return "step after step"

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
        readouts = {
            r.name: torch.empty((len(self._times), len(integers), *r.shape), dtype=self._dtype[r.name])
            for r in self.graph.readouts
        }
        steps = torch.full((len(integers),), len(self._times))
        rows = torch.arange(len(integers))
        for step in range(len(self._times)):
            u = self._step(step, records, steady, pixels, watches)
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
        self,
        step: int,
        records: Mapping[str, LevelRecord],
        steady: Mapping[str, Tensor | None],
        pixels: Tensor,
        watches: Mapping[str, Watch],
    ) -> dict[str, Tensor]:
        """One step of every node; returns the membrane of each readout [n, *shape]."""
        sent: dict[str, Tensor] = {}
        readouts: dict[str, Tensor] = {}
        for node in self.graph:
            arriving = [sent[source] for source in node.sources if source in sent]
            if isinstance(node, Population):
                record = records[node.name]
                if node.name in self._watched:
                    quotients = [self._seen(node, arriving, steady[node.name], len(pixels), watches[node.name])]
                else:
                    quotients = self._quotients(node, step, arriving, steady[node.name])
                takes_back = COUNTING(node.neuron).takes_back
                most = self._even.get(node.name, 0) * (step + 1) or self._highest[node.name]
                if takes_back or not self._pipelined or node.name in self._even:
                    for quotient in quotients:
                        quotient.clamp_(max=most)
                if node.name in self._even or not self._pipelined:
                    record.take(step, quotients[0])
                else:
                    record.see(step, quotients[0], quotients[-1] if takes_back else None)
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
        """What the constant image adds at every step at the output of each linear node it reaches."""
        image = {self.graph.input.name: channels_last(integers.float())}
        for node in self.graph:
            parts = self._parts(node, image)
            if parts and node.name not in self._pixels and isinstance(node, Operation):
                synapse = self._sums.get(node.name)
                if isinstance(synapse, HalvedSynapse) and self._reads_pixels(node):
                    image[node.name] = synapse.current(channels_last(integers.to(torch.uint8)))
                    continue
                weight = self._weight.get(node.name)
                image[node.name] = channels_last(node.apply(reduce(torch.add, parts), weight))
        return image

    def _steady(self, node: Population | Readout, image: Mapping[str, Tensor]) -> Tensor | None:
        """Image and bias current of one step, [N or 1, *shape]."""
        parts = self._parts(node, image)
        bias = self._bias[node.name]
        if bias is not None:
            parts.append(channels_last(bias[None]))
        return reduce(torch.add, parts) if parts else None

    def _parts(self, node: Node, image: Mapping[str, Tensor]) -> list[Tensor]:
        """What ``image`` holds of the sources of a node, in its floats."""
        return [image[source].to(self._dtype[node.name]) for source in node.sources if source in image]

    def _record(self, node: Population, images: int, events: bool, spikes: bool) -> LevelRecord:
        stepwise = self._pipelined
        events = events and stepwise and separate_events(self.graph, node)
        most = node.neuron.emission[1]
        return LevelRecord(
            (images, *node.shape), len(self._times), events=events, spikes=spikes and stepwise, most=most
        )

    def _sum(self, node: Node, parts: Sequence[Tensor]) -> Tensor:
        if len(parts) == 1:
            return parts[0]
        dtype = self._dtype[node.name] if self._arriving[node.name] is None else torch.uint8
        return reduce(torch.add, (part.to(dtype) for part in parts))

    def _linear(self, node: Operation, x: Tensor) -> Tensor:
        synapse = self._sums.get(node.name)
        if isinstance(synapse, Int8Synapse | HalvedSynapse):
            return synapse.current(x)
        if self.kernels[node.name] is Kernel.COUNTS:
            return ON_COUNTS(node)(node, x)
        return node.apply(x.to(self._dtype[node.name]), self._weight.get(node.name))

    def _accumulated(
        self, node: Population | Readout, step: int, arriving: Sequence[Tensor], steady: Tensor | None
    ) -> Tensor:
        """U after ``step``, [N or 1, *shape], not to be changed."""
        u = self._start[node.name]
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
            counts = self._sum(node, arriving)
            return [counts if step else counts.clone()]  # the record keeps the first ones, which others may send
        theta = self._theta[node.name]
        top, shifts = self._highest[node.name], self._shift[node.name]
        images = max([len(x) for x in (*arriving, *([] if steady is None else [steady]))], default=1)
        found = [u8_like((images, *node.shape)) for _ in shifts]
        for rows in in_blocks(images, theta.itemsize * math.prod(node.shape)):
            part = steady if steady is None or len(steady) == 1 else steady[rows]
            u = self._accumulated(node, step, [x[rows] for x in arriving], part)
            for out, quotients in zip(found, divided(u, theta, shifts, top), strict=True):
                out[rows] = quotients
        return found

    def _seen(
        self, node: Population, arriving: Sequence[Tensor], steady: Tensor | None, images: int, watch: Watch
    ) -> Tensor:
        """Layerwise, the number that a population emits, u8 [N, *shape]; its membrane is shown to ``watch``."""
        u = self._accumulated(node, 0, arriving, steady).expand(images, *node.shape)
        low, high = (int(x) for x in torch.aminmax(u))
        # What is emitted takes a membrane down, not below zero: if some were there, nothing later is lower.
        if watch.register.minimum <= low < 0 and high <= watch.register.maximum:
            watch.see(u)
            (found,) = divided(u, self._theta[node.name], self._shift[node.name][:1], self._highest[node.name])
            return found
        parameters = Parameters.of(node, u.dtype)
        return EMIT_ALL(node.neuron)(parameters, u.clone(), self.graph.timing, watch).to(torch.uint8)


def divided(u: Tensor, theta: Tensor, shifts: Sequence[Tensor], top: int) -> list[Tensor]:
    """u8 clip(floor((u + shift) / theta), 0, top) by shift, of which the first is zero.

    IEEE division never rounds a quotient up to the next integer while theta * (top + 1) < 2**24, and 2**53 in float64.
    """
    return [clipped((u + shift if i else u) / theta, top) for i, shift in enumerate(shifts)]
