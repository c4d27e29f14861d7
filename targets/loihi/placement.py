"""Which core computes which neurons: a deterministic split by capacity. An estimate: Intel's mapper is not public.

Layers are placed from the output to the input, so that the cores a spike must reach are known when its own layer is
split. A layer is cut into equal blocks; the cut with the fewest blocks that fit is taken, among equals the one with
the fewest cuts of the channels. Blocks that follow each other share a core where they fit. Weights of a convolution are
stored once per core, those behind a pool once per pooled cell. Synapses fed by the input take no place: the host
computes the first layer and sets biases.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from targets.loihi.boxes import Box, paths, volume, whole
from targets.loihi.limits import Limits, load_limits
from toolchain.energy.fanout import structure
from toolchain.errors import DoesNotFit
from toolchain.ir import as_integer
from toolchain.ir.integer import Affine, Convolution, Int64, IntegerGraph, Population, Readout, SumPool

if TYPE_CHECKING:
    import nir

Usage = dict[str, tuple[int, int]]
Layer = Population | Readout


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
class Placement:
    """Where every neuron is computed. ``lower_bound``: cores no placement under the same limits can undercut."""

    target: str
    cores: tuple[Core, ...]
    chips: int
    lower_bound: int
    destinations: dict[str, Int64]
    assumptions: tuple[str, ...]

    @property
    def cores_of(self) -> dict[str, int]:
        """Number of cores that hold part of each layer."""
        found: dict[str, int] = {}
        for core in self.cores:
            for layer in dict.fromkeys(part.layer for part in core.slices):
                found[layer] = found.get(layer, 0) + 1
        return found

    def messages(self, layer: str) -> Int64:
        """Cores a spike of each neuron of ``layer`` must be sent to, int64 of the layer's shape."""
        return self.destinations[layer]

    def svg(self) -> str:
        """A drawing of the chips, one square per core."""
        from targets.loihi.drawing import draw

        return draw(self)


def place(graph: nir.NIRGraph | IntegerGraph, target: str = "loihi2") -> Placement:
    """Split ``graph`` over cores of ``target``. ``DoesNotFit`` where a single neuron already exceeds a core."""
    net, limits = as_integer(graph), load_limits(target)
    layers = [node for node in net if isinstance(node, Population | Readout)]
    parts: list[_Part] = []
    for layer in reversed(layers):
        reached = _destinations(layer, [[part] for part in parts])
        parts = _split(net, layer, limits, reached) + parts
    groups = list(_packed(parts, limits))
    per_chip = limits["cores_per_chip"].value
    cores = tuple(
        Core(index, index // per_chip, tuple(part.slice for part in group), _usage(group, limits))
        for index, group in enumerate(groups)
    )
    return Placement(
        target=limits.name,
        cores=cores,
        chips=cores[-1].chip + 1,
        lower_bound=_lower_bound(net, layers, limits),
        destinations={p.name: _destinations(p, groups) for p in net.populations},
        assumptions=tuple(f"{limit.key}: {limit.source}" for limit in limits.limits.values() if not limit.verified),
    )


@dataclass(frozen=True)
class _Part:
    """A slice, what it needs, and the neurons that feed it: boxes by origin."""

    slice: Slice
    needs: dict[str, int]
    fed_by: dict[str, list[Box]]


def _split(net: IntegerGraph, layer: Layer, limits: Limits, reached: Int64) -> list[_Part]:
    """The fewest equal blocks of ``layer`` that fit a core each. ``reached``: cores every neuron sends spikes to."""
    part = None
    for sizes in _block_sizes(layer.shape):
        boxes = _blocks(layer.shape, sizes)
        middle = boxes[len(boxes) // 2]  # an interior block needs the most: try it first
        part = _part(net, layer, middle, limits, reached)
        if _fits(part.needs, limits):
            parts = [_part(net, layer, box, limits, reached) for box in boxes]
            if all(_fits(one.needs, limits) for one in parts):
                return parts
    assert part is not None
    over = ", ".join(
        f"{used} {key} of {_capacity(limits)[key]}" for key, used in part.needs.items() if used > _capacity(limits)[key]
    )
    raise DoesNotFit(
        f"layer {layer.name!r} does not fit {limits.title}: one neuron alone needs {over}; "
        "make its kernel or the layer before it smaller"
    )


def _block_sizes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Sizes of equal blocks, fewest blocks first, among equals the fewest cuts of the first axis (channels)."""
    choices = [sorted({math.ceil(size / n) for n in range(1, size + 1)}, reverse=True) for size in shape]
    counts = {sizes: [math.ceil(n / size) for n, size in zip(shape, sizes, strict=True)] for sizes in product(*choices)}
    return sorted(counts, key=lambda sizes: (math.prod(counts[sizes]), counts[sizes]))


def _blocks(shape: tuple[int, ...], sizes: tuple[int, ...]) -> list[Box]:
    axes = [
        [(start, min(start + size, n)) for start in range(0, n, size)] for n, size in zip(shape, sizes, strict=True)
    ]
    return list(product(*axes))


def _part(net: IntegerGraph, layer: Layer, box: Box, limits: Limits, reached: Int64) -> _Part:
    fed_by: dict[str, list[Box]] = {}
    stored: dict[str, int] = {}
    for path in paths(net, layer, box):
        if path.origin == net.input.name:
            continue
        fed_by.setdefault(path.origin, []).append(path.box)
        pooled = 1
        for node, outputs in path.nodes:
            if isinstance(node, SumPool):
                pooled *= math.prod(node.kernel)
            elif isinstance(node, Convolution | Affine):
                each = int(structure(node)[0].sum()) * (outputs[0][1] - outputs[0][0])
                stored[node.name] = max(stored.get(node.name, 0), each * pooled)
    window = tuple(slice(low, high) for low, high in box)
    needs = {
        "compartments": volume(box) * limits["compartments_per_neuron"].value,
        "synapse bits": sum(stored.values()) * limits.form.weight_bits,
        "axons in": sum(volume(_hull(boxes)) for boxes in fed_by.values()),
        "axons out": int(reached[window].sum()),
    }
    capacity = _capacity(limits)
    return _Part(Slice(layer.name, box), {key: used for key, used in needs.items() if key in capacity}, fed_by)


def _hull(boxes: list[Box]) -> Box:
    return tuple((min(low for low, _ in axis), max(high for _, high in axis)) for axis in zip(*boxes, strict=True))


def _capacity(limits: Limits) -> dict[str, int]:
    """Limited resources of one core; axons only where their number is published."""
    keys = {
        "compartments": "compartments_per_core",
        "synapse bits": "synapse_bits_per_core",
        "axons in": "axons_in_per_core",
        "axons out": "axons_out_per_core",
    }
    return {name: limits[key].value for name, key in keys.items() if key in limits}


def _fits(needs: dict[str, int], limits: Limits) -> bool:
    return all(needs[key] <= limit for key, limit in _capacity(limits).items())


def _packed(parts: list[_Part], limits: Limits) -> Iterator[list[_Part]]:
    """Parts in order, as many on a core as fit."""
    group: list[_Part] = []
    for part in parts:
        if group and not _fits(_needs([*group, part]), limits):
            yield group
            group = []
        group.append(part)
    yield group


def _needs(group: list[_Part]) -> dict[str, int]:
    return {key: sum(part.needs[key] for part in group) for key in group[0].needs}


def _usage(group: list[_Part], limits: Limits) -> Usage:
    capacity = _capacity(limits)
    return {key: (used, capacity[key]) for key, used in _needs(group).items()}


def _destinations(layer: Layer, groups: list[list[_Part]]) -> Int64:
    """Cores with a part that each neuron of ``layer`` feeds, int64 of its shape."""
    found = np.zeros(layer.shape, dtype=np.int64)
    for group in groups:
        boxes = [box for part in group for box in part.fed_by.get(layer.name, ())]
        if boxes:
            reached = np.zeros(layer.shape, dtype=bool)
            for box in boxes:
                reached[tuple(slice(low, high) for low, high in box)] = True
            found += reached
    return found


def _lower_bound(net: IntegerGraph, layers: list[Layer], limits: Limits) -> int:
    """Every neuron once and every weight that is not fed by the input once."""
    capacity = _capacity(limits)
    neurons = sum(volume(whole(layer.shape)) for layer in layers) * limits["compartments_per_neuron"].value
    weights = sum(int(structure(s).sum()) for s in net.synapses if s.sources != (net.input.name,))
    bits = weights * limits.form.weight_bits
    return max(1, math.ceil(neurons / capacity["compartments"]), math.ceil(bits / capacity["synapse bits"]))
