"""What a run keeps of each layer, and in which types: as narrow as the ranges of emissions allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spikec.ir import IntegerGraph, Population
from spikec.ir.types import Shape
from spikec.simulation.emission import separate_events

if TYPE_CHECKING:
    from spikec.targets.c.code import Source

#: Types that C, numpy and torch share, narrowest first.
TYPES = tuple(np.dtype(name) for name in ("uint8", "int8", "int16", "int32", "int64"))


@dataclass(frozen=True)
class Kept:
    """Of one population or readout: ``name`` and ``shape`` in the graph; ``given``: the type of what the hook is given.

    ``total``: the type of what is kept once for each image: counts, the number of a layerwise network; None for a
    readout. ``events``: the type of the number of non-zero emissions, None where counts say it. ``each``: the type of
    what is kept of every step: rasters, curves; None for the populations of a layerwise network.
    """

    name: str
    shape: Shape
    given: np.dtype[Any]
    total: np.dtype[Any] | None
    events: np.dtype[Any] | None
    each: np.dtype[Any] | None

    @property
    def neurons(self) -> int:
        return int(np.prod(self.shape))

    @property
    def memory(self) -> Shape:
        """The shape in memory: maps (C, H, W) lie as [H][W][C]."""
        return (*self.shape[1:], self.shape[0]) if len(self.shape) == 3 else self.shape


def kept_of(graph: IntegerGraph, source: Source) -> tuple[tuple[Kept, ...], tuple[Kept, ...]]:
    """What is kept of populations and of readouts, in the order of the hooks. ``graph`` lasts as long as its longest
    sequence."""
    counted, emitted = graph.timing.counted_steps, graph.emission_steps
    senders = []
    for sender in source.senders:
        node = graph.nodes[sender.name]
        assert isinstance(node, Population)
        kind = node.neuron
        given = np.dtype(sender.dtype)
        if graph.schedule == "layerwise":
            senders.append(Kept(sender.name, tuple(sender.shape), given, holding(given), None, None))
            continue
        total = narrowest(min(0, kind.least(counted)), kind.emission[1] * counted)
        events = narrowest(0, emitted) if separate_events(graph, node) else None
        senders.append(Kept(sender.name, tuple(sender.shape), given, total, events, holding(given)))
    readers = [
        Kept(reader.name, tuple(reader.shape), np.dtype(reader.dtype), None, None, holding(np.dtype(reader.dtype)))
        for reader in source.readers
    ]
    return tuple(senders), tuple(readers)


def narrowest(low: int, high: int) -> np.dtype[Any]:
    """The first of :data:`TYPES` that holds all numbers from ``low`` to ``high``."""
    return next(one for one in TYPES if np.iinfo(one).min <= low and high <= np.iinfo(one).max)


def holding(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The first of :data:`TYPES` that holds every number of ``dtype``: torch has no uint16."""
    return narrowest(int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
