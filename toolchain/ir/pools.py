"""Max pools in an integer graph: how they are connected, and which of them need no memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from spikec.ir.coding import InputNode
from spikec.ir.graph import IntegerGraph, Population
from spikec.ir.kinds import Maximum
from spikec.ir.operations import MaxPool

if TYPE_CHECKING:
    from torch import Tensor


def pool_problems(graph: IntegerGraph) -> Iterator[str]:
    """What is wrong with the max pools of a graph, one sentence each.

    A pool of spikes is a :class:`MaxPool` that reads one population and is read by one, whose kind is :class:`Maximum`.
    A pool of the image is a :class:`MaxPool` alone.
    """
    for node in graph:
        if isinstance(node, MaxPool):
            yield from _window_problems(graph, node)
        elif isinstance(node, Population) and isinstance(node.neuron, Maximum):
            yield from _maximum_problems(graph, node, node.neuron)


def of_image(graph: IntegerGraph, node: MaxPool) -> bool:
    """Whether a pool takes the maximum of pixels, itself or behind other pools."""
    source = graph.nodes[node.sources[0]]
    return isinstance(source, InputNode) or (isinstance(source, MaxPool) and of_image(graph, source))


def image_pools(graph: IntegerGraph) -> tuple[MaxPool, ...]:
    """Max pools that take the maximum of pixels, in network order."""
    return tuple(node for node in graph if isinstance(node, MaxPool) and of_image(graph, node))


def pooled_images(graph: IntegerGraph, integers: Tensor) -> dict[str, Tensor]:
    """What each pool of the image sends, by its name: the largest pixels [N, *shape] of ``integers`` [N, *input shape];
    of sequences [N, steps, *input shape] what the largest sums gain in each step, [N, steps, *shape]."""
    found: dict[str, Tensor] = {graph.input.name: integers.transpose(0, 1) if graph.sequences else integers}
    for node in image_pools(graph):
        read = found[node.sources[0]]
        found[node.name] = node.apply_to_steps(read, None, 1) if graph.sequences else node.apply(read)
    del found[graph.input.name]
    return {name: x.transpose(0, 1) for name, x in found.items()} if graph.sequences else found


def _window_problems(graph: IntegerGraph, node: MaxPool) -> Iterator[str]:
    if len(node.sources) != 1:
        yield f"{node.name}: a max pool reads one population or the image, not the sum of {len(node.sources)} nodes"
        return
    pixels = of_image(graph, node)
    if not pixels and not isinstance(graph.nodes[node.sources[0]], Population):
        yield f"{node.name}: a max pool reads a population or the image, {node.sources[0]} is neither"
    readers = graph.consumers(node.name)
    behind = [n for n in readers if isinstance(n, Population) and isinstance(n.neuron, Maximum)]
    if pixels and behind:
        yield f"{behind[0].name}: a max pool of the image has no neurons; leave them out"
    if not pixels and (len(readers) != 1 or not behind):
        yield f"{node.name}: a max pool of spikes is read by one population of kind {Maximum.name} and nothing else"


def _maximum_problems(graph: IntegerGraph, node: Population, kind: Maximum) -> Iterator[str]:
    window = graph.nodes[node.sources[0]]
    if len(node.sources) != 1 or not isinstance(window, MaxPool):
        yield f"{node.name}: neurons of kind {Maximum.name} read one max pool"
        return
    source = graph.nodes[window.sources[0]]
    if isinstance(source, Population) and (type(source.neuron), source.neuron.emission) != (
        type(kind.of),
        kind.of.emission,
    ):
        yield f"{node.name}: the maximum of {kind.of.name} emissions, but {source.name} sends {source.neuron.name}"
    if np.any(node.theta != 1) or np.any(node.v_init != 0):
        yield f"{node.name}: neurons of kind {Maximum.name} have threshold 1 and start at 0"


def memoryless(graph: IntegerGraph, node: Population) -> bool:
    """Whether the pool of a :class:`Maximum` population is the OR of the spikes of each step, without any memory."""
    first = graph.schedule == "layerwise" and node.neuron.spikes_first
    return node.neuron.emission[1] == 1 and (first or graph.emission_steps == 1)
