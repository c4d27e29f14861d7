"""Blocks of layers into cores.

Layers are packed from the output to the input, so that the cores a spike must reach are known when its own layer is
cut. A layer is cut into equal blocks; each goes to the fullest open core that has room, else to a new one.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import product
from operator import itemgetter
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from spikec.errors import DoesNotFit
from spikec.ir.operations.boxes import Box, hull, whole
from spikec.ir.types import Int64, Shape
from spikec.stages import Done
from spikec.targets.loihi.axons import Reach
from spikec.targets.loihi.needs import AXONS_IN, AXONS_OUT, COMPARTMENTS, SYNAPSES, Demand, Held, Layer, Part

Capacity = Mapping[str, int]
#: Sizes of equal blocks, and their number.
Cut: TypeAlias = tuple[tuple[int, ...], int]
Listened: TypeAlias = dict[str, dict[int, set[Box]]]
_Number = TypeVar("_Number", bound=np.generic)
#: Resources for which a core needs at most the sum over its parts.
_ADDED = (COMPARTMENTS, SYNAPSES, AXONS_OUT)
_UNLIMITED = 2**62
_ROOM = 64


class Bin(Held):
    """One core while it is being filled."""

    def __init__(self, demand: Demand) -> None:
        super().__init__(demand)
        self.parts: list[Part] = []

    def take(self, part: Part, used: dict[str, int] | None = None) -> None:
        super().take(part, used)
        self.parts.append(part)


class Packing:
    """Cores in the order they were opened, with what is free on each and how full it is in arrays beside them."""

    def __init__(self, demand: Demand, capacity: Capacity) -> None:
        self.demand = demand
        self.capacity = capacity
        self.bins: list[Bin] = []
        self.free = {key: np.zeros(_ROOM, dtype=np.int64) for key in _ADDED}
        self.load = np.zeros(_ROOM)
        self.since = np.zeros(_ROOM, dtype=np.int64)  # when the core last took something: older first among equals
        self.taken = 0
        # Which cores store some of a node's channels.
        self.holders: dict[tuple[str, int], npt.NDArray[np.bool_]] = {}
        # Who listens, where output axons are limited: by layer and core the boxes of neurons, for either kind of axon.
        self.listened: tuple[Listened, Listened] = ({}, {})

    def add(self, part: Part) -> None:
        """Put a part on a core: on that of the block before, whose weights and axons it may share; if that has no room,
        on the fullest core that has; else on a new one."""
        last = len(self.bins) - 1
        if last >= 0 and self._takes(last, part):
            return
        for index in self._candidates(part):
            if index != last and self._takes(index, part):
                return
        self.bins.append(Bin(self.demand))
        self._keep(last + 1, part, None)

    def _takes(self, index: int, part: Part) -> bool:
        """Put a part on a core, if it has room for it."""
        used = self.bins[index].with_more(part)
        if not fits(used, self.capacity):
            return False
        self._keep(index, part, used)
        return True

    def _candidates(self, part: Part) -> list[int]:
        """Cores that may have room, from the fullest on.

        What can be shared is not checked here but counted in full later: input axons, and weights if the core already
        stores some of the same node.
        """
        number = len(self.bins)
        compartments, synapses, axons_out = (self.free[key][:number] for key in _ADDED)
        enough = synapses >= part.weights.bits
        for key in part.weights.channels:
            if key in self.holders:
                enough |= self.holders[key][:number]
        possible = enough & (compartments >= max(part.compartments, self.demand.per_neuron))
        if part.axons_out:
            possible &= axons_out >= part.axons_out
        found = np.flatnonzero(possible)
        if len(found) > 1:
            found = found[np.lexsort((self.since[found], -self.load[found]))]
        indices: list[int] = found.tolist()
        return indices

    def _keep(self, index: int, part: Part, used: dict[str, int] | None) -> None:
        """Put a part on a core, and note what that holds now."""
        one = self.bins[index]
        one.take(part, used)
        size = len(self.load)
        if index == size:
            self.load, self.since = _longer(self.load), _longer(self.since)
            self.free = {key: _longer(values) for key, values in self.free.items()}
            self.holders = {key: _longer(values) for key, values in self.holders.items()}
            size = len(self.load)
        for key in part.weights.channels:
            if key not in self.holders:
                self.holders[key] = np.zeros(size, dtype=np.bool_)
            self.holders[key][index] = True
        for resource, values in self.free.items():
            values[index] = self.capacity.get(resource, _UNLIMITED) - one.used.get(resource, 0)
        self.load[index] = load(one.used, self.capacity)
        self.taken += 1
        self.since[index] = self.taken
        if AXONS_OUT in self.capacity:
            inputs = self.demand.inputs(part)
            for listened, fed_by in zip(self.listened, (inputs.fed_by, inputs.fed_by_population), strict=True):
                for origin, boxes in fed_by.items():
                    listened.setdefault(origin, {}).setdefault(index, set()).update(boxes)

    def destinations(self, layer: Layer) -> Reach:
        """Cores with a part that each neuron of ``layer`` feeds; nowhere where output axons are not limited."""
        found = Reach.nowhere(layer.shape)
        for reached, listened in zip((found.own, found.shared), self.listened, strict=True):
            # Cores that hold other channels of the same places listen to the same.
            alike = Counter(frozenset(boxes) for boxes in listened.get(layer.name, {}).values())
            for boxes, times in alike.items():
                window, mask = covered(tuple(boxes))
                reached[window] += mask * times
        return found


def _longer(values: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    return np.concatenate([values, np.zeros_like(values)])


def pack(
    demand: Demand, layers: Sequence[Layer], capacity: Capacity, grain: int, placed: Done = lambda _: None
) -> list[list[Part]]:
    """Parts of every core. ``grain``: each layer is cut into at least this many times the blocks that would do.
    ``placed``: called with the number of layers that are placed."""
    packing = Packing(demand, capacity)
    for number, layer in enumerate(reversed(layers)):
        placed(number)
        for part in _blocks(demand, layer, packing.destinations(layer), capacity, grain):
            packing.add(part)
    return [one.parts for one in packing.bins]


def covered(boxes: Sequence[Box]) -> tuple[tuple[slice, ...], Int64]:
    """The window around boxes, and int64 of its shape: 1 in a box."""
    around = hull(boxes)
    if len(boxes) == 1:
        return tuple(slice(low, high) for low, high in around), np.ones([high - low for low, high in around], np.int64)
    mask = np.zeros([high - low for low, high in around], dtype=np.int64)
    for box in boxes:
        mask[tuple(slice(low - start, high - start) for (low, high), (start, _) in zip(box, around, strict=True))] = 1
    return tuple(slice(low, high) for low, high in around), mask


def fits(used: Mapping[str, int], capacity: Capacity) -> bool:
    for key, limit in capacity.items():  # noqa: SIM110 - asked very often, and a generator takes longer
        if used[key] > limit:
            return False
    return True


def load(used: Mapping[str, int], capacity: Capacity) -> float:
    """Largest share of any resource."""
    return max([used.get(key, 0) / limit for key, limit in capacity.items()])


def _blocks(demand: Demand, layer: Layer, reached: Reach, capacity: Capacity, grain: int) -> list[Part]:
    """Equal blocks of ``layer`` that each fit an empty core."""
    everything = demand.alone(demand.part(layer, whole(layer.shape), reached))
    fewest = max(everything[key] / limit for key, limit in capacity.items() if key != AXONS_IN)
    cuts = _cuts(layer.shape)
    fitting = (
        (sizes, count)
        for sizes, count in cuts[_first_of(cuts, fewest) :]
        if fits(demand.alone(demand.part(layer, _middle(layer.shape, sizes), reached)), capacity)
    )
    if grain == 1:
        for sizes, _ in fitting:
            if found := _fitting(demand, layer, reached, capacity, sizes):
                return found
        raise DoesNotFit(_refusal(demand, layer, reached, capacity))
    least = next((count for _, count in fitting), None)
    if least is not None:
        wanted = cuts[_first_of(cuts, grain * least) : _first_of(cuts, 2 * grain * least + 1)]
        for sizes in _by_demand(demand, layer, reached, capacity, wanted):
            if found := _fitting(demand, layer, reached, capacity, sizes):
                return found
    return _blocks(demand, layer, reached, capacity, 1)


def _first_of(cuts: Sequence[Cut], number: float) -> int:
    """The first of some cuts that has so many blocks."""
    return bisect_left(cuts, number, key=itemgetter(1))


def _fitting(
    demand: Demand, layer: Layer, reached: Reach, capacity: Capacity, sizes: tuple[int, ...]
) -> list[Part] | None:
    """Blocks of ``sizes``, if each fits an empty core."""
    found = []
    for box in _cut(layer, sizes):
        part = demand.part(layer, box, reached)
        if not fits(demand.alone(part), capacity):
            return None
        found.append(part)
    return found


def _by_demand(
    demand: Demand, layer: Layer, reached: Reach, capacity: Capacity, cuts: Sequence[Cut]
) -> Iterator[tuple[int, ...]]:
    """Of (sizes, number of blocks), the sizes whose blocks fit, least demand in all first.

    Demand takes a while to tell. So it is bounded first, and told only of cuts whose bound comes up.
    """
    queue = []
    for sizes, count in cuts:
        least = load(demand.least(layer, _middle(layer.shape, sizes)), capacity)
        queue.append((count * least, count, sizes, False))
    heapify(queue)
    while queue:
        _, count, sizes, told = heappop(queue)
        if told:
            yield sizes
            continue
        used = demand.alone(demand.part(layer, _middle(layer.shape, sizes), reached))
        if fits(used, capacity):
            heappush(queue, (count * load(used, capacity), count, sizes, True))


@lru_cache(maxsize=2**16)
def _middle(shape: Shape, sizes: tuple[int, ...]) -> Box:
    """An interior block, which needs the most."""
    starts = [-(-n // size) // 2 * size for n, size in zip(shape, sizes, strict=True)]
    return tuple((low, min(low + size, n)) for low, size, n in zip(starts, sizes, shape, strict=True))


def _cut(layer: Layer, sizes: tuple[int, ...]) -> list[Box]:
    axes: list[list[tuple[int, int]]] = [
        [(low, min(low + size, n)) for low in range(0, n, size)] for n, size in zip(layer.shape, sizes, strict=True)
    ]
    return list(product(*axes))


@lru_cache(maxsize=256)
def _cuts(shape: tuple[int, ...]) -> list[Cut]:
    """(sizes of equal blocks, their number), fewest blocks first, among equals the fewest cuts of the channels."""
    choices = [{-(-size // n) for n in range(1, size + 1)} for size in shape]
    counted = [[(-(-n // size), size) for size in sizes] for n, sizes in zip(shape, choices, strict=True)]
    found = []
    for pairs in product(*counted):
        counts, sizes = zip(*pairs, strict=True)
        found.append((math.prod(counts), counts, sizes))
    return [(sizes, count) for count, _, sizes in sorted(found)]


def _refusal(demand: Demand, layer: Layer, reached: Reach, capacity: Capacity) -> str:
    one = demand.alone(demand.part(layer, _middle(layer.shape, (1,) * len(layer.shape)), reached))
    over = ", ".join(f"{one[key]} {key} of {limit}" for key, limit in capacity.items() if one[key] > limit)
    return (
        f"layer {layer.name!r} does not fit {demand.limits.title}: one neuron alone needs {over}; "
        "make its kernel or the layer before it smaller"
    )
