"""Branches that meet: several synapses from one source are one synapse with the sum of their weights.

A skip connection reads the same neurons as the convolution beside it. If the two are bounded separately, a spike can
count in one and be absent in the other. If they are bounded as one synapse, it cannot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from spikec.ir.graph import IntegerGraph, Node
from spikec.ir.integers import ADDABLE, magnitude
from spikec.ir.operations import Affine, Convolution, expand_groups

#: The most entries of a kernel with its dilation written out. Larger ones are bounded branch by branch.
_ENTRIES_MAX = 2**26


def merged_branches(graph: IntegerGraph, node: Node) -> Iterator[tuple[list[str], Convolution | Affine]]:
    """The sources of ``node`` that can be one synapse, two or more at a time, and that synapse (biases added)."""
    groups: dict[tuple[object, ...], list[Convolution | Affine]] = {}
    for name in node.sources:
        source = graph.nodes[name]
        # Exactly these types: a subclass may compute something else. What is not merged here is bounded separately.
        if type(source) is Convolution:
            groups.setdefault((source.sources, source.stride), []).append(source)
        elif type(source) is Affine:
            groups.setdefault((source.sources,), []).append(source)
    for members in groups.values():
        if len(members) > 1:
            synapse = _added(members)
            if synapse is not None:
                yield [member.name for member in members], synapse


def _added(members: list[Convolution | Affine]) -> Convolution | Affine | None:
    if (
        sum(magnitude(m.narrow_weight) for m in members) >= ADDABLE
        or sum(magnitude(m.bias) for m in members) >= ADDABLE
    ):
        return None  # int64 might not hold their sum
    bias = sum((member.bias for member in members), np.zeros_like(members[0].bias))
    first = members[0]
    if isinstance(first, Affine):
        return replace(first, weight=sum((m.weight for m in members), np.zeros_like(first.weight)), bias=bias)
    convolutions = [member for member in members if isinstance(member, Convolution)]
    pads = [max(member.padding[axis] for member in convolutions) for axis in (0, 1)]
    if any(_entries(member, (pads[0], pads[1])) > _ENTRIES_MAX for member in convolutions):
        return None
    placed = [_placed(member, (pads[0], pads[1])) for member in convolutions]
    size = [max(weight.shape[axis] for weight in placed) for axis in (2, 3)]
    total = np.zeros((*placed[0].shape[:2], *size), np.int64)
    for weight in placed:
        total[:, :, : weight.shape[2], : weight.shape[3]] += weight
    shape = Convolution.convolved(
        first.input_shape, first.output_shape[0], tuple(size), first.stride, (pads[0], pads[1]), (1, 1)
    )
    if shape != first.output_shape:
        return None  # the union of the kernels reaches beyond the padding of one of them
    return replace(first, weight=total, bias=bias, padding=(pads[0], pads[1]), dilation=(1, 1), groups=1)


def _extent(node: Convolution, pads: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of a kernel with its dilation written out, at its place in one that is padded by ``pads``."""
    sizes = zip(pads, node.padding, node.weight_shape[2:], node.dilation, strict=True)
    rows, columns = (pad - own + (taps - 1) * dilation + 1 for pad, own, taps, dilation in sizes)
    return rows, columns


def _entries(node: Convolution, pads: tuple[int, int]) -> int:
    rows, columns = _extent(node, pads)
    return rows * columns * node.output_shape[0] * node.input_shape[0]


def _placed(node: Convolution, pads: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """The kernel with groups and dilation written out, shifted to its place in a kernel that is padded by ``pads``."""
    weight = expand_groups(node.weight, node.groups)
    dh, dw = node.dilation
    top, left = pads[0] - node.padding[0], pads[1] - node.padding[1]
    dense = np.zeros((*weight.shape[:2], *_extent(node, pads)), np.int64)
    dense[:, :, top::dh, left::dw] = weight
    return dense
