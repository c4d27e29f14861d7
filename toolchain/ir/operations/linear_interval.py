"""The range of a linear operation over a box of inputs, exact, with NumPy alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from spikec.errors import RangeError
from spikec.ir.integers import VALUE_MAX
from spikec.ir.types import Int64, Shape

#: Whole numbers in float32, float64 or int64.
Whole: TypeAlias = npt.NDArray[Any]
#: The operation on a map, or with the magnitudes of its weights.
Passed: TypeAlias = Callable[[Whole, bool], Whole]
_FLOAT32_EXACT = 2.0**24
_FLOAT64_EXACT = 2.0**53


def linear_interval(
    name: str, terms: int, passed: Passed, shape: Shape, low: Int64, high: Int64
) -> tuple[Int64, Int64, int]:
    """:meth:`Operation.interval` of a linear operation. ``passed`` computes it and gives ``shape``; where ``low`` and
    ``high`` hold each different place of their maps once, so does what it gives. A sum has at most ``terms`` terms that
    are not zero.

    With centre c and half-width r of the input, the output ranges over w*c -+ |w|*r. Both are computed doubled, to
    avoid halves.
    """
    centre, width = low + high, high - low
    if not centre.any() and not width.any():
        zero = np.zeros(shape, np.int64)
        return zero, zero, 0
    # Rounding to float32 makes a sum of n terms >= 0 wrong by a part n / 2**24 at most. Where it stays below 2**23
    # all the same, partial sums are below 2**24, and nothing was rounded.
    narrow: np.dtype[Any] = np.dtype("float32")
    largest = np.abs(centre) + width
    bound = passed(largest.astype(narrow), True)
    if bound.max() >= _FLOAT32_EXACT / 2 or largest.max() >= _FLOAT32_EXACT or terms >= _FLOAT32_EXACT / 4:
        narrow = np.dtype("float64")
        bound = passed(largest.astype(narrow), True)
    doubled = float(bound.max())
    if doubled >= 2.0 * VALUE_MAX:
        raise RangeError(f"{name}: a sum may reach {doubled / 2:.3g}, beyond 62 bits; use smaller weights or biases")
    dtype = narrow if doubled < _FLOAT64_EXACT else np.dtype(np.int64)
    if not width.any():
        fixed = halved(passed(centre.astype(dtype), False))
        return fixed, fixed, int(doubled / 2)
    # From zero on, or up to zero, the centre is the half-width, and what was computed above is twice the spread.
    one_sided = dtype == narrow and not (low.any() and high.any())
    middle = passed(centre.astype(dtype), False)
    spread = bound / 2 if one_sided else passed(width.astype(dtype), True)
    return halved(middle - spread), halved(middle + spread), int(doubled / 2)


def halved(doubled: Whole) -> Int64:
    """Half of even numbers, int64."""
    half: Int64 = doubled.astype(np.int64) // 2
    return half
