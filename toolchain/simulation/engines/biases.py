"""Bias currents, pushed through linear chains once: convolution, pool, neuron."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import torch
from torch import Tensor

from spikec.ir.graph import IntegerGraph, Population, Readout
from spikec.ir.operations import Operation, Synapse


def bias_currents(graph: IntegerGraph, dtypes: Mapping[str, torch.dtype]) -> dict[str, Tensor | None]:
    """Per node, what the biases alone contribute to one step, [*shape] in the node's dtype, or None for nothing.

    It is the output of a linear node and the input of a population or readout.
    """
    currents: dict[str, Tensor | None] = {}
    sent: dict[str, Tensor | None] = {}
    for node in graph:
        dtype = dtypes[node.name]
        parts = [part.to(dtype) for source in node.sources if (part := sent[source]) is not None]
        total = reduce(torch.add, parts) if parts else None
        if total is not None and not isinstance(node, Population | Readout):
            total = node.apply(total[None])[0] if isinstance(node, Operation) else None
        if isinstance(node, Synapse):
            own = torch.as_tensor(node.bias).to(dtype).reshape(-1, *[1] * (len(node.output_shape) - 1))
            total = own.expand(node.output_shape) if total is None else total + own
        currents[node.name] = total
        sent[node.name] = None if isinstance(node, Population) else total
    return currents
