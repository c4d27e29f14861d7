"""A layer that computes with the weights it will be lowered to, and passes gradients straight through the rounding."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class QuantisedLayer(nn.Module):
    """``y = ratio * layer(x)`` with weights and bias on the grid of integers, batch norm folded.

    ``gain`` is the real value of one emission of the source, divided by its pool. The integers are
    w = clip(round(weight * gain / step), -M, M) and b = round(bias / unit); the layer computes with w * step / gain and
    b * unit. ``ratio`` = threshold / (theta * unit) has the effect of rounding the threshold to an integer theta.

    ``weight`` and ``bias`` are trained; gradients pass where the weight is not clipped (straight-through, Bengio et al.
    2013, arXiv 1308.3432). ``layer`` is the nn.Conv2d or nn.Linear that this replaces. ``weight`` has the shape of its
    weight, ``gain`` broadcasts to that shape; ``step``, ``unit`` and ``ratio`` are [O].
    """

    gain: Tensor
    step: Tensor
    unit: Tensor
    ratio: Tensor

    def __init__(
        self,
        layer: nn.Conv2d | nn.Linear,
        weight: Tensor,
        bias: Tensor,
        *,
        gain: Tensor,
        step: Tensor,
        unit: Tensor,
        ratio: Tensor,
        weight_max: int,
    ) -> None:
        super().__init__()
        like = layer.weight
        self.weight = nn.Parameter(weight.detach().to(like.device, like.dtype).clone())
        self.bias = nn.Parameter(bias.detach().to(like.device, like.dtype).clone())
        for name, value in (("gain", gain), ("step", step), ("unit", unit), ("ratio", ratio)):
            self.register_buffer(name, value.detach().to(like.device, like.dtype).clone())
        self.weight_max, self.rounding = weight_max, True
        self._shape: dict[str, Any] = {}
        if isinstance(layer, nn.Conv2d):
            self._shape = {n: getattr(layer, n) for n in ("stride", "padding", "dilation", "groups")}

    @property
    def quantised(self) -> tuple[Tensor, Tensor]:
        """Weight and bias in real units, on the grid."""
        if not self.rounding:
            return self.weight, self.bias
        column = (-1, *[1] * (self.weight.dim() - 1))
        scale = self.gain / self.step.view(column)
        clipped = torch.clamp(self.weight * scale, -self.weight_max, self.weight_max)
        return _round(clipped) / scale, _round(self.bias / self.unit) * self.unit

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.quantised
        if self.rounding:
            weight, bias = weight * self.ratio.view(-1, *[1] * (weight.dim() - 1)), bias * self.ratio
        if self._shape:
            return F.conv2d(x, weight, bias, **self._shape)
        return F.linear(x, weight, bias)


def _round(x: Tensor) -> Tensor:
    return x + (torch.round(x) - x).detach()
