"""The constant current of every population and the readout, computed on the host.

Everything between the input and a population is linear. With all spikes zero, the value of a node is its bias, plus the
image's part if the image reaches it without passing a population. Populations add this at every step at which it is on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

import spikec.ir as ig
from spikec.errors import MissingImplementation
from spikec.implementations import Implementations
from spikec.targets.lava.arithmetic import Kernel, lava_layout, max_pool, product, sum_pool

Array = npt.NDArray[Any]

#: What an operation makes of a constant input, bias included: int64 [N, *shape in Lava's layout], or [1, ...] if no
#: image reaches it. None as input or output stands for zero. Numpy only, so independent of the golden model's torch.
LAVA_CURRENTS: Implementations[Callable[[Any, Array | None], Array | None]] = Implementations(
    "constant current", "spikec.targets.lava.currents.LAVA_CURRENTS", of=ig.Operation
)


def constant_currents(graph: ig.IntegerGraph, images: npt.NDArray[np.int64] | None) -> dict[str, Array]:
    """Per population and readout int64 [N, *shape in Lava's layout], or [1, ...] if no image reaches it directly.

    ``images``: int64 [N, *input shape]. None if the image is sent as spikes; only the biases are left then.
    """
    values: dict[str, Array | None] = {}  # None: zero
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
            case ig.Delayed():
                values[node.name] = None
            case ig.Operation():
                values[node.name] = LAVA_CURRENTS(node)(node, total)
            case _:
                raise MissingImplementation(f"{type(node).__name__} has no constant current in Lava")
    return found


@LAVA_CURRENTS.register(ig.Convolution)
def _convolution(node: ig.Convolution, total: Array | None) -> Array:
    kernel = kernel_of(node)
    synaptic = 0 if total is None else np.stack([kernel(x).astype(np.int64) for x in total])
    return np.broadcast_to(node.bias, (1, *node.output_shape[::-1])) + synaptic


@LAVA_CURRENTS.register(ig.Affine)
def _affine(node: ig.Affine, total: Array | None) -> Array:
    return node.bias[None] + (0 if total is None else product(total, node.weight))


@LAVA_CURRENTS.register(ig.SumPool)
def _sum_pool(node: ig.SumPool, total: Array | None) -> Array | None:
    pool = node.kernel[::-1], node.stride[::-1]
    return None if total is None else np.stack([sum_pool(x, *pool) for x in total])


@LAVA_CURRENTS.register(ig.MaxPool)
def _max_pool(node: ig.MaxPool, total: Array | None) -> Array | None:
    rows, columns = node.places
    return None if total is None else np.stack([max_pool(x, columns, rows) for x in total])


@LAVA_CURRENTS.register(ig.Flatten)
def _flatten(node: ig.Flatten, total: Array | None) -> Array | None:
    return None if total is None else lava_layout(total, leading=1).reshape(len(total), -1)


@LAVA_CURRENTS.register(ig.Unflatten)
def _unflatten(node: ig.Unflatten, total: Array | None) -> Array | None:
    return None if total is None else lava_layout(total.reshape(len(total), *node.output_shape), leading=1)


def kernel_of(node: ig.Convolution) -> Kernel:
    """The convolution of a node, for maps in Lava's layout."""
    return Kernel(
        node.weight.transpose(0, 3, 2, 1),
        stride=node.stride[::-1],
        padding=node.padding[::-1],
        dilation=node.dilation[::-1],
        groups=node.groups,
    )
