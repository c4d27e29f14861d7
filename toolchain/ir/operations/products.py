"""Sums of products of whole numbers with NumPy, weights widened part by part.

Where rows or columns of a map are the same, windows on them are too, and each different window is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spikec.ir.operations.linear_interval import Whole
from spikec.ir.operations.repeats import Repeats
from spikec.ir.operations.weights import row_blocks
from spikec.ir.types import Int64

#: Numbers of a part of the weights, and of the windows that are computed at once.
_PART = 2**20


def weights_as(weight: Whole, dtype: np.dtype[Any], magnitudes: bool) -> Whole:
    """Weights, or their ``magnitudes``, in ``dtype``."""
    wide = weight.astype(dtype)
    return np.abs(wide, out=wide) if magnitudes else wide


def product(weight: Whole, x: Whole, magnitudes: bool) -> Whole:
    """``weight`` [O, I] @ ``x`` [I] or [I, N], in the dtype of ``x``."""
    found = np.empty((len(weight), *x.shape[1:]), x.dtype)
    for rows in row_blocks(weight.shape, _PART):
        found[rows] = weights_as(weight[rows], x.dtype, magnitudes) @ x
    return found


def convolved(x: Whole, weight: Whole, magnitudes: bool, groups: int, positions: Sequence[Int64]) -> Whole:
    """The convolution of ``x`` [C, H, W] with ``weight`` [O, C / groups, kH, kW], [O, *outputs] in the dtype of ``x``.

    ``positions``: for rows and for columns, int64 [outputs, kernel]: the input that each tap meets; outside: padding.
    """
    repeats = Repeats.of(x)
    met, found = different_windows(positions, repeats)
    return found.spread(convolved_once(repeats.once(x), weight, magnitudes, groups, met))


def convolved_once(x: Whole, weight: Whole, magnitudes: bool, groups: int, met: Sequence[Int64]) -> Whole:
    """:func:`convolved` of a map that repeats: ``x`` holds each different row and column once, and so does the result.
    ``met``: of :func:`different_windows`."""
    rows, columns = met
    outputs, kernel = len(weight), weight[0].size
    flat = weight.reshape(groups, outputs // groups, kernel)
    found = np.empty((groups, outputs // groups, len(rows), len(columns)), x.dtype)
    for lines in row_blocks((len(rows), groups * kernel * len(columns)), _PART):
        windows = _windows(x, rows[lines], columns).reshape(groups, kernel, -1)
        for some in row_blocks(flat.shape, _PART):
            part = _products(flat[some], windows[some], magnitudes)
            found[some, :, lines] = part.reshape(*part.shape[:2], -1, len(columns))
    return found.reshape(outputs, len(rows), len(columns))


def different_windows(positions: Sequence[Int64], repeats: Repeats) -> tuple[list[Int64], Repeats]:
    """The windows along rows and columns that differ on a map that repeats, as int64 [windows, kernel]: which different
    row or column each tap meets, -1 for padding. And how what is computed from them repeats."""
    met, same = [], []
    for each, number in zip(positions, repeats.axes, strict=True):
        size = len(number)
        content = np.where((each >= 0) & (each < size), number[each.clip(0, size - 1)], -1)
        found, inverse = np.unique(content, axis=0, return_inverse=True)
        met.append(found)
        same.append(inverse.reshape(-1))
    return met, Repeats(tuple(same))


def _products(weight: Whole, x: Whole, magnitudes: bool) -> Whole:
    """[G, O, I] @ [G, I, N]."""
    if len(weight) == 1:
        return product(weight[0], x[0], magnitudes)[None]
    found: Whole = weights_as(weight, x.dtype, magnitudes) @ x
    return found


def _windows(x: Whole, rows: Int64, columns: Int64) -> Whole:
    """[C, kH, kW, rows, columns]: what each tap of each window meets, 0 on padding."""
    for axis, met in ((1, rows), (2, columns)):
        size = x.shape[axis]
        x = x.take(met.reshape(-1).clip(0, size - 1), axis)
        outside = np.flatnonzero((met < 0) | (met >= size))
        x[(slice(None),) * axis + (outside,)] = 0
    found = x.reshape(x.shape[0], *rows.shape, *columns.shape)
    return np.ascontiguousarray(found.transpose(0, 2, 4, 1, 3))
