"""The range of a linear operation over a box of inputs, exact, with NumPy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from spikec.errors import RangeError
from spikec.ir.integers import VALUE_MAX
from spikec.ir.types import Int64

if TYPE_CHECKING:
    from spikec.ir.operations.base import Linear

#: Whole numbers in float32, float64 or int64.
Whole: TypeAlias = npt.NDArray[Any]
_FLOAT32_EXACT = 2.0**24
_FLOAT64_EXACT = 2.0**53


def linear_interval(node: Linear, low: Int64, high: Int64) -> tuple[Int64, Int64, int]:
    """:meth:`Operation.interval` of a linear operation.

    With centre c and half-width r of the input, the output ranges over w*c -+ |w|*r. Both are computed doubled, to
    avoid halves.
    """
    centre, width = low + high, high - low
    if not centre.any() and not width.any():
        zero = np.zeros(node.output_shape, np.int64)
        return zero, zero, 0
    # Rounding to float32 makes a sum of n terms >= 0 wrong by a part n / 2**24 at most. Where it stays below 2**23
    # all the same, partial sums are below 2**24, and nothing was rounded.
    narrow: np.dtype[Any] = np.dtype("float32")
    largest = np.abs(centre) + width
    bound = node.passed(largest.astype(narrow), magnitudes=True)
    if bound.max() >= _FLOAT32_EXACT / 2 or largest.max() >= _FLOAT32_EXACT or largest.size >= _FLOAT32_EXACT / 4:
        narrow = np.dtype("float64")
        bound = node.passed(largest.astype(narrow), magnitudes=True)
    doubled = float(bound.max())
    if doubled >= 2.0 * VALUE_MAX:
        raise RangeError(
            f"{node.name}: a sum may reach {doubled / 2:.3g}, beyond 62 bits; use smaller weights or biases"
        )
    dtype = narrow if doubled < _FLOAT64_EXACT else np.dtype(np.int64)
    if not width.any():
        fixed = halved(node.passed(centre.astype(dtype)))
        return fixed, fixed, int(doubled / 2)
    # From zero on, or up to zero, the centre is the half-width, and what was computed above is twice the spread.
    one_sided = dtype == narrow and not (low.any() and high.any())
    middle = node.passed(centre.astype(dtype))
    spread = bound / 2 if one_sided else node.passed(width.astype(dtype), magnitudes=True)
    return halved(middle - spread), halved(middle + spread), int(doubled / 2)


def halved(doubled: Whole) -> Int64:
    """Half of even numbers, int64."""
    half: Int64 = doubled.astype(np.int64) // 2
    return half
