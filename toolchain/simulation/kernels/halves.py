"""8-bit synapses for counts that are too large for one: 16 a + b, with a and b below 16, go through the same kernel."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from spikec.ir.operations import Synapse
from spikec.ir.types import Shape
from spikec.simulation.kernels.blocks import in_blocks
from spikec.simulation.kernels.int8 import Int8Synapse, exact_synapse, largest_sum
from spikec.simulation.paths import Reason

_BITS = 4
_LARGEST_HALF = 2**_BITS - 1
_FLOAT32_EXACT = 2**24


class HalvedSynapse:
    """A synapse whose ``kernel`` is exact on inputs below 16; the sums of the two halves are added in float64."""

    def __init__(self, kernel: Int8Synapse, shape: Shape) -> None:
        """``shape``: that of the output."""
        self._kernel, self._shape = kernel, shape

    def current(self, x: Tensor) -> Tensor:
        """float64 [N, *output shape], for u8 ``x`` [N, *input shape]."""
        layout = torch.channels_last if len(self._shape) == 3 else torch.contiguous_format
        found = torch.empty((len(x), *self._shape), dtype=torch.float64, memory_format=layout)
        for rows in in_blocks(len(x), found.itemsize * math.prod(self._shape)):
            high, low = self._kernel.current(x[rows] >> _BITS), self._kernel.current(x[rows] & _LARGEST_HALF)
            found[rows] = high
            found[rows].mul_(2**_BITS).add_(low)
        return found


def halved_synapse(node: Synapse) -> HalvedSynapse | Reason:
    """The sums of ``node`` on u8, exact below 2**53; the reason where a half has no exact kernel."""
    kernel = exact_synapse(node, _LARGEST_HALF)
    if isinstance(kernel, Reason):
        return kernel
    largest = largest_sum(node, _LARGEST_HALF)
    if largest >= _FLOAT32_EXACT:
        return Reason.beyond("half of its sum", largest, _FLOAT32_EXACT, "float32")
    return HalvedSynapse(kernel, node.output_shape)
