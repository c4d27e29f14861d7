"""Staircases that users write themselves, such as the activation of the published QCFS code: floor, factors, a clip.

``a * clip(floor(x), 0, L) + c`` is :class:`Staircase` of ``x - 1/2`` with L levels and threshold L, then a factor and a
summand. Both orders of floor and clip are in use (``putshua/SNN_conversion_QCFS``, ``putshua/ANN_SNN_QCFS``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx

from spikec.frontend.builder import Builder, Call, handles
from spikec.frontend.modules import ChannelAffine, Rectifier, Staircase
from spikec.frontend.obstacles import RefusalError
from spikec.frontend.operators.arithmetic import constant, with_constants
from spikec.frontend.values import Value

_NEARLY = 1e-4
REFUSAL = RefusalError(
    "a staircase that is not that of QCFS",
    "use tc.ClipFloorShift, which is the activation of QCFS, with the same number of levels and threshold",
)
#: Key of a canonical graph's ``meta``: the floors that were recognised, by the user's line, each with what it is
#: clipped to, in the order in which they run.
RECOGNISED = "recognised"
Floors = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True)
class Stairs:
    """``factor * clip(floor(value), low, high) + summand``, on the way to becoming an activation."""

    value: Value
    call: Call
    factor: float = 1.0
    summand: float = 0.0
    low: float = -math.inf
    high: float = math.inf


@handles("floor")
def floor(b: Builder, call: Call) -> Any:
    value = call.value()
    behind = _clipped_before(b, value)
    if behind is None:
        return Stairs(value, call)
    source, scale, shift, bound = behind
    rectified = Value(value.shape, (source,), value.index)
    raised = with_constants(b, call, rectified, torch.tensor(scale).double(), torch.tensor(shift).double())
    return Stairs(raised, call, low=math.floor(shift), high=math.floor(bound * scale + shift + _NEARLY))


def _clipped_before(b: Builder, value: Value) -> tuple[fx.Node, float, float, float] | None:
    """What ``clip(x, 0, bound) * scale + shift`` is of, where that is what comes before the floor."""
    if len(value.sources) != 1 or value.scale is not None or value.shift is not None:
        return None
    (node,) = value.sources
    affine = b.module(node)
    if not isinstance(affine, ChannelAffine) or not (_uniform(affine.scale) and _uniform(affine.shift)):
        return None
    (before,) = node.all_input_nodes
    rectifier = b.module(before)
    if not isinstance(rectifier, Rectifier) or rectifier.bound is None or float(affine.scale[0]) <= 0:
        return None
    return before.all_input_nodes[0], float(affine.scale[0]), float(affine.shift[0]), rectifier.bound


def _uniform(values: Tensor) -> bool:
    return bool((values == values.flatten()[0]).all())


_After = Callable[[Call, Stairs], Stairs | None]
_AFTER: dict[str, _After] = {}


def _follows(*names: str) -> Callable[[_After], _After]:
    def register(function: _After) -> _After:
        _AFTER.update(dict.fromkeys(names, function))
        return function

    return register


def _number(value: Any) -> float:
    found = constant(value)
    if found is None or found.numel() != 1:
        raise REFUSAL
    return float(found)


def _other(call: Call) -> float | None:
    (other,) = (each for each in (call["self"], call["other"]) if not isinstance(each, Stairs))
    return None if isinstance(other, Value) else _number(other)


@_follows("mul", "div")
def _times(call: Call, stairs: Stairs) -> Stairs | None:
    other = _other(call)
    if other is None or (call.step.name == "div" and (not other or not isinstance(call["self"], Stairs))):
        return None
    factor = other if call.step.name == "mul" else 1.0 / other
    return replace(stairs, factor=stairs.factor * factor, summand=stairs.summand * factor)


@_follows("add")
def _plus(call: Call, stairs: Stairs) -> Stairs | None:
    other = _other(call)
    return None if other is None else replace(stairs, summand=stairs.summand + other)


@_follows("clamp", "hardtanh", "relu", "clamp_min", "clamp_max")
def _clip(call: Call, stairs: Stairs) -> Stairs:
    if stairs.factor <= 0:
        raise REFUSAL
    low = 0.0 if call.step.name == "relu" else call.given.get("min", call.given.get("min_val"))
    high = call.given.get("max", call.given.get("max_val"))
    ends = [None if each is None else (_number(each) - stairs.summand) / stairs.factor for each in (low, high)]
    return replace(
        stairs,
        low=stairs.low if ends[0] is None else max(stairs.low, ends[0]),
        high=stairs.high if ends[1] is None else min(stairs.high, ends[1]),
    )


@_follows("clone", "detach", "alias", "contiguous")
def _same(call: Call, stairs: Stairs) -> Stairs:
    return stairs


def followed(call: Call) -> Stairs | None:
    """What an operator makes of a staircase before it; None where the staircase is finished."""
    given = [each for each in call.given.values() if isinstance(each, Stairs)]
    if len(given) != 1 or call.step.name not in _AFTER:
        return None
    return _AFTER[call.step.name](call, given[0])


def finished(b: Builder, call: Call, stairs: Stairs) -> Value:
    """The activation that a staircase is. Raises :class:`RefusalError` for others."""
    levels = round(stairs.high) if math.isfinite(stairs.high) else 0
    made_already = b.stairs.get((stairs.call.number, levels))
    if made_already is not None:
        return _scaled(b, call, stairs, made_already)
    if levels < 1 or abs(stairs.high - levels) > _NEARLY * levels or abs(stairs.low) > _NEARLY:
        raise REFUSAL
    half = torch.tensor(-0.5).double()
    lowered = with_constants(b, stairs.call, stairs.value, None, half)
    threshold = torch.tensor(float(levels))

    def make(node: fx.Node) -> fx.Node:
        return b.emit(stairs.call, Staircase(levels, threshold), node, b.shape(node))

    found = b.apply(stairs.call, lowered, make)
    b.stairs[stairs.call.number, levels] = found
    b.recognised.setdefault(stairs.call.step.place.line, []).append((stairs.low, stairs.high))
    return _scaled(b, call, stairs, found)


def _scaled(b: Builder, call: Call, stairs: Stairs, found: Value) -> Value:
    if stairs.factor == 1 and not stairs.summand:
        return found
    return with_constants(b, call, found, torch.tensor(stairs.factor).double(), torch.tensor(stairs.summand).double())
