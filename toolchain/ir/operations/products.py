"""Sums of products of whole numbers with NumPy, weights widened part by part.

Where rows or columns of a map are the same as their neighbours, windows on them are too, and each different window is
computed once. Bounds of neurons hardly differ within a map but at its border, so the bounds of a convolution take as
long for any size of map.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from spikec.ir.operations.linear_interval import Whole
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
    row_run = _runs(x, 1)
    column_run = _runs(x[:, np.flatnonzero(np.diff(row_run, prepend=-1))], 2)
    (rows, row_of), (columns, column_of) = (
        _different(*each) for each in zip(positions, (row_run, column_run), strict=True)
    )
    outputs, kernel = len(weight), weight[0].size
    flat = weight.reshape(groups, outputs // groups, kernel)
    found = np.empty((groups, outputs // groups, len(rows), len(columns)), x.dtype)
    for lines in row_blocks((len(rows), groups * kernel * len(columns)), _PART):
        windows = _windows(x, rows[lines], columns).reshape(groups, kernel, -1)
        for some in row_blocks(flat.shape, _PART):
            part = _products(flat[some], windows[some], magnitudes)
            found[some, :, lines] = part.reshape(*part.shape[:2], -1, len(columns))
    whole = found.reshape(outputs, len(rows), len(columns))
    return _spread(_spread(whole, 2, column_of), 1, row_of)


def _products(weight: Whole, x: Whole, magnitudes: bool) -> Whole:
    """[G, O, I] @ [G, I, N]."""
    if len(weight) == 1:
        return product(weight[0], x[0], magnitudes)[None]
    found: Whole = weights_as(weight, x.dtype, magnitudes) @ x
    return found


def _runs(x: Whole, axis: int) -> Int64:
    """For each row (``axis`` 1) or column (2) of a map, which run of neighbours that are the same it is in."""
    changes = [bool((one != other).any()) for one, other in pairwise(np.moveaxis(x, axis, 0))]
    return np.concatenate([[0], np.cumsum(changes)]).astype(np.int64)


def _different(met: Int64, run: Int64) -> tuple[Int64, Int64]:
    """The windows along an axis that differ, as rows of ``met``, and which of them each window is. ``run``: of each
    input; inputs of one run hold the same."""
    size = len(run)
    content = np.where((met >= 0) & (met < size), run[met.clip(0, size - 1)], -1)
    _, first, same_as = np.unique(content, axis=0, return_index=True, return_inverse=True)
    return met[first], same_as.reshape(-1)


def _windows(x: Whole, rows: Int64, columns: Int64) -> Whole:
    """[C, kH, kW, rows, columns]: what each tap of each window meets, 0 on padding."""
    for axis, met in ((1, rows), (2, columns)):
        size = x.shape[axis]
        x = x.take(met.reshape(-1).clip(0, size - 1), axis)
        outside = np.flatnonzero((met < 0) | (met >= size))
        x[(slice(None),) * axis + (outside,)] = 0
    found = x.reshape(x.shape[0], *rows.shape, *columns.shape)
    return np.ascontiguousarray(found.transpose(0, 2, 4, 1, 3))


def _spread(x: Whole, axis: int, index: Int64) -> Whole:
    return x if len(index) == x.shape[axis] and (np.diff(index) == 1).all() else x.take(index, axis)
