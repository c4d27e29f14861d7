"""Float neurons: the update rules of ``docs/semantics.md`` on real numbers, all steps of a batch at once.

Integer execution is the golden model's; these neurons are for evaluating and calibrating a network before it is
lowered. Spikes are multiplied by the threshold, so that a layer's mean over T steps is its activation. The step
functions have surrogate gradients, so the network can be trained or tuned through its spikes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from toolchain.ir.integer import NeuronKind, Schedule
from toolchain.training.surrogate import fire, signed_spikes

#: Neurons computed at once, whole images: what a step makes stays in the cache.
_AT_ONCE = 2**17


@dataclass(frozen=True)
class NeuronSpec:
    """Which neuron a method puts in place of an activation.

    ``levels``: largest payload (graded) or 2**T - 1 (bit_serial), else None. ``rho``: steps of pass 1
    (calibrated_if). ``warm_up``: steps of SRP's first phase. ``negative``: negative threshold of signed_if as a
    fraction of the threshold; 0 stands for the smallest amount there is, one unit once the network is in integers.
    """

    kind: NeuronKind
    levels: int | None = None
    rho: int | None = None
    negative: float = 0.0
    warm_up: int = 0


def _floor(x: Tensor) -> Tensor:
    """Floor with the gradient of the identity."""
    return x + (x.floor() - x).detach() if x.requires_grad else x.floor()


class Neuron(nn.Module):
    """A population. Input and output are [S * N, *shape] with the S steps outermost; ``counts`` keeps [N, *shape].

    ``threshold`` (scalar or [C]): real value of a full activation; ``offset`` (0 or [*shape]): real amount added to
    the initial membrane of threshold / 2 (unit / 2 where the neuron has levels).
    """

    threshold: Tensor
    offset: Tensor

    def __init__(self, spec: NeuronSpec, threshold: Tensor, timesteps: int, schedule: Schedule, drain: int = 0) -> None:
        super().__init__()
        self.spec, self.timesteps, self.schedule, self.drain = spec, timesteps, schedule, drain
        self.register_buffer("threshold", threshold.detach().clone())
        self.register_buffer("offset", torch.zeros(()))
        self.counts: Tensor | None = None

    @property
    def steps(self) -> int:
        """Steps this neuron emits for one image."""
        if self.spec.kind in ("graded", "bit_serial"):
            return 1  # a level travels as one number here; its bits are the golden model's business
        return max(self.spec.warm_up + self.timesteps + self.drain, self.spec.rho or 0)

    @property
    def unit(self) -> Tensor:
        """Real value of one emitted unit: threshold, or threshold / levels."""
        return self.threshold if self.spec.levels is None else self.threshold / self.spec.levels

    def unit_over(self, axes: int) -> Tensor:
        """``unit``, shaped to multiply values of neurons with that many axes, channels first."""
        return self.unit.reshape(-1, *([1] * (axes - 1))) if self.unit.ndim else self.unit

    def forward(self, x: Tensor) -> Tensor:
        z = x.reshape(self.steps, -1, *x.shape[1:])
        unit = self.unit_over(z.ndim - 2)
        start = (unit / 2 + self.offset) / unit
        output, counts = [], []
        for part in torch.split(z, max(1, _AT_ONCE // math.prod(z.shape[2:])), 1):
            emitted = self._emit(part / unit, start)
            counts.append(emitted[self.spec.warm_up :][: self.timesteps + self.drain].sum(0).detach())
            output.append(emitted * unit)
        self.counts = torch.cat(counts)
        return torch.cat(output, 1).reshape(x.shape)

    def _emit(self, z: Tensor, start: Tensor) -> Tensor:
        """Emissions [S, N, *shape] from input in units of the threshold."""
        v = start.expand_as(z[0]).clone()
        if self.spec.levels is not None:
            return torch.clamp(_floor(z[0] + v), 0, self.spec.levels)[None]
        if self.schedule == "layerwise":
            # Everything arrives before the first spike: spike k fires when the total holds k thresholds.
            total = v + z.sum(0)
            steps = torch.arange(1, self.timesteps + 1, device=z.device, dtype=z.dtype)
            return fire(total - steps.reshape(-1, *([1] * total.ndim)))
        if self.spec.kind == "signed_if":
            return self._signed(z, v)
        if self.spec.kind == "calibrated_if":
            v = self._calibrated_start(z, v)
        if self.spec.warm_up:
            return self._masked(z, v)
        return self._plain(z, v)[0]

    @staticmethod
    def _plain(z: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes of every step and the last membrane."""
        spikes = []
        for current in z:
            v = v + current
            s = fire(v - 1)
            v = v - s
            spikes.append(s)
        return torch.stack(spikes), v

    def _masked(self, z: Tensor, start: Tensor) -> Tensor:
        """SRP: neurons whose membrane is not positive after the first phase stay silent in the second."""
        first, v = self._plain(z[: self.spec.warm_up], start)
        second, _ = self._plain(z[self.spec.warm_up :], start)
        return torch.cat([first, second * (v > 1e-3).to(z.dtype)])

    def _signed(self, z: Tensor, v: Tensor) -> Tensor:
        spikes, count = [], torch.zeros_like(v)
        for current in z:
            v = v + current
            s = signed_spikes(v, count, self.timesteps, self.spec.negative)
            v, count = v - s, count + s.detach()
            spikes.append(s)
        return torch.stack(spikes)

    def _calibrated_start(self, z: Tensor, v0: Tensor) -> Tensor:
        """Pass 1 of offset-spike calibration (Hao et al., ICLR 2023, as its published code does it).

        The smallest shift that moves the count by one: max(1, a - 1) down where v < 0 after rho steps and the neuron
        fired, max(1, 1 - b) up where v >= 1 and it could fire more; a is the smallest membrane that fired, b the
        largest that did not. ``eps`` stands for the one integer unit of the integer rule.
        """
        eps, rho = 1e-3, self.spec.rho or 0
        v, count = v0, torch.zeros_like(v0)
        fired, silent = torch.full_like(v0, torch.inf), torch.full_like(v0, -torch.inf)
        for current in z[:rho]:
            v = v + current
            s = (v >= 1).to(z.dtype)
            fired = torch.where(s > 0, torch.minimum(fired, v), fired)
            silent = torch.where(s > 0, silent, torch.maximum(silent, v))
            v, count = v - s, count + s
        down = torch.where((v < 0) & (count > 0), (fired - 1 + eps).clamp(min=1), torch.zeros_like(v))
        up = torch.where((v >= 1) & (count < rho), (1 - silent).clamp(min=1), torch.zeros_like(v))
        return v0 - down + up
