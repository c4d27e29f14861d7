"""What a population sent during one chunk of images, in the form the trace keeps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toolchain.ir.integer import IntegerGraph, Population


@dataclass(frozen=True)
class Emission:
    """``counts`` [N, *shape]: net emissions over the counted steps; ``events`` [N, *shape]: non-zero emissions over all
    steps, None where they equal the counts or were not asked for; ``raster`` [N, T + drain, *shape], where asked for.
    """

    counts: Tensor
    events: Tensor | None = None
    raster: Tensor | None = None


@dataclass
class Result:
    """One chunk: emissions by population; the readout's membrane [S, N, classes] per step (layerwise: S = 1)."""

    emissions: dict[str, Emission]
    readout: Tensor


def separate_events(graph: IntegerGraph, node: Population) -> bool:
    """Whether the number of non-zero emissions can differ from the net count."""
    return node.kind in ("signed_if", "graded") or graph.emission_steps > graph.timesteps


def from_raster(graph: IntegerGraph, node: Population, raster: Tensor, *, spikes: bool) -> Emission:
    """From emissions [S, N, *shape] at every step."""
    counted = raster[: graph.timesteps + graph.drain]
    events = torch.count_nonzero(raster, dim=0) if separate_events(graph, node) else None
    return Emission(counted.sum(0), events, counted.transpose(0, 1) if spikes else None)


def from_value(graph: IntegerGraph, node: Population, value: Tensor, *, spikes: bool) -> Emission:
    """Layerwise, from the number that the T emissions code [N, *shape]: spikes, payload, or a binary number."""
    if node.kind == "graded":
        return Emission(value, value.clamp(max=1), value[:, None] if spikes else None)
    if node.kind != "bit_serial" and not spikes:
        return Emission(value, value if separate_events(graph, node) else None)
    raster = raster_of(graph, node, value)
    counts = raster.sum(1)
    return Emission(counts, counts if separate_events(graph, node) else None, raster if spikes else None)


def raster_of(graph: IntegerGraph, node: Population, value: Tensor) -> Tensor:
    """The emissions int64 [N, T, *shape] that code a number [N, *shape] in the layerwise schedule."""
    number = value.to(torch.int64)[:, None]
    if node.kind == "graded":
        return number
    steps = torch.arange(graph.timesteps).reshape(1, -1, *[1] * len(node.shape))
    return (number >> (graph.timesteps - 1 - steps)) & 1 if node.kind == "bit_serial" else (number > steps).long()


class LevelRecord:
    """Follows the net count of a population step by step; ``last`` is its count so far, u8 [N, *shape]."""

    def __init__(self, zero: Tensor, steps: int, *, events: bool, spikes: bool) -> None:
        self.last = zero
        # Booleans add up as u8 where that cannot wrap: several times faster than summing a stack.
        self._events = torch.zeros_like(zero, dtype=torch.uint8 if steps <= 255 else torch.int32) if events else None
        self._raster: list[Tensor] | None = [] if spikes else None

    def see(self, level: Tensor) -> None:
        """The count after the next step."""
        if self._events is not None:
            self._events += (level != self.last).view(torch.uint8)
        if self._raster is not None:
            self._raster.append(level.to(torch.int16) - self.last)
        self.last = level

    @property
    def emission(self) -> Emission:
        """Everything seen."""
        return Emission(self.last, self._events, None if self._raster is None else torch.stack(self._raster, 1))
