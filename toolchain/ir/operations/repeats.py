"""Maps whose rows and columns repeat, with each different row and column held once.

Bounds of neurons hardly differ within a map but at its border: what is computed from them takes as long for any size of
map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from spikec.ir.types import Int64, Shape

Map = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Repeats:
    """Which places along each axis but the first hold the same. ``axes``: for each of these axes int64 [size], a number
    from 0 on for every place; places of one number hold the same."""

    axes: tuple[Int64, ...]

    @classmethod
    def of(cls, *maps: Map) -> Repeats:
        """Runs of neighbours that are the same in each of some maps of one shape."""
        axes = []
        for axis in range(1, maps[0].ndim):
            changes = np.zeros(max(0, maps[0].shape[axis] - 1), dtype=np.bool_)
            for each in maps:
                different = [bool((one != other).any()) for one, other in pairwise(np.moveaxis(each, axis, 0))]
                changes |= np.array(different, dtype=np.bool_)
            axes.append(np.concatenate([[0], np.cumsum(changes)]).astype(np.int64))
            first = np.flatnonzero(np.diff(axes[-1], prepend=-1))
            maps = tuple(each.take(first, axis) for each in maps)
        return cls(tuple(axes))

    @classmethod
    def everywhere(cls, shape: Shape) -> Repeats:
        """All places hold the same."""
        return cls(tuple(np.zeros(size, np.int64) for size in shape[1:]))

    @classmethod
    def nowhere(cls, shape: Shape) -> Repeats:
        """Every place stands for itself."""
        return cls(tuple(np.arange(size) for size in shape[1:]))

    @cached_property
    def _first(self) -> tuple[Int64, ...]:
        return tuple(np.unique(axis, return_index=True)[1] for axis in self.axes)

    def __and__(self, other: Repeats) -> Repeats:
        """Where both hold the same."""
        axes = []
        for mine, theirs in zip(self.axes, other.axes, strict=True):
            pairs = mine * (theirs.max(initial=0) + 1) + theirs
            axes.append(np.unique(pairs, return_inverse=True)[1].reshape(-1).astype(np.int64))
        return Repeats(tuple(axes))

    def once(self, whole: Map) -> Map:
        """Each different place of a map that repeats like this."""
        return _taken(whole, self._first)

    def spread(self, once: Map) -> Map:
        """The map of which ``once`` holds each different place."""
        return _taken(once, self.axes)

    def finer(self, once: Map, other: Repeats) -> Map:
        """``once`` for repeats that tell more places apart."""
        return _taken(once, [axis[first] for axis, first in zip(self.axes, other._first, strict=True)])


def _taken(values: Map, places: Sequence[Int64]) -> Map:
    for axis, index in enumerate(places, start=1):
        if len(index) != values.shape[axis] or (np.diff(index) != 1).any():
            values = values.take(index, axis)
    return values
