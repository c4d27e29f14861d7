"""The constant current of every population and the readout, computed on the host.

Everything between the input and a population is linear: with all spikes zero, a node's value is its bias plus, where
the image reaches it without passing a population, the image's part. Populations add it on every step it is on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import toolchain.ir.integer as ig
from targets.lava.arithmetic import Kernel, lava_layout, product, sum_pool

Array = npt.NDArray[Any]


def constant_currents(graph: ig.IntegerGraph, images: npt.NDArray[np.int64] | None) -> dict[str, Array]:
    """Per population and readout int64 [N, *shape in Lava's layout], or [1, ...] where no image reaches it directly.

    ``images``: int64 [N, *input shape]; None where the image is sent as spikes, then only biases are left.
    """
    values: dict[str, Array | None] = {}  # None: zero
    kernels = {node.name: kernel_of(node) for node in graph if isinstance(node, ig.Convolution)}
    found: dict[str, Array] = {}
    for node in graph:
        incoming = [value for value in (values[s] for s in node.sources) if value is not None]
        total: Array | None = sum(incoming[1:], incoming[0]) if incoming else None
        match node:
            case ig.InputNode():
                values[node.name] = None if images is None else lava_layout(images, leading=1)
            case ig.Population() | ig.Readout():
                values[node.name] = None
                found[node.name] = np.zeros((1, *node.shape[::-1]), np.int64) if total is None else total
            case ig.Convolution():
                kernel = kernels[node.name]
                synaptic = 0 if total is None else np.stack([kernel(x).astype(np.int64) for x in total])
                shape = (1, *node.output_shape[::-1])
                values[node.name] = np.broadcast_to(node.bias, shape) + synaptic
            case ig.Affine():
                synaptic = 0 if total is None else product(total, node.weight)
                values[node.name] = node.bias[None] + synaptic
            case ig.SumPool():
                pool = node.kernel[::-1], node.stride[::-1]
                values[node.name] = None if total is None else np.stack([sum_pool(x, *pool) for x in total])
            case ig.Flatten():
                values[node.name] = None if total is None else lava_layout(total, leading=1).reshape(len(total), -1)
    return found


def kernel_of(node: ig.Convolution) -> Kernel:
    """The convolution of a node, for maps in Lava's layout."""
    return Kernel(
        node.weight.transpose(0, 3, 2, 1),
        stride=node.stride[::-1],
        padding=node.padding[::-1],
        dilation=node.dilation[::-1],
        groups=node.groups,
    )
