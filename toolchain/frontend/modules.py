"""The closed list of operations a traced graph may hold, besides ``operator.add``, ``torch.cat`` and activations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikec.errors import ConversionError
from spikec.ir import operations as ig
from spikec.ir.types import Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Most entries of the matrix of a :class:`LinearMap`, zeros included: a file holds them all.
LARGEST_MATRIX = 2**26
#: Numbers computed at once while a matrix is read off an operation.
_AT_ONCE = 2**24

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


class Lower(nn.Module):
    """(N, C, 1, L) to (N, C, L): an output of signals, as the network returns it. Nothing but the output reads it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.squeeze(2)


class LinearMap(nn.Module):
    """``y = M x + bias`` with any sparse matrix M, for what no other form expresses: upsampling, mirrored padding.

    ``inputs`` and ``outputs``: shapes without the batch axis, flattened in C, H, W order for M. Entry k of M, at row
    ``places[0, k]`` and column ``places[1, k]``, is ``values[k]``; no place appears twice. ``bias`` [prod(outputs)].
    """

    places: Tensor
    values: Tensor
    bias: Tensor

    def __init__(
        self, places: Tensor, values: Tensor, inputs: Shape, outputs: Shape, bias: Tensor | None = None
    ) -> None:
        super().__init__()
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self.register_buffer("places", places.detach().clone())
        self.register_buffer("values", values.detach().clone())
        zeros = torch.zeros(math.prod(outputs), dtype=values.dtype, device=values.device)
        self.register_buffer("bias", zeros if bias is None else bias.detach().clone())

    @classmethod
    def of(cls, function: Callable[[Tensor], Tensor], inputs: Shape, device: torch.device | str = "cpu") -> LinearMap:
        """The map that ``function`` [N, *inputs] -> [N, *outputs] computes on float32 on ``device``, each image alone.

        Raises :class:`ConversionError` where it is not linear plus a constant, or its matrix would have more than
        ``LARGEST_MATRIX`` entries.
        """
        with torch.no_grad():
            constant = function(torch.zeros(1, *inputs, device=device))
            outputs, columns = tuple(constant.shape[1:]), math.prod(inputs)
            if columns * constant.numel() > LARGEST_MATRIX:
                raise ConversionError(
                    f"an operation from {inputs} to {outputs} that is no convolution needs a matrix of "
                    f"{columns * constant.numel()} weights, more than {LARGEST_MATRIX}; use fewer channels or a "
                    "smaller image there"
                )
            found, values = [], []
            at_once = max(1, min(columns, _AT_ONCE // max(columns, constant.numel())))
            for first in range(0, columns, at_once):
                number = min(at_once, columns - first)
                units = torch.zeros(number, columns, device=device)
                units[torch.arange(number), first + torch.arange(number)] = 1.0
                images = (function(units.reshape(number, *inputs)) - constant).flatten(1)
                column, row = images.nonzero(as_tuple=True)
                found.append(torch.stack([row, column + first]))
                values.append(images[column, row])
            made = cls(torch.cat(found, 1), torch.cat(values), inputs, outputs, constant.flatten())
            probe = torch.randn(2, *inputs, generator=torch.Generator().manual_seed(0)).to(device)
            wanted = function(probe)
            if not torch.allclose(made(probe), wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max())):
                raise ConversionError(f"an operation from {inputs} to {outputs} is not linear: it cannot be a synapse")
        return made

    def forward(self, x: Tensor) -> Tensor:
        size = (math.prod(self.outputs), math.prod(self.inputs))
        matrix = torch.sparse_coo_tensor(self.places, self.values, size, check_invariants=False)
        y = torch.sparse.mm(matrix, x.flatten(1).T).T + self.bias
        images: Tensor = y.reshape(len(x), *self.outputs)
        return images


class Staircase(nn.Module):
    """A trained activation: ``y = threshold / L * clip(floor(x * L / threshold + 1/2), 0, L)``, elementwise.

    ``levels`` L, or None for ``y = clip(x, 0, threshold)``; ``threshold`` [] or one number per channel (axis 1).
    """

    def __init__(self, levels: int | None, threshold: Tensor) -> None:
        super().__init__()
        self.levels, self.threshold = levels, threshold

    def forward(self, x: Tensor) -> Tensor:
        threshold = self.threshold.to(x.dtype)
        if threshold.numel() > 1:
            threshold = threshold.reshape(1, -1, *[1] * (x.ndim - 2))
        return staircase(x, threshold, self.levels)


def staircase(x: Tensor, threshold: Tensor, levels: int | None) -> Tensor:
    """See :class:`Staircase`; the threshold broadcasts."""
    if levels is None:
        return torch.minimum(torch.relu(x), threshold)
    return (x * levels).div_(threshold).add_(0.5).floor_().clamp_(0, levels).mul_(threshold / levels)


class FlattenAll(nn.Module):
    """(N, C, H, W) to (N, C*H*W)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.flatten(x, 1)


class Lift(nn.Module):
    """(N, C, L) to (N, C, 1, L): signals run as images of height one."""

    def forward(self, x: Tensor) -> Tensor:
        return x.unsqueeze(2)


class Rectifier(nn.Module):
    """``y = clip(x, 0, bound)``: ReLU (``bound`` None) and its clipped relatives."""

    def __init__(self, bound: float | None = None) -> None:
        super().__init__()
        self.bound = bound

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp(x, min=0.0, max=self.bound)
