"""Cores of a placement, as every chip here makes them: slices of layers, and what these take of the core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from spikec.ir.operations.boxes import Box, volume
from spikec.ir.types import Int64

#: (used, limit) per limited resource.
Usage: TypeAlias = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Slice:
    """Neurons of one layer on one core: half-open index ranges, one per axis of the layer's shape."""

    layer: str
    box: Box

    @property
    def neurons(self) -> int:
        return volume(self.box)


@dataclass(frozen=True)
class Core:
    """One core: its slices and, per limited resource, (used, limit)."""

    index: int
    chip: int
    slices: tuple[Slice, ...]
    usage: Usage

    @property
    def load(self) -> float:
        """Largest share of any resource."""
        return max(used / limit for used, limit in self.usage.values())


@dataclass(frozen=True)
class Hops:
    """Steps from tile to tile of the messages of one spike, int64 of the layer's shape. ``crossings``: chip to chip."""

    east_west: Int64
    north_south: Int64
    crossings: Int64
