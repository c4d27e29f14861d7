"""Activations: ReLU, its clipped and shifted relatives, those with a slope below zero, and trained staircases."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx

from spikec.frontend.builder import Builder, Call, handles
from spikec.frontend.modules import Rectifier, Staircase
from spikec.frontend.obstacles import RefusalError
from spikec.frontend.operators.arithmetic import constant, total, with_constants
from spikec.frontend.values import Value


def rectified(b: Builder, call: Call, value: Value, bound: float | None = None) -> Value:
    """``clip(value, 0, bound)``: a population of neurons."""
    return b.apply(call, value, lambda node: b.emit(call, Rectifier(bound), node, b.shape(node)))


def clipped(b: Builder, call: Call, low: Any, high: Any) -> Value:
    """``clip(x, low, high)``: shifted so that it starts at zero."""
    value = call.value()
    if any(isinstance(each, Tensor) and each.numel() > 1 for each in (low, high)):
        return _clipped_apart(b, call, value, low, high)
    least, most = (_limit(each, call.step.name) for each in (low, high))
    if least is None:
        if most is None:
            return value
        return _mirrored(b, call, value, most)
    if most is not None and most <= least:
        raise RefusalError(
            f"{call.step.name} with upper limit {most:g} and lower limit {least:g}", "use a higher upper limit"
        )
    if least:
        value = with_constants(b, call, value, None, torch.tensor(-least).double())
    found = rectified(b, call, value, None if most is None else most - least)
    return with_constants(b, call, found, None, torch.tensor(least).double()) if least else found


def _clipped_apart(b: Builder, call: Call, value: Value, low: Any, high: Any) -> Value:
    """Limits that differ between channels or places: ``low + (high - low) * clip((x - low) / (high - low), 0, 1)``."""
    least, most = constant(low), constant(high)
    if least is None or most is None:
        raise RefusalError(
            f"{call.step.name} with a limit for some, on one side only", "give both limits, or one number"
        )
    reach = most - least
    if not bool((reach > 0).all()):
        raise RefusalError(f"{call.step.name} with an upper limit below the lower one", "use a higher upper limit")
    raised = with_constants(b, call, with_constants(b, call, value, None, -least), 1 / reach, None)
    return with_constants(b, call, with_constants(b, call, rectified(b, call, raised, 1.0), reach, None), None, least)


def _mirrored(b: Builder, call: Call, value: Value, most: float) -> Value:
    """``min(x, most) = most - relu(most - x)``."""
    minus, limit = torch.tensor(-1.0).double(), torch.tensor(most).double()
    turned = with_constants(b, call, value, minus, limit)
    return with_constants(b, call, rectified(b, call, turned), minus, limit)


def _limit(value: Any, name: str) -> float | None:
    """A number or tensor of one element as float, None for no limit."""
    if value is None or (isinstance(value, float) and math.isinf(value)):
        return None
    number = constant(value)
    if number is None or number.numel() != 1:
        raise RefusalError(f"{name} with limits that are no numbers", "use one number for all neurons")
    return float(number)


@handles("relu")
def relu(b: Builder, call: Call) -> Any:
    return rectified(b, call, call.value())


@handles("relu6")
def relu6(b: Builder, call: Call) -> Any:
    return rectified(b, call, call.value(), 6.0)


@handles("hardtanh")
def hardtanh(b: Builder, call: Call) -> Any:
    return clipped(b, call, call["min_val"], call["max_val"])


@handles("clamp", "clip")
def clamp(b: Builder, call: Call) -> Any:
    return clipped(b, call, call["min"], call["max"])


@handles("clamp_min")
def clamp_min(b: Builder, call: Call) -> Any:
    return clipped(b, call, call["min"], None)


@handles("clamp_max")
def clamp_max(b: Builder, call: Call) -> Any:
    return clipped(b, call, None, call["max"])


@handles("threshold")
def threshold(b: Builder, call: Call) -> Any:
    if call["threshold"] != 0 or call["value"] != 0:
        raise RefusalError(f"Threshold({call['threshold']}, {call['value']})", "use ReLU")
    return rectified(b, call, call.value())


@handles("hardsigmoid")
def hardsigmoid(b: Builder, call: Call) -> Any:
    """``relu6(x + 3) / 6``."""
    raised = with_constants(b, call, call.value(), None, torch.tensor(3.0).double())
    return with_constants(b, call, rectified(b, call, raised, 6.0), torch.tensor(1 / 6).double(), None)


@handles("maximum", "minimum", "fmax", "fmin")
def maximum(b: Builder, call: Call) -> Any:
    """Of a branch and a number: a clip. ``max(x, y) = y + relu(x - y)``, ``min(x, y) = y - relu(y - x)``."""
    largest = call.step.name in ("maximum", "fmax")
    first, second = call["self"], call["other"]
    if isinstance(first, Value) and isinstance(second, Value):
        call.repeats = True
        one, minus = torch.tensor(1.0).double(), torch.tensor(-1.0).double()
        signs = (one, minus) if largest else (minus, one)
        parts = [with_constants(b, call, v, s, None) for v, s in zip((first, second), signs, strict=True)]
        more = rectified(b, call, total(b, call, *parts))
        return total(b, call, second, more if largest else with_constants(b, call, more, minus, None))
    value, fixed = (first, second) if isinstance(first, Value) else (second, first)
    shown = replace(call, given={**call.given, "self": value})
    return clipped(b, shown, fixed, None) if largest else clipped(b, shown, None, fixed)


@handles("abs")
def magnitude(b: Builder, call: Call) -> Any:
    """``relu(x) + relu(-x)``."""
    return _two_sided(b, call, torch.tensor(1.0).double())


@handles("leaky_relu")
def leaky_relu(b: Builder, call: Call) -> Any:
    return _two_sided(b, call, torch.tensor(-float(call["negative_slope"])).double())


@handles("rrelu_with_noise")
def rrelu(b: Builder, call: Call) -> Any:
    """In eval mode a leaky ReLU of the mean slope."""
    if call.given.get("training"):
        raise RefusalError("RReLU in training mode", "call eval() on the network")
    slope = (float(call["lower"]) + float(call["upper"])) / 2
    return _two_sided(b, call, torch.tensor(-slope).double())


@handles("_prelu_kernel", "prelu")
def prelu(b: Builder, call: Call) -> Any:
    slope = constant(call["weight"])
    if slope is None:
        raise RefusalError("PReLU with a slope that is computed", "use a fixed parameter")
    value = call.value()
    if slope.numel() > 1 and slope.ndim == 1 and len(value.shape) > 1:
        slope = slope.reshape(1, -1, *[1] * (len(value.shape) - 2))
    return _two_sided(b, call, -slope)


def _two_sided(b: Builder, call: Call, factor: Tensor) -> Value:
    """``relu(x) + factor * relu(-x)``: neurons for each side."""
    value = call.value()
    call.repeats = True
    minus = torch.tensor(-1.0).double()
    above = rectified(b, call, value)
    below = rectified(b, call, with_constants(b, call, value, minus, None))
    return total(b, call, above, with_constants(b, call, below, factor, None))


@handles("clip_floor_shift")
def staircase(b: Builder, call: Call) -> Any:
    """:class:`spikec.training.ClipFloorShift`, recorded as one operator."""
    threshold, levels = call["threshold"], call["levels"]
    if not isinstance(threshold, Tensor):
        raise RefusalError("an activation with a threshold that is computed", "use a fixed parameter")
    value = call.value("x")

    def make(node: fx.Node) -> fx.Node:
        own = threshold.detach().clone()
        own = own.reshape(()) if own.numel() == 1 else own.flatten()
        if own.numel() not in (1, b.shape(node)[0]):
            raise RefusalError(
                f"{own.numel()} thresholds for {b.shape(node)[0]} channels", "give one, or one per channel"
            )
        return b.emit(call, Staircase(levels, own), node, b.shape(node))

    return b.apply(call, value, make)
