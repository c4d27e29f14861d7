"""How many synapses leave each neuron: exact integer maps, composed through chains of linear nodes.

The fan-out of input ``(c, h, w)`` of a convolution is the number of kernel taps that land on an existing output,
``fan_h(h) * fan_w(w) * O / groups``; taps on the padding do not exist, and rows or columns of ``margin`` hold no
synapses. Counting by maps is the adjoint of running the network on events: one map per pair (origin, synapse node)
serves every image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toolchain.ir.integer import (
    Affine,
    Convolution,
    Flatten,
    InputNode,
    Int64,
    IntegerGraph,
    Linear,
    Node,
    Population,
    Readout,
    SumPool,
    Synapse,
)

Mask = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FanOut:
    """Per neuron of one origin, int64 of the origin's shape: paths into a synapse node and synapses beyond.

    ``entering``: copies of one event that reach the node (0 where a pool drops it); ``synapses``: synapses it
    charges there; ``nonzero``: the same along non-zero quantised weights only.
    """

    entering: Int64
    synapses: Int64
    nonzero: Int64

    def __add__(self, other: FanOut) -> FanOut:
        return FanOut(self.entering + other.entering, self.synapses + other.synapses, self.nonzero + other.nonzero)


def structure(node: Synapse) -> Mask:
    """1 where a synapse is stored, 0 in the margin of a padded kernel; shape of ``node.weight``."""
    mask = np.ones(node.weight.shape, dtype=np.int64)
    if isinstance(node, Convolution):
        top, bottom, left, right = node.margin
        height, width = mask.shape[2:]
        mask[:, :, :top], mask[:, :, height - bottom :] = 0, 0
        mask[..., :left], mask[..., width - right :] = 0, 0
    return mask


def nonzero(node: Synapse) -> Mask:
    """1 where the quantised weight is not zero."""
    mask: Mask = (node.weight != 0) * structure(node)
    return mask


def taps(inputs: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int) -> Int64:
    """int64 [inputs, kernel]: 1 where kernel tap ``i`` connects input ``x`` to output ``(x + p - i*d) / s``."""
    position = np.arange(inputs)[:, None] + padding - np.arange(kernel)[None, :] * dilation
    exists: Int64 = ((position % stride == 0) & (position >= 0) & (position // stride < outputs)).astype(np.int64)
    return exists


def convolution_fan_out(node: Convolution, mask: Mask) -> Int64:
    """Synapses leaving each input of a convolution, int64 [C, H, W]; ``mask`` int64 like ``weight`` selects them."""
    channels, height, width = node.input_shape
    per_group = mask.shape[0] // node.groups
    kernels = mask.reshape(node.groups, per_group, *mask.shape[1:]).sum(axis=1).reshape(channels, *mask.shape[2:])
    _, out_height, out_width = node.output_shape
    rows = taps(height, out_height, mask.shape[2], node.stride[0], node.padding[0], node.dilation[0])
    columns = taps(width, out_width, mask.shape[3], node.stride[1], node.padding[1], node.dilation[1])
    result: Int64 = rows @ kernels @ columns.T
    return result


def fan_out(node: Synapse, mask: Mask) -> Int64:
    """Synapses leaving each input of ``node``, int64 of its input shape."""
    if isinstance(node, Convolution):
        return convolution_fan_out(node, mask)
    result: Int64 = mask.sum(axis=0).reshape(node.input_shape)
    return result


def pull_back(node: Linear, after: Int64, mask: Mask | None) -> Int64:
    """Carry a map over a node's outputs to its inputs: each input gets the sum over its existing connections."""
    if isinstance(node, Flatten):
        return after.reshape(node.input_shape)
    if isinstance(node, SumPool):
        return _pull_back_pool(node, after)
    assert mask is not None
    if isinstance(node, Affine):
        return (after.reshape(-1) @ mask).reshape(node.input_shape)
    return _pull_back_convolution(node, after, mask)


def _pull_back_pool(node: SumPool, after: Int64) -> Int64:
    before = np.zeros(node.input_shape, dtype=np.int64)
    _, height, width = node.output_shape
    for row in range(node.kernel[0]):
        for column in range(node.kernel[1]):
            before[
                :,
                row : row + height * node.stride[0] : node.stride[0],
                column : column + width * node.stride[1] : node.stride[1],
            ] += after
    return before


def _pull_back_convolution(node: Convolution, after: Int64, mask: Mask) -> Int64:
    channels, height, width = node.input_shape
    out_channels, out_height, out_width = node.output_shape
    grouped = after.reshape(node.groups, out_channels // node.groups, out_height, out_width)
    kernels = mask.reshape(node.groups, out_channels // node.groups, *mask.shape[1:])
    rows = taps(height, out_height, mask.shape[2], node.stride[0], node.padding[0], node.dilation[0])
    columns = taps(width, out_width, mask.shape[3], node.stride[1], node.padding[1], node.dilation[1])
    before = np.zeros(node.input_shape, dtype=np.int64)
    for i in range(mask.shape[2]):
        from_rows = np.flatnonzero(rows[:, i])
        to_rows = (from_rows + node.padding[0] - i * node.dilation[0]) // node.stride[0]
        for j in range(mask.shape[3]):
            from_columns = np.flatnonzero(columns[:, j])
            to_columns = (from_columns + node.padding[1] - j * node.dilation[1]) // node.stride[1]
            reached = grouped[:, :, to_rows[:, None], to_columns[None, :]]
            share = np.einsum("goc,goyx->gcyx", kernels[..., i, j], reached)
            before[:, from_rows[:, None], from_columns[None, :]] += share.reshape(
                channels, len(from_rows), len(from_columns)
            )
    return before


def origins(graph: IntegerGraph, node: Synapse) -> dict[str, FanOut]:
    """Fan-out into ``node`` of every neuron (or pixel) that can reach it without passing another neuron.

    Keys are names of populations and of the input. A linear node between origin and synapse passes on one copy of an
    event per connection (a pool: one per window), so a pooled cell's fan-out is charged for each of its events.
    """
    every, stored = structure(node), nonzero(node)
    local = FanOut(np.ones(node.input_shape, dtype=np.int64), fan_out(node, every), fan_out(node, stored))
    found: dict[str, FanOut] = {}
    for source in node.sources:
        _walk(graph, graph.nodes[source], local, found)
    return found


def _walk(graph: IntegerGraph, node: Node, after: FanOut, found: dict[str, FanOut]) -> None:
    if isinstance(node, Readout):
        return
    if isinstance(node, InputNode | Population):
        found[node.name] = found[node.name] + after if node.name in found else after
        return
    every = structure(node) if isinstance(node, Convolution | Affine) else None
    stored = nonzero(node) if isinstance(node, Convolution | Affine) else None
    before = FanOut(
        pull_back(node, after.entering, every),
        pull_back(node, after.synapses, every),
        pull_back(node, after.nonzero, stored),
    )
    for source in node.sources:
        _walk(graph, graph.nodes[source], before, found)


def direct_origins(graph: IntegerGraph, node: Population | Readout) -> dict[str, Int64]:
    """Fan-out into a neuron layer along connections that hold no weights: identities and sum pools.

    Keys as in :func:`origins`; paths through a synapse node are left out, their synapses are charged there.
    """
    found: dict[str, Int64] = {}

    def walk(source: Node, after: Int64) -> None:
        if isinstance(source, InputNode | Population):
            found[source.name] = found.get(source.name, np.zeros_like(after)) + after
        elif isinstance(source, Flatten | SumPool):
            before = pull_back(source, after, None)
            for name in source.sources:
                walk(graph.nodes[name], before)

    for name in node.sources:
        walk(graph.nodes[name], np.ones(node.shape, dtype=np.int64))
    return found
