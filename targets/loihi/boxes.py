"""Which neurons feed a block of neurons: paths through the graph, with a box of indices at each node.

The boxes are bounding boxes. If a stride or dilation skips inputs, a box also holds inputs that are not connected, so
counts made from boxes are upper bounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spikec.ir.coding import InputNode
from spikec.ir.graph import Delayed, IntegerGraph, Population, Readout
from spikec.ir.operations import Operation
from spikec.ir.operations.boxes import Box


@dataclass(frozen=True)
class Path:
    """One path into a block of a neuron layer.

    ``origin`` and ``box``: the neurons that feed the block. ``nodes``: the operations between, in the order of the
    data, each with the box of its outputs that matter.
    """

    origin: str
    box: Box
    nodes: tuple[tuple[Operation, Box], ...]


def paths(graph: IntegerGraph, layer: Population | Readout, box: Box) -> Iterator[Path]:
    """Every path into ``box`` of a neuron layer."""

    def walk(name: str, box: Box, nodes: tuple[tuple[Operation, Box], ...]) -> Iterator[Path]:
        node = graph.nodes[name]
        if isinstance(node, Delayed):
            yield Path(node.of, box, nodes)
        elif isinstance(node, InputNode | Population):
            yield Path(name, box, nodes)
        elif isinstance(node, Operation):
            for source in node.sources:
                yield from walk(source, node.field(box), ((node, box), *nodes))

    for source in layer.sources:
        yield from walk(source, box, ())
