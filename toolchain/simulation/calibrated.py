"""The fast path of ``calibrated_if``: layer after layer, all steps of a layer as one batch, on 8-bit kernels.

With U(t) and c(t) as in :mod:`toolchain.simulation.levels`, let q(t) = clip(floor(U(t) / theta) + 1, 0, S + 2) for S
steps and k = c(t-1) + 1. Then m(t) = U(t) - theta*c(t-1) is at least theta where q > k, negative where q < k, and

* q = k + 1 says theta <= m < 2*theta: a step that fired and leaves a < 2*theta;
* q = k says 0 <= m < theta: a step that did not fire and leaves b >= 0.

So pass 1 of the rule needs u8 only, and so does pass 2 wherever the start moves by theta, down or up: that changes q by
one. The start moves further only where every step that fired had m >= 2*theta, or every other one m < 0; these few
neurons are computed from U in float32, where every number is an integer below 2**24.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from toolchain.ir.integer import IntegerGraph, Linear, Population, Readout
from toolchain.quantization.ranges import Ranges
from toolchain.simulation.early_exit import EarlyExit
from toolchain.simulation.emission import Emission, Result, separate_events
from toolchain.simulation.levels import LevelNetwork
from toolchain.simulation.registers import Watch

_CACHED = 2**23  # bytes of the largest float32 array that all steps of a batch should take: it is read several times


class CalibratedNetwork(LevelNetwork):
    """Executes graphs with ``calibrated_if`` populations, alone or beside ``if``."""

    staged = False

    def __init__(self, graph: IntegerGraph, ranges: Ranges) -> None:
        super().__init__(graph, ranges)
        self._steps = len(self._times)
        self._theta = {p.name: flat(torch.as_tensor(p.theta).float()[None]) for p in graph.populations}
        #: Per step, [S, 1, neurons]: v_init, the biases so far and, for a population, theta.
        self._constant: dict[str, Tensor] = {}
        times = torch.tensor(self._times, dtype=torch.float32)[:, None, None]
        neurons: tuple[Population | Readout, ...] = (*graph.populations, graph.readout)
        for node in neurons:
            bias = self._bias[node.name]
            start = torch.as_tensor(node.v_init).float()[None]
            each = torch.zeros_like(start) if bias is None else bias[None]
            raised = self._theta[node.name] if isinstance(node, Population) else 0
            self._constant[node.name] = flat(start) + raised + times * flat(each)
        widest = max(int(torch.Size(n.output_shape).numel()) for n in graph)
        self._images_at_once = max(1, _CACHED // (4 * self._steps * widest))

    @property
    def bytes_per_image(self) -> int:
        """Estimate of the working set of one image: the counts of every population, and what a layer needs."""
        sizes = [int(torch.Size(n.output_shape).numel()) for n in self.graph]
        return sum(sizes) + 16 * self._steps * max(sizes)

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
        assert early_exit is None  # refused by EarlyExit
        parts = [self._run(part, spikes) for part in torch.split(integers, self._images_at_once)]
        return Result(
            {p.name: _joined([part.emissions[p.name] for part in parts]) for p in self.graph.populations},
            torch.cat([part.readout for part in parts], dim=1),
        )

    def _run(self, integers: Tensor, spikes: bool) -> Result:
        image = self._images(integers)
        images = len(integers)
        sent: dict[str, Tensor] = {}  # accumulated counts of all steps, or what became of them, [S * N, *shape]
        emissions: dict[str, Emission] = {}
        readout = torch.empty(0)
        for node in self.graph:
            arriving = [sent[source] for source in node.sources if source in sent]
            if isinstance(node, Population | Readout):
                u = self._constant[node.name].expand(-1, images, -1)
                if arriving:
                    u = u + flat(self._sum(node, arriving)).view(self._steps, images, -1)
                parts = [flat(image[source]) for source in node.sources if source in image]
                if parts:
                    u = torch.stack([v.add(sum(parts), alpha=t) for v, t in zip(u, self._times, strict=True)])
                if isinstance(node, Readout):
                    readout = u[: self.graph.timesteps].float()
                else:
                    counts = unflat(self._count(node, u), node.shape)
                    sent[node.name] = counts.flatten(0, 1)
                    emissions[node.name] = self._emission(node, counts, spikes)
            elif arriving and isinstance(node, Linear):
                sent[node.name] = self._linear(node, self._sum(node, arriving))
            for source in node.sources:
                if self._last_use[source] == node.name:
                    sent.pop(source, None)
        return Result(emissions, readout)

    def _count(self, node: Population, u: Tensor) -> Tensor:
        """Accumulated spikes u8 [S, N, neurons], from U + theta float32 of the same shape."""
        theta, top = self._theta[node.name], self._steps + 2
        # IEEE division never rounds a quotient up to the next integer while theta * (top + 1) < 2**24.
        q = (u / theta).clamp_(0, top).to(torch.uint8)
        start = torch.ones_like(q[0])
        if node.rho is not None:
            down, up, far = _moves(q, node.rho)
            start += down.view(torch.uint8)
            start -= up.view(torch.uint8)
            _move_far(q, start, u, theta, far, node.rho, top)
        k, counts = start.clone(), torch.empty_like(q)
        for step in range(self._steps):
            k += torch.gt(q[step], k).view(torch.uint8)
            torch.sub(k, start, out=counts[step])
        return counts

    def _emission(self, node: Population, counts: Tensor, spikes: bool) -> Emission:
        """From accumulated counts [S, N, *shape]; counted are the first T steps, events are those of all."""
        counted = counts[: self.graph.timesteps]
        raster = None
        if spikes:
            before = torch.cat([torch.zeros_like(counted[:1]), counted[:-1]])
            raster = (counted - before).transpose(0, 1)
        return Emission(counted[-1].clone(), counts[-1].clone() if separate_events(self.graph, node) else None, raster)


def _moves(q: Tensor, rho: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pass 1 on q u8 [S, N, neurons]: where the start moves down, where up, and where by more than theta."""
    k = torch.ones_like(q[0])
    fired_far, silent_far = (torch.ones_like(k, dtype=torch.bool) for _ in range(2))
    for step in range(rho):
        silent_far &= q[step] != k
        fired = q[step] > k
        k += 1
        fired_far &= q[step] != k
        k -= (~fired).view(torch.uint8)
    last = q[rho - 1]
    down, up = (last < k) & (k > 1), (last > k) & (k < rho + 1)
    return down, up, (down & fired_far) | (up & silent_far)


def _move_far(q: Tensor, start: Tensor, u: Tensor, theta: Tensor, far: Tensor, rho: int, top: int) -> None:
    """Replace ``q`` and ``start`` where ``far``, from U + theta: the start moves by what membranes say."""
    index = far.view(-1).nonzero()[:, 0]
    if not len(index):
        return
    raised = u.reshape(len(u), -1)[:, index]
    threshold = theta.expand(far.shape).reshape(-1)[index]
    n = torch.zeros_like(threshold)
    least_fired, most_silent = torch.full_like(n, torch.inf), torch.full_like(n, -torch.inf)
    for step in range(rho):
        m = raised[step] - threshold * (n + 1)
        fired = m >= threshold
        least_fired = torch.where(fired, torch.minimum(least_fired, m), least_fired)
        most_silent = torch.where(fired, most_silent, torch.maximum(most_silent, m))
        n += fired
    down = start.view(-1)[index] > 1
    moved = raised + torch.where(down, threshold - 1 - least_fired, threshold - most_silent)
    q.view(len(q), -1)[:, index] = (moved / threshold).clamp_(0, top).to(torch.uint8)
    start.view(-1)[index] = 1


def flat(x: Tensor) -> Tensor:
    """[N, neurons] in contiguous memory, channels last."""
    return (x.permute(0, 2, 3, 1) if x.dim() == 4 else x).reshape(len(x), -1)


def unflat(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """[S, N, *shape] from [S, N, neurons], channels last."""
    if len(shape) != 3:
        return x.reshape(*x.shape[:2], *shape)
    channels, height, width = shape
    return x.view(*x.shape[:2], height, width, channels).permute(0, 1, 4, 2, 3)


def _joined(parts: list[Emission]) -> Emission:
    def joined(tensors: list[Tensor | None]) -> Tensor | None:
        found = [t for t in tensors if t is not None]
        return torch.cat(found) if found else None

    counts = joined([part.counts for part in parts])
    assert counts is not None  # every population counts
    return Emission(counts, joined([part.events for part in parts]), joined([part.raster for part in parts]))
