"""Whole numbers that do not wrap: magnitudes, products, and the width that everything here computes in."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

#: Numbers of a deployment stay within 62 bits, so that int64 holds twice their differences.
VALUE_MAX = 2**61 - 1
#: Below this magnitude, sums and differences of two int64 do not wrap.
ADDABLE = 2**62


def magnitude(values: npt.ArrayLike) -> int:
    """Largest magnitude of whole numbers, 0 where there are none. ``np.abs`` is wrong for the lowest number of a type,
    whose magnitude the type does not hold: it stays negative."""
    array = np.asarray(values)
    return max(int(array.max()), -int(array.min())) if array.size else 0


def held_once(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same numbers as a view, not to be written to, that holds those once which are the same along an axis. A
    threshold is one number for a layer or a channel, which has 10^6 neurons in networks of ImageNet's size."""
    few = values
    for axis, size in enumerate(values.shape):
        first = few[(slice(None),) * axis + (slice(1),)]
        if size > 1 and (not values.strides[axis] or bool((few == first).all())):
            few = first
    if few.shape == values.shape:
        return values
    return np.broadcast_to(few.copy(), values.shape)


def times(values: npt.NDArray[Any], factor: npt.ArrayLike) -> npt.NDArray[Any]:
    """The product of int64, or Python integers, exact: in Python integers where int64 might wrap."""
    wide = magnitude(values) * magnitude(factor) >= ADDABLE
    product: npt.NDArray[Any] = (values.astype(object) if wide else values) * factor
    return product
