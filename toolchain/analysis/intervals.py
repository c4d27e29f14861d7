"""Interval arithmetic on arrays of neurons, exact whatever the numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from spikec.ir.integers import ADDABLE, magnitude, times
from spikec.ir.types import Int64


@dataclass(frozen=True)
class Interval:
    """Lowest and highest value of every neuron, of one shape, both inclusive.

    int64 while no magnitude reaches 2^62, where two of them can be added or subtracted without wrapping; beyond that
    arrays of Python integers, which are slow and never wrap. ``reach``: at least as large as every magnitude, where
    the caller knows such a number; it saves looking for the largest.
    """

    low: Int64
    high: Int64
    reach: int = field(default=ADDABLE, repr=False)

    def __post_init__(self) -> None:
        if self.reach < ADDABLE:
            return
        object.__setattr__(self, "reach", self.magnitude)
        held = np.dtype(np.int64 if self.magnitude < ADDABLE else object)
        if self.low.dtype != held or self.high.dtype != held:
            object.__setattr__(self, "low", self.low.astype(held))
            object.__setattr__(self, "high", self.high.astype(held))

    @cached_property
    def magnitude(self) -> int:
        """The largest."""
        return magnitude(self.low) if self.low is self.high else max(-int(self.low.min()), int(self.high.max()))

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high, self.reach + other.reach)

    def without(self, part: Interval) -> Interval:
        """Less a part of it that is one number per neuron."""
        return Interval(self.low - part.low, self.high - part.high, self.reach + part.reach)

    def scaled(self, factor: int) -> Interval:
        """Times a factor >= 0."""
        reach = self.reach * factor
        if max(reach, self.reach) < ADDABLE:
            return Interval(self.low * factor, self.high * factor, reach)
        return Interval(times(self.low, factor), times(self.high, factor))

    def union(self, other: Interval) -> Interval:
        reach = max(self.reach, other.reach)
        return Interval(np.minimum(self.low, other.low), np.maximum(self.high, other.high), reach)

    @property
    def with_zero(self) -> Interval:
        return Interval(np.minimum(self.low, 0), np.maximum(self.high, 0), self.reach)


def constant(value: Int64) -> Interval:
    return Interval(value, value)
