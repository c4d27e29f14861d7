"""Max pools of a network that runs as a spiking one: what the largest sums of the windows gain in a step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spikec.errors import ToolchainError
from spikec.frontend.calls import calls_of
from spikec.frontend.modes import evaluating
from spikec.training.activations import ClipFloorShift

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


#: What hands on the values of its inputs, or some of them, whichever way it is written.
_PASSING_LAYERS = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Flatten, nn.Unflatten)
_PASSING = frozenset({"cat", "concat", "concatenate", "dropout", "dropout1d", "dropout2d", "flatten", "unflatten"}
                     | {"reshape", "view", "contiguous", "clone", "squeeze", "unsqueeze"}
                     | {"getitem", "chunk", "split"})  # fmt: skip
_POOL_LAYERS = (nn.MaxPool1d, nn.MaxPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d)


def pools_of_currents(model: nn.Module, images: Tensor) -> list[str]:
    """Max pools behind activations that read something else than what these send: the deployed network has neurons
    before them, a network under training has not, so the two differ. Names of layers or of functions called, in order;
    none where the network fails. ``images``: float [2, C, H, W]."""
    try:
        with evaluating(model):
            calls, _ = calls_of(model, images)
    except ToolchainError:
        return []  # whoever deploys it will hear why
    # Ids of tensors. The rest comes before the first activations: the same in every step, so order changes nothing.
    sent: set[int] = set()
    currents: set[int] = set()
    found = []
    for call in calls:
        read, given = set(map(id, call.inputs)), set(map(id, call.outputs))
        pool = isinstance(call.module, _POOL_LAYERS) or call.function_name.strip("_") in _POOLS
        passes = pool or isinstance(call.module, _PASSING_LAYERS) or call.function_name.strip("_") in _PASSING
        spikes = isinstance(call.module, ClipFloorShift)
        varies, all_sent = not read.isdisjoint(sent | currents), read <= sent
        if pool and varies and not all_sent:
            found.append(call.name)
        sent -= given
        currents -= given
        if spikes or (varies and (pool or (passes and all_sent))):
            sent |= given
        elif varies:
            currents |= given
    return found
