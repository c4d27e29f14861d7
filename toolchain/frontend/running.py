"""Runs the user's own module as its owner runs it: in eval mode, in float32, its state untouched afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from spikec.errors import ConversionError
from spikec.frontend.modes import evaluating


def require_module(model: Any) -> None:
    """Raise :class:`ConversionError` for what is no network, or a network without weights yet."""
    if not isinstance(model, nn.Module):
        raise ConversionError(f"expected a torch.nn.Module, got {type(model).__name__}")
    state = [*model.parameters(), *model.buffers()]
    if any(isinstance(each, UninitializedParameter | UninitializedBuffer) for each in state):
        raise ConversionError("the network has lazy layers without weights; run it on an image once")
    meta = next((name for name, each in _state(model).items() if each.is_meta), None)
    if meta is not None:
        raise ConversionError(f"{meta} lies on the meta device and has no values; load the weights first")


class Runner:
    """Calls one network again and again; ``state``: its parameters and buffers by name, as they are computed with.

    Other floating dtypes are computed in ``dtype``, on copies. What a pass writes into buffers is undone.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        require_module(model)
        self.model = model
        own = _state(model)
        self.state = {
            name: (each.detach().to_dense() if each.layout != torch.strided else each.detach()).to(dtype)
            if each.layout != torch.strided or (each.is_floating_point() and each.dtype != dtype)
            else each
            for name, each in own.items()
        }
        self._stand_ins = {name: each for name, each in self.state.items() if each is not own[name]}
        self._dtype = dtype

    def given(self, images: Tensor) -> Tensor:
        """A copy of ``images`` for one call: networks may write into what they get."""
        return images.detach().to(self._dtype, copy=True)

    def __call__(self, given: Tensor, modes: tuple[Any, ...] = ()) -> Any:
        """What the network returns for a tensor of :meth:`given`; ``modes``: entered around the call alone."""
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(evaluating(self.model))
            stack.enter_context(_uncompiled(self.model))
            stack.enter_context(torch.random.fork_rng(devices=[]))
            stack.enter_context(_kept(self.model))
            if self._stand_ins:
                stack.enter_context(torch.nn.utils.stateless._reparametrize_module(self.model, self._stand_ins))
            for mode in modes:
                stack.enter_context(mode)
            return self.model(given)


def _state(model: nn.Module) -> dict[str, Tensor]:
    parameters = dict(model.named_parameters(remove_duplicate=False))
    return {**parameters, **dict(model.named_buffers(remove_duplicate=False))}


@contextmanager
def _kept(model: nn.Module) -> Iterator[None]:
    """Buffers get their former values back, and modules their former buffers and parameters."""
    plain = [module for module in model.modules() if not isinstance(module, torch.jit.ScriptModule)]
    held: list[tuple[Any, dict[str, Any]]] = [
        (kind, dict(kind)) for module in plain for kind in (module._buffers, module._parameters)
    ]
    before = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for kind, members in held:
            kind.clear()
            kind.update(members)
        for buffer, values in before:
            if not torch.equal(buffer, values) and not buffer.is_inference():
                buffer.copy_(values)


@contextmanager
def _uncompiled(model: nn.Module) -> Iterator[None]:
    """What ``torch.compile`` wrapped runs as it was written: a compiled kernel hides its operators."""
    dynamo = sys.modules.get("torch._dynamo")
    if dynamo is None:
        yield
        return
    wrapped = [module for module in model.modules() if isinstance(module, dynamo.OptimizedModule)]
    forwards = [(module, module.forward) for module in wrapped]
    for module in wrapped:
        module.forward = module._orig_mod.__call__
    try:
        with dynamo.config.patch(disable=True):
            yield
    finally:
        for module, forward in forwards:
            module.forward = forward
