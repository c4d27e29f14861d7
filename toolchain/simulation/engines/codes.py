"""How emissions write numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from spikec.errors import GraphError
from spikec.implementations import Implementations
from spikec.ir.graph import IntegerGraph, Population
from spikec.ir.kinds import IF, BitSerialIF, CalibratedIF, CubaLIF, GradedIF, Kind, Maximum, SignedIF
from spikec.simulation.emission import Emission, separate_events
from spikec.simulation.kernels.words import ones


@dataclass(frozen=True)
class Code:
    """How the emissions of T steps write a number, in the layerwise schedule.

    ``counts`` and ``events``: net and non-zero emissions, from the kind, the number [N, *shape] and T. ``raster``: the
    emissions int64 [N, T, *shape], from the kind, the number int64 [N, 1, *shape] and T.
    """

    counts: Callable[[Kind, Tensor, int], Tensor]
    events: Callable[[Kind, Tensor, int], Tensor]
    raster: Callable[[Kind, Tensor, int], Tensor]


CODES: Implementations[Code] = Implementations(
    "way to write a number in emissions", "spikec.simulation.engines.codes.CODES", Kind
)
CODES.refuse(lambda kind: GraphError(f"{kind} neurons do not run layerwise"), CalibratedIF, CubaLIF)


def _steps(number: Tensor, timesteps: int) -> Tensor:
    return torch.arange(timesteps).reshape(1, -1, *[1] * (number.dim() - 2))


def _ones(kind: Kind, value: Tensor, timesteps: int) -> Tensor:
    if value.dtype == torch.uint8:
        return ones(value)
    number = value.to(torch.int64) if value.is_floating_point() else value
    return reduce(torch.add, ((number >> bit) & 1 for bit in range(timesteps)))


def _spiking_steps(kind: Kind, value: Tensor, timesteps: int) -> Tensor:
    most = kind.emission[1]
    if most == 1:
        return value
    return torch.div(value.to(torch.int64) + (most - 1), most, rounding_mode="floor")


def _spikes_first(kind: Kind, number: Tensor, timesteps: int) -> Tensor:
    steps, most = _steps(number, timesteps), kind.emission[1]
    return (number > steps).long() if most == 1 else (number - most * steps).clamp_(0, most)


def _origin(kind: Kind) -> Kind:
    assert isinstance(kind, Maximum)
    return kind.origin


#: Spikes first, as many as go into a step, pauses last.
CODES.register(IF, SignedIF)(Code(counts=lambda _, value, __: value, events=_spiking_steps, raster=_spikes_first))
#: Bits, most significant first.
CODES.register(BitSerialIF)(
    Code(
        counts=_ones,
        events=_ones,
        raster=lambda _, number, timesteps: (number >> (timesteps - 1 - _steps(number, timesteps))) & 1,
    )
)
#: The largest of several numbers is written like each of them.
CODES.register(Maximum)(
    Code(
        counts=lambda kind, value, steps: CODES(_origin(kind)).counts(_origin(kind), value, steps),
        events=lambda kind, value, steps: CODES(_origin(kind)).events(_origin(kind), value, steps),
        raster=lambda kind, number, steps: CODES(_origin(kind)).raster(_origin(kind), number, steps),
    )
)
#: One payload.
CODES.register(GradedIF)(
    Code(
        counts=lambda _, value, __: value,
        events=lambda _, value, __: value.clamp(max=1),
        raster=lambda _, number, __: number,
    )
)


def from_raster(graph: IntegerGraph, node: Population, raster: Tensor, *, spikes: bool) -> Emission:
    """From emissions [S, N, *shape] at every step."""
    counted = raster[: graph.timesteps + graph.drain]
    events = torch.count_nonzero(raster, dim=0) if separate_events(graph, node) else None
    return Emission(counted.sum(0), events, counted.transpose(0, 1) if spikes else None)


def from_value(graph: IntegerGraph, node: Population, value: Tensor, *, spikes: bool) -> Emission:
    """Layerwise, from the number that the T emissions write [N, *shape]."""
    code, steps = CODES(node.neuron), graph.timesteps
    counts = code.counts(node.neuron, value, steps)
    events = None
    if separate_events(graph, node):
        events = counts if code.events is code.counts else code.events(node.neuron, value, steps)
    return Emission(counts, events, raster_of(graph, node, value) if spikes else None)


def raster_of(graph: IntegerGraph, node: Population, value: Tensor) -> Tensor:
    """The emissions int64 [N, T, *shape] that write a number [N, *shape] in the layerwise schedule."""
    return CODES(node.neuron).raster(node.neuron, value.to(torch.int64)[:, None], graph.timesteps)


def raster_dtype(most: int) -> torch.dtype:
    """The dtype of rasters of emissions between -``most`` and ``most``."""
    return torch.int8 if most <= 127 else torch.int16


def rise(upper: Tensor, last: Tensor, most: int) -> Tensor:
    """By how much counts u8 ``last`` rise towards ``upper``, ``most`` at most."""
    return torch.maximum(upper, last).sub_(last).clamp_(max=most)


def fall(upper: Tensor, lower: Tensor, last: Tensor, most: int) -> Tensor:
    """By how much counts u8 ``last`` that are above ``lower`` fall towards ``upper``, ``most`` at most."""
    down = last - torch.minimum(upper, last)
    return down.clamp_(max=most).mul_(last > lower)
