"""Max pooling, as modules and as functions: any kernel, stride, padding, dilation and ceil_mode; adaptive, global."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from spikec.frontend.builder import Builder, Call, RefusalError, handles
from spikec.frontend.module_handlers import pair
from spikec.frontend.modules import FlattenAll, MaxPool
from spikec.ir import operations as ig
from spikec.ir.operations.max_pool import adaptive_places
from spikec.ir.types import Shape

_INDICES = RefusalError("max pooling with indices", "spikes carry no indices: use return_indices=False")


def _over(call: Call, value: Any, neutral: int) -> tuple[int, int]:
    """A setting of a pool for both axes; a signal is an image of height one."""
    return (neutral, pair(value)[0]) if call.signal else pair(value)


def _pool(b: Builder, call: Call, x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> fx.Node:
    size = _over(call, kernel, 1)
    missing = stride is None or (isinstance(stride, list | tuple) and not stride)
    window = ig.MaxPool(
        "",
        (),
        b.shape(x),
        call.shape,
        size,
        size if missing else _over(call, stride, 1),
        _over(call, padding, 0),
        _over(call, dilation, 1),
    )
    if any((places < 0).all(axis=1).any() for places in window.places):
        raise RefusalError(
            "a max pool with a window that lies on the padding alone", "its maximum is minus infinity: pad less"
        )
    return b.emit(call, MaxPool(window), x)


@handles(nn.MaxPool2d, nn.MaxPool1d)
def max_pool_module(b: Builder, call: Call) -> fx.Node:
    m: Any = call.module
    if m.return_indices:
        raise _INDICES
    return _pool(b, call, call.args[0], m.kernel_size, m.stride, m.padding, m.dilation)


@handles(F.max_pool2d, torch.max_pool2d, F.max_pool1d, torch.max_pool1d)
def max_pool_function(b: Builder, call: Call) -> fx.Node:
    x, kernel, stride, padding, dilation, _, indices = call.bind(
        "input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices",
        stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False,
    )  # fmt: skip
    if indices:
        raise _INDICES
    return _pool(b, call, x, kernel, stride, padding, dilation)


@handles(
    F.max_pool1d_with_indices,
    F.max_pool2d_with_indices,
    F.adaptive_max_pool1d_with_indices,
    F.adaptive_max_pool2d_with_indices,
)
def with_indices(b: Builder, call: Call) -> fx.Node:
    raise _INDICES


@handles(nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool1d)
def adaptive_module(b: Builder, call: Call) -> Any:
    m: Any = call.module
    if m.return_indices:
        raise _INDICES
    return _adaptive(b, call, call.args[0])


@handles(F.adaptive_max_pool2d, F.adaptive_max_pool1d)
def adaptive_function(b: Builder, call: Call) -> Any:
    x, _, indices = call.bind("input", "output_size", "return_indices", return_indices=False)
    if indices:
        raise _INDICES
    return _adaptive(b, call, x)


def _adaptive(b: Builder, call: Call, x: Any) -> Any:
    if b.shape(x) == call.shape:
        return x
    return b.emit(call, MaxPool(_covering(b.shape(x), call.shape)), x)


def _covering(inputs: Shape, outputs: Shape) -> ig.MaxPool:
    """Windows that cover an image; regular ones where the sizes divide."""
    kernel = [adaptive_places(n, m).shape[1] for n, m in zip(inputs[1:], outputs[1:], strict=True)]
    irregular = any(n % m for n, m in zip(inputs[1:], outputs[1:], strict=True))
    size = (kernel[0], kernel[1])
    return ig.MaxPool("", (), inputs, outputs, size, size, adaptive=irregular)


@handles(torch.amax, "amax")
def global_maximum(b: Builder, call: Call) -> Any:
    x, axes, keep = call.bind("input", "dim", "keepdim", dim=(), keepdim=False)
    rank = 3 if call.signal else 4
    chosen = {axis % rank for axis in ([axes] if isinstance(axes, int) else axes)}
    if len(b.shape(x)) != 3 or chosen != set(range(2, rank)):
        way = "all places of the signal: x.amax(2)" if call.signal else "both image axes: x.amax((2, 3))"
        raise RefusalError("a maximum over these axes", f"take the maximum over {way}")
    channels = b.shape(x)[0]
    pooled = x
    if b.shape(x)[1:] != (1, 1):
        window = _covering(b.shape(x), (channels, 1, 1))
        pooled = b.emit(call, MaxPool(window), x, (channels, 1, 1))
    return pooled if keep else b.emit(call, FlattenAll(), pooled, (channels,))
