"""The graph as nodes in the order of the data, each with what it does in words."""

from __future__ import annotations

from spikec.ir.coding import InputNode
from spikec.ir.graph import Delayed, IntegerGraph, Node, Population, Readout
from spikec.ir.operations import Synapse
from spikec.reporting.details import DiagramNode
from spikec.reporting.numbers import TIMES


def diagram(graph: IntegerGraph) -> tuple[DiagramNode, ...]:
    """A node for each of the graph's."""
    return tuple(DiagramNode(node.name, *_about(node), tuple(node.output_shape), tuple(node.sources)) for node in graph)


def _about(node: Node) -> tuple[str, str]:
    if isinstance(node, InputNode):
        return "input", "input"
    if isinstance(node, Population):
        return "neurons", node.neuron.name
    if isinstance(node, Readout):
        return "readout", "readout" if node.output == "output" else f"readout {node.output}"
    if isinstance(node, Delayed):
        return "operation", f"{node.of}, {node.steps if isinstance(node.steps, int) else 'some'} steps before"
    if isinstance(node, Synapse):
        return "synapse", node.described(TIMES)
    return "operation", node.word
