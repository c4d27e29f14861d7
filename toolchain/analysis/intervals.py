"""Interval arithmetic on arrays of neurons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikec.ir.types import Int64


@dataclass(frozen=True)
class Interval:
    """Lowest and highest value of every neuron, int64 of one shape, both inclusive."""

    low: Int64
    high: Int64

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)

    def scaled(self, factor: int) -> Interval:
        """Times a factor >= 0."""
        return Interval(self.low * factor, self.high * factor)

    def union(self, other: Interval) -> Interval:
        return Interval(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    @property
    def with_zero(self) -> Interval:
        return Interval(np.minimum(self.low, 0), np.maximum(self.high, 0))

    @property
    def magnitude(self) -> int:
        return max(abs(int(self.low.min())), abs(int(self.high.max())))


def constant(value: Int64) -> Interval:
    return Interval(value, value)
