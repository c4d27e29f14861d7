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
from collections.abc import Mapping
from dataclasses import dataclass, replace

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
class Part:
    """A slice and what it needs.

    ``channels``: which output channels of a synapse node are stored, one bit per channel; the keys are the node and the
    number of copies (one for each position of a pool that follows the node). ``table_bits``: memory of synapses stored
    one by one. ``lists``: input axons by synapse node: their number, and the box around what they stand for.
    ``fed_by``: the neurons it reads over discrete axons, as boxes by origin. ``fed_by_population``: the same over
    population axons.
    """

    slice: Slice
    compartments: int
    channels: Mapping[tuple[str, int], int]
    table_bits: int
    lists: Mapping[str, tuple[int, Box]]
    axons_out: int
    fed_by: Mapping[str, tuple[Box, ...]]
    fed_by_population: Mapping[str, tuple[Box, ...]]


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
        self._known: dict[tuple[str, Box], tuple[Part, dict[str, int]]] = {}
        self._known_kernels: dict[tuple[str, tuple[int, int]], int] = {}

    def discrete(self) -> Demand:
        """The same with discrete axons alone."""
        other = copy.copy(self)
        other.entering = {}
        other._known = {}
        return other

    def part(self, layer: Layer, box: Box, reached: Reach) -> Part:
        """The block ``box`` of ``layer`` and its needs. ``reached``: how many cores each neuron of it sends to."""
        return replace(self._known_part(layer, box)[0], axons_out=reached.slots(box, self.limits))

    def alone(self, layer: Layer, box: Box, reached: Reach) -> dict[str, int]:
        """What the block needs on a core of its own: the :meth:`usage` of its part."""
        return self._known_part(layer, box)[1] | {AXONS_OUT: reached.slots(box, self.limits)}

    def least(self, layer: Layer, box: Box) -> dict[str, int]:
        """Compartments and synapse bits that the block takes at least, fast: the weights of its channels."""
        return {COMPARTMENTS: volume(box) * self.per_neuron, SYNAPSES: self._kernels(layer, box[0])}

    def _kernels(self, layer: Layer, channels: tuple[int, int]) -> int:
        """Bits of the weights that any neurons of some channels take: those of nodes that keep channels apart from
        positions on the way to the layer."""
        key = layer.name, channels
        if key not in self._known_kernels:
            masks: dict[tuple[str, int], int] = {}
            for path in paths(self.net, layer, (channels, *whole(layer.shape)[1:])):
                synapses = [(place, node) for place, (node, _) in enumerate(path.nodes) if isinstance(node, Synapse)]
                if path.origin == self.net.input.name or len(synapses) != 1:
                    continue
                place, node = synapses[0]
                turned = any(other.rearranges for other, _ in path.nodes[place + 1 :])
                if turned or any(isinstance(other, MaxPool) for other, _ in path.nodes):
                    continue
                if self.shared or not node.shares_weights:
                    low, high = path.nodes[place][1][0]
                    at = node.name, _copies(path, node)
                    masks[at] = masks.get(at, 0) | (1 << high) - (1 << low)
            self._known_kernels[key] = self._stored(masks)
        return self._known_kernels[key]

    def _stored(self, channels: Mapping[tuple[str, int], int]) -> int:
        """Bits of stored output channels."""
        return sum(mask.bit_count() * self.bits[name] * times for (name, times), mask in channels.items())

    def _known_part(self, layer: Layer, box: Box) -> tuple[Part, dict[str, int]]:
        """The part that sends nothing, and what it uses: all that does not depend on where its targets are."""
        key = layer.name, box
        if key not in self._known:
            part = self._part(layer, box)
            self._known[key] = part, self.usage([part])
        return self._known[key]

    def _part(self, layer: Layer, box: Box) -> Part:
        channels: dict[tuple[str, int], int] = {}
        lists: dict[str, tuple[int, Box]] = {}
        fed_by: dict[str, list[Box]] = {}
        fed_by_population: dict[str, list[Box]] = {}
        table = 0
        for path in paths(self.net, layer, box):
            if path.origin == self.net.input.name:
                continue
            synapses = [(node, outputs) for node, outputs in path.nodes if isinstance(node, Synapse)]
            together = len(synapses) == 1 and synapses[0][0].name in self.entering
            (fed_by_population if together else fed_by).setdefault(path.origin, []).append(path.box)
            pool = next((node for node, _ in path.nodes if isinstance(node, MaxPool)), None)
            if pool is not None:  # every source has an axon and a bit of its own
                lists[layer.name] = (volume(path.box), path.box)
                table += volume(box) * pool.most_in_a_window
                continue
            if not synapses:  # identities and sum pools: one axon per target neuron, one synapse of one bit
                lists[layer.name] = (volume(box), box)
                continue
            node, outputs = synapses[0]
            if len(synapses) > 1:  # multiplied out: a table, and an axon for every source
                lists[f"{path.origin} {node.name}"] = (volume(path.box), path.box)
                table += volume(box) * volume(path.box) * max(self.widths[n.name] for n, _ in synapses)
                continue
            lists[node.name] = node.cells(outputs)
            if together:
                lists[node.name] = places(self.entering[node.name], *lists[node.name], self.limits)
            if self.shared or not node.shares_weights:
                low, high = outputs[0]
                key = node.name, _copies(path, node)
                channels[key] = channels.get(key, 0) | (1 << high) - (1 << low)
            else:
                table += node.connections(outputs) * self.widths[node.name]
        return Part(
            Slice(layer.name, box),
            volume(box) * self.per_neuron,
            channels,
            table,
            lists,
            0,
            {origin: tuple(boxes) for origin, boxes in fed_by.items()},
            {origin: tuple(boxes) for origin, boxes in fed_by_population.items()},
        )

    def usage(self, parts: list[Part]) -> dict[str, int]:
        """What parts need together on one core: what they share is counted once."""
        channels: dict[tuple[str, int], int] = {}
        lists: dict[str, list[tuple[int, Box]]] = {}
        for part in parts:
            for key, mask in part.channels.items():
                channels[key] = channels.get(key, 0) | mask
            for name, entry in part.lists.items():
                lists.setdefault(name, []).append(entry)
        return {
            COMPARTMENTS: sum(part.compartments for part in parts),
            SYNAPSES: sum(part.table_bits for part in parts) + self._stored(channels),
            AXONS_IN: sum(_together(entries) for entries in lists.values()),
            AXONS_OUT: sum(part.axons_out for part in parts),
        }


def _copies(path: Path, node: Synapse) -> int:
    """How often the weights of ``node`` are stored: once for each position of the pools behind it."""
    behind = path.nodes[[other.name for other, _ in path.nodes].index(node.name) + 1 :]
    return math.prod(operation.window for operation, _ in behind)


def _together(entries: list[tuple[int, Box]]) -> int:
    """Cells of several blocks of one node: their sum, or all cells of the box around them where that is less."""
    if len(entries) == 1:
        return entries[0][0]
    return min(sum(count for count, _ in entries), volume(hull([box for _, box in entries])))


def width(node: Synapse, limits: Limits, most_bits: int | None = None) -> int:
    """Bits of one stored weight: the smallest width of the chip that holds the node's mantissas, or ``most_bits``."""
    low, high = (int(end(initial=0)) >> node.weight_exp for end in (node.narrow_weight.min, node.narrow_weight.max))
    needed = signed_bits(low, high)
    found = next((bits for bits in limits.weight_widths if bits >= needed), needed)
    return found if most_bits is None else min(found, most_bits)
