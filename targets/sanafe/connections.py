"""Which neurons a synapse connects: lists of pairs, over the operations that SANA-FE does not know."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from spikec.errors import DoesNotFit
from spikec.implementations import Implementations
from spikec.ir import (
    Affine,
    Convolution,
    Flatten,
    Int64,
    IntegerGraph,
    MaxPool,
    Operation,
    Population,
    SumPool,
    Unflatten,
)

#: int64 [synapses, 2]: flat input and flat output of every existing synapse.
PAIRS: Implementations[Callable[[Any], Int64]] = Implementations("list of synapses", f"{__name__}.PAIRS", Operation)
#: int64 [inputs]: the flat output that each flat input of the operation enters, -1 for none.
CELLS: Implementations[Callable[[Any], Int64]] = Implementations("map of cells", f"{__name__}.CELLS", Operation)

PAIRS.refuse(
    lambda name: DoesNotFit(f"{name} leads straight into neurons; SANA-FE needs a synapse before every neuron"),
    SumPool,
    MaxPool,
    Flatten,
    Unflatten,
)
CELLS.refuse(
    lambda name: DoesNotFit(f"{name} into another synapse, with no neurons between, is not written for SANA-FE"),
    Convolution,
    Affine,
)
CELLS.refuse(lambda name: DoesNotFit(f"{name} keeps sums of what arrived; SANA-FE has no synapse that does"), MaxPool)


@PAIRS.register(Affine)
def _every_pair(node: Affine) -> Int64:
    outputs, inputs = node.weight_shape
    pairs: Int64 = np.indices((inputs, outputs)).reshape(2, -1).T
    return pairs[node.structure().T.reshape(-1) == 1] if node.sparse else pairs


@PAIRS.register(Convolution)
def _taps(node: Convolution) -> Int64:
    """Tap by tap of the kernel; taps on the padding, and those that are zero by construction, do not exist."""
    _, height, width = node.input_shape
    o, y, x = np.indices(node.output_shape)
    outputs = np.arange(o.size).reshape(node.output_shape)
    per_in, per_out = node.weight_shape[1], node.output_shape[0] // node.groups
    stored, pairs = node.structure(), []
    for i, u, v in product(range(per_in), range(node.weight_shape[2]), range(node.weight_shape[3])):
        row = y * node.stride[0] - node.padding[0] + u * node.dilation[0]
        column = x * node.stride[1] - node.padding[1] + v * node.dilation[1]
        exists = (row >= 0) & (row < height) & (column >= 0) & (column < width) & (stored[o, i, u, v] == 1)
        inputs = ((o // per_out * per_in + i) * height + row) * width + column
        pairs.append(np.stack([inputs[exists], outputs[exists]], axis=1))
    return np.concatenate(pairs)


@CELLS.register(Flatten, Unflatten)
def _same(node: Flatten | Unflatten) -> Int64:
    return np.arange(np.prod(node.input_shape))


@CELLS.register(SumPool)
def _window(node: SumPool) -> Int64:
    """The window of every pixel; -1 for pixels of a partial window, which is dropped."""
    _, rows, columns = node.output_shape
    c, y, x = np.indices(node.input_shape).reshape(3, -1)
    y, x = y // node.stride[0], x // node.stride[1]
    return np.where((y < rows) & (x < columns), (c * rows + y) * columns + x, -1)


def source_cells(graph: IntegerGraph, name: str) -> list[tuple[str, Int64]]:
    """Populations that reach the output of a node without passing a synapse.

    Each comes with the flat cell of that output that each of its neurons enters (-1: none). Empty for a node that only
    the image reaches: its current sends no events. Raises ``DoesNotFit`` if spikes reach the node through another
    synapse.
    """
    node = graph.nodes[name]
    if isinstance(node, Population):
        return [(name, np.arange(np.prod(node.shape)))]
    before = [entry for source in node.sources for entry in source_cells(graph, source)]
    if not before:
        return []
    cell = CELLS(node)(node)
    return [(origin, np.where(earlier >= 0, cell[earlier], -1)) for origin, earlier in before]


def joined(cells: Int64, pairs: Int64) -> Int64:
    """Pairs of a neuron and an output, int64 [connections, 2].

    ``cells``: the cell that each neuron enters. ``pairs``: the cell and the output of each synapse.
    """
    order = np.argsort(cells, kind="stable")
    low, high = (np.searchsorted(cells[order], pairs[:, 0], side) for side in ("left", "right"))
    neurons = np.concatenate([order[a:b] for a, b in zip(low, high, strict=True)])
    return np.stack([neurons, np.repeat(pairs[:, 1], high - low)], axis=1)
