"""The fast path, layer after layer: all steps of a layer before the next layer.

``calibrated_if`` needs this order, since a neuron starts over after seeing its steps. It is also faster for few images:
a layer is then a handful of operator calls for all steps, and what it computes still fits the cache.

For ``calibrated_if``, with U(t), c(t) and q(t) as in :mod:`spikec.simulation.engines.counts_by_step`: pass 1 of the
rule counts n spikes in rho steps from q alone, and q alone says which starts move: down where q(rho) < n (clipping q at
0 hides none of them, since the rule asks for n > 0), up where q(rho) > n and n < rho. Most neurons go on from pass 1.
The few others are computed again from U in float32, where every number is an integer below 2**24.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from spikec.analysis.ranges import Ranges
from spikec.ir.graph import IntegerGraph, Node, Population, Readout
from spikec.ir.operations import Operation
from spikec.simulation.early_exit import EarlyExit
from spikec.simulation.emission import Emission, Result, separate_events
from spikec.simulation.engines.choosing import restarts
from spikec.simulation.engines.codes import fall, raster_dtype, rise
from spikec.simulation.engines.counting import COUNTING
from spikec.simulation.engines.counts_by_step import CountsByStep, divided
from spikec.simulation.kernels.int8 import U8_MAX, clipped
from spikec.simulation.kernels.stages import Stage, flat
from spikec.simulation.paths import Kernel, Path
from spikec.simulation.registers import Watch

_CACHED = 2**23  # bytes of the largest float32 array that all steps of a batch should take: it is read several times
_FEW = 2**22  # bytes of that array up to which a layer at a time is faster than a step at a time
#: U float32 [S, chosen], from indices of neurons in the flat memory of one step.
Membranes = Callable[[Tensor], Tensor]


class CountsByLayer(CountsByStep):
    """Executes pipelined graphs. Those whose neurons start over always run layer after layer; others do so only where
    the images are few and none may stop early."""

    def __init__(self, graph: IntegerGraph, ranges: Ranges) -> None:
        super().__init__(graph, ranges)
        self._restarts = restarts(graph)
        self._steps = len(self._times)
        self._theta = {p.name: flat(torch.as_tensor(p.theta).float()[None]) for p in graph.populations}
        #: Per step, [S, 1, neurons]: v_init and the biases so far, where no stage adds them.
        self._constant: dict[str, Tensor] = {}
        times = torch.tensor(self._times, dtype=torch.float32)[:, None, None]
        neurons: tuple[Population | Readout, ...] = (*graph.populations, *graph.readouts)
        for node in neurons:
            if node.name not in self._stages:
                bias = self._bias[node.name]
                start = torch.as_tensor(node.v_init).float()[None]
                each = torch.zeros_like(start) if bias is None else bias[None]
                self._constant[node.name] = flat(start) + times * flat(each)
        layer_bytes = 4 * self._steps * max(math.prod(n.output_shape) for n in graph)
        self._images_at_once = max(1, _CACHED // layer_bytes)
        self._few = _FEW // layer_bytes if self._steps <= U8_MAX else 0  # spikes of a neuron are counted in u8

    @property
    def bytes_per_image(self) -> int:
        """Estimate of the working set of one image: the counts of every population, and what a layer needs. What few
        images need beyond it is a few times ``_FEW``, whatever the graph."""
        if not self._restarts:
            return super().bytes_per_image
        sizes = [math.prod(n.output_shape) for n in self.graph]
        return sum(sizes) + 24 * self._steps * max(sizes)

    def run(
        self,
        integers: Tensor,
        watches: Mapping[str, Watch],
        *,
        events: bool,
        spikes: bool,
        early_exit: EarlyExit | None = None,
    ) -> Result:
        """As :meth:`Network.run`; nothing can stop early where layers run one after the other."""
        if self._stepwise(len(integers), early_exit is not None):
            return super().run(integers, watches, events=events, spikes=spikes, early_exit=early_exit)
        assert early_exit is None  # refused by EarlyExit
        emissions = {p.name: self._empty(p, len(integers), events, spikes) for p in self.graph.populations}
        parts: dict[str, list[Tensor]] = {readout.name: [] for readout in self.graph.readouts}
        for first in range(0, len(integers), self._images_at_once):
            rows = slice(first, first + self._images_at_once)
            for name, curve in self._run(integers[rows], emissions, rows).items():
                parts[name].append(curve)
        return Result(emissions, {name: torch.cat(curves, dim=1) for name, curves in parts.items()})

    def _stepwise(self, images: int, may_stop: bool) -> bool:
        """Whether a chunk of ``images`` runs step after step."""
        return not self._restarts and (may_stop or images > self._few)

    def order(self, images: int, may_stop: bool) -> str:
        return "step after step" if self._stepwise(images, may_stop) else "layer after layer"

    def path(self, node: Node, images: int, may_stop: bool) -> Path:
        found = super().path(node, images, may_stop)
        if self._stepwise(images, may_stop) or found.kernel not in (Kernel.ROUNDS, Kernel.SCALES):
            return found
        stage = self._stages[self._stage_of[node.name]]
        if stage.whole is None:  # all steps in one call, which is rounded afterwards
            return replace(found, kernel=Kernel.SCALES, dtype="float32", why=stage.behind)
        return replace(found, why=stage.whole)

    @property
    def _counted(self) -> int:
        """Steps that counts and readout take."""
        return self.graph.timesteps + self.graph.drain

    def _empty(self, node: Population, images: int, events: bool, spikes: bool) -> Emission:
        layout = torch.channels_last if len(node.shape) == 3 else torch.contiguous_format
        counts = torch.empty((images, *node.shape), dtype=torch.uint8, memory_format=layout)
        most = node.neuron.emission[1]
        return Emission(
            counts,
            torch.empty_like(counts) if events and separate_events(self.graph, node) else None,
            torch.empty((images, self._counted, *node.shape), dtype=raster_dtype(most)) if spikes else None,
        )

    def _run(self, integers: Tensor, emissions: Mapping[str, Emission], rows: slice) -> dict[str, Tensor]:
        """The membrane of each readout at the counted steps, [S, N, *shape]; ``emissions`` get their ``rows``."""
        image = self._images(integers)
        sent: dict[str, Tensor] = {}  # accumulated counts of all steps, or what became of them, [S * N, *shape]
        readouts: dict[str, Tensor] = {}
        for node in self.graph:
            arriving = [sent[source] for source in node.sources if source in sent]
            if isinstance(node, Readout):
                membranes = self._membranes(node, len(integers), arriving, image)[: self._counted]
                readouts[node.name] = unflat(membranes, node.shape)
            elif isinstance(node, Population):
                if self.kernels[node.name] is Kernel.IN_KERNEL:
                    inputs = arriving or [clipped(image[self.graph.input.name], U8_MAX, keep=True)]
                    counts = self._staged(node, len(integers), inputs)
                elif self.kernels[node.name] is Kernel.PASSES:
                    arrived = flat(self._sum(node, arriving)).view(self._steps, len(integers), -1)
                    counts = self._count(node, [arrived], _no_membranes)
                else:
                    counts = self._divided(node, self._membranes(node, len(integers), arriving, image))
                sent[node.name] = self._send(node, counts, emissions[node.name], rows)
            elif arriving and isinstance(node, Operation):
                total = self._sum(node, arriving)
                sent[node.name] = total if node.name in self._stage_of else self._linear(node, total)
            for source in node.sources:
                if self._last_use[source] == node.name:
                    sent.pop(source, None)
        return readouts

    def _membranes(
        self, node: Population | Readout, images: int, arriving: Sequence[Tensor], image: Mapping[str, Tensor]
    ) -> Tensor:
        """U after every step, float32 [S, N, neurons]."""
        u = self._constant[node.name].expand(-1, images, -1)
        if arriving:
            u = u + flat(self._sum(node, arriving)).view(self._steps, images, -1)
        parts = [flat(image[source]) for source in node.sources if source in image]
        if parts:
            u = torch.stack([v.add(sum(parts), alpha=t) for v, t in zip(u, self._times, strict=True)])
        return u

    def _staged(self, node: Population, images: int, inputs: Sequence[Tensor]) -> list[Tensor]:
        """What :meth:`_count` gives for a population whose synapses divide, from the input of each."""
        stage = self._stages[node.name]
        if stage.whole is not None:
            parts = [x.view(-1, images, *x.shape[1:]).expand(self._steps, *[-1] * x.dim()) for x in inputs]
            each = zip(*(stage(step, [x[step] for x in parts]) for step in range(self._steps)), strict=True)
            return self._count(node, [torch.stack([flat(x) for x in steps]) for steps in each], _no_membranes)
        scaled = [x.flatten(2) for x in stage.scaled(images, inputs)]

        def membranes(index: Tensor) -> Tensor:
            found = scaled[0].view(self._steps, -1).index_select(1, index)
            return Stage.membrane(found, self._thresholds(node, index))

        top, again = self._highest[node.name], node.neuron.rehearsal > 0
        return self._count(node, [clipped(x, top, keep=again) for x in scaled], membranes)

    def _divided(self, node: Population, u: Tensor) -> list[Tensor]:
        """The same from U float32 [S, N, neurons]."""
        shifts = [flat(shift) for shift in self._shift[node.name]]
        quotients = divided(u, self._theta[node.name], shifts, self._highest[node.name])
        return self._count(node, quotients, lambda index: u.reshape(len(u), -1).index_select(1, index))

    def _count(self, node: Population, quotients: Sequence[Tensor], membranes: Membranes) -> list[Tensor]:
        """Net spikes so far u8 [S, N, neurons], from q and r (once where they are the same) of that shape; of neurons
        that send other numbers than 0 and 1 how often they send one [N, neurons] as well."""
        q, most = quotients[0], node.neuron.emission[1]
        if COUNTING(node.neuron).takes_back:
            clamped = [x.clamp_(max=self._highest[node.name]) for x in quotients]
            return _signed(clamped) if most == 1 else _several(clamped, most, takes_back=True)
        if most > 1:
            return _several(quotients, most, takes_back=False)
        counts = _accumulated(q)
        if rho := node.neuron.rehearsal:
            last, fired = q[rho - 1], counts[rho - 1]
            index = indices(last.clamp(max=rho) != fired)
            if len(index):
                u, theta = membranes(index), self._thresholds(node, index)
                moved = clipped((u + _shift(u, theta, rho)) / theta, self._steps)
                counts.view(self._steps, -1).index_copy_(1, index, _accumulated(moved))
        return [counts]

    def _thresholds(self, node: Population, index: Tensor) -> Tensor:
        theta = self._theta[node.name][0]
        return theta.index_select(0, index % len(theta))

    def _send(self, node: Population, counts: Sequence[Tensor], emission: Emission, rows: slice) -> Tensor:
        """The net spikes so far, [S * N, *shape], and what is kept of them: events are those of all steps."""
        levels, events = unflat(counts[0], node.shape), counts[-1] if len(counts) > 1 else counts[0][-1]
        counted = levels[: self._counted]
        emission.counts[rows] = counted[-1]
        if emission.events is not None:
            emission.events[rows] = unflat(events[None], node.shape)[0]
        if emission.raster is not None:
            before = torch.cat([torch.zeros_like(counted[:1]), counted[:-1]])
            changes = counted - before  # u8: one below 0 wraps, and comes back as int8
            one = emission.raster.dtype
            spikes = changes.view(torch.int8) if one == torch.int8 else counted.to(one) - before.to(one)
            emission.raster[rows] = spikes.transpose(0, 1)
        return levels.flatten(0, 1)


def _no_membranes(index: Tensor) -> Tensor:
    raise AssertionError("these neurons do not start over, or their stages are exact as a whole")


def _accumulated(q: Tensor) -> Tensor:
    """Spikes so far, u8 [S, ...], from the quotients of each step."""
    counts, last = torch.empty_like(q), torch.zeros_like(q[0])
    for quotient, count in zip(q, counts, strict=True):
        last = torch.add(last, torch.gt(quotient, last).view(torch.uint8), out=count)
    return counts


def _signed(quotients: Sequence[Tensor]) -> list[Tensor]:
    """Net spikes so far u8 [S, ...], and the number of all [...], from q and r of each step."""
    counts, last = torch.empty_like(quotients[0]), torch.zeros_like(quotients[0][0])
    events = torch.zeros_like(last)
    for upper, lower, count in zip(quotients[0], quotients[-1], counts, strict=True):
        up, down = torch.gt(upper, last).view(torch.uint8), torch.lt(lower, last).view(torch.uint8)
        last = torch.add(last, up, out=count).sub_(down)
        events += up
        events += down
    return [counts, events]


def _several(quotients: Sequence[Tensor], most: int, *, takes_back: bool) -> list[Tensor]:
    """What :func:`_signed` gives for neurons that send up to ``most`` in a step, also for those that take none back."""
    counts, last = torch.empty_like(quotients[0]), torch.zeros_like(quotients[0][0])
    events = torch.zeros_like(last)
    for upper, lower, count in zip(quotients[0], quotients[-1], counts, strict=True):
        torch.add(last, rise(upper, last, most), out=count)
        if takes_back:
            count -= fall(upper, lower, last, most)
        events += count != last
        last = count
    return [counts, events]


def _shift(u: Tensor, theta: Tensor, rho: int) -> Tensor:
    """What pass 1 adds to the starts [chosen], from U [S, chosen]: all move, down where U(rho) < theta * n, else up."""
    n = torch.zeros_like(theta)
    least_fired, most_silent = torch.full_like(n, torch.inf), torch.full_like(n, -torch.inf)
    for step in range(rho):
        m = u[step] - theta * n
        fired = m >= theta
        least_fired = torch.where(fired, torch.minimum(least_fired, m), least_fired)
        most_silent = torch.where(fired, most_silent, torch.maximum(most_silent, m))
        n += fired
    down = u[rho - 1] < theta * n
    return torch.where(down, -torch.maximum(theta, least_fired - theta + 1), torch.maximum(theta, theta - most_silent))


def indices(mask: Tensor) -> Tensor:
    """Where ``mask`` is true in flat memory; NumPy finds few of many five times faster than torch."""
    if mask.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.view(-1).nonzero()[:, 0]


def unflat(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """[S, N, *shape] from [S, N, neurons], channels last."""
    if len(shape) != 3:
        return x.reshape(*x.shape[:2], *shape)
    channels, height, width = shape
    return x.view(*x.shape[:2], height, width, channels).permute(0, 1, 4, 2, 3)
