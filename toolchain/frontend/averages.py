"""The average pool for each max pool of torch, layers and functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from spikec.frontend.calls import name_of

#: What stands in the way, and what to write instead.
INDICES = ("max pooling with indices", "average pooling has none: use return_indices=False")
DILATED = ("dilated max pooling", "average pooling has no dilation: use dilation=1")

_LAYERS: dict[type[nn.Module], type[nn.Module]] = {
    nn.MaxPool1d: nn.AvgPool1d,
    nn.MaxPool2d: nn.AvgPool2d,
    nn.AdaptiveMaxPool1d: nn.AdaptiveAvgPool1d,
    nn.AdaptiveMaxPool2d: nn.AdaptiveAvgPool2d,
}
_WINDOWS: dict[str, Callable[..., Tensor]] = {"max_pool1d": F.avg_pool1d, "max_pool2d": F.avg_pool2d}
_ADAPTIVE: dict[str, Callable[..., Tensor]] = {
    "adaptive_max_pool1d": F.adaptive_avg_pool1d,
    "adaptive_max_pool2d": F.adaptive_avg_pool2d,
}
_WITH_INDICES = tuple(f"{name}_with_indices" for name in (*_WINDOWS, *_ADAPTIVE))
_WINDOW = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")


class PoolError(Exception):
    """``obstacle``: why a max pool has no average pool, and what to write instead."""

    def __init__(self, obstacle: tuple[str, str]) -> None:
        super().__init__(": ".join(obstacle))
        self.obstacle = obstacle


def pools_maxima(layer: nn.Module) -> bool:
    """Whether a layer is a max pool of torch."""
    return isinstance(layer, tuple(_LAYERS))


def average_layer(pool: nn.Module) -> nn.Module:
    """The average pool in place of a max pool, in its mode. Raises :class:`PoolError`."""
    kind = next(average for maximum, average in _LAYERS.items() if isinstance(pool, maximum))
    if getattr(pool, "return_indices", False):
        raise PoolError(INDICES)
    if isinstance(pool, nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool2d):
        return kind(pool.output_size).train(pool.training)
    if _dilated(pool.dilation):
        raise PoolError(DILATED)
    average = kind(pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode, count_include_pad=True)
    return average.train(pool.training)


def average_of(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Callable[[], Tensor] | None:
    """What computes means in place of a call that pools maxima, a maximum over all of an image included; None for any
    other call. Raises :class:`PoolError`."""
    name = name_of(function).strip("_")
    if name in _WITH_INDICES:
        raise PoolError(INDICES)
    if name in _ADAPTIVE:
        given = dict(zip(("input", "output_size"), args, strict=False)) | dict(kwargs)
        _without_indices(given)
        return lambda: _ADAPTIVE[name](given["input"], given["output_size"])
    if name in _WINDOWS:
        window = dict(zip(_WINDOW, args, strict=False)) | dict(kwargs)
        _without_indices(window)
        if _dilated(window.get("dilation", 1)):
            raise PoolError(DILATED)
        return lambda: _averaged(_WINDOWS[name], window)
    return _mean(args, kwargs) if name == "amax" else None


def _without_indices(given: Mapping[str, Any]) -> None:
    if given.get("return_indices"):
        raise PoolError(INDICES)


def _averaged(average: Callable[..., Tensor], given: Mapping[str, Any]) -> Tensor:
    stride = given.get("stride")
    return average(
        given["input"],
        given["kernel_size"],
        stride=None if stride in ((), []) else stride,
        padding=given.get("padding", 0),
        ceil_mode=given.get("ceil_mode", False),
        count_include_pad=True,
    )


def _mean(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Callable[[], Tensor] | None:
    given = dict(zip(("input", "dim", "keepdim"), args, strict=False)) | dict(kwargs)
    x, axes = given["input"], given.get("dim", ())
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    if x.ndim not in (3, 4) or {axis % x.ndim for axis in axes} != set(range(2, x.ndim)):
        return None
    return lambda: x.mean(axes, keepdim=given.get("keepdim", False))


def _dilated(dilation: Any) -> bool:
    return any(d != 1 for d in ([dilation] if isinstance(dilation, int) else dilation))
