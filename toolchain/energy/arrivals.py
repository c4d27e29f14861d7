"""What arrives at a node in a step: emissions carried through linear nodes, exact in float64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from toolchain.ir.integer import (
    Affine,
    Convolution,
    Flatten,
    InputNode,
    Int64,
    IntegerGraph,
    Linear,
    Population,
    SumPool,
)

#: Integers [N, *shape] by population (and input).
Emitted = Mapping[str, npt.NDArray[Any]]


def arriving(net: IntegerGraph, emitted: Emitted, name: str, weights: Mapping[str, Int64] | None = None) -> Int64:
    """int64 [N, *input shape] that enter node ``name``, given what neurons emit, biases left out.

    Neurons that ``emitted`` lacks emit nothing. ``weights`` replace those of synapse nodes on the way (masks, to count
    instead of to weigh). Exact below 2**53.
    """
    found = sum(_output(net, emitted, source, weights or {}) for source in net.nodes[name].sources)
    return np.asarray(found).astype(np.int64)


def passed(node: Linear, entering: npt.NDArray[np.float64], weight: Int64 | None = None) -> npt.NDArray[np.float64]:
    """Output of a linear node without its bias, float64 [N, *output shape]."""
    if isinstance(node, Flatten):
        return entering.reshape(len(entering), -1)
    x = torch.from_numpy(np.ascontiguousarray(entering))
    if isinstance(node, SumPool):
        height, width = node.kernel
        pooled: npt.NDArray[np.float64] = (
            F.avg_pool2d(x, node.kernel, node.stride, divisor_override=1) if height * width > 1 else x
        ).numpy()
        return pooled
    w = torch.from_numpy((node.weight if weight is None else weight).astype(np.float64))
    if isinstance(node, Affine):
        product: npt.NDArray[np.float64] = (x.reshape(len(x), -1) @ w.T).numpy()
        return product
    convolved: npt.NDArray[np.float64] = F.conv2d(
        x, w, None, node.stride, node.padding, node.dilation, node.groups
    ).numpy()
    return convolved


def _output(net: IntegerGraph, emitted: Emitted, name: str, weights: Mapping[str, Int64]) -> npt.NDArray[np.float64]:
    node = net.nodes[name]
    if isinstance(node, InputNode | Population):
        if name in emitted:
            return np.asarray(emitted[name]).astype(np.float64)
        return np.zeros((len(next(iter(emitted.values()))), *node.output_shape))
    assert isinstance(node, Convolution | Affine | SumPool | Flatten)
    entering = np.asarray(sum(_output(net, emitted, source, weights) for source in node.sources))
    return passed(node, entering, weights.get(name))
