"""The spike penalty of error-free conversion (Datta et al., "When SNN meets ANN", TMLR 2025), as its code has it.

The loss gains decay * S, S the total number of 1-bits of all activations' levels. The published strength is 2e-9 to
1e-8; S is a sum over layers, images and neurons, so it scales with the batch and the network.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from toolchain.training.activations import ClipFloorShift


class _BitCount(torch.autograd.Function):
    """Number of 1-bits of whole numbers 0..``largest``; surrogate gradient 1 with respect to each number."""

    @staticmethod
    def forward(ctx: Any, level: Tensor, largest: int) -> Tensor:
        ctx.save_for_backward(level)
        number = level.detach().round().to(torch.int32)
        # A fixed number of rounds: a loop that looks at the data cannot be compiled.
        ones = sum(((number >> bit) & 1 for bit in range(largest.bit_length())), torch.zeros_like(number))
        return ones.sum().to(level.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (level,) = ctx.saved_tensors
        return gradients[0].expand_as(level), None


class BitCountPenalty:
    """A ``penalty`` of :func:`toolchain.training.fit`: ``decay`` times the 1-bits of the last forward pass."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._activations = [module for module in model.modules() if isinstance(module, ClipFloorShift)]
        for module in self._activations:
            module.register_forward_hook(self._count)

    @staticmethod
    def _count(module: ClipFloorShift, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        # Kept on the module: torch.compile carries a module's attributes out of the graph, but not another object's.
        if module.training:
            assert module.levels is not None  # the method's recipe asks for 2^T - 1 levels
            level = output / module.threshold * module.levels
            module.ones = _BitCount.apply(level, module.levels)  # type: ignore[no-untyped-call]

    def __call__(self) -> Tensor:
        ones = [module.ones for module in self._activations if module.ones is not None]
        for module in self._activations:
            module.ones = None
        return self.decay * torch.stack(ones).sum()
