"""Blocks of layers into cores.

Layers are packed from the output to the input, so that the cores a spike must reach are known when its own layer is
cut. A layer is cut into equal blocks; each goes to the fullest open core that has room, else to a new one.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from targets.loihi.axons import Reach
from targets.loihi.boxes import Box, hull, whole
from targets.loihi.needs import AXONS_IN, AXONS_OUT, COMPARTMENTS, SYNAPSES, Demand, Layer, Part
from toolchain.errors import DoesNotFit
from toolchain.ir.integer import Int64

Capacity = Mapping[str, int]


@dataclass(eq=False)
class Bin:
    """One core while it is filled."""

    parts: list[Part]
    used: dict[str, int]
    load: float
    channels: dict[tuple[str, int], int]


class Packing:
    """Cores in the order they were opened; ``room``: those that can take another neuron, fullest first."""

    def __init__(self, demand: Demand, capacity: Capacity) -> None:
        self.demand = demand
        self.capacity = capacity
        self.bins: list[Bin] = []
        self.room: list[Bin] = []

    def add(self, part: Part) -> None:
        """Put a part on the core of the block before, whose weights and axons it may share, else on the fullest core
        that has room, else on a new one."""
        limits = self.capacity
        whole = part.table_bits + self._bits(part.channels, {})
        for one in [*self.bins[-1:], *self.room]:
            if self._may_take(one, part, whole):
                used = self.demand.usage([*one.parts, part])
                if fits(used, limits):
                    self.room = [other for other in self.room if other is not one]
                    one.parts.append(part)
                    one.used, one.load = used, load(used, limits)
                    for key, mask in part.channels.items():
                        one.channels[key] = one.channels.get(key, 0) | mask
                    self._keep(one)
                    return
        used = self.demand.usage([part])
        self.bins.append(Bin([part], used, load(used, limits), dict(part.channels)))
        self._keep(self.bins[-1])

    def _may_take(self, one: Bin, part: Part, whole: int) -> bool:
        """Whether what adds up still fits; the input axons, which may be shared, are left to a full count. ``whole``:
        synapse bits of the part where it shares none."""
        used, limits = one.used, self.capacity
        if used[COMPARTMENTS] + part.compartments > limits[COMPARTMENTS]:
            return False
        if AXONS_OUT in limits and used[AXONS_OUT] + part.axons_out > limits[AXONS_OUT]:
            return False
        free = limits[SYNAPSES] - used[SYNAPSES]
        if whole <= free:
            return True
        if one.channels.keys().isdisjoint(part.channels):
            return False
        return part.table_bits + self._bits(part.channels, one.channels) <= free

    def _bits(self, channels: Mapping[tuple[str, int], int], held: Mapping[tuple[str, int], int]) -> int:
        """Synapse bits of output channels beyond those already held."""
        bits = self.demand.bits
        return sum((mask & ~held.get(key, 0)).bit_count() * bits[key[0]] * key[1] for key, mask in channels.items())

    def _keep(self, one: Bin) -> None:
        if one.used[COMPARTMENTS] + self.demand.per_neuron <= self.capacity[COMPARTMENTS]:
            insort(self.room, one, key=lambda other: -other.load)


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
    for group in groups:
        for reached, boxes in (
            (found.own, [box for part in group for box in part.fed_by.get(layer.name, ())]),
            (found.shared, [box for part in group for box in part.fed_by_population.get(layer.name, ())]),
        ):
            if boxes:
                window, mask = covered(boxes)
                reached[window] += mask
    return found


def fed(layer: Layer, group: Sequence[Part]) -> tuple[Box, ...]:
    """Boxes of the neurons of ``layer`` that a group of parts listens to, over either kind of axon."""
    maps = [listened for part in group for listened in (part.fed_by, part.fed_by_population)]
    return tuple(dict.fromkeys(box for listened in maps for box in listened.get(layer.name, ())))


def covered(boxes: Sequence[Box]) -> tuple[tuple[slice, ...], Int64]:
    """The window around boxes, and int64 of its shape: 1 in a box."""
    around = hull(boxes)
    mask = np.zeros([high - low for low, high in around], dtype=np.int64)
    for box in boxes:
        mask[tuple(slice(low - start, high - start) for (low, high), (start, _) in zip(box, around, strict=True))] = 1
    return tuple(slice(low, high) for low, high in around), mask


def fits(used: Mapping[str, int], capacity: Capacity) -> bool:
    return all(used[key] <= limit for key, limit in capacity.items())


def load(used: Mapping[str, int], capacity: Capacity) -> float:
    """Largest share of any resource."""
    return max(used[key] / limit for key, limit in capacity.items())


def _blocks(demand: Demand, layer: Layer, reached: Reach, capacity: Capacity, grain: int) -> list[Part]:
    """Equal blocks of ``layer`` that each fit an empty core."""
    least, wanted = 0, []
    everything = demand.usage([demand.part(layer, whole(layer.shape), reached)])
    fewest = max(everything[key] / limit for key, limit in capacity.items() if key != AXONS_IN)
    for sizes, count in _cuts(layer.shape):
        if count < fewest:
            continue
        if grain > 1 and least and count > 2 * grain * least:
            break
        if least and count < grain * least:
            continue
        block = _middle(demand, layer, sizes, reached)
        used = demand.usage([block])
        if not fits(used, capacity):
            continue
        least = least or count
        if grain > 1 and count >= grain * least:
            wanted.append((count * load(used, capacity), count, sizes))
        elif grain == 1:
            parts = _cut(demand, layer, sizes, reached)
            if all(fits(demand.usage([part]), capacity) for part in parts):
                return parts
    for _, _, sizes in sorted(wanted):  # least demand in all
        parts = _cut(demand, layer, sizes, reached)
        if all(fits(demand.usage([part]), capacity) for part in parts):
            return parts
    if grain > 1 and least:
        return _blocks(demand, layer, reached, capacity, 1)
    raise DoesNotFit(_refusal(demand, layer, reached, capacity))


def _middle(demand: Demand, layer: Layer, sizes: tuple[int, ...], reached: Reach) -> Part:
    """An interior block, which needs the most."""
    starts = [math.ceil(n / size) // 2 * size for n, size in zip(layer.shape, sizes, strict=True)]
    box = tuple((low, min(low + size, n)) for low, size, n in zip(starts, sizes, layer.shape, strict=True))
    return demand.part(layer, box, reached)


def _cut(demand: Demand, layer: Layer, sizes: tuple[int, ...], reached: Reach) -> list[Part]:
    axes: list[list[tuple[int, int]]] = [
        [(low, min(low + size, n)) for low in range(0, n, size)] for n, size in zip(layer.shape, sizes, strict=True)
    ]
    boxes: list[Box] = list(product(*axes))
    return [demand.part(layer, box, reached) for box in boxes]


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
    one = demand.usage([_middle(demand, layer, (1,) * len(layer.shape), reached)])
    over = ", ".join(f"{one[key]} {key} of {limit}" for key, limit in capacity.items() if one[key] > limit)
    return (
        f"layer {layer.name!r} does not fit {demand.limits.title}: one neuron alone needs {over}; "
        "make its kernel or the layer before it smaller"
    )
