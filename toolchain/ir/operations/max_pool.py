"""Max pool: the largest cumulative emission of a window, sent on as emissions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, ClassVar

import nir
import numpy as np

from spikec.ir.integers import magnitude
from spikec.ir.limits import LIMITS
from spikec.ir.metadata import KEY, int_of, metadata_of
from spikec.ir.operations.base import Mask, Operation, register
from spikec.ir.operations.boxes import Box
from spikec.ir.operations.fields import misfit, misfits, pair, shown_pair, whole_numbers
from spikec.ir.operations.windows import output_size, positions
from spikec.ir.types import Int64, Shape

if TYPE_CHECKING:
    from torch import Tensor

Pair = tuple[int, int]

#: The most places of all windows along an axis that a file may ask for.
_PLACES_MAX = 2**24


@register
@dataclass(frozen=True)
class MaxPool(Operation):
    """``M[c, y, x] = max of a[c, y*sh - ph + u*dh, x*sw - pw + v*dw]`` over the places (u, v) that exist.

    It reads one population, or the image. ``a`` is what each source neuron has sent so far, and in each step the pool
    sends what M gains: so its own emissions always add up to M. That is the OR of the spikes where spikes come first
    and pauses last, and one bit per step where bits come most significant first (derived). Places on the padding do
    not exist; every window has at least one that does. ``padding`` is that of the top and left edge; how far windows
    reach beyond the other edges follows from ``output_shape``.

    ``adaptive``: window y of H' holds rows floor(y*H/H') to ceil((y+1)*H/H') - 1, likewise for columns. ``kernel`` is
    then the size of the largest window, and ``stride``, ``padding`` and ``dilation`` mean nothing.
    """

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    adaptive: bool = False

    nir_node: ClassVar[type] = nir.SumPool2d
    variant: ClassVar[str] = "max_pool"
    keys: ClassVar[tuple[str, ...]] = ("output_size", "dilation", "adaptive")
    hashed: ClassVar[tuple[str, ...]] = ("kernel_size", "padding", "stride")
    exact: ClassVar[tuple[str, ...]] = ()
    word: ClassVar[str] = "max pool"
    adds: ClassVar[bool] = False
    rearranges: ClassVar[bool] = False

    @cached_property
    def places(self) -> tuple[Int64, Int64]:
        """Rows and columns of every window, int64 [outputs, taps]; -1 where there is none."""
        return self._places(0), self._places(1)

    def _places(self, axis: int) -> Int64:
        inputs, outputs = self.input_shape[axis + 1], self.output_shape[axis + 1]
        if self.adaptive:
            return adaptive_places(inputs, outputs)
        found = positions(outputs, self.kernel[axis], self.stride[axis], self.padding[axis], self.dilation[axis])
        return np.where((found >= 0) & (found < inputs), found, -1)

    @property
    def most_in_a_window(self) -> int:
        """Places of the largest window."""
        rows, columns = ((places >= 0).sum(axis=1).max() for places in self.places)
        return int(rows * columns)

    @property
    def window(self) -> int:
        return 1

    def apply(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """The largest value of every window: of cumulative emissions, or of an image."""
        return self.largest(x, -2, -1)

    def largest(self, x: Tensor, rows: int, columns: int) -> Tensor:
        """The same on a tensor whose rows and columns lie along these axes."""
        import torch

        for axis, places in zip((rows, columns), self.places, strict=True):
            taps = (torch.from_numpy(tap).to(x.device) for tap in repeated(places).T)
            x = reduce(torch.maximum, (x.index_select(axis, tap) for tap in taps))
        return x

    def _most(self, x: Int64) -> Int64:
        """:meth:`apply` of one map in NumPy."""
        for axis, places in zip((1, 2), self.places, strict=True):
            x = reduce(np.maximum, (x.take(tap, axis) for tap in repeated(places).T))
        return x

    def apply_to_steps(self, x: Tensor, weight: Tensor | None, radix: int) -> Tensor:
        import torch

        sent, largest = torch.zeros_like(x[0]), torch.zeros((), dtype=x.dtype, device=x.device)
        steps = []
        for emitted in x:
            sent = sent * radix + emitted
            now = self.apply(sent)
            steps.append(now - largest * radix)
            largest = now
        return torch.stack(steps)

    def interval(self, low: Int64, high: Int64) -> tuple[Int64, Int64, int]:
        """In one step no largest sum gains more than the emission that gains most, or less than the one that gains
        least."""
        least, most = -self._most(-low), self._most(high)
        return least, most, max(magnitude(least), magnitude(most))

    def pull_back(self, after: Int64, mask: Mask | None = None) -> Int64:
        rows, columns = self._met
        before: Int64 = rows @ after @ columns.T
        return before

    def delivered(self, events: Tensor, mask: Tensor | None = None) -> Tensor:
        import torch

        rows, columns = (torch.from_numpy(met).to(events.dtype) for met in self._met)
        return rows.T @ events @ columns

    @property
    def _met(self) -> tuple[Int64, Int64]:
        """Which rows, and which columns, are in which windows: int64 [inputs, outputs]."""
        rows, columns = (
            (places[None] == np.arange(inputs)[:, None, None]).sum(axis=2)
            for places, inputs in zip(self.places, self.input_shape[1:], strict=True)
        )
        return rows, columns

    def field(self, box: Box) -> Box:
        rows, columns = (
            (int(met.min()), int(met.max()) + 1)
            for (low, high), places in zip(box[1:], self.places, strict=True)
            for met in (places[low:high][places[low:high] >= 0],)
        )
        return box[0], rows, columns

    def to_nir(self) -> nir.SumPool2d:
        about: dict[str, Any] = {"op": self.variant, "output_size": np.array(self.output_shape[1:], np.int32)}
        if self.dilation != (1, 1):
            about["dilation"] = np.array(self.dilation, np.int32)
        if self.adaptive:
            about["adaptive"] = 1
        return nir.SumPool2d(
            kernel_size=np.array(self.kernel),
            stride=np.array(self.stride),
            padding=np.array(self.padding),
            metadata={KEY: about},
        )

    @classmethod
    def from_nir(cls, name: str, node: Any, sources: tuple[str, ...], shape: Shape) -> MaxPool:
        about = metadata_of(node)
        kernel, stride, padding = (pair(value) for value in (node.kernel_size, node.stride, node.padding))
        dilation, size = pair(about.get("dilation", 1)), pair(about["output_size"])
        adaptive = bool(int_of(about, "adaptive", 0))
        if len(shape) != 3:
            raise misfit(name, f"a max pool needs a source of shape (channels, rows, columns), not {shape}")
        made = cls(name, sources, shape, (shape[0], *size), kernel, stride, padding, dilation, adaptive)
        if not made._listable or not all(made._sound(axis) for axis in (0, 1)):
            shown = f"a {kernel[0]}x{kernel[1]} max pool to {size[0]}x{size[1]}"
            raise misfit(name, f"{shown} does not fit its source of shape {shape}")
        return made

    @property
    def _listable(self) -> bool:
        """Whether the places of all windows can be written down: a file may hold any numbers."""
        sizes = zip(self.input_shape[1:], self.output_shape[1:], self.kernel, self.stride, self.padding, strict=True)
        return all(n * k <= _PLACES_MAX and (self.adaptive or (n - 1) * s - p < x) for x, n, k, s, p in sizes)

    def _sound(self, axis: int) -> bool:
        """Whether every window along an axis has a place, and adaptive windows the size that ``kernel`` says."""
        existing = (self.places[axis] >= 0).sum(axis=1)
        return bool(existing.min() > 0) and (not self.adaptive or int(existing.max()) == self.kernel[axis])

    @classmethod
    def problems(cls, node: Any, typed: bool) -> Iterator[str]:
        about = metadata_of(node)
        limits = LIMITS["SumPool2d"]
        yield from misfits(node, limits, "kernel_size", "stride", "padding")
        for key, needed in (("output_size", True), ("dilation", False)):
            if (key in about or needed) and not whole_numbers(about.get(key), limits[key]):
                yield f"metadata {key!r} must be one or two integers {limits[key]}"
        if not limits["adaptive"].holds(int_of(about, "adaptive", 0)):
            yield "metadata 'adaptive' must be 0 or 1"

    @property
    def passes_type_check(self) -> bool:
        """NIR computes the size of a pool without dilation, the same padding on both sides, partial windows dropped."""
        sizes = (
            output_size(n, k, s, 2 * p)
            for n, k, s, p in zip(self.input_shape[1:], self.kernel, self.stride, self.padding, strict=True)
        )
        return tuple(sizes) == self.output_shape[1:] and self.dilation == (1, 1)

    @property
    def title(self) -> str:
        return f"maxpool {self.kernel[0]}x{self.kernel[1]}"

    @property
    def numbers(self) -> str:
        if self.adaptive:
            return f"adaptive to {self.output_shape[1]}x{self.output_shape[2]}"
        parts = [f"stride {shown_pair(self.stride)}"] if self.stride != self.kernel else []
        parts += [f"padding {shown_pair(self.padding)}"] if any(self.padding) else []
        parts += [f"dilation {shown_pair(self.dilation)}"] if self.dilation != (1, 1) else []
        return ", ".join(parts)


def adaptive_places(inputs: int, outputs: int) -> Int64:
    """The inputs of each of ``outputs`` windows that cover an axis of ``inputs``, int64 [outputs, taps]; -1: none."""
    y = np.arange(outputs)
    first, end = y * inputs // outputs, -(-(y + 1) * inputs // outputs)
    found = first[:, None] + np.arange((end - first).max())
    return np.where(found < end[:, None], found, -1).astype(np.int64)


def repeated(places: Int64) -> Int64:
    """The same windows with a place of their own instead of -1: a maximum does not change if one counts twice."""
    some = places.max(axis=1, keepdims=True)
    filled: Int64 = np.where(places >= 0, places, some)
    return filled
