"""Convolution: one kernel for all positions of an image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, cast

import nir
import numpy as np

from spikec.ir.metadata import KEY, int_of, metadata_of
from spikec.ir.operations.base import Mask, Synapse, register
from spikec.ir.operations.boxes import Box
from spikec.ir.operations.convolution_rules import problems
from spikec.ir.operations.fields import float32, int64, misfit, pair, shown_pair
from spikec.ir.operations.groups import expand_groups, take_groups
from spikec.ir.operations.linear_interval import Whole
from spikec.ir.operations.products import convolved, convolved_once, different_windows
from spikec.ir.operations.repeats import Repeats
from spikec.ir.operations.weights import narrow
from spikec.ir.operations.windows import inputs_met, output_size, positions, taps, taps_met
from spikec.ir.types import Int64, Shape

if TYPE_CHECKING:
    from torch import Tensor

#: Bytes that a convolution beyond float32 may write out at once.
_WRITTEN = 2**24
_met = lru_cache(maxsize=4096)(taps_met)
_different = lru_cache(maxsize=2**16)(inputs_met)


@register
@dataclass(frozen=True)
class Convolution(Synapse):
    """``z[o, y, x] = bias[o] + sum weight[o, i, u, v] * a[g(o) + i, y*sh - ph + u*dh, x*sw - pw + v*dw]``.

    ``weight`` is [O, I / groups, kH, kW] (cross-correlation, as torch), already multiplied by ``2**weight_exp``.
    ``margin`` (top, bottom, left, right) counts kernel rows and columns that are zero by construction (a rectangular
    kernel stored in a square one); they hold no synapses.
    """

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int = 1
    margin: tuple[int, int, int, int] = (0, 0, 0, 0)
    weight_exp: int = 0

    nir_node: ClassVar[type] = nir.Conv2d
    hashed: ClassVar[tuple[str, ...]] = ("bias", "dilation", "groups", "padding", "stride", "weight")
    exact: ClassVar[tuple[str, ...]] = ("bias", "weight")
    word: ClassVar[str] = "convolution"
    op: ClassVar[str] = "conv2d"
    keys: ClassVar[tuple[str, ...]] = (*Synapse.keys, "groups", "margin")
    shares_weights: ClassVar[bool] = True

    def apply(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        import torch
        import torch.nn.functional as F

        w = torch.as_tensor(self.narrow_weight).to(x.dtype) if weight is None else weight
        padding = self.padding
        if not self.is_regular:
            x = F.pad(x, (padding[1], padding[1], padding[0], padding[0]))
            x, padding = x.flatten().view(x.shape), (0, 0)
        # Beyond float32 torch writes out what every output reads, of a whole batch at once.
        written = x.element_size() * self.input_shape[0] * math.prod((*self.weight_shape[2:], *self.output_shape[1:]))
        few = len(x) if x.dtype == torch.float32 else max(1, _WRITTEN // written)
        parts = [
            F.conv2d(part, w, None, self.stride, padding, self.dilation, self.groups) for part in torch.split(x, few)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def passed(self, x: Whole, magnitudes: bool = False) -> Whole:
        return convolved(x, self.narrow_weight, magnitudes, self.groups, [self._positions(axis) for axis in (0, 1)])

    def interval_once(self, low: Int64, high: Int64, repeats: Repeats) -> tuple[Int64, Int64, int, Repeats]:
        met, found = different_windows([self._positions(axis) for axis in (0, 1)], repeats)

        def passed(x: Whole, magnitudes: bool) -> Whole:
            return convolved_once(x, self.narrow_weight, magnitudes, self.groups, met)

        once = (self.output_shape[0], *(len(windows) for windows in met))
        return *self._interval(passed, once, low, high), found

    def _positions(self, axis: int) -> Int64:
        """int64 [outputs, kernel]: the row (0) or column (1) of the input that each tap meets; outside: padding."""
        return positions(*self._window(axis)[1:])

    @property
    def is_regular(self) -> bool:
        """Whether any memory layout and 8-bit kernels are safe. If not, ``apply`` pads explicitly, in plain layout.

        oneDNN (torch 2.3.1 and 2.13, CPU) reads beyond its buffers and may crash where an output position sees only
        padding, and computes wrong sums where the output is a single column of several rows: the 8-bit kernel always,
        the float32 kernel on one channel in channels-last layout. The taps of a window lie ``dilation`` apart.
        """
        sizes = zip(self.input_shape[1:], self.weight_shape[2:], self.padding, self.dilation, strict=True)
        sees_input = all(padding <= dilation * (k - 1) and size >= dilation for size, k, padding, dilation in sizes)
        _, rows, columns = self.output_shape
        return sees_input and (columns > 1 or rows == 1)

    @staticmethod
    def convolved(
        shape: Shape,
        channels: int,
        kernel: tuple[int, ...],
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
    ) -> Shape:
        """Output shape for an input of ``shape``; ``padding`` on both sides of each axis."""
        sizes = zip(shape[1:], kernel, stride, padding, dilation, strict=True)
        return (channels, *(output_size(n, k, s, 2 * p, d) for n, k, s, p, d in sizes))

    def structure(self) -> Mask:
        return self._structure(self.weight_shape[0])

    def _structure(self, channels: int) -> Mask:
        """The same for some of the output channels, which are all alike."""
        mask = np.ones((channels, *self.weight_shape[1:]), dtype=np.bool_)
        top, bottom, left, right = self.margin
        height, width = mask.shape[2:]
        mask[:, :, :top], mask[:, :, height - bottom :] = False, False
        mask[..., :left], mask[..., width - right :] = False, False
        return mask

    def _taps(self, axis: int) -> Int64:
        """int64 [inputs, kernel] along rows (0) or columns (1)."""
        return taps(*self._window(axis))

    def _window(self, axis: int) -> tuple[int, int, int, int, int, int]:
        sizes = (self.input_shape[axis + 1], self.output_shape[axis + 1], self.weight_shape[axis + 2])
        return *sizes, self.stride[axis], self.padding[axis], self.dilation[axis]

    def fan_out(self, mask: Mask) -> Int64:
        """``fan_h(h) * fan_w(w) * O / groups`` for a full kernel: taps on the padding do not exist."""
        channels = self.input_shape[0]
        per_group = mask.shape[0] // self.groups
        kernels = (
            mask.reshape(self.groups, per_group, *mask.shape[1:])
            .sum(axis=1, dtype=np.int64)
            .reshape(channels, *mask.shape[2:])
        )
        result: Int64 = self._taps(0) @ kernels @ self._taps(1).T
        return result

    def pull_back(self, after: Int64, mask: Mask | None = None) -> Int64:
        assert mask is not None  # the weights, or which of them exist
        channels = self.input_shape[0]
        out_channels, out_height, out_width = self.output_shape
        grouped = after.reshape(self.groups, out_channels // self.groups, out_height, out_width)
        kernels = mask.reshape(self.groups, out_channels // self.groups, *mask.shape[1:])
        rows, columns = self._taps(0), self._taps(1)
        before = np.zeros(self.input_shape, dtype=np.int64)
        for i in range(mask.shape[2]):
            from_rows = np.flatnonzero(rows[:, i])
            to_rows = (from_rows + self.padding[0] - i * self.dilation[0]) // self.stride[0]
            for j in range(mask.shape[3]):
                from_columns = np.flatnonzero(columns[:, j])
                to_columns = (from_columns + self.padding[1] - j * self.dilation[1]) // self.stride[1]
                reached = grouped[:, :, to_rows[:, None], to_columns[None, :]]
                share = np.einsum("goc,goyx->gcyx", kernels[..., i, j], reached)
                before[:, from_rows[:, None], from_columns[None, :]] += share.reshape(
                    channels, len(from_rows), len(from_columns)
                )
        return before

    def field(self, box: Box) -> Box:
        channels, inputs, *kernels = self.weight_shape
        outputs = channels // self.groups
        first, last = box[0][0] // outputs, (box[0][1] - 1) // outputs
        top, bottom, left, right = self.margin
        ranges = []
        for axis, (before, after) in enumerate(((top, bottom), (left, right))):
            low, high = box[axis + 1]
            kernel, stride = kernels[axis], self.stride[axis]
            padding, dilation = self.padding[axis], self.dilation[axis]
            start = low * stride - padding + before * dilation
            stop = (high - 1) * stride - padding + (kernel - 1 - after) * dilation + 1
            ranges.append((max(0, start), min(self.input_shape[axis + 1], stop)))
        return (first * inputs, (last + 1) * inputs), *ranges

    def cells(self, box: Box) -> tuple[int, Box]:
        around = self.field(box)
        count = around[0][1] - around[0][0]
        top, bottom, left, right = self.margin
        for axis, (before, after) in enumerate(((top, bottom), (left, right))):
            size, _, kernel, stride, padding, dilation = self._window(axis)
            taps = kernel - after - before
            count *= _different(size, *box[axis + 1], taps, stride, padding - before * dilation, dilation)
        return count, around

    def connections(self, box: Box) -> int:
        rows, columns = (_met(*self._window(axis))[slice(*box[axis + 1])].sum(axis=0) for axis in (0, 1))
        per_channel = np.einsum("iuv,u,v->", self._structure(1)[0], rows, columns)
        return int(per_channel) * (box[0][1] - box[0][0])

    @property
    def weights_met(self) -> int:
        mask = self._structure(1)
        for axis in (0, 1):
            met = self._taps(axis).any(axis=0)
            mask = mask * met.reshape((1, 1, -1, 1) if axis == 0 else (1, 1, 1, -1))
        return int(mask[0].sum())

    @property
    def kernel_size(self) -> tuple[int, int]:
        """Rows and columns without the margin."""
        top, bottom, left, right = self.margin
        return self.weight_shape[2] - top - bottom, self.weight_shape[3] - left - right

    @property
    def padded_macs(self) -> int:
        outputs = int(np.prod(self.output_shape))
        return outputs * self.weight_shape[1] * self.kernel_size[0] * self.kernel_size[1]

    def squared(self) -> Convolution:
        """The same convolution with a square kernel where zero rows or columns make it one.

        NIR 1.0.8 infers the output shape from ``weight.shape[2]`` alone. Growing an axis by n zeros on each side grows
        its padding by n times the dilation; this needs an even difference, else the node is returned unchanged.
        """
        rows, cols = self.weight_shape[2:]
        size = max(rows, cols)
        if rows == cols or (size - rows) % 2 or (size - cols) % 2:
            return self
        grow_h, grow_w = (size - rows) // 2, (size - cols) // 2
        top, bottom, left, right = self.margin
        return replace(
            self,
            weight=np.pad(self.narrow_weight, ((0, 0), (0, 0), (grow_h, grow_h), (grow_w, grow_w))),
            padding=(self.padding[0] + grow_h * self.dilation[0], self.padding[1] + grow_w * self.dilation[1]),
            margin=(top + grow_h, bottom + grow_h, left + grow_w, right + grow_w),
        )

    def bare(self) -> Convolution:
        """The kernel without its margin. ``padding`` is then that of the top and left edge; it may be negative."""
        (top, bottom, left, right), (rows, cols) = self.margin, self.weight_shape[2:]
        inner: Any = self.narrow_weight[:, :, top : rows - bottom, left : cols - right]
        return replace(
            self,
            weight=inner,
            padding=(self.padding[0] - top * self.dilation[0], self.padding[1] - left * self.dilation[1]),
            margin=(0, 0, 0, 0),
        )

    @property
    def passes_type_check(self) -> bool:
        """Whether NIR's own type check understands the node."""
        rows, cols = self.squared().weight_shape[2:]
        return bool(rows == cols)

    def to_nir(self) -> nir.Conv2d:
        node = self.squared()
        dense = expand_groups(node.narrow_weight, node.groups)
        metadata = node.nir_metadata(dense)
        if node.groups > 1:
            metadata["groups"] = node.groups
        if any(node.margin):
            metadata["margin"] = np.asarray(node.margin, dtype=np.int32)
        return nir.Conv2d(
            input_shape=(node.input_shape[1], node.input_shape[2]),
            weight=float32(dense),
            stride=node.stride,
            padding=node.padding,
            dilation=node.dilation,
            groups=1,
            bias=float32(node.bias),
            metadata={KEY: metadata},
        )

    @classmethod
    def from_nir(cls, name: str, node: Any, sources: tuple[str, ...], shape: Shape) -> Convolution:
        metadata = metadata_of(node)
        dense = narrow(np.asarray(node.weight))
        groups = int_of(metadata, "groups", 1)
        stride, padding, dilation = pair(node.stride), pair(node.padding), pair(node.dilation)
        declared = (dense.shape[1], *(int(n) for n in np.asarray(node.input_shape).reshape(-1)))
        if declared != shape:
            raise misfit(name, f"expects {declared}, its source has shape {shape}")
        output = cls.convolved(shape, dense.shape[0], dense.shape[2:], stride, padding, dilation)
        if min(output[1:]) < 1:
            raise misfit(name, f"the kernel is larger than its padded input {shape}")
        margin = tuple(int(m) for m in np.asarray(metadata.get("margin", (0, 0, 0, 0))).reshape(-1))
        return cls(
            name=name,
            sources=sources,
            input_shape=shape,
            output_shape=output,
            weight=take_groups(dense, groups),
            bias=int64(node.bias),
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            margin=cast(tuple[int, int, int, int], margin),
            weight_exp=int_of(metadata, "weight_exp", 0),
        )

    @classmethod
    def problems(cls, node: Any, typed: bool) -> Iterator[str]:
        return problems(node, typed)

    @property
    def title(self) -> str:
        return f"conv {self.weight_shape[2]}x{self.weight_shape[3]}"

    @property
    def numbers(self) -> str:
        geometry = [f"stride {shown_pair(self.stride)}", f"pad {shown_pair(self.padding)}"]
        geometry += [f"dilation {shown_pair(self.dilation)}"] if self.dilation != (1, 1) else []
        geometry += [f"groups {self.groups}"] if self.groups > 1 else []
        return f"{' '.join(geometry)}, {self._weights_shown}"

    def described(self, times: str = "x") -> str:
        parts = [f"conv {self.kernel_size[0]}{times}{self.kernel_size[1]}"]
        for name, value in (("stride", self.stride), ("dilation", self.dilation)):
            if value != (1, 1):
                parts.append(f"{name} {shown_pair(value, times)}")
        if self.groups > 1:
            parts.append(f"groups {self.groups}")
        return ", ".join(parts)
