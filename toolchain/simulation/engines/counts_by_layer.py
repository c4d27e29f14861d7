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
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from spikec.analysis.ranges import Ranges
from spikec.ir.graph import IntegerGraph, Node, Population, Readout
from spikec.ir.operations import Operation
from spikec.simulation.early_exit import EarlyExit
from spikec.simulation.emission import Emission, Result, separate_events
from spikec.simulation.engines.all_steps import accumulated, changes, indices, several, shift, signed
from spikec.simulation.engines.choosing import restarts
from spikec.simulation.engines.codes import raster_dtype
from spikec.simulation.engines.counting import COUNTING
from spikec.simulation.engines.counts_by_step import CountsByStep, divided
from spikec.simulation.engines.widening import neurons_as
from spikec.simulation.kernels.int8 import U8_MAX, clipped
from spikec.simulation.kernels.stages import Stage, flat
from spikec.simulation.paths import Kernel, Path
from spikec.simulation.registers import Watch

_CACHED = 2**23  # bytes of the largest float32 array that all steps of a batch should take: it is read several times
_FEW = 2**23  # bytes of that array up to which a layer at a time is faster than a step at a time
#: U [S, chosen], from indices of neurons in the flat memory of one step.
Membranes = Callable[[Tensor], Tensor]


class CountsByLayer(CountsByStep):
    """Executes pipelined graphs. Those whose neurons start over always run layer after layer; others do so only where
    the images are few and none may stop early."""

    def __init__(self, graph: IntegerGraph, ranges: Ranges, watched: Collection[str] = ()) -> None:
        super().__init__(graph, ranges, watched)
        self._restarts = restarts(graph)
        self._steps = len(self._times)
        self._flat_theta = {p.name: flat(neurons_as(p.theta, self._dtype[p.name])[None]) for p in graph.populations}
        #: Per step, [S, 1, neurons]: v_init and the biases so far, where no stage adds them.
        self._constant: dict[str, Tensor] = {}
        neurons: tuple[Population | Readout, ...] = (*graph.populations, *graph.readouts)
        for node in neurons:
            if node.name not in self._stages:
                bias, dtype = self._bias[node.name], self._dtype[node.name]
                start = neurons_as(node.v_init, dtype)[None]
                each = torch.zeros_like(start) if bias is None else bias[None]
                times = torch.tensor(self._times, dtype=dtype)[:, None, None]
                self._constant[node.name] = flat(start) + times * flat(each)
        #: Counts of even populations after each step at most, [S, 1, 1].
        self._most = {
            name: torch.arange(1, self._steps + 1).mul(k).to(torch.uint8)[:, None, None]
            for name, k in self._even.items()
        }
        layer_bytes = self._steps * self._widest
        self._images_at_once = max(1, _CACHED // layer_bytes)
        self._few = _FEW // layer_bytes if self._steps <= U8_MAX else 0  # spikes of a neuron are counted in u8

    @property
    def bytes_per_image(self) -> int:
        """Estimate of the working set of one image: the counts of every population, and what a layer needs. What few
        images need beyond it is a few times ``_FEW``, whatever the graph."""
        if not self._restarts:
            return super().bytes_per_image
        return sum(math.prod(n.output_shape) for n in self.graph) + 6 * self._steps * self._widest

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
        parts = []
        for first in range(0, len(integers), self._images_at_once):
            parts.append(self._run(integers[first : first + self._images_at_once], events=events, spikes=spikes))
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _stepwise(self, images: int, may_stop: bool) -> bool:
        """Whether a chunk of ``images`` runs step after step."""
        return not self._restarts and (may_stop or images > self._few)

    def order(self, images: int, may_stop: bool) -> str:
        return "step after step" if self._stepwise(images, may_stop) else "layer after layer"

    def path(self, node: Node, images: int, may_stop: bool) -> Path:
        found = super().path(node, images, may_stop)
        if self._stepwise(images, may_stop) or found.kernel not in (Kernel.ROUNDS, Kernel.SCALES, Kernel.BESIDE):
            return found
        stage = self._stages[self._stage_of[node.name]]
        if stage.whole is None:  # all steps in one call, which is rounded afterwards
            kernel = Kernel.BESIDE if found.kernel is Kernel.BESIDE else Kernel.SCALES
            return replace(found, kernel=kernel, dtype="float32", why=stage.behind)
        return replace(found, why=stage.whole)

    @property
    def _counted(self) -> int:
        """Steps that counts and readout take."""
        return self.graph.timesteps + self.graph.drain

    def _run(self, integers: Tensor, *, events: bool, spikes: bool) -> Result:
        """What :meth:`run` gives for some of the images."""
        images, emissions = integers.shape[0], dict[str, Emission]()
        image = self._images(integers)
        sent: dict[str, Tensor] = {}  # accumulated counts of all steps, or what became of them, [S * N, *shape]
        readouts: dict[str, Tensor] = {}
        for node in self.graph:
            arriving = [sent[source] for source in node.sources if source in sent]
            if isinstance(node, Readout):
                membranes = self._membranes(node, images, arriving, image)[: self._counted]
                readouts[node.name] = unflat(membranes, node.shape)
            elif isinstance(node, Population):
                if self.kernels[node.name] is Kernel.IN_KERNEL:
                    inputs = arriving or [clipped(image[self.graph.input.name], U8_MAX, keep=True)]
                    counts = self._staged(node, images, inputs)
                elif self.kernels[node.name] is Kernel.PASSES:
                    arrived = flat(self._sum(node, arriving)).view(self._steps, images, -1)
                    counts = self._count(node, [arrived], _no_membranes)
                else:
                    counts = self._divided(node, self._membranes(node, images, arriving, image))
                levels = unflat(counts[0], node.shape)
                sent[node.name] = levels.flatten(0, 1)
                emissions[node.name] = self._emitted(node, counts, levels, events=events, spikes=spikes)
            elif arriving and isinstance(node, Operation):
                total = self._sum(node, arriving)
                sent[node.name] = total if node.name in self._stage_of else self._linear(node, total)
            for source in node.sources:
                if self._last_use[source] == node.name:
                    sent.pop(source, None)
        return Result(emissions, readouts)

    def _membranes(
        self, node: Population | Readout, images: int, arriving: Sequence[Tensor], image: Mapping[str, Tensor]
    ) -> Tensor:
        """U after every step, [S, N, neurons]."""
        u = self._constant[node.name].expand(-1, images, -1)
        if arriving:
            u = u + flat(self._sum(node, arriving)).view(self._steps, images, -1)
        parts = [flat(part) for part in self._parts(node, image)]
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
        """The same from U [S, N, neurons]."""
        shifts = [flat(shift) for shift in self._shift[node.name]]
        quotients = divided(u, self._flat_theta[node.name], shifts, self._highest[node.name])
        return self._count(node, quotients, lambda index: u.reshape(len(u), -1).index_select(1, index))

    def _count(self, node: Population, quotients: Sequence[Tensor], membranes: Membranes) -> list[Tensor]:
        """Net spikes so far u8 [S, N, neurons], from q and r (once where they are the same) of that shape; of neurons
        that send other numbers than 0 and 1 how often they send one [N, neurons] as well."""
        q, most = quotients[0], node.neuron.emission[1]
        if node.name in self._even:
            counts = torch.minimum(q, self._most[node.name], out=q)
            return [counts] if most == 1 else [counts, changes(counts)]
        if COUNTING(node.neuron).takes_back:
            clamped = [x.clamp_(max=self._highest[node.name]) for x in quotients]
            return signed(clamped) if most == 1 else several(clamped, most, takes_back=True)
        if most > 1:
            return several(quotients, most, takes_back=False)
        rho = node.neuron.rehearsal
        last = q[rho - 1].clone() if rho else None
        counts = accumulated(q)
        if last is not None:
            fired = counts[rho - 1]
            index = indices(last.clamp(max=rho) != fired)
            if len(index):
                u, theta = membranes(index), self._thresholds(node, index)
                moved = clipped((u + shift(u, theta, rho)) / theta, self._steps)
                counts.view(self._steps, -1).index_copy_(1, index, accumulated(moved))
        return [counts]

    def _thresholds(self, node: Population, index: Tensor) -> Tensor:
        theta = self._flat_theta[node.name][0]
        return theta.index_select(0, index % len(theta))

    def _emitted(
        self, node: Population, counts: Sequence[Tensor], levels: Tensor, *, events: bool, spikes: bool
    ) -> Emission:
        """What is kept of the net spikes so far, of ``levels`` [S, N, *shape]; events are those of all steps."""
        counted = levels[: self._counted]
        found = raster = None
        if events and separate_events(self.graph, node):
            every = counts[-1] if len(counts) > 1 else counts[0][-1]
            found = unflat(every[None], node.shape)[0].clone()
        if spikes:
            before = torch.cat([torch.zeros_like(counted[:1]), counted[:-1]])
            one = raster_dtype(node.neuron.emission[1])
            # u8: one below 0 wraps, and comes back as int8
            change = (counted - before).view(torch.int8) if one == torch.int8 else counted.to(one) - before.to(one)
            raster = change.transpose(0, 1)
        return Emission(counted[-1].clone(), found, raster)  # a view would keep the memory of all steps


def _joined(parts: Sequence[Result]) -> Result:
    """The images of several parts as one."""
    emissions = {}
    for name in list(parts[0].emissions):
        each = [part.emissions.pop(name) for part in parts]
        events = [e.events for e in each if e.events is not None]
        rasters = [e.raster for e in each if e.raster is not None]
        emissions[name] = Emission(
            torch.cat([e.counts for e in each]),
            torch.cat(events) if events else None,
            torch.cat(rasters) if rasters else None,
        )
    readouts = {name: torch.cat([part.readouts[name] for part in parts], dim=1) for name in parts[0].readouts}
    return Result(emissions, readouts)


def _no_membranes(index: Tensor) -> Tensor:
    raise AssertionError("these neurons do not start over, or their stages are exact as a whole")


def unflat(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """[S, N, *shape] from [S, N, neurons], channels last."""
    if len(shape) != 3:
        return x.reshape(*x.shape[:2], *shape)
    channels, height, width = shape
    return x.view(*x.shape[:2], height, width, channels).permute(0, 1, 4, 2, 3)
