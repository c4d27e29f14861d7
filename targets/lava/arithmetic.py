"""Exact linear arithmetic on (W, H, C) maps in numpy, the layout of Lava."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Array = npt.NDArray[Any]


def exact_dtype(bound: int) -> type[np.floating[Any]]:
    """The float type that adds integers exactly while no partial sum exceeds ``bound`` in magnitude."""
    if bound >= 2**53:
        raise ArithmeticError(f"sums of up to {bound} are not exact in float64")
    return np.float32 if bound < 2**24 else np.float64


def product(x: Array, weight: Array) -> npt.NDArray[np.int64]:
    """``x`` [N, I] times ``weight`` [O, I] transposed: int64 [N, O], exact."""
    norm = int(np.abs(weight).sum(axis=1, dtype=np.int64).max())
    dtype = exact_dtype(norm * int(np.abs(x).max()))
    return (x.astype(dtype) @ weight.T.astype(dtype)).astype(np.int64)


def lava_layout(array: Array, leading: int = 0) -> Array:
    """(C, H, W) to (W, H, C) behind ``leading`` axes, and back: the order of the other axes is reversed."""
    axes = (*range(leading), *reversed(range(leading, array.ndim)))
    return np.ascontiguousarray(array.transpose(axes))


def sum_pool(x: Array, kernel: tuple[int, int], stride: tuple[int, int]) -> Array:
    """Sums over windows of [..., W, H, C] maps, without padding; windows beyond the edge are dropped."""
    *leading, width, height, channels = x.shape
    columns = (width - kernel[0]) // stride[0] + 1
    rows = (height - kernel[1]) // stride[1] + 1
    sums = np.zeros((*leading, columns, rows, channels), x.dtype)
    for u in range(kernel[0]):
        for v in range(kernel[1]):
            sums += x[..., u :: stride[0], v :: stride[1], :][..., :columns, :rows, :]
    return sums


def max_pool(x: Array, columns: Array, rows: Array) -> Array:
    """The largest value of every window of [..., W, H, C] maps. ``columns``, ``rows``: places of each window along an
    axis, int64 [windows, taps]; negative ones do not exist."""
    for axis, places in ((-3, columns), (-2, rows)):
        first = places.max(axis=1)  # a place that exists: it stands in for those that do not
        taps = (np.where(tap < 0, first, tap) for tap in places.T)
        x = np.maximum.reduce([x.take(tap, axis=axis) for tap in taps])
    return x


class Kernel:
    """Cross-correlation with integer ``weight`` [O, kW, kH, C / groups]; zero padding on both sides of each axis.

    Calling it maps an integer (W, H, C) array to sums in float32 or float64, whichever is exact for that input.
    """

    def __init__(
        self,
        weight: Array,
        *,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
        groups: int,
    ) -> None:
        out, *self._size, channels = weight.shape
        self._stride, self._padding, self._dilation, self._groups = stride, padding, dilation, groups
        grouped = weight.reshape(groups, out // groups, -1, channels)
        # [group, kW * kH * channel, output of the group]
        self._weight = np.ascontiguousarray(grouped.transpose(0, 2, 3, 1)).reshape(groups, -1, out // groups)
        self._norm = int(np.abs(self._weight).sum(axis=1, dtype=np.int64).max())
        self._matrices: dict[type, Array] = {}

    def __call__(self, x: Array) -> Array:
        dtype = exact_dtype(self._norm * int(np.abs(x).max()))
        if dtype not in self._matrices:
            self._matrices[dtype] = self._weight.astype(dtype)
        patches, shape = self._patches(x.astype(dtype))
        sums = patches @ self._matrices[dtype]
        return sums.transpose(1, 0, 2).reshape(*shape, -1)

    def _patches(self, x: Array) -> tuple[Array, tuple[int, int]]:
        """[group, position, kW * kH * channel of the group] and the (W, H) of the positions."""
        (pw, ph), (dw, dh), (sw, sh) = self._padding, self._dilation, self._stride
        reach = dw * (self._size[0] - 1) + 1, dh * (self._size[1] - 1) + 1
        padded = np.pad(x, ((pw, pw), (ph, ph), (0, 0))) if pw or ph else x
        windows = sliding_window_view(padded, reach, axis=(0, 1))  # type: ignore[call-overload]
        windows = windows[::sw, ::sh, :, ::dw, ::dh]
        columns, rows = windows.shape[:2]
        flat = windows.transpose(0, 1, 3, 4, 2).reshape(columns * rows, -1, self._groups, x.shape[2] // self._groups)
        grouped = flat.transpose(2, 0, 1, 3).reshape(self._groups, columns * rows, -1)
        return grouped, (columns, rows)
