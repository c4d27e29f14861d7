"""The closed list of operations a traced graph may hold, besides ``operator.add``, ``torch.cat`` and activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikec.ir import operations as ig

if TYPE_CHECKING:
    from collections.abc import Sequence

Pads = tuple[int, int, int, int]  # top, bottom, left, right


class Convolution(nn.Module):
    """``y = conv2d(zero_pad(x), weight) + bias``: every padding, stride, dilation and group a Conv2d can have.

    ``weight`` [O, I / groups, kH, kW], ``bias`` [O], ``pads`` (top, bottom, left, right).
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        stride: Sequence[int] = (1, 1),
        pads: Sequence[int] = (0, 0, 0, 0),
        dilation: Sequence[int] = (1, 1),
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach().clone())
        zeros = torch.zeros(weight.shape[0], dtype=weight.dtype, device=weight.device)
        self.register_buffer("bias", zeros if bias is None else bias.detach().clone())
        self.stride, self.dilation = (stride[0], stride[1]), (dilation[0], dilation[1])
        self.pads: Pads = (pads[0], pads[1], pads[2], pads[3])
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        top, bottom, left, right = self.pads
        if top == bottom and left == right:
            return F.conv2d(x, self.weight, self.bias, self.stride, (top, left), self.dilation, self.groups)
        padded = F.pad(x, (left, right, top, bottom))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class Dense(nn.Module):
    """``y = x @ weight.T + bias`` with ``weight`` [O, I] and ``bias`` [O]."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach().clone())
        zeros = torch.zeros(weight.shape[0], dtype=weight.dtype, device=weight.device)
        self.register_buffer("bias", zeros if bias is None else bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class AveragePool(nn.Module):
    """Mean over windows of ``kernel`` with the same stride and no padding; partial windows are dropped."""

    def __init__(self, kernel: Sequence[int]) -> None:
        super().__init__()
        self.kernel = (kernel[0], kernel[1])

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, self.kernel, self.kernel)


class MaxPool(nn.Module):
    """The largest value of every window, as ``window`` describes them; no place of a window lies on the padding."""

    def __init__(self, window: ig.MaxPool) -> None:
        super().__init__()
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        return self.window.apply(x)


class ChannelAffine(nn.Module):
    """``y = x * scale + shift`` per channel (axis 1): what is left of a normalisation that no layer can absorb."""

    scale: Tensor
    shift: Tensor

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale.detach().clone())
        self.register_buffer("shift", shift.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        shape = (1, -1) + (1,) * (x.ndim - 2)
        return x * self.scale.reshape(shape) + self.shift.reshape(shape)


class Measured(ChannelAffine):
    """``y = x + shift``, where ``shift`` [C] follows from images: its sign is not known until they have run."""

    def __init__(self, channels: int) -> None:
        super().__init__(torch.ones(channels), torch.zeros(channels))


class FlattenAll(nn.Module):
    """(N, C, H, W) to (N, C*H*W)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.flatten(x, 1)


class Lift(nn.Module):
    """(N, C, L) to (N, C, 1, L): signals run as images of height one."""

    def forward(self, x: Tensor) -> Tensor:
        return x.unsqueeze(2)


class Lower(nn.Module):
    """(N, C, 1, L) to (N, C, L): an output of signals, as the network returns it. Nothing but the output reads it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.squeeze(2)


class Rectifier(nn.Module):
    """``y = clip(x, 0, bound)``: ReLU (``bound`` None) and its clipped relatives."""

    def __init__(self, bound: float | None = None) -> None:
        super().__init__()
        self.bound = bound

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp(x, min=0.0, max=self.bound)
