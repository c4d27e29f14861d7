"""Convolutions as arrays: shape rules, composition of two into one, and the matrix of one on an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spikec.frontend.modules import LARGEST_MATRIX
from spikec.ir.operations.windows import output_size
from spikec.ir.types import Shape

Float64 = npt.NDArray[np.float64]
Pads = tuple[int, int, int, int]


class NotComposableError(Exception):
    """Two linear operations that no single synapse can express; the message says which and why."""


@dataclass(frozen=True)
class Kernel:
    """A convolution [O, I / groups, kH, kW] with four-sided zero padding (top, bottom, left, right)."""

    weight: Float64
    stride: tuple[int, int] = (1, 1)
    pads: Pads = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def pointwise(self) -> bool:
        return self.weight.shape[2:] == (1, 1)

    def dense_groups(self) -> Float64:
        """The weight as [O, I, kH, kW] with zeros between groups."""
        if self.groups == 1:
            return self.weight
        rows, per_group = self.weight.shape[0] // self.groups, self.weight.shape[1]
        full = np.zeros((self.weight.shape[0], per_group * self.groups, *self.weight.shape[2:]))
        for g in range(self.groups):
            own = slice(g * rows, (g + 1) * rows)
            full[own, g * per_group : (g + 1) * per_group] = self.weight[own]
        return full

    def output_shape(self, shape: Shape) -> Shape:
        top, bottom, left, right = self.pads
        padding = (top + bottom, left + right)
        sizes = zip(shape[1:], self.weight.shape[2:], self.stride, padding, self.dilation, strict=True)
        return (self.weight.shape[0], *(output_size(*each) for each in sizes))


def compose(first: Kernel, second: Kernel) -> Kernel:
    """The kernel that applies ``first``, then ``second``; raises :class:`NotComposableError` where there is none."""
    if not first.pointwise and any(second.pads):
        raise NotComposableError(
            "a padded convolution reads another convolution with no activation between them; "
            "add an activation, or do the padding in the first one"
        )
    if first.pointwise and any(second.pads) and any(first.pads) and first.stride != (1, 1):
        raise NotComposableError(
            "a padded convolution reads a padded, strided 1x1 convolution; add an activation between"
        )
    stride = (first.stride[0] * second.stride[0], first.stride[1] * second.stride[1])
    pads = _compose_pads(first, second)
    if first.pointwise and _square(first):  # scales or pads channels: the groups of the second stay
        factor = first.weight.reshape(second.groups, 1, -1, 1, 1)
        grouped = second.weight.reshape(second.groups, -1, *second.weight.shape[1:]) * factor
        dilation = (second.dilation[0] * first.stride[0], second.dilation[1] * first.stride[1])
        return Kernel(grouped.reshape(second.weight.shape), stride, pads, dilation, second.groups)
    if second.pointwise and _depthwise(second):  # scales channels: the groups of the first stay
        weight = np.repeat(first.weight, second.weight.shape[0] // second.groups, axis=0) * second.weight
        return Kernel(weight, stride, pads, first.dilation, first.groups)
    if first.groups == second.groups and _depthwise(first) and _square(second):
        weight, dilation = _compose_weights(first, second, depthwise=True)
        return Kernel(weight, stride, pads, dilation, first.groups)
    weight, dilation = _compose_weights(first, second, depthwise=False)
    return Kernel(weight, stride, pads, dilation)


def _compose_pads(first: Kernel, second: Kernel) -> Pads:
    s = (first.stride[0], first.stride[0], first.stride[1], first.stride[1])
    pads = [p + q * t for p, q, t in zip(first.pads, second.pads, s, strict=True)]
    return pads[0], pads[1], pads[2], pads[3]


def _depthwise(kernel: Kernel) -> bool:
    """One input channel for every output channel, or for several that follow one another."""
    return kernel.weight.shape[1] == 1


def _square(kernel: Kernel) -> bool:
    return _depthwise(kernel) and kernel.weight.shape[0] == kernel.groups


def _compose_weights(first: Kernel, second: Kernel, *, depthwise: bool) -> tuple[Float64, tuple[int, int]]:
    """Weights and dilation of the composition: tap (i, u) lands at offset i * d2 * s1 + u * d1."""
    inner = first.weight if depthwise else first.dense_groups()
    outer = second.weight if depthwise else second.dense_groups()
    mixed = np.multiply if depthwise else _mixed
    steps = [d * s for d, s in zip(second.dilation, first.stride, strict=True)]
    if second.pointwise:
        return mixed(outer, inner), first.dilation
    if first.pointwise:
        if depthwise:
            return outer * inner, (steps[0], steps[1])
        by_channel = _mixed(inner.transpose(1, 0, 2, 3), outer.transpose(1, 0, 2, 3))
        return np.ascontiguousarray(by_channel.transpose(1, 0, 2, 3)), (steps[0], steps[1])
    size = [
        (k2 - 1) * step + (k1 - 1) * d + 1
        for k2, k1, step, d in zip(outer.shape[2:], inner.shape[2:], steps, first.dilation, strict=True)
    ]
    weight = np.zeros((outer.shape[0], inner.shape[1], *size))
    for i in range(outer.shape[2]):
        for j in range(outer.shape[3]):
            part = mixed(outer[:, :, i : i + 1, j : j + 1], inner)
            rows = i * steps[0] + first.dilation[0] * np.arange(inner.shape[2])
            cols = j * steps[1] + first.dilation[1] * np.arange(inner.shape[3])
            weight[:, :, rows[:, None], cols[None, :]] += part
    return weight, (1, 1)


def _mixed(outer: Float64, inner: Float64) -> Float64:
    """``sum over i of outer[o, i, 0, 0] * inner[i, ...]``. Rows that are selected, scaled or zero cost no product."""
    factors = outer[:, :, 0, 0]
    row, column = np.nonzero(factors)
    mixed = np.zeros((len(factors), *inner.shape[1:]))
    if len(row) == len(np.unique(row)):
        mixed[row] = inner[column] * factors[row, column].reshape(-1, *[1] * (inner.ndim - 1))
        return mixed
    flat = inner.reshape(len(inner), -1)
    used, lines = np.flatnonzero(flat.any(axis=1)), np.unique(row)
    product = factors[np.ix_(lines, used)] @ flat[used]
    mixed[lines] = product.reshape(len(lines), *inner.shape[1:])
    return mixed


def unroll(kernel: Kernel, shape: Shape) -> Float64:
    """The matrix of a convolution on an image of ``shape``: [prod(output), prod(shape)] in C, H, W order."""
    out = kernel.output_shape(shape)
    if int(np.prod(out)) * int(np.prod(shape)) > LARGEST_MATRIX:
        raise NotComposableError(
            "a Linear reads a large convolution with no activation between them; add an activation"
        )
    weight = kernel.dense_groups()
    matrix = np.zeros((*out, *shape))
    for y in range(out[1]):
        for x in range(out[2]):
            for i in range(weight.shape[2]):
                for j in range(weight.shape[3]):
                    row = y * kernel.stride[0] - kernel.pads[0] + i * kernel.dilation[0]
                    col = x * kernel.stride[1] - kernel.pads[2] + j * kernel.dilation[1]
                    if 0 <= row < shape[1] and 0 <= col < shape[2]:
                        matrix[:, y, x, :, row, col] += weight[:, :, i, j]
    return matrix.reshape(int(np.prod(out)), int(np.prod(shape)))
