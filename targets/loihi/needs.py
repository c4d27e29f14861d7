"""What neurons need of the core they are on: compartments, synaptic memory, axons in and out.

- Weights of a convolution are stored once per core and output channel (``shared``) or once per connection. Kernel rows
  and columns that never meet an input are not stored, zero weights are. A width is the smallest the chip has for the
  node's largest weight.
- A discrete input axon is a list of synapses. Sources that need the same list use the same axon, as nengo-loihi's
  ``compartment_map`` allows: the neurons of a pooled cell take one axon, not one each. A discrete output axon is a
  pair of a neuron and a core it sends to.
- Population axons are shared by the channels of a place, see ``axons.py``.
- Synapses fed by the input take nothing: the host computes that layer and sets biases.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from spikec.analysis.widths import signed_bits
from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.operations import MaxPool, Synapse
from spikec.ir.operations.boxes import Box, hull, volume, whole
from spikec.targets.cores import Slice
from spikec.targets.loihi.axons import Reach, entering, places
from spikec.targets.loihi.boxes import Path, paths
from spikec.targets.loihi.limits import Limits

Layer = Population | Readout

COMPARTMENTS, SYNAPSES, AXONS_IN, AXONS_OUT = "compartments", "synapse bits", "axons in", "axons out"
_LIMITS = {
    COMPARTMENTS: "compartments_per_core",
    SYNAPSES: "synapse_bits_per_core",
    AXONS_IN: "axons_in_per_core",
    AXONS_OUT: "axons_out_per_core",
}


@dataclass(frozen=True)
class Weights:
    """What a block stores. ``channels``: which output channels of a synapse node, one bit per channel; the keys are the
    node and the number of copies (one for each position of a pool that follows the node). ``table_bits``: memory of
    synapses stored one by one. ``bits``: all of it on a core of its own."""

    channels: Mapping[tuple[str, int], int]
    table_bits: int
    bits: int


@dataclass(frozen=True)
class Inputs:
    """What a block reads. ``lists``: input axons by synapse node: their number, and the box around what they stand for;
    empty for chips that do not publish how many a core has. ``fed_by``: the neurons it reads over discrete axons, as
    boxes by origin. ``fed_by_population``: the same over population axons."""

    lists: Mapping[str, tuple[int, Box]]
    fed_by: Mapping[str, tuple[Box, ...]]
    fed_by_population: Mapping[str, tuple[Box, ...]]


@dataclass(frozen=True)
class Part:
    """A slice and what it needs, but for its inputs (:meth:`Demand.inputs`)."""

    slice: Slice
    compartments: int
    weights: Weights
    axons_out: int


def capacity(limits: Limits) -> dict[str, int]:
    """Limited resources of one core; axons only where their number is published."""
    return {name: limits[key].value for name, key in _LIMITS.items() if key in limits}


class Demand:
    """Needs of blocks of one graph on one chip."""

    def __init__(self, net: IntegerGraph, limits: Limits, *, shared: bool = True, most_bits: int | None = None) -> None:
        """Population axons are used where the chip has them and they take fewer input axons.

        ``most_bits``: treat all weights as if they had at most so many bits.
        """
        self.net = net
        self.limits = limits
        self.shared = shared
        self.per_neuron = limits["compartments_per_neuron"].value
        self.widths = {node.name: width(node, limits, most_bits) for node in net.synapses}
        self.bits = {node.name: node.weights_met * self.widths[node.name] for node in net.synapses}
        shapes = {node.name: entering(net, node, limits) for node in net.synapses}
        self.entering = {name: shape for name, shape in shapes.items() if shape is not None}
        self.limited = tuple(capacity(limits))
        self._known_inputs: dict[tuple[str, Box], Inputs] = {}
        self._known_weights: dict[tuple[str, Box], Weights] = {}
        self._known_kernels: dict[tuple[str, tuple[int, int]], tuple[Weights, bool]] = {}

    def discrete(self) -> Demand:
        """The same with discrete axons alone."""
        other = copy.copy(self)
        other.entering = {}
        other._known_inputs = {}
        return other

    def part(self, layer: Layer, box: Box, reached: Reach) -> Part:
        """The block ``box`` of ``layer`` and its needs. ``reached``: how many cores each neuron of it sends to."""
        sent = reached.slots(box, self.limits) if AXONS_OUT in self.limited else 0
        return Part(Slice(layer.name, box), volume(box) * self.per_neuron, self._weights(layer, box), sent)

    def alone(self, part: Part) -> dict[str, int]:
        """What the part needs on a core of its own, of limited resources."""
        needed = {COMPARTMENTS: part.compartments, SYNAPSES: part.weights.bits}
        if AXONS_IN in self.limited:
            needed[AXONS_IN] = sum(count for count, _ in self.inputs(part).lists.values())
        if AXONS_OUT in self.limited:
            needed[AXONS_OUT] = part.axons_out
        return needed

    def least(self, layer: Layer, box: Box) -> dict[str, int]:
        """Compartments and synapse bits that the block takes at least, fast: the weights of its channels."""
        return {COMPARTMENTS: volume(box) * self.per_neuron, SYNAPSES: self._kernels(layer, box[0])[0].bits}

    def inputs(self, part: Part) -> Inputs:
        """What a part reads. Told only when asked: it takes longer than all else."""
        key = part.slice.layer, part.slice.box
        if key not in self._known_inputs:
            self._known_inputs[key] = self._inputs(*key)
        return self._known_inputs[key]

    def bits_of(self, channels: Mapping[tuple[str, int], int]) -> int:
        """Bits of stored output channels."""
        return sum(mask.bit_count() * self.bits[name] * times for (name, times), mask in channels.items())

    def _weights(self, layer: Layer, box: Box) -> Weights:
        """What a block stores. Blocks that are shifted along rows and columns store the same, where all of it goes by
        channels."""
        kernels, everything = self._kernels(layer, box[0])
        if everything:
            return kernels
        key = layer.name, box
        if key not in self._known_weights:
            self._known_weights[key] = self._stored(layer, box)
        return self._known_weights[key]

    def _kernels(self, layer: Layer, channels: tuple[int, int]) -> tuple[Weights, bool]:
        """The weights that any neurons of some channels take: those of nodes that keep channels apart from positions on
        the way to the layer. And whether these are all that its neurons store."""
        key = layer.name, channels
        if key not in self._known_kernels:
            masks: dict[tuple[str, int], int] = {}
            everything = True
            for path in paths(self.net, layer, (channels, *whole(layer.shape)[1:])):
                synapses = [(place, node) for place, (node, _) in enumerate(path.nodes) if isinstance(node, Synapse)]
                pooled = any(isinstance(other, MaxPool) for other, _ in path.nodes)
                if path.origin == self.net.input.name or not (synapses or pooled):
                    continue
                place, node = synapses[0] if synapses else (0, None)
                turned = any(other.rearranges for other, _ in path.nodes[place + 1 :])
                if node is None or len(synapses) > 1 or pooled or turned or not self._by_channel(node):
                    everything = False
                    continue
                low, high = path.nodes[place][1][0]
                at = node.name, _copies(path, node)
                masks[at] = masks.get(at, 0) | (1 << high) - (1 << low)
            self._known_kernels[key] = Weights(masks, 0, self.bits_of(masks)), everything
        return self._known_kernels[key]

    def _by_channel(self, node: Synapse) -> bool:
        """Whether a core stores the weights of an output channel once, for all its neurons."""
        return self.shared or not node.shares_weights

    def _stored(self, layer: Layer, box: Box) -> Weights:
        channels: dict[tuple[str, int], int] = {}
        table = 0
        for path in paths(self.net, layer, box):
            if path.origin == self.net.input.name:
                continue
            synapses = [(node, outputs) for node, outputs in path.nodes if isinstance(node, Synapse)]
            pool = next((node for node, _ in path.nodes if isinstance(node, MaxPool)), None)
            if pool is not None:  # every source has a bit of its own
                table += volume(box) * pool.most_in_a_window
            elif len(synapses) > 1:  # multiplied out
                table += volume(box) * volume(path.box) * max(self.widths[node.name] for node, _ in synapses)
            elif synapses:
                node, outputs = synapses[0]
                if self._by_channel(node):
                    low, high = outputs[0]
                    key = node.name, _copies(path, node)
                    channels[key] = channels.get(key, 0) | (1 << high) - (1 << low)
                else:
                    table += node.connections(outputs) * self.widths[node.name]
        return Weights(channels, table, table + self.bits_of(channels))

    def _inputs(self, name: str, box: Box) -> Inputs:
        layer = self.net.nodes[name]
        assert isinstance(layer, Layer)
        lists: dict[str, tuple[int, Box]] = {}
        fed_by: dict[str, list[Box]] = {}
        fed_by_population: dict[str, list[Box]] = {}
        for path in paths(self.net, layer, box):
            if path.origin == self.net.input.name:
                continue
            synapses = [(node, outputs) for node, outputs in path.nodes if isinstance(node, Synapse)]
            together = len(synapses) == 1 and synapses[0][0].name in self.entering
            (fed_by_population if together else fed_by).setdefault(path.origin, []).append(path.box)
            if AXONS_IN not in self.limited:
                continue
            if any(isinstance(node, MaxPool) for node, _ in path.nodes):  # every source has an axon
                lists[name] = (volume(path.box), path.box)
            elif not synapses:  # identities and sum pools: one axon per target neuron, one synapse of one bit
                lists[name] = (volume(box), box)
            elif len(synapses) > 1:  # multiplied out: an axon for every source
                lists[f"{path.origin} {synapses[0][0].name}"] = (volume(path.box), path.box)
            else:
                node, outputs = synapses[0]
                lists[node.name] = node.cells(outputs)
                if together:
                    lists[node.name] = places(self.entering[node.name], *lists[node.name], self.limits)
        return Inputs(
            lists,
            {origin: tuple(boxes) for origin, boxes in fed_by.items()},
            {origin: tuple(boxes) for origin, boxes in fed_by_population.items()},
        )

    def usage(self, parts: Iterable[Part]) -> dict[str, int]:
        """What parts need together on one core, of limited resources: what they share is counted once."""
        held = Held(self)
        for part in parts:
            held.take(part)
        return held.used


class Held:
    """What the parts on one core take together, part after part."""

    def __init__(self, demand: Demand) -> None:
        self.demand = demand
        self.channels: dict[tuple[str, int], int] = {}
        self.lists: dict[str, tuple[int, Box, int]] = {}  # cells of all blocks, the box around them, axons they take
        self.used = dict.fromkeys(demand.limited, 0)

    def with_more(self, part: Part) -> dict[str, int]:
        """What would be used with ``part`` too."""
        used = dict(self.used)
        used[COMPARTMENTS] += part.compartments
        used[SYNAPSES] += self.more_bits(part)
        if AXONS_IN in used:
            used[AXONS_IN] += sum(axons - before for _, _, axons, before in self._longer(part))
        if AXONS_OUT in used:
            used[AXONS_OUT] += part.axons_out
        return used

    def more_bits(self, part: Part) -> int:
        """Synapse bits of a part beyond the output channels already held."""
        if not self.channels:
            return part.weights.bits
        bits = part.weights.table_bits
        for key, mask in part.weights.channels.items():
            fresh = mask & ~self.channels.get(key, 0)
            if fresh:
                bits += self.demand.bits_of({key: fresh})
        return bits

    def take(self, part: Part, used: dict[str, int] | None = None) -> None:
        """Add a part. ``used``: what :meth:`with_more` says to it, if known."""
        self.used = self.with_more(part) if used is None else used
        for name, entry, axons, _ in self._longer(part):
            self.lists[name] = *entry, axons
        for key, mask in part.weights.channels.items():
            self.channels[key] = self.channels.get(key, 0) | mask

    def _longer(self, part: Part) -> Iterator[tuple[str, tuple[int, Box], int, int]]:
        """The lists that a part adds to: node, cells and the box around them with those of the part, the axons these
        take, and those they took. Blocks of one node take the sum of their cells, or all cells of the box around them
        where that is less."""
        if AXONS_IN not in self.used:
            return
        for name, (count, box) in self.demand.inputs(part).lists.items():
            if name not in self.lists:
                yield name, (count, box), count, 0
            else:
                total, around, axons = self.lists[name]
                total, around = total + count, hull((around, box))
                yield name, (total, around), min(total, volume(around)), axons


def _copies(path: Path, node: Synapse) -> int:
    """How often the weights of ``node`` are stored: once for each position of the pools behind it."""
    behind = path.nodes[[other.name for other, _ in path.nodes].index(node.name) + 1 :]
    return math.prod(operation.window for operation, _ in behind)


def width(node: Synapse, limits: Limits, most_bits: int | None = None) -> int:
    """Bits of one stored weight: the smallest width of the chip that holds the node's mantissas, or ``most_bits``."""
    low, high = (int(end(initial=0)) >> node.weight_exp for end in (node.narrow_weight.min, node.narrow_weight.max))
    needed = signed_bits(low, high)
    found = next((bits for bits in limits.weight_widths if bits >= needed), needed)
    return found if most_bits is None else min(found, most_bits)
