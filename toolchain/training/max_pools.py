"""Max pools of a network that runs as a spiking one: what the largest sums of the windows gain in a step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

#: Functions that every max pool of torch ends in, as a layer or as a call.
_POOLS = frozenset(
    {"max_pool1d", "max_pool2d", "_max_pool1d", "_max_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d"}
    | {"_adaptive_max_pool1d", "_adaptive_max_pool2d", "amax"}
)


class PoolsOfSums(TorchFunctionMode):
    """Inside, each max pool of a pass acts on the sums of what it was given in all passes since :meth:`reset`, and
    returns what its maxima have gained since the pass before (see :class:`spikec.ir.operations.MaxPool`).

    Pools are told apart by their order in a pass: call :meth:`begin` before each one.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.reset()

    def reset(self) -> None:
        """Forget all sums."""
        self._sums: list[Tensor] = []
        self._largest: list[Tensor] = []
        self._next = 0

    def begin(self) -> None:
        """Start a pass."""
        self._next = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if getattr(func, "__name__", "") not in _POOLS:
            return func(*args, **kwargs)
        given = args[0] if args else kwargs.pop("input")
        rest, number = args[1:], self._next
        self._next += 1
        if number == len(self._sums):
            self._sums.append(torch.zeros_like(given))
            self._largest.append(torch.zeros(()))
        self._sums[number] = self._sums[number] + given
        now = func(self._sums[number], *rest, **kwargs)
        gained = now - self._largest[number]
        self._largest[number] = now
        return gained
