"""Spikes that gradients pass through, for networks that run as spiking networks in float.

Membranes are in units of the threshold.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Fire(torch.autograd.Function):
    """1 where ``x`` >= 0 (``strict``: > 0), else 0; ``x`` is the distance from the threshold, in units of the
    threshold. Backward, the triangle max(0, 1 - abs(x)) replaces the derivative (Esser et al., PNAS 2016)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, strict: bool) -> Tensor:
        ctx.save_for_backward(x)
        return (x > 0 if strict else x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradients[0] * (1 - x.abs()).clamp_(min=0), None


def fire(x: Tensor, *, strict: bool = False) -> Tensor:
    """1 where ``x``, the distance from the threshold, is not negative (``strict``: positive), else 0."""
    result: Tensor = _Fire.apply(x, strict)  # type: ignore[no-untyped-call]
    return result


def signed_spikes(v: Tensor, count: Tensor, timesteps: int, negative: float = 0.0) -> Tensor:
    """Dual threshold with memory: +1 where v >= 1 and count < T, -1 where v < -negative and count > 0, else 0.

    If ``negative`` is not 0, -1 where v <= -negative and count > 0.
    """
    up, down = fire(v - 1), fire(-negative - v, strict=not negative)
    return up * (count < timesteps) - down * ((v.detach() < 1) & (count > 0))
