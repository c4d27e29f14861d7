"""Currents and membranes that decay: the arithmetic of Loihi's leaky neuron."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spikec.ir.leak import CURRENT_MAX, UNIT, UNITY, Leak
from spikec.ir.types import MEMBRANE_MAX
from spikec.simulation.engines.widening import neurons_as
from spikec.simulation.registers import Watch


class Leaking:
    """Current and membrane of ``cuba_lif`` and of a readout that leaks, before anything fires."""

    def __init__(self, leak: Leak, v: Tensor) -> None:
        self.v, self.u = v, torch.zeros_like(v)
        self._kept = [neurons_as(kept, v.dtype) for kept in leak.kept]
        self._bias = neurons_as(leak.bias, v.dtype)

    def charge(self, terms: Sequence[Tensor], watch: Watch) -> None:
        """One step: decay, take in the sum of ``terms``, wrap the current, hold the membrane."""
        u, v = self.u, self.v
        _decay(u, self._kept[0])
        for z in terms:
            u.add_(z, alpha=UNIT)
        high, low = u > CURRENT_MAX, u <= -CURRENT_MAX  # once, and these bounds: as Lava's model has it
        u -= 2 * CURRENT_MAX * high.to(u.dtype)
        u += 2 * CURRENT_MAX * low.to(u.dtype)
        _decay(v, self._kept[1])
        v += u
        v += self._bias
        v.clamp_(-MEMBRANE_MAX, MEMBRANE_MAX)
        watch.see(v)


def _decay(x: Tensor, kept: Tensor) -> None:
    """x = toward0(x * kept / 4096), exact: the product has fewer than 2**53, and 4096 is a power of two."""
    x *= kept
    torch.div(x, UNITY, rounding_mode="trunc", out=x)
