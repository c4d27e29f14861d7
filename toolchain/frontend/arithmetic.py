"""Additions of branches, multiplications by constants, and activations."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from spikec.frontend.builder import Builder, Call, RefusalError, constant, handles
from spikec.frontend.modules import Rectifier


def _plain_numbers(call: Call) -> bool:
    return "value" in call.node.meta and "shape" not in call.node.meta


def _per_channel(b: Builder, x: fx.Node, value: Tensor) -> Tensor:
    """A constant that broadcasts over a batch of ``x``, as one value per channel."""
    channels = b.shape(x)[0]
    if value.numel() == 1:
        return value.reshape(1).expand(channels)
    rank = len(b.shape(x)) + 1
    aligned = value.reshape((1,) * (rank - value.ndim) + tuple(value.shape)) if value.ndim <= rank else value
    if aligned.ndim != rank or tuple(aligned.shape) != (1, channels) + (1,) * (rank - 2):
        raise RefusalError(f"a constant of shape {tuple(value.shape)}", "use a number or one value per channel")
    return aligned.reshape(channels)


def _with_constant(b: Builder, call: Call, x: fx.Node, scale: Tensor | None, shift: Tensor | None) -> fx.Node:
    ones, zeros = torch.ones(1), torch.zeros(1)
    return b.affine(
        call,
        x,
        _per_channel(b, x, ones if scale is None else scale),
        _per_channel(b, x, zeros if shift is None else shift),
    )


@handles(operator.add, operator.iadd, torch.add, "add", "add_", "__add__", "__iadd__", "__radd__")
def add(b: Builder, call: Call) -> Any:
    if _plain_numbers(call):
        return call.node.meta["value"]
    first, second, alpha = call.bind("input", "other", "alpha", alpha=1)
    if b.is_node(first) and b.is_node(second):
        if alpha != 1:
            raise RefusalError(f"add with alpha={alpha}", "multiply the second operand by the constant first")
        if b.shape(first) != b.shape(second):
            raise RefusalError(f"adding shapes {b.shape(first)} and {b.shape(second)}", "bring both to the same shape")
        return b.function(call, operator.add, (first, second))
    x, other = (first, second) if b.is_node(first) else (second, first)
    shift = constant(other)
    if shift is None:
        raise RefusalError("adding something that is no number or tensor", "add constants or branches")
    return _with_constant(b, call, x, None, shift * alpha if b.is_node(first) else shift)


@handles(operator.sub, operator.isub, torch.sub, torch.subtract, "sub", "sub_", "__rsub__")
def subtract(b: Builder, call: Call) -> Any:
    if _plain_numbers(call):
        return call.node.meta["value"]
    first, second, alpha = call.bind("input", "other", "alpha", alpha=1)
    if alpha != 1:
        raise RefusalError(f"subtraction with alpha={alpha}", "multiply the second operand by the constant first")
    if b.is_node(first) and b.is_node(second):
        raise RefusalError(
            "subtracting one branch from another", "multiply the branch by -1 in the layer before it, then add"
        )
    if b.is_node(first):
        shift = constant(second)
        if shift is not None:
            return _with_constant(b, call, first, None, -shift)
    shift = constant(first)
    if shift is None:
        raise RefusalError("subtracting something that is no number or tensor", "subtract constants only")
    return _with_constant(b, call, second, torch.tensor(-1.0), shift)


@handles(operator.mul, operator.imul, torch.mul, torch.multiply, "mul", "mul_")
def multiply(b: Builder, call: Call) -> Any:
    if _plain_numbers(call):
        return call.node.meta["value"]
    first, second = call.bind("input", "other")
    if b.is_node(first) and b.is_node(second):
        raise RefusalError("multiplying two branches", "gating and attention have no spiking counterpart here")
    x, other = (first, second) if b.is_node(first) else (second, first)
    scale = constant(other)
    if scale is None:
        raise RefusalError("multiplying by something that is no number or tensor", "multiply by constants only")
    return _with_constant(b, call, x, scale, None)


@handles(operator.truediv, operator.itruediv, torch.div, torch.divide, "div", "div_")
def divide(b: Builder, call: Call) -> Any:
    if _plain_numbers(call):
        return call.node.meta["value"]
    first, second, rounding = call.bind("input", "other", "rounding_mode", rounding_mode=None)
    if rounding is not None:
        raise RefusalError(f"division with rounding_mode={rounding!r}", "leave the rounding out")
    scale = None if b.is_node(second) else constant(second)
    if scale is None or not b.is_node(first) or bool((scale == 0).any()):
        raise RefusalError("dividing by something that is no constant", "divide by non-zero constants only")
    return _with_constant(b, call, first, 1.0 / scale, None)


@handles(operator.neg, torch.neg, "neg")
def negate(b: Builder, call: Call) -> Any:
    return _with_constant(b, call, call.args[0], torch.tensor(-1.0), None)


def _rectifier(low: Any, high: Any, name: str) -> Rectifier:
    low, high = (_limit(value, name) for value in (low, high))
    if low != 0.0:
        raise RefusalError(f"{name} with lower limit {low}", "clip at zero: spike rates are not negative")
    if high is not None and high <= 0.0:
        raise RefusalError(f"{name} with upper limit {high}", "use a positive upper limit")
    return Rectifier(high)


def _limit(value: Any, name: str) -> float | None:
    """A number or tensor of one element as float, None for no limit."""
    if value is None or (isinstance(value, float) and value == math.inf):
        return None
    number = constant(value)
    if number is None or number.numel() != 1:
        raise RefusalError(f"{name} with limits that are no numbers", "use one number for all neurons")
    return float(number)


#: What reads the limits of an activation off a call, by the class, the function or the name of the method called.
_RECTIFIERS: dict[Any, Callable[[Call], Rectifier]] = {}


def _rectifies(*keys: Any) -> Callable[[Callable[[Call], Rectifier]], Callable[[Call], Rectifier]]:
    def register(read: Callable[[Call], Rectifier]) -> Callable[[Call], Rectifier]:
        _RECTIFIERS.update(dict.fromkeys(keys, read))
        handles(*keys)(lambda b, call: b.emit(call, read(call), call.args[0]))
        return read

    return register


def rectifier_of(call: Call) -> Rectifier | None:
    """The activation that a call computes; None for anything else. Raises ``RefusalError`` for limits that no neuron
    has."""
    if call.module is not None:
        keys: tuple[Any, ...] = type(call.module).__mro__
    else:
        keys = (call.node.target,)
    return next((_RECTIFIERS[key](call) for key in keys if key in _RECTIFIERS), None)


@_rectifies(nn.ReLU, F.relu, F.relu_, torch.relu, torch.relu_, "relu", "relu_")
def relu(call: Call) -> Rectifier:
    return _rectifier(0.0, None, "ReLU")


@_rectifies(nn.ReLU6, F.relu6)
def relu6(call: Call) -> Rectifier:
    return _rectifier(0.0, 6.0, "ReLU6")


@_rectifies(nn.Hardtanh)
def hardtanh_module(call: Call) -> Rectifier:
    m = cast(nn.Hardtanh, call.module)
    return _rectifier(m.min_val, m.max_val, "Hardtanh")


@_rectifies(F.hardtanh, F.hardtanh_)
def hardtanh_function(call: Call) -> Rectifier:
    _, low, high = call.bind("input", "min_val", "max_val", min_val=-1.0, max_val=1.0)
    return _rectifier(low, high, "hardtanh")


@_rectifies(torch.clamp, torch.clip, "clamp", "clamp_", "clip", "clip_")
def clamp(call: Call) -> Rectifier:
    _, low, high = call.bind("input", "min", "max", min=None, max=None)
    return _rectifier(low, high, "clamp")


@_rectifies("clamp_min", "clamp_min_", torch.clamp_min)
def clamp_min(call: Call) -> Rectifier:
    _, low = call.bind("input", "min")
    return _rectifier(low, None, "clamp")


@_rectifies(nn.Threshold)
def threshold(call: Call) -> Rectifier:
    m = cast(nn.Threshold, call.module)
    if m.threshold != 0 or m.value != 0:
        raise RefusalError(f"Threshold({m.threshold}, {m.value})", "use ReLU")
    return _rectifier(0.0, None, "Threshold")
