"""Weights are kept in the narrowest integers that hold them, and widened where they are read.

A network of ImageNet's size has 10^8 weights: 8 bits each are a fourth of what float32 takes, int64 twice as much.
``Synapse.weight`` is int64 at every access, so that no arithmetic on it wraps; ``Synapse.narrow_weight`` is what is
kept, for readers that convert it at once or take it block by block (:func:`row_blocks`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.ir.types import Shape

Narrow = npt.NDArray[np.integer[Any]]
_KEPT = "narrow_weight"
_TYPES = (np.int8, np.int16, np.int32, np.int64)
#: Numbers that are widened at a time.
BLOCK = 2**20


class KeptNarrow:
    """Descriptor of the field ``weight``: takes integers of any width, gives int64. What is no array of integers, which
    no deployment holds, stays as it is."""

    def __get__(self, node: Any, owner: type | None = None) -> Any:
        if node is None:
            raise AttributeError("weight")  # the field has no default
        kept = vars(node)[_KEPT]
        return kept.astype(np.int64) if isinstance(kept, np.ndarray) and kept.dtype.kind == "i" else kept

    def __set__(self, node: Any, value: Any) -> None:
        vars(node)[_KEPT] = narrow(value) if isinstance(value, np.ndarray) and value.dtype.kind in "biu" else value


def narrow(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Whole numbers, in integers or floats, in the narrowest signed integers that hold them; the array itself where it
    has these already. Numbers beyond int64 wrap, as they do in ``astype``."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    wanted = next((t for t in _TYPES if np.iinfo(t).min <= low and high <= np.iinfo(t).max), np.int64)
    return values.astype(wanted, copy=False)


def row_blocks(shape: Shape, size: int = BLOCK) -> Iterator[slice]:
    """Slices of the first axis that hold about ``size`` numbers each, one row at least."""
    rows = max(1, size // max(1, math.prod(shape[1:])))
    for first in range(0, shape[0], rows):
        yield slice(first, first + rows)
