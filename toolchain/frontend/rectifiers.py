"""Which layers and functions of torch clip at zero, and where they clip above."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from spikec.frontend.calls import name_of
from spikec.frontend.modules import Rectifier

_FORWARDS = (nn.ReLU.forward, nn.Hardtanh.forward, nn.Threshold.forward)  # ReLU6 is a Hardtanh


def rectifier_of_layer(layer: nn.Module | None) -> Rectifier | None:
    """What a layer of torch clips to; None for anything else, and for layers that compute something of their own: a
    forward of their class or set on the instance."""
    if layer is None or "forward" in vars(layer) or type(layer).forward not in _FORWARDS:
        return None
    if isinstance(layer, nn.Hardtanh):
        return _between(layer.min_val, layer.max_val)
    if isinstance(layer, nn.Threshold):
        return _above(layer.threshold, layer.value)
    return Rectifier()


def rectifier_of_function(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Rectifier | None:
    """What a call of a function or method of torch clips a tensor of real numbers to; None for anything else."""
    reader = _READERS.get(name_of(function).strip("_"))
    given = clipped(args, kwargs)
    if reader is None or not isinstance(given, Tensor) or not given.is_floating_point():
        return None
    names, read = reader
    values = dict(zip(names, args[1:], strict=False)) | dict(kwargs)
    found: Rectifier | None = read(*(values.get(name, missing) for name, missing in names.items()))
    return found


def clipped(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What a function clips."""
    return args[0] if args else kwargs.get("input")


def in_place(function: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether a function writes its result into its input."""
    name = str(getattr(function, "__name__", ""))
    return bool(kwargs.get("inplace")) or (name.endswith("_") and not name.endswith("__"))


def layer_of(rectifier: Rectifier) -> nn.Module:
    """The layer of torch that computes it, not in place."""
    if rectifier.bound is None:
        return nn.ReLU()
    return nn.ReLU6() if rectifier.bound == 6.0 else nn.Hardtanh(0.0, rectifier.bound)


def _between(low: Any, high: Any) -> Rectifier | None:
    low, high = _number(low), _number(high)
    if low != 0.0 or high is None or not high > 0.0:
        return None
    return Rectifier(None if high == math.inf else high)


def _above(threshold: Any, value: Any) -> Rectifier | None:
    return Rectifier() if threshold == 0 and value == 0 else None


def _larger(other: Any, out: Any) -> Rectifier | None:
    return Rectifier() if isinstance(other, Tensor) and out is None and _number(other) == 0.0 else None


def _number(value: Any) -> float | None:
    """A number or tensor of one element as float, infinite for no limit; None for anything else."""
    if value is None:
        return math.inf
    if isinstance(value, Tensor):
        return float(value.detach()) if value.numel() == 1 else None
    return float(value) if isinstance(value, int | float) else None


#: By the name of a function: its arguments behind the input with their defaults, and what reads them.
_READERS: dict[str, tuple[dict[str, Any], Any]] = {
    "relu": ({}, Rectifier),
    "relu6": ({}, lambda: Rectifier(6.0)),
    "hardtanh": ({"min_val": -1.0, "max_val": 1.0}, _between),
    "clamp": ({"min": None, "max": None}, _between),
    "clip": ({"min": None, "max": None}, _between),
    "clamp_min": ({"min": None}, lambda low: _between(low, None)),
    "threshold": ({"threshold": None, "value": None}, _above),
    "maximum": ({"other": None, "out": None}, _larger),
    "max": ({"other": None, "out": None}, _larger),
}
