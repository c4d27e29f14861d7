"""What one image costs at most: a small file can ask for years of work."""

from __future__ import annotations

import math
from collections.abc import Iterator

from spikec.ir.graph import IntegerGraph, Node
from spikec.ir.operations import Operation, Synapse

#: Additions of one pass through the network, and of all steps of one image. ResNet-152 on 224 x 224 has 10^10 a pass.
PASS_MOST, IMAGE_MOST = 10**13, 10**15


def work_problems(graph: IntegerGraph) -> Iterator[str]:
    """Why nobody could run it, one sentence at most. The steps of a sequence are those of the file."""
    each = {node.name: _additions(node) for node in graph}
    one = sum(each.values())
    steps = graph.emission_steps
    if one <= PASS_MOST and one * steps <= IMAGE_MOST:
        return
    largest = max(each, key=lambda name: each[name])
    most = f"at most {PASS_MOST:.0e} a step and {IMAGE_MOST:.0e} in all are taken"
    yield (
        f"one image would take {one:.2g} additions in each of {steps} steps, {each[largest]:.2g} of them in {largest}; "
        f"{most}: use fewer steps, or smaller maps"
    )


def _additions(node: Node) -> int:
    if isinstance(node, Synapse):
        return node.padded_macs
    outputs = math.prod(node.output_shape)
    return outputs * math.prod(getattr(node, "kernel", ())) if isinstance(node, Operation) else outputs
