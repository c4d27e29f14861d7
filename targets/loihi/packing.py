"""Blocks of layers into cores.

Layers are packed from the output to the input, so that the cores a spike must reach are known when its own layer is
cut. A layer is cut into equal blocks; each goes to the fullest open core that has room, else to a new one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import product

import numpy as np

from spikec.errors import DoesNotFit
from spikec.ir.operations.boxes import Box, hull, whole
from spikec.ir.types import Int64
from spikec.targets.loihi.axons import Reach
from spikec.targets.loihi.needs import AXONS_IN, AXONS_OUT, COMPARTMENTS, SYNAPSES, Demand, Layer, Part

Capacity = Mapping[str, int]
#: Resources for which a core needs at most the sum over its parts.
_ADDED = (COMPARTMENTS, SYNAPSES, AXONS_OUT)
_UNLIMITED = 2**62


@dataclass(eq=False)
class Bin:
    """One core while it is being filled."""

    parts: list[Part]
    used: dict[str, int]
    channels: dict[tuple[str, int], int]


class Packing:
    """Cores in the order they were opened, with what is free on each and how full it is in arrays beside them."""

    def __init__(self, demand: Demand, capacity: Capacity) -> None:
        self.demand = demand
        self.capacity = capacity
        self.bins: list[Bin] = []
        self.free = np.zeros((64, len(_ADDED)), dtype=np.int64)
        self.load = np.zeros(64)
        self.since = np.zeros(64, dtype=np.int64)  # when the core last took something: older ones first among equals
        self.taken = 0
        self.holders: dict[tuple[str, int], list[int]] = {}  # cores that store some of a node's channels

    def add(self, part: Part) -> None:
        """Put a part on a core: on that of the block before, whose weights and axons it may share; if that has no room,
        on the fullest core that has; else on a new one."""
        for index in self._candidates(part):
            one = self.bins[index]
            if self._stored(part, one.channels) > self.free[index, 1]:
                continue
            used = self.demand.usage([*one.parts, part])
            if fits(used, self.capacity):
                one.parts.append(part)
                one.used = used
                self._keep(index, part)
                return
        self.bins.append(Bin([part], self.demand.usage([part]), {}))
        self._keep(len(self.bins) - 1, part)

    def _candidates(self, part: Part) -> Iterator[int]:
        """Cores that may have room: the last one, then the others from the fullest on.

        What can be shared is not checked here but counted in full later: input axons, and weights if the core already
        stores some of the same node.
        """
        number = len(self.bins)
        if not number:
            return
        shares = np.zeros(number, dtype=bool)
        for key in part.channels:
            shares[self.holders.get(key, [])] = True
        needed = part.compartments, self._stored(part, {}), part.axons_out
        enough = self.free[:number] >= needed
        possible = enough[:, 0] & enough[:, 2] & (enough[:, 1] | shares)
        if possible[-1]:
            yield number - 1
        found = np.flatnonzero(possible & (self.free[:number, 0] >= self.demand.per_neuron))
        yield from found[np.lexsort((self.since[found], -self.load[found]))].tolist()

    def _stored(self, part: Part, held: Mapping[tuple[str, int], int]) -> int:
        """Synapse bits of a part beyond the output channels already held."""
        bits = self.demand.bits
        return part.table_bits + sum(
            (mask & ~held.get(key, 0)).bit_count() * bits[key[0]] * key[1] for key, mask in part.channels.items()
        )

    def _keep(self, index: int, part: Part) -> None:
        """Note what a core holds now that it has taken ``part``."""
        one = self.bins[index]
        for key, mask in part.channels.items():
            if key not in one.channels:
                self.holders.setdefault(key, []).append(index)
            one.channels[key] = one.channels.get(key, 0) | mask
        if index == len(self.load):
            self.free, self.load, self.since = (
                np.concatenate([x, np.zeros_like(x)]) for x in (self.free, self.load, self.since)
            )
        self.free[index] = [self.capacity.get(key, _UNLIMITED) - one.used[key] for key in _ADDED]
        self.load[index] = load(one.used, self.capacity)
        self.taken += 1
        self.since[index] = self.taken


def pack(demand: Demand, layers: Sequence[Layer], capacity: Capacity, grain: int) -> list[list[Part]]:
    """Parts of every core. ``grain``: each layer is cut into at least this many times the blocks that would do."""
    packing = Packing(demand, capacity)
    for layer in reversed(layers):
        reached = destinations(layer, [one.parts for one in packing.bins])
        for part in _blocks(demand, layer, reached, capacity, grain):
            packing.add(part)
    return [one.parts for one in packing.bins]


def destinations(layer: Layer, groups: Sequence[Sequence[Part]]) -> Reach:
    """Groups with a part that each neuron of ``layer`` feeds."""
    found = Reach.nowhere(layer.shape)
    own: Counter[frozenset[Box]] = Counter()
    shared: Counter[frozenset[Box]] = Counter()
    for group in groups:
        for count, maps in (
            (own, [part.fed_by for part in group]),
            (shared, [part.fed_by_population for part in group]),
        ):
            boxes = frozenset(box for listened in maps for box in listened.get(layer.name, ()))
            if boxes:
                count[boxes] += 1
    for reached, count in ((found.own, own), (found.shared, shared)):
        for boxes, times in count.items():  # cores that hold other channels of the same places listen to the same
            window, mask = covered(tuple(boxes))
            reached[window] += mask * times
    return found


def fed(layer: Layer, group: Sequence[Part]) -> tuple[Box, ...]:
    """Boxes of the neurons of ``layer`` that a group of parts listens to, over either kind of axon."""
    maps = [listened for part in group for listened in (part.fed_by, part.fed_by_population)]
    return tuple(dict.fromkeys(box for listened in maps for box in listened.get(layer.name, ())))


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
    return all(used[key] <= limit for key, limit in capacity.items())


def load(used: Mapping[str, int], capacity: Capacity) -> float:
    """Largest share of any resource."""
    return max(used.get(key, 0) / limit for key, limit in capacity.items())


def _blocks(demand: Demand, layer: Layer, reached: Reach, capacity: Capacity, grain: int) -> list[Part]:
    """Equal blocks of ``layer`` that each fit an empty core."""
    least, wanted = 0, []
    everything = demand.alone(layer, whole(layer.shape), reached)
    fewest = max(everything[key] / limit for key, limit in capacity.items() if key != AXONS_IN)
    for sizes, count in _cuts(layer.shape):
        if count < fewest:
            continue
        if grain > 1 and least and count > 2 * grain * least:
            break
        if least and count < grain * least:
            continue
        if grain > 1 and least:
            wanted.append((count, sizes))
            continue
        used = demand.alone(layer, _middle(layer, sizes), reached)
        if not fits(used, capacity):
            continue
        least = least or count
        if grain == 1:
            boxes = _cut(layer, sizes)
            if all(fits(demand.alone(layer, box, reached), capacity) for box in boxes):
                return [demand.part(layer, box, reached) for box in boxes]
    for sizes in _by_demand(demand, layer, reached, capacity, wanted):
        boxes = _cut(layer, sizes)
        if all(fits(demand.alone(layer, box, reached), capacity) for box in boxes):
            return [demand.part(layer, box, reached) for box in boxes]
    if grain > 1 and least:
        return _blocks(demand, layer, reached, capacity, 1)
    raise DoesNotFit(_refusal(demand, layer, reached, capacity))


def _by_demand(
    demand: Demand, layer: Layer, reached: Reach, capacity: Capacity, cuts: Sequence[tuple[int, tuple[int, ...]]]
) -> Iterator[tuple[int, ...]]:
    """Of (number of blocks, sizes), the sizes whose blocks fit, least demand in all first.

    Demand takes a while to tell. So it is bounded first, and told only of cuts whose bound comes up.
    """
    queue = []
    for count, sizes in cuts:
        box = _middle(layer, sizes)
        least = load(demand.least(layer, box), capacity)
        queue.append((count * least, count, sizes, False))
    heapify(queue)
    while queue:
        _, count, sizes, told = heappop(queue)
        if told:
            yield sizes
            continue
        used = demand.alone(layer, _middle(layer, sizes), reached)
        if fits(used, capacity):
            heappush(queue, (count * load(used, capacity), count, sizes, True))


def _middle(layer: Layer, sizes: tuple[int, ...]) -> Box:
    """An interior block, which needs the most."""
    starts = [math.ceil(n / size) // 2 * size for n, size in zip(layer.shape, sizes, strict=True)]
    return tuple((low, min(low + size, n)) for low, size, n in zip(starts, sizes, layer.shape, strict=True))


def _cut(layer: Layer, sizes: tuple[int, ...]) -> list[Box]:
    axes: list[list[tuple[int, int]]] = [
        [(low, min(low + size, n)) for low in range(0, n, size)] for n, size in zip(layer.shape, sizes, strict=True)
    ]
    return list(product(*axes))


@lru_cache(maxsize=256)
def _cuts(shape: tuple[int, ...]) -> list[tuple[tuple[int, ...], int]]:
    """(sizes of equal blocks, their number), fewest blocks first, among equals the fewest cuts of the channels."""
    choices = [sorted({math.ceil(size / n) for n in range(1, size + 1)}, reverse=True) for size in shape]
    found = []
    for sizes in product(*choices):
        counts = tuple(math.ceil(n / size) for n, size in zip(shape, sizes, strict=True))
        found.append((math.prod(counts), counts, sizes))
    return [(sizes, count) for count, _, sizes in sorted(found)]


def _refusal(demand: Demand, layer: Layer, reached: Reach, capacity: Capacity) -> str:
    one = demand.alone(layer, _middle(layer, (1,) * len(layer.shape)), reached)
    over = ", ".join(f"{one[key]} {key} of {limit}" for key, limit in capacity.items() if one[key] > limit)
    return (
        f"layer {layer.name!r} does not fit {demand.limits.title}: one neuron alone needs {over}; "
        "make its kernel or the layer before it smaller"
    )
