"""Population axons: sources at one place of a map share an axon.

A spike on one carries the number of its neuron, an atom, and the entry of the receiving core holds a list of synapses
per atom, all of one length and to the same compartments. So a node can be entered by them where every channel reaches
the same outputs: convolutions without groups and dense layers, right behind neurons or pools. What is modelled is what
nengo-loihi builds for convolutions (``builder/connection.py``, ``hardware/builder.py``): an input axon per place, two
output slots per place and receiving core (its ``pop32``), weights stored as for discrete axons. ``pop16`` would take
one slot, but reaches 1,024 input axons of a core and, in Intel's compiler, 32 atoms; it is not used. The mechanism is
applied to dense layers too, which nengo-loihi gives discrete axons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spikec.ir.graph import IntegerGraph
from spikec.ir.operations import Operation, Synapse
from spikec.ir.operations.boxes import Box, whole
from spikec.ir.types import Int64, Shape
from spikec.ir.walks import origins
from spikec.targets.loihi.limits import Limits

ATOMS, SLOTS = "atoms_per_axon", "axons_out_per_population"


@dataclass(frozen=True)
class Reach:
    """Cores every neuron of a layer sends to, int64 of the layer's shape: over its own axon, over its population's."""

    own: Int64
    shared: Int64

    @cached_property
    def populations(self) -> bool:
        """Whether any of them is reached over a population's axon; asked once all are entered."""
        return bool(self.shared.any())

    @classmethod
    def nowhere(cls, shape: Shape) -> Reach:
        return cls(np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64))

    def slots(self, box: Box, limits: Limits) -> int:
        """Output axons of the neurons in ``box``: one per neuron and core, or those of a population and core."""
        window = tuple(slice(low, high) for low, high in box)
        own = int(self.own[window].sum())
        if not self.populations:
            return own
        populations = _populations(box[0], limits[ATOMS].value)
        return own + populations * limits[SLOTS].value * int(self.shared[window].max(axis=0).sum())


def entering(net: IntegerGraph, node: Synapse, limits: Limits) -> Shape | None:
    """Shape of what enters ``node`` with channels first, None where population axons cannot or need not be used."""
    if ATOMS not in limits or node.groups > 1:
        return None
    if origins(net, node.name) == {net.input.name}:
        return None
    sources = [net.nodes[name] for name in node.sources]
    shapes = {
        source.input_shape if isinstance(source, Operation) and source.rearranges else node.input_shape
        for source in sources
    }
    found = shapes.pop()
    return None if shapes or found[0] == 1 else found


def places(shape: Shape, cells: int, around: Box, limits: Limits) -> tuple[int, Box]:
    """Population axons into a core for ``cells`` inputs in the box ``around``, which holds whole channels of
    ``shape`` or their flattening: how many, and the box around them with populations in place of channels."""
    if len(around) != len(shape):  # a dense layer listens to all there is
        around, cells = whole(shape), math.prod(shape)
    populations = _populations(around[0], limits[ATOMS].value)
    channels = around[0][1] - around[0][0]
    return cells // channels * populations, ((0, populations), *around[1:])


def least_slots(own: Int64, shared: Int64, limits: Limits) -> int:
    """Output axons no placement can undercut, int64 of one layer's shape each: cores reached over nodes that need
    discrete axons, and over others, where a place pays for its population or for each of its neurons."""
    if ATOMS not in limits:
        return int(own.sum())
    cheapest = min(limits[SLOTS].value, shared.shape[0])
    return max(int(own.sum()), cheapest * int(shared.max(axis=0).sum()))


def _populations(channels: tuple[int, int], atoms: int) -> int:
    """Populations the channels are in: their numbers have ``atoms`` values."""
    low, high = channels
    return (high - 1) // atoms - low // atoms + 1
