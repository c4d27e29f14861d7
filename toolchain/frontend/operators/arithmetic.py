"""Sums of branches, and constants that are added or multiplied."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch
from torch import Tensor, fx

from spikec.frontend.builder import Builder, Call, handles
from spikec.frontend.obstacles import RefusalError
from spikec.frontend.placing import bijective
from spikec.frontend.values import Value, affine, moved, reshaped
from spikec.ir.types import lifted


def constant(value: Any) -> Tensor | None:
    """A number or constant tensor as float64 tensor; None for anything else."""
    if isinstance(value, Tensor):
        return value.detach().double() if bool(torch.isfinite(value).all()) else None
    if isinstance(value, bool | int | float) and math.isfinite(value):
        return torch.tensor(float(value), dtype=torch.float64)
    return None


def _common(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that several broadcast to."""
    return tuple(torch.broadcast_shapes(*shapes))  # type: ignore[no-untyped-call]


def with_constants(b: Builder, call: Call, value: Value, scale: Tensor | None, shift: Tensor | None) -> Value:
    """``value * scale + shift``; constants broadcast, and folding into the layer before is tried at once."""
    wide = _common(value.shape, *(tuple(each.shape) for each in (scale, shift) if each is not None))
    if wide != value.shape:
        value = broadcast(b, value, wide)
    if value.plain and value.shape[0] == b.batch and b.shape(value.sources[0]) == lifted(value.shape[1:]):
        channels = [_per_channel(each, value.shape) for each in (scale, shift)]
        if None not in channels:
            factor, summand = channels
            (source,) = value.sources
            count = value.shape[1] if len(value.shape) > 1 else 1
            ones, zeros = torch.ones(count), torch.zeros(count)
            node = b.affine(
                call, source, ones if scale is None else _float(factor), zeros if shift is None else _float(summand)
            )
            return Value(value.shape, (node,))
    return affine(value, scale, shift)


def _float(values: Any) -> Tensor:
    assert isinstance(values, Tensor)
    return values.float()


def _per_channel(each: Tensor | None, shape: tuple[int, ...]) -> Tensor | bool | None:
    """One number per channel; True where there is no constant; None where places differ."""
    if each is None:
        return True
    if each.numel() == 1:
        return each.reshape(1)
    aligned = each.reshape((1,) * (len(shape) - each.ndim) + tuple(each.shape))
    if len(shape) < 2 or any(n != 1 for axis, n in enumerate(aligned.shape) if axis != 1):
        return None
    return aligned.reshape(-1)


def broadcast(b: Builder, value: Value, shape: Any) -> Value:
    """``value`` expanded to ``shape``."""
    if value.shape == tuple(shape):
        return value
    (found,) = moved([value], lambda given, _: given[0].expand(tuple(shape)), b.batch)
    return found


def total(b: Builder, call: Call, first: Value, second: Value) -> Value:
    """The sum of two branches, in the layout of one of them where both have it."""
    shape = _common(first.shape, second.shape)
    first, second = broadcast(b, first, shape), broadcast(b, second, shape)
    if first.scale is not None or first.shift is not None or not bijective(b, first):
        first, second = second, first
    if bijective(b, first) and first.index is not None:
        order = first.index.flatten().argsort()
        layout = (b.batch, *b.shape(first.sources[0]))
        first_there, second_there = (_in_layout(b, each, order, layout) for each in (first, second))
        return _back(call, first, _sum(b, call, first_there, second_there))
    if first.index is None and first.shape[1:] != _unlifted(b, first):
        layout = (b.batch, *b.shape(first.sources[0]))
        return _back(call, first, _sum(b, call, reshaped(first, layout), reshaped(second, layout)))
    return Value(first.shape, (_sum(b, call, first, second),))


def _unlifted(b: Builder, value: Value) -> tuple[int, ...]:
    shape = b.shape(value.sources[0])
    return (shape[0], shape[2]) if len(value.shape) == 3 and len(shape) == 3 and shape[1] == 1 else shape


def _in_layout(b: Builder, value: Value, order: Tensor, layout: tuple[int, ...]) -> Value:
    (found,) = moved([value], lambda given, _: given[0].flatten()[order].reshape(layout), b.batch)
    return found


def _back(call: Call, first: Value, node: fx.Node) -> Value:
    return Value(first.shape, (node,), first.index)


def _sum(b: Builder, call: Call, first: Value, second: Value) -> fx.Node:
    one, two = b.node(call, first), b.node(call, second)
    return b.function(call, operator.add, (one, two), b.shape(one))


def scaled(b: Builder, call: Call, value: Value, factor: Any) -> Value:
    number = constant(factor)
    assert number is not None
    return value if bool((number == 1).all()) and number.numel() == 1 else with_constants(b, call, value, number, None)


@handles("add", "sub", "rsub", "subtract")
def add(b: Builder, call: Call) -> Any:
    first, second = call["self"], call["other"]
    sign = -1.0 if call.step.name.startswith("sub") else 1.0
    if call.step.name == "rsub":
        first, second, sign = second, first, -1.0
    factor = sign * float(call.given.get("alpha", 1))
    if isinstance(first, Value) and isinstance(second, Value):
        return total(b, call, first, scaled(b, call, second, factor))
    fixed = constant(second if isinstance(first, Value) else first)
    if fixed is None:
        raise RefusalError("adding something that is no finite number or tensor", "add constants or branches")
    if isinstance(first, Value):
        return with_constants(b, call, first, None, fixed * factor)
    return with_constants(b, call, second, torch.tensor(factor).double(), fixed)


@handles("mul", "multiply")
def multiply(b: Builder, call: Call) -> Any:
    first, second = call["self"], call["other"]
    if isinstance(first, Value) and isinstance(second, Value):
        raise RefusalError("multiplying two branches", "gating and attention have no spiking counterpart here")
    value, fixed = (first, constant(second)) if isinstance(first, Value) else (second, constant(first))
    if fixed is None:
        raise RefusalError("multiplying by something that is no finite number or tensor", "multiply by constants only")
    return with_constants(b, call, value, fixed, None)


@handles("div", "divide", "true_divide")
def divide(b: Builder, call: Call) -> Any:
    rounding = call.given.get("rounding_mode")
    if rounding is not None:
        raise RefusalError(f"division with rounding_mode={rounding!r}", "leave the rounding out")
    fixed = constant(call["other"])
    if not isinstance(call["self"], Value) or fixed is None or bool((fixed == 0).any()):
        raise RefusalError("dividing by something that is no constant", "divide by non-zero constants only")
    return with_constants(b, call, call["self"], 1.0 / fixed, None)


@handles("neg", "negative")
def negate(b: Builder, call: Call) -> Any:
    return with_constants(b, call, call.value(), torch.tensor(-1.0).double(), None)


@handles("lerp")
def interpolate(b: Builder, call: Call) -> Any:
    weight = constant(call["weight"])
    ends = call["self"], call["end"]
    if weight is None or not all(isinstance(each, Value) for each in ends):
        raise RefusalError("lerp with a weight that is computed", "use a constant weight and two branches")
    first, second = ends
    return total(
        b, call, with_constants(b, call, first, 1 - weight, None), with_constants(b, call, second, weight, None)
    )


@handles("pow")
def power(b: Builder, call: Call) -> Any:
    if isinstance(call["self"], Value) and call.given.get("exponent") in (1, 1.0):
        return call["self"]
    raise RefusalError("a nonlinear function", NONLINEAR)


NONLINEAR = "the only nonlinear operations of a spiking network are ReLU and its clipped relatives"
