"""Which neurons feed a block of neurons: arithmetic on boxes of indices.

A box holds one half-open range per axis of a shape. Fields are bounding boxes: with a stride or dilation that skips
inputs they hold some that are not connected, so counts made from them are upper bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from toolchain.ir.integer import (
    Affine,
    Convolution,
    Flatten,
    InputNode,
    IntegerGraph,
    Linear,
    Population,
    Readout,
    Shape,
    SumPool,
)

Box = tuple[tuple[int, int], ...]


def whole(shape: Shape) -> Box:
    return tuple((0, size) for size in shape)


def volume(box: Box) -> int:
    return math.prod(max(0, high - low) for low, high in box)


def hull(boxes: Sequence[Box]) -> Box:
    """The smallest box that holds all of ``boxes``."""
    return tuple((min(low for low, _ in axis), max(high for _, high in axis)) for axis in zip(*boxes, strict=True))


def field(node: Linear, box: Box) -> Box:
    """Inputs of a linear node that feed the outputs in ``box``."""
    if isinstance(node, Affine):
        return whole(node.input_shape)
    if isinstance(node, Flatten):
        return _unflatten(node.input_shape, box[0])
    if isinstance(node, SumPool):
        rows, columns = (
            (low * stride, (high - 1) * stride + kernel)
            for (low, high), stride, kernel in zip(box[1:], node.stride, node.kernel, strict=True)
        )
        return box[0], rows, columns
    return _convolution_field(node, box)


def cells(node: Convolution | Affine, box: Box) -> tuple[int, Box]:
    """Inputs of a synapse node that the outputs in ``box`` listen to: how many, and the box around them."""
    around = field(node, box)
    if isinstance(node, Affine):
        return volume(around), around
    count = around[0][1] - around[0][0]
    top, bottom, left, right = node.margin
    for axis, (before, after) in enumerate(((top, bottom), (left, right))):
        low, high = box[axis + 1]
        kernel = range(before, node.weight.shape[axis + 2] - after)
        count *= len(
            {
                row
                for output in range(low, high)
                for tap in kernel
                if 0
                <= (row := output * node.stride[axis] - node.padding[axis] + tap * node.dilation[axis])
                < node.input_shape[axis + 1]
            }
        )
    return count, around


def _convolution_field(node: Convolution, box: Box) -> Box:
    outputs, inputs = node.weight.shape[0] // node.groups, node.weight.shape[1]
    first, last = box[0][0] // outputs, (box[0][1] - 1) // outputs
    top, bottom, left, right = node.margin
    ranges = []
    for axis, (before, after) in enumerate(((top, bottom), (left, right))):
        low, high = box[axis + 1]
        kernel, stride = node.weight.shape[axis + 2], node.stride[axis]
        padding, dilation = node.padding[axis], node.dilation[axis]
        start = low * stride - padding + before * dilation
        stop = (high - 1) * stride - padding + (kernel - 1 - after) * dilation + 1
        ranges.append((max(0, start), min(node.input_shape[axis + 1], stop)))
    return (first * inputs, (last + 1) * inputs), *ranges


def _unflatten(shape: Shape, flat: tuple[int, int]) -> Box:
    """Smallest box of ``shape`` that holds the flat indices ``flat`` (C order)."""
    box: list[tuple[int, int]] = []
    low, high = flat[0], flat[1] - 1
    same = True
    for axis, size in enumerate(shape):
        block = math.prod(shape[axis + 1 :])
        if not same:
            box.append((0, size))
            continue
        first, last = low // block, high // block
        box.append((first, last + 1))
        low, high = low % block, high % block
        same = first == last
    return tuple(box)


@dataclass(frozen=True)
class Path:
    """One way into a block of a neuron layer: the origin's neurons that feed it, and the linear nodes between in the
    order of the data, each with the box of its outputs that matter."""

    origin: str
    box: Box
    nodes: tuple[tuple[Linear, Box], ...]


def paths(graph: IntegerGraph, layer: Population | Readout, box: Box) -> Iterator[Path]:
    """Every path into ``box`` of a neuron layer."""

    def walk(name: str, box: Box, nodes: tuple[tuple[Linear, Box], ...]) -> Iterator[Path]:
        node = graph.nodes[name]
        if isinstance(node, InputNode | Population):
            yield Path(name, box, nodes)
        elif isinstance(node, Linear):
            for source in node.sources:
                yield from walk(source, field(node, box), ((node, box), *nodes))

    for source in layer.sources:
        yield from walk(source, box, ())


def origins(net: IntegerGraph, name: str) -> set[str]:
    """Neuron layers, or the input, that a node gets its values from."""
    sources = [net.nodes[source] for source in net.nodes[name].sources]
    return set().union(*(origins(net, node.name) if isinstance(node, Linear) else {node.name} for node in sources))
