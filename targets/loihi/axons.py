"""Population axons: sources at one place of a map share an axon.

A spike on such an axon carries the number of its neuron, called an atom. The entry in the receiving core holds one list
of synapses per atom; all lists have the same length and lead to the same compartments. So population axons can enter a
node where every channel reaches the same outputs: convolutions without groups and dense layers, right behind neurons or
pools. The model follows what nengo-loihi builds for convolutions (``builder/connection.py``, ``hardware/builder.py``):
an input axon per place, two output slots per place and receiving core (its ``pop32``), weights stored as for discrete
axons. ``pop16`` would take one slot, but reaches only 1,024 input axons of a core and, in Intel's compiler, 32 atoms;
it is not used. Here dense layers use population axons too; nengo-loihi gives them discrete axons.
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
    """How many cores each neuron of a layer sends to, int64 of the layer's shape.

    ``own``: over the neuron's own axons. ``shared``: over the axons of its population.
    """

    own: Int64
    shared: Int64

    @cached_property
    def populations(self) -> bool:
        """Whether any core is reached over a population axon. Cached, so ask only once all counts are final."""
        return bool(self.shared.any())

    @classmethod
    def nowhere(cls, shape: Shape) -> Reach:
        return cls(np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64))

    def slots(self, box: Box, limits: Limits) -> int:
        """Output axons of the neurons in ``box``: one per neuron and core, plus those per population and core."""
        window = tuple(slice(low, high) for low, high in box)
        own = int(self.own[window].sum())
        if not self.populations:
            return own
        populations = _populations(box[0], limits[ATOMS].value)
        return own + populations * limits[SLOTS].value * int(self.shared[window].max(axis=0).sum())


def entering(net: IntegerGraph, node: Synapse, limits: Limits) -> Shape | None:
    """Shape, channels first, of what enters ``node``. None if population axons cannot or need not be used."""
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
    """How many population axons enter a core, and the box around them, with populations in place of channels.

    They carry ``cells`` inputs in the box ``around``, which holds whole channels of ``shape`` or their flattening.
    """
    if len(around) != len(shape):  # a dense layer reads the whole flattened map
        around, cells = whole(shape), math.prod(shape)
    populations = _populations(around[0], limits[ATOMS].value)
    channels = around[0][1] - around[0][0]
    return cells // channels * populations, ((0, populations), *around[1:])


def least_slots(own: Int64, shared: Int64, limits: Limits) -> int:
    """A lower bound on the output axons of a layer, for any placement.

    ``own``: how many cores each neuron reaches through nodes that need discrete axons. ``shared``: through the other
    nodes; a place then needs the axons of one population or one axon per neuron, whichever are fewer. Both are int64 of
    the layer's shape.
    """
    if ATOMS not in limits:
        return int(own.sum())
    cheapest = min(limits[SLOTS].value, shared.shape[0])
    return max(int(own.sum()), cheapest * int(shared.max(axis=0).sum()))


def _populations(channels: tuple[int, int], atoms: int) -> int:
    """How many populations the channel range touches. A population has ``atoms`` channels."""
    low, high = channels
    return (high - 1) // atoms - low // atoms + 1
