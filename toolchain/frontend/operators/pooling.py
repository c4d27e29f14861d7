"""Average pools, max pools and linear upsampling, of any window."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, fx

from spikec.frontend.builder import Builder, Call, handles
from spikec.frontend.modules import AveragePool, Convolution, LinearMap, MaxPool
from spikec.frontend.obstacles import RefusalError
from spikec.frontend.values import Value
from spikec.ir import operations as ig
from spikec.ir.operations.max_pool import adaptive_places
from spikec.ir.types import Shape

#: Numbers computed at once while a map is read off an operation.
_AT_ONCE = 2**24
_INDICES = RefusalError("max pooling with indices", "spikes carry no indices: use return_indices=False")


def pair(value: Any) -> tuple[int, int]:
    """An int or a sequence of one or two ints as two ints."""
    if isinstance(value, int):
        return value, value
    values = [int(v) for v in value]
    return (values[0], values[0]) if len(values) == 1 else (values[0], values[1])


@handles("avg_pool2d")
def average(b: Builder, call: Call) -> Any:
    kernel = pair(call["kernel_size"])
    stride = pair(call["stride"]) if call["stride"] else kernel
    padding, ceil = pair(call["padding"]), call["ceil_mode"]
    value = call.value()
    source = b.node(call, value)
    if call["divisor_override"] is not None:
        if any(padding) or ceil:
            return _pooled(b, call, value)
        factor = kernel[0] * kernel[1] / int(call["divisor_override"])
    else:
        factor = 1.0
    inputs, outputs = b.shape(source)[1:], call.shape[1:]
    cut = any(
        (o - 1) * s + k > n + 2 * p for o, s, k, n, p in zip(outputs, stride, kernel, inputs, padding, strict=True)
    )
    if cut or (any(padding) and not call["count_include_pad"]):
        return _pooled(b, call, value)
    if kernel == (1, 1) and stride == (1, 1) and factor == 1:
        return value
    if kernel == stride and not any(padding) and factor == 1:
        return b.whole(call, b.emit(call, AveragePool(kernel), source, call.shape))
    mean = torch.full((b.shape(source)[0], 1, *kernel), factor / (kernel[0] * kernel[1]))
    pads = (padding[0], padding[0], padding[1], padding[1])
    layer = Convolution(mean, stride=stride, pads=pads, groups=b.shape(source)[0])
    return b.whole(call, b.emit(call, layer, source, call.shape))


def _pooled(b: Builder, call: Call, value: Value) -> Value:
    """A pool whose windows hold different numbers of places."""
    shape, given = value.shape[1:], {name: each for name, each in call.given.items() if name != "self"}
    return each_channel(b, call, value, lambda x: call.step.function(x.reshape(-1, 1, *shape[1:]), **given))


def each_channel(b: Builder, call: Call, value: Value, apply: Any) -> Value:
    """A linear operation that treats all channels alike and apart: ``apply`` float64 [n, 1, height, width]."""
    channels, before, after = value.shape[1], math.prod(value.shape[2:]), math.prod(call.full_shape[2:])
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    at_once = max(1, _AT_ONCE // max(before, after))
    for first in range(0, before, at_once):
        units = torch.zeros(min(at_once, before - first), before, dtype=torch.float64)
        units[torch.arange(len(units)), first + torch.arange(len(units))] = 1.0
        block = apply(units).reshape(len(units), after)
        column, row = block.nonzero(as_tuple=True)
        found.append((row, column + first, block[column, row]))
    row, column, entry = (torch.cat(each) for each in zip(*found, strict=True))
    number = torch.arange(channels)[:, None]
    rows, columns = (row + number * after).flatten(), (column + number * before).flatten()
    entries = entry.repeat(channels)
    source = b.node(call, value)
    layer = LinearMap(torch.stack([rows, columns]), entries.float(), b.shape(source), call.shape)
    return b.whole(call, b.emit(call, layer, source, call.shape))


@handles("_adaptive_avg_pool2d", "adaptive_avg_pool2d", "adaptive_avg_pool1d")
def adaptive_average(b: Builder, call: Call) -> Any:
    value = call.value()
    source = b.node(call, value)
    channels, height, width = b.shape(source)
    rows, columns = call.shape[1:]
    wider = rows if height == 1 else 1, columns if width == 1 else 1  # one value becomes several equal ones
    if height % rows * (height > 1) or width % columns * (width > 1):
        return each_channel(
            b,
            call,
            value,
            lambda x: torch.nn.functional.adaptive_avg_pool2d(x.reshape(-1, 1, height, width), (rows, columns)),
        )
    window = (height // rows or 1, width // columns or 1)
    if window != (1, 1):
        source = b.emit(call, AveragePool(window), source, (channels, height // window[0], width // window[1]))
    if wider != (1, 1):
        pads = (wider[0] - 1, wider[0] - 1, wider[1] - 1, wider[1] - 1)
        source = b.emit(
            call, Convolution(torch.ones(channels, 1, *wider), pads=pads, groups=channels), source, call.shape
        )
    return b.whole(call, source)


@handles(
    "upsample_bilinear2d",
    "upsample_linear1d",
    "upsample_bicubic2d",
    "_upsample_bilinear2d_aa",
    "_upsample_bicubic2d_aa",
)
def interpolated(b: Builder, call: Call) -> Any:
    value, given = call.value(), {name: each for name, each in call.given.items() if name != "self"}
    return each_channel(b, call, value, lambda x: call.step.function(x.reshape(-1, 1, *value.shape[2:]), **given))


@handles("max_pool2d_with_indices", "max_pool2d")
def max_pool(b: Builder, call: Call) -> Any:
    source = b.node(call, call.value())
    kernel = pair(call["kernel_size"])
    stride = pair(call["stride"]) if call["stride"] else kernel
    window = ig.MaxPool(
        "", (), b.shape(source), call.shape, kernel, stride, pair(call["padding"]), pair(call["dilation"])
    )
    if any((places < 0).all(axis=1).any() for places in window.places):
        raise RefusalError(
            "a max pool with a window that lies on the padding alone", "its maximum is minus infinity: pad less"
        )
    return [b.whole(call, b.emit(call, MaxPool(window), source, call.shape)), _INDICES]


@handles("adaptive_max_pool2d")
def adaptive_max_pool(b: Builder, call: Call) -> Any:
    value = call.value()
    source = b.node(call, value)
    if b.shape(source) == call.shape:
        return [value, _INDICES]
    return [b.whole(call, largest(b, call, source, call.shape)), _INDICES]


def largest(b: Builder, call: Call, source: fx.Node, shape: Shape) -> fx.Node:
    """A max pool whose windows cover an image and give ``shape``."""
    return b.emit(call, MaxPool(_covering(b.shape(source), shape)), source, shape)


def _covering(inputs: Shape, outputs: Shape) -> ig.MaxPool:
    """Windows that cover an image; regular ones where the sizes divide."""
    kernel = [adaptive_places(n, m).shape[1] for n, m in zip(inputs[1:], outputs[1:], strict=True)]
    irregular = any(n % m for n, m in zip(inputs[1:], outputs[1:], strict=True))
    size = (kernel[0], kernel[1])
    return ig.MaxPool("", (), inputs, outputs, size, size, adaptive=irregular)


def mean_of(b: Builder, call: Call, source: fx.Node, window: tuple[int, int]) -> fx.Node:
    """An average pool of windows that cover the image."""
    channels, height, width = b.shape(source)
    if window == (1, 1):
        return source
    return b.emit(call, AveragePool(window), source, (channels, height // window[0], width // window[1]))
