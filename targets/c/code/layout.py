"""Where the numbers of a node lie in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from spikec.ir.types import Int64, Shape


def order_of(shape: Shape) -> Int64 | None:
    """How arrays of this code lie in memory: place k holds the number with the flat index ``order[k]``. Maps (C, H, W)
    lie as [row][column][channel]; None where that is the flat order itself."""
    if len(shape) != 3 or shape[0] == 1 or shape[1] * shape[2] == 1:
        return None
    found: Int64 = np.arange(math.prod(shape)).reshape(shape).transpose(1, 2, 0).reshape(-1)
    return found


def same(one: Int64 | None, other: Int64 | None) -> bool:
    """Whether two orders are the same."""
    if one is None or other is None:
        return one is other
    return bool(np.array_equal(one, other))


def channels(shape: Shape) -> tuple[int, int]:
    """(positions, channels) of an array in memory; a vector is one position."""
    return (shape[1] * shape[2], shape[0]) if len(shape) == 3 else (1, math.prod(shape))


@dataclass(frozen=True)
class View:
    """Numbers that a node sends, where they lie.

    ``at``: a C expression that points to the first; ``ctype``, ``low``, ``high``: type and range of each. ``order``: as
    in :func:`order_of`, of the flat ``shape``. ``sender``: the population, or the input, whose emissions they are; None
    for sums.
    """

    at: str
    ctype: str
    low: int
    high: int
    shape: Shape
    order: Int64 | None
    sender: str | None = None

    @property
    def binary(self) -> bool:
        return (self.low, self.high) == (0, 1)

    def reshaped(self, shape: Shape) -> View:
        """The same numbers under another shape."""
        return replace(self, shape=shape)

    @property
    def strides(self) -> tuple[int, int, int] | None:
        """Distances in memory between channels, rows and columns of a map; None where they are not regular."""
        if len(self.shape) != 3:
            return None
        count, rows, columns = self.shape
        if self.order is None:
            return rows * columns, columns, 1
        return (1, columns * count, count) if same(self.order, order_of(self.shape)) else None

    @property
    def key(self) -> tuple[object, ...]:
        """What tells apart how numbers lie."""
        return self.shape, None if self.order is None else self.order.tobytes()
