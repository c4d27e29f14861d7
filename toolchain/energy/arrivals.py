"""What arrives at a node in a step: emissions carried through operations, exact in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spikec.ir.coding import InputNode
from spikec.ir.graph import Delayed, IntegerGraph, Population
from spikec.ir.operations import Operation
from spikec.ir.types import Int64

#: Integers [N, *shape] by population (and input).
Emitted = Mapping[str, npt.NDArray[Any]]


def arriving(
    net: IntegerGraph, emitted: Emitted, name: str, weights: Mapping[str, npt.NDArray[Any]] | None = None
) -> Int64:
    """int64 [N, *input shape] that enter node ``name``, given what neurons emit, biases left out. Delayed counts as
    what it repeats.

    Neurons that ``emitted`` lacks emit nothing. ``weights`` replace those of synapse nodes on the way (masks, to count
    instead of to weigh). Exact below 2**53.
    """
    found = sum(_output(net, emitted, source, weights or {}) for source in net.nodes[name].sources)
    return np.asarray(found).astype(np.int64)


def passed(node: Operation, entering: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Output of an operation without its bias, float64 [N, *output shape]."""
    return _through(node.apply, entering, None)


def _through(
    form: Callable[[Tensor, Tensor | None], Tensor], entering: npt.NDArray[np.float64], weight: npt.NDArray[Any] | None
) -> npt.NDArray[np.float64]:
    x = torch.from_numpy(np.ascontiguousarray(entering))
    mask = None if weight is None else torch.from_numpy(weight.astype(np.float64))
    output: npt.NDArray[np.float64] = form(x, mask).numpy()
    return output


def _output(
    net: IntegerGraph, emitted: Emitted, name: str, weights: Mapping[str, npt.NDArray[Any]]
) -> npt.NDArray[np.float64]:
    node = net.nodes[name]
    if isinstance(node, Delayed):
        return _output(net, emitted, node.of, weights)
    if isinstance(node, InputNode | Population):
        if name in emitted:
            return np.asarray(emitted[name]).astype(np.float64)
        return np.zeros((len(next(iter(emitted.values()))), *node.output_shape))
    assert isinstance(node, Operation)  # nothing comes behind the readout
    entering = np.asarray(sum(_output(net, emitted, source, weights) for source in node.sources))
    return _through(node.delivered, entering, weights.get(name))
