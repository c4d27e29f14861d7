"""The spike penalty of error-free conversion (Datta et al., "When SNN meets ANN", TMLR 2025), as in its code.

It adds decay * S to the loss, where S is the total number of 1-bits in the levels of all activations. The published
decay is 2e-9 to 1e-8. S is a sum over layers, images and neurons, so it grows with the batch and the network.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikec.arguments import real_number
from spikec.errors import ConversionError
from spikec.training.activations import ClipFloorShift
from spikec.words import either


class _BitCount(torch.autograd.Function):
    """Number of 1-bits of whole numbers below 2**31; surrogate gradient 1 with respect to each number."""

    @staticmethod
    def forward(ctx: Any, level: Tensor) -> Tensor:
        ctx.save_for_backward(level)
        # Adds up neighbouring bits, then pairs, nibbles, bytes: a loop that depends on the data cannot be compiled.
        n = level.detach().round().to(torch.int32)
        n = n - ((n >> 1) & 0x55555555)
        n = (n & 0x33333333) + ((n >> 2) & 0x33333333)
        n = (n + (n >> 4)) & 0x0F0F0F0F
        n = n + (n >> 8)
        return ((n + (n >> 16)) & 0x3F).sum().to(level.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (level,) = ctx.saved_tensors
        return gradients[0].expand_as(level)


class BitCountPenalty:
    """A ``penalty`` of :func:`spikec.training.fit`: ``decay`` times the 1-bits of the last pass of ``model``.

    Raises :class:`ConversionError` where there is nothing to count, or ``decay`` is negative or no number.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = real_number("decay", decay)
        self._activations = [module for module in model.modules() if isinstance(module, ClipFloorShift)]
        if self.decay < 0:
            raise ConversionError(f"decay must not be negative, it is {decay}")
        if not self._activations or any(module.levels is None for module in self._activations):
            raise ConversionError(
                "only levels have bits to count: "
                + either("give the network ClipFloorShift(levels=7) activations", "train with --levels 7, or 1, 3, 15")
            )
        model.register_forward_pre_hook(self._forget)
        for module in self._activations:
            module.register_forward_hook(self._count)

    @staticmethod
    def _forget(model: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
        for module in model.modules():
            if isinstance(module, ClipFloorShift):
                module.ones = None

    @staticmethod
    def _count(module: ClipFloorShift, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        # Kept on the module: torch.compile carries a module's attributes out of the graph, but not another object's.
        if module.training:
            assert module.levels is not None
            level = output / module.threshold * module.levels
            ones: Tensor = _BitCount.apply(level)  # type: ignore[no-untyped-call]
            module.ones = ones if module.ones is None else module.ones + ones  # a module may stand in several places

    def __call__(self) -> Tensor:
        ones = [module.ones for module in self._activations if module.ones is not None]
        for module in self._activations:
            module.ones = None
        if not ones:
            raise ConversionError("no activation computed a level in training mode, so there are no bits to count")
        return self.decay * torch.stack(ones).sum()
