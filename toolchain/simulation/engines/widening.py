"""Weights, and numbers of neurons, in the numbers that a simulator computes with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from spikec.ir.operations import Synapse
from spikec.ir.types import Int64

#: Bytes of widened weights that are kept. Those of larger layers are widened at every call, which takes little of it.
_KEPT = 2**26


def widened(synapses: Sequence[Synapse], dtypes: Mapping[str, torch.dtype]) -> dict[str, Tensor]:
    """The weights of those synapses, the smallest first, that fit into ``_KEPT`` bytes, by name, on the default device;
    of all of them where this is not the processor. The other ones ``apply`` widens itself."""
    found, left = {}, _KEPT
    for node in sorted(synapses, key=lambda node: node.weight_count):
        left -= node.weight_count * dtypes[node.name].itemsize
        if left >= 0 or torch.get_default_device().type != "cpu":
            found[node.name] = torch.as_tensor(node.narrow_weight).to(dtypes[node.name])
    return found


def neurons_as(values: Int64, dtype: torch.dtype) -> Tensor:
    """Numbers of neurons in ``dtype``, not to be written to. Those that ``values`` hold once
    (:func:`spikec.ir.integers.held_once`) are held once here too."""
    few = values[tuple(slice(None) if stride else slice(1) for stride in values.strides)]
    return torch.as_tensor(np.array(few, order="C")).to(dtype).expand(values.shape)
