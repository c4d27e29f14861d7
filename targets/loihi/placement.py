"""Which core computes which neurons: a deterministic split by capacity. An estimate: Intel's mapper is not public.

The objective is the fewest cores. Discrete axons are tried, then population axons where the chip has them, in several
grains of cutting. Where the cores are more than the lower bound, capacity is lowered as far as their number allows, for
a lower load. Then cores are put on the mesh in the order of the data. ``lower_bound`` is a number of cores that no
placement under the same limits and the same storage can go below.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from spikec.errors import DoesNotFit
from spikec.ir import as_integer
from spikec.ir.graph import IntegerGraph
from spikec.ir.operations.boxes import Box
from spikec.ir.types import Int64
from spikec.stages import Done, stage
from spikec.targets.cores import Core, Hops
from spikec.targets.loihi.bounds import lower_bound
from spikec.targets.loihi.limits import Limits, load_limits
from spikec.targets.loihi.mesh import mesh, positions
from spikec.targets.loihi.needs import Demand, Layer, Part, capacity
from spikec.targets.loihi.packing import covered, pack
from spikec.targets.placed import ShownPlacement

if TYPE_CHECKING:
    import nir

_GRAINS = (1, 2, 4, 8, 16)
_MOST_BLOCKS = 16000  # of a finer cut: beyond, packing takes long and gains little
_PRECISION = 0.04  # of the load of the fullest core

_POPULATIONS = (
    "population axons enter dense layers, blocks that share a core, and neurons that use discrete axons too, which "
    "nengo-loihi does not build; a neuron that enters one core by both kinds counts one message"
)


@dataclass(frozen=True, repr=False)
class Placement(ShownPlacement):
    """Where every neuron is computed.

    ``shared``: kernels are stored once per core, not once per connection. ``population_axons``: the synapse nodes that
    population axons enter; discrete axons enter the others. ``mesh``: columns and rows of tiles, cores per tile.
    """

    target: str
    cores: tuple[Core, ...]
    chips: int
    lower_bound: int
    shared: bool
    population_axons: tuple[str, ...]
    assumptions: tuple[str, ...]
    mesh: tuple[int, int, int]
    reached: dict[str, dict[int, tuple[Box, ...]]] = field(repr=False)
    core_of: dict[str, Int64] = field(repr=False)
    places: Int64 = field(repr=False)

    @property
    def cores_of(self) -> dict[str, int]:
        """Number of cores that hold part of each layer, in the order of the data."""
        return {layer: len(np.unique(cores)) for layer, cores in self.core_of.items()}

    def messages(self, layer: str) -> Int64:
        """How many cores a spike of each neuron of ``layer`` must be sent to, int64 of the layer's shape."""
        found = np.zeros(self.core_of[layer].shape, dtype=np.int64)
        for boxes in self.reached[layer].values():
            window, mask = covered(boxes)
            found[window] += mask
        return found

    def hops(self, layer: str) -> Hops:
        """Tile and chip borders that the messages of one spike of each neuron cross, on shortest paths."""
        home = self.core_of[layer]
        found = np.zeros((*home.shape, 3), dtype=np.int64)
        for core, boxes in self.reached[layer].items():
            window, mask = covered(boxes)
            found[window] += np.abs(self.places[home[window]] - self.places[core]) * mask[..., None]
        return Hops(east_west=found[..., 1], north_south=found[..., 2], crossings=found[..., 0])

    def messages_into(self, layer: str, spikes: Int64) -> Int64:
        """Messages every core receives, int64 [cores], if each neuron of ``layer`` spikes ``spikes`` times."""
        received = np.zeros(len(self.cores), dtype=np.int64)
        for core, boxes in self.reached[layer].items():
            window, mask = covered(boxes)
            received[core] = (spikes[window] * mask).sum()
        return received

    def routes(self, layer: str, spikes: Int64) -> Int64:
        """Messages from core to core if each neuron of ``layer`` spikes ``spikes`` times.

        int64 [pairs, 3]: from, to, how many. Pairs without a message are left out.
        """
        found = [np.zeros((0, 3), dtype=np.int64)]
        for core, boxes in self.reached[layer].items():
            window, mask = covered(boxes)
            homes, numbers = self.core_of[layer][window].reshape(-1), (spikes[window] * mask).reshape(-1)
            if not homes.size:
                continue
            # Few cores hold a window: from the first on, in float64, which is exact below 2**53.
            first = int(homes.min())
            sent = np.bincount(homes - first, weights=numbers).astype(np.int64)
            home = np.flatnonzero(sent)
            found.append(np.stack([home + first, np.full_like(home, core), sent[home]], axis=1))
        return np.concatenate(found)

    def traffic(self) -> Int64:
        """Messages between cores if every neuron spikes once, int64 [cores, cores], from row to column."""
        sent = np.zeros((len(self.cores), len(self.cores)), dtype=np.int64)
        for layer in self.reached:
            home, core, number = self.routes(layer, np.ones_like(self.core_of[layer])).T
            np.add.at(sent, (home, core), number)
        return sent

    def svg(self) -> str:
        """A drawing of the chips, one square per core in its tile."""
        from spikec.targets.loihi.drawing import draw

        return draw(self)


def place(graph: nir.NIRGraph | IntegerGraph, target: str = "loihi2", *, shared: bool = True) -> Placement:
    """Split ``graph`` over cores of ``target``. Raises ``DoesNotFit`` if a single neuron already exceeds a core.

    ``shared=False`` stores every synapse of a convolution separately, as a mapper that cannot share kernels must.
    """
    net, limits = as_integer(graph), load_limits(target)
    layers = net.layers
    options = demands(net, limits, shared=shared)
    room, bound = capacity(limits), lower_bound(options[-1], layers)
    with stage("placing", _tries(options) * len(layers)) as placed:
        packed, demand = _pack(options, layers, room, bound, _Tries(placed, len(layers)))
    groups = _in_order(packed, layers)
    cores = tuple(
        Core(
            index,
            index // limits["cores_per_chip"].value,
            tuple(part.slice for part in group),
            {key: (used, room[key]) for key, used in demand.usage(group).items()},
        )
        for index, group in enumerate(groups)
    )
    return Placement(
        target=limits.name,
        cores=cores,
        chips=cores[-1].chip + 1,
        lower_bound=bound,
        shared=shared,
        population_axons=tuple(demand.entering),
        assumptions=_assumptions(limits, demand),
        mesh=mesh(limits),
        reached=_reached(demand, net.populations, groups),
        core_of=_core_of(layers, groups),
        places=positions(len(cores), limits),
    )


def _tries(options: Sequence[Demand]) -> int:
    """How often layers are packed at most: each kind of axons at each grain, then halving the span of capacities."""
    return len(options) * len(_GRAINS) + math.ceil(math.log2(1 / _PRECISION))


class _Tries:
    """Context manager around one packing; says of all packings how many layers are placed, ``layers`` in each."""

    def __init__(self, placed: Done, layers: int) -> None:
        self._placed, self._layers, self._tried = placed, layers, 0

    def skip_to(self, tried: int) -> None:
        """The packings before are done with, or were not needed."""
        self._tried = tried

    def __enter__(self) -> Done:
        before = self._tried * self._layers
        return lambda placed: self._placed(before + placed)

    def __exit__(self, *_: object) -> None:
        self._tried += 1


def demands(
    net: IntegerGraph, limits: Limits, *, shared: bool = True, most_bits: int | None = None
) -> tuple[Demand, ...]:
    """What neurons need with discrete axons alone and, where population axons apply, with those."""
    demand = Demand(net, limits, shared=shared, most_bits=most_bits)
    return (demand.discrete(), demand) if demand.entering else (demand,)


def cores_needed(net: IntegerGraph, limits: Limits, *, most_bits: int) -> int:
    """Cores of ``net`` if its weights had at most ``most_bits`` bits."""
    options = demands(net, limits, most_bits=most_bits)
    return len(_fewest(options, net.layers, capacity(limits), lower_bound(options[-1], net.layers))[0])


def _fewest(
    options: Sequence[Demand], layers: Sequence[Layer], room: Mapping[str, int], bound: int, tries: _Tries | None = None
) -> tuple[list[list[Part]], Demand, int]:
    """Fewest cores over the kinds of axons and the grains, and the kind and grain that take them."""
    tries = tries or _Tries(lambda _: None, len(layers))
    best: tuple[list[list[Part]], Demand, int] | None = None
    for demand in options:
        for grain in _GRAINS:
            if best and (len(best[0]) == bound or (grain > 1 and len(best[0]) * grain > _MOST_BLOCKS)):
                break
            try:
                with tries as placed:
                    found = pack(demand, layers, room, grain, placed)
            except DoesNotFit:
                if demand is options[-1] and best is None:
                    raise
                break
            if best is None or len(found) < len(best[0]):
                best = found, demand, grain
    assert best is not None
    return best


def _pack(
    options: Sequence[Demand], layers: Sequence[Layer], room: Mapping[str, int], bound: int, tries: _Tries
) -> tuple[list[list[Part]], Demand]:
    """Fewest cores; then the lowest capacity at which as many cores do."""
    best, demand, chosen = _fewest(options, layers, room, bound, tries)
    tries.skip_to(len(options) * len(_GRAINS))
    low, high = bound / len(best), 1.0
    while high - low > _PRECISION:
        middle = (low + high) / 2
        try:
            with tries as placed:
                found = pack(demand, layers, {key: int(limit * middle) for key, limit in room.items()}, chosen, placed)
        except DoesNotFit:
            found = []
        if found and len(found) <= len(best):
            best, high = found, middle
        else:
            low = middle
    return best, demand


def _in_order(groups: list[list[Part]], layers: Sequence[Layer]) -> list[list[Part]]:
    """Cores in the order of the data, the slices of a core too."""
    rank = {layer.name: index for index, layer in enumerate(layers)}
    inside = [sorted(group, key=lambda part: (rank[part.slice.layer], part.slice.box)) for group in groups]
    return sorted(inside, key=lambda group: (rank[group[0].slice.layer], group[0].slice.box))


def _reached(
    demand: Demand, layers: Sequence[Layer], groups: Sequence[Sequence[Part]]
) -> dict[str, dict[int, tuple[Box, ...]]]:
    """By layer and core, boxes of the neurons that the core listens to, over either kind of axon."""
    found: dict[str, dict[int, dict[Box, None]]] = {layer.name: {} for layer in layers}
    for index, group in enumerate(groups):
        for part in group:
            inputs = demand.inputs(part)
            for fed_by in (inputs.fed_by, inputs.fed_by_population):
                for origin, boxes in fed_by.items():
                    found[origin].setdefault(index, {}).update(dict.fromkeys(boxes))
    return {name: {index: tuple(boxes) for index, boxes in cores.items()} for name, cores in found.items()}


def _core_of(layers: Sequence[Layer], groups: Sequence[Sequence[Part]]) -> dict[str, Int64]:
    found = {layer.name: np.zeros(layer.shape, dtype=np.int64) for layer in layers}
    for index, group in enumerate(groups):
        for part in group:
            found[part.slice.layer][tuple(slice(low, high) for low, high in part.slice.box)] = index
    return found


def _assumptions(limits: Limits, demand: Demand) -> tuple[str, ...]:
    recalled = tuple(f"{limit.key}: {limit.source}" for limit in limits.limits.values() if not limit.verified)
    return (*recalled, _POPULATIONS) if demand.entering else recalled
