"""Linear layers, normalisation, padding and pooling, as modules and as functions."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from spikec.frontend.builder import Builder, Call, RefusalError, handles
from spikec.frontend.modules import AveragePool, Convolution, Dense, Pads


def pair(value: Any) -> tuple[int, int]:
    """An int or a sequence of one or two ints as two ints."""
    if isinstance(value, int):
        return value, value
    values = [int(v) for v in value]
    return (values[0], values[0]) if len(values) == 1 else (values[0], values[1])


def convolution_pads(padding: Any, kernel: tuple[int, int], dilation: tuple[int, int], stride: tuple[int, int]) -> Pads:
    """Torch's padding argument (int, pair, 'same', 'valid') as (top, bottom, left, right)."""
    if padding == "valid":
        return 0, 0, 0, 0
    if padding == "same":
        if stride != (1, 1):
            raise RefusalError("padding 'same' with a stride", "give the padding as numbers")
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        # torch puts the odd element of an even kernel at the end
        return total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2
    vertical, horizontal = pair(padding)
    return vertical, vertical, horizontal, horizontal


def _convolve(
    b: Builder,
    call: Call,
    x: Any,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> fx.Node:
    kernel = (int(weight.shape[2]), int(weight.shape[3]))
    strides, dilations = pair(stride), pair(dilation)
    pads = convolution_pads(padding, kernel, dilations, strides)
    layer = Convolution(weight, bias, stride=strides, pads=pads, dilation=dilations, groups=groups)
    return b.emit(call, layer, b.absorb(x, layer))


@handles(nn.Conv2d)
def conv2d_module(b: Builder, call: Call) -> fx.Node:
    m = cast(nn.Conv2d, call.module)
    if m.padding_mode != "zeros":
        raise RefusalError(f"padding mode {m.padding_mode!r}", "use padding_mode='zeros'")
    return _convolve(b, call, call.args[0], m.weight, m.bias, m.stride, m.padding, m.dilation, m.groups)


def _numbers(value: Any) -> list[int]:
    return [value] if isinstance(value, int) else [int(v) for v in value]


def _wide(value: Any, neutral: int) -> Any:
    """An argument of a 1-d operation as (``neutral``, number), for an image of height one; strings stay as they are."""
    return value if isinstance(value, str) else (neutral, _numbers(value)[0])


@handles(nn.Conv1d)
def conv1d_module(b: Builder, call: Call) -> fx.Node:
    m = cast(nn.Conv1d, call.module)
    if m.padding_mode != "zeros":
        raise RefusalError(f"padding mode {m.padding_mode!r}", "use padding_mode='zeros'")
    return _convolve1d(b, call, call.args[0], m.weight, m.bias, m.stride, m.padding, m.dilation, m.groups)


@handles(F.conv1d, torch.conv1d)
def conv1d_function(b: Builder, call: Call) -> fx.Node:
    x, weight, bias, stride, padding, dilation, groups = call.bind(
        "input", "weight", "bias", "stride", "padding", "dilation", "groups",
        bias=None, stride=1, padding=0, dilation=1, groups=1,
    )  # fmt: skip
    if not isinstance(weight, Tensor) or not (bias is None or isinstance(bias, Tensor)):
        raise RefusalError("a convolution whose weights are computed", "use fixed parameters as weights")
    return _convolve1d(b, call, x, weight, bias, stride, padding, dilation, int(groups))


def _convolve1d(
    b: Builder,
    call: Call,
    x: Any,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> fx.Node:
    kernel = weight.detach().unsqueeze(2)
    return _convolve(b, call, x, kernel, bias, _wide(stride, 1), _wide(padding, 0), _wide(dilation, 1), groups)


@handles(F.conv2d, torch.conv2d)
def conv2d_function(b: Builder, call: Call) -> fx.Node:
    x, weight, bias, stride, padding, dilation, groups = call.bind(
        "input", "weight", "bias", "stride", "padding", "dilation", "groups",
        bias=None, stride=1, padding=0, dilation=1, groups=1,
    )  # fmt: skip
    if not isinstance(weight, Tensor) or not (bias is None or isinstance(bias, Tensor)):
        raise RefusalError("a convolution whose weights are computed", "use fixed parameters as weights")
    return _convolve(b, call, x, weight, bias, stride, padding, dilation, int(groups))


def _dense(b: Builder, call: Call, x: Any, weight: Tensor, bias: Tensor | None) -> fx.Node:
    if len(b.shape(x)) != 1:
        raise RefusalError(
            f"Linear on a tensor of shape (N, {', '.join(map(str, b.shape(x)))})", "flatten to (N, features) first"
        )
    layer = Dense(weight, bias)
    return b.emit(call, layer, b.absorb(x, layer))


@handles(nn.Linear)
def linear_module(b: Builder, call: Call) -> fx.Node:
    m = cast(nn.Linear, call.module)
    return _dense(b, call, call.args[0], m.weight, m.bias)


@handles(F.linear)
def linear_function(b: Builder, call: Call) -> fx.Node:
    x, weight, bias = call.bind("input", "weight", "bias", bias=None)
    if not isinstance(weight, Tensor) or not (bias is None or isinstance(bias, Tensor)):
        raise RefusalError("a Linear whose weights are computed", "use fixed parameters as weights")
    return _dense(b, call, x, weight, bias)


@handles(nn.BatchNorm2d, nn.BatchNorm1d)
def batch_norm(b: Builder, call: Call) -> fx.Node:
    """``y = gamma * (x - mean) / sqrt(var + eps) + beta`` with the running statistics."""
    m = cast(nn.BatchNorm2d, call.module)
    if m.running_mean is None or m.running_var is None:
        raise RefusalError(
            "batch normalisation without running statistics", "use track_running_stats=True and train it"
        )
    gamma = torch.ones_like(m.running_var) if m.weight is None else m.weight
    beta = torch.zeros_like(m.running_var) if m.bias is None else m.bias
    # In float64: the folded weights are rounded once, not three times.
    scale = gamma.detach().double() / torch.sqrt(m.running_var.double() + m.eps)
    shift = beta.detach().double() - m.running_mean.double() * scale
    return b.affine(call, call.args[0], scale.to(m.running_var.dtype), shift.to(m.running_var.dtype))


@handles(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.Identity)
@handles(F.dropout, F.dropout2d, F.alpha_dropout, "contiguous", "clone", "detach")
def passes_through(b: Builder, call: Call) -> Any:
    """Does nothing in evaluation mode."""
    if "training" in call.kwargs and call.kwargs["training"] is True and call.node.op == "call_function":
        raise RefusalError("dropout that is always on", "pass training=self.training")
    return call.args[0]


def _pad(b: Builder, call: Call, x: Any, pads: Pads) -> Any:
    if min(pads) < 0:
        raise RefusalError("negative padding", "crop by slicing or choose a smaller input")
    if not any(pads):
        return x
    channels = b.shape(x)[0]
    return b.emit(call, Convolution(torch.ones(channels, 1, 1, 1), pads=pads, groups=channels), x)


@handles(nn.ZeroPad2d, nn.ZeroPad1d, nn.ConstantPad2d, nn.ConstantPad1d)
def zero_pad_module(b: Builder, call: Call) -> Any:
    m = cast(nn.ConstantPad2d, call.module)
    if m.value != 0:
        raise RefusalError(f"padding with {m.value}", "pad with zeros")
    left, right, top, bottom = [*(int(p) for p in m.padding), 0, 0][:4]
    return _pad(b, call, call.args[0], (top, bottom, left, right))


@handles(F.pad, torch.nn.functional.pad)
def pad_function(b: Builder, call: Call) -> Any:
    x, pad, mode, value = call.bind("input", "pad", "mode", "value", mode="constant", value=None)
    if mode != "constant" or value not in (None, 0, 0.0):
        raise RefusalError(f"padding mode {mode!r} with value {value}", "pad with zeros")
    sizes = [int(p) for p in pad] + [0] * (6 - len(pad))
    if len(pad) > 6 or len(b.shape(x)) != 3:
        raise RefusalError("padding of this axis", "pad channels, rows and columns of an image only")
    left, right, top, bottom, front, back = sizes
    if call.signal:  # the second axis from the end is the channel axis
        top, bottom, front, back = 0, 0, top, bottom
    if front or back:
        if front < 0 or back < 0:
            raise RefusalError("negative padding of channels", "slice the channels instead")
        channels = b.shape(x)[0]
        embed = torch.zeros(channels + front + back, channels, 1, 1)
        embed[range(front, front + channels), range(channels)] = 1.0
        return b.emit(call, Convolution(embed, pads=(top, bottom, left, right)), x)
    return _pad(b, call, x, (top, bottom, left, right))


def _average(
    b: Builder, call: Call, x: Any, kernel: Any, stride: Any, padding: Any, ceil: bool, counts_pad: bool
) -> Any:
    k = pair(kernel)
    s = k if stride is None or stride == [] or stride == () else pair(stride)
    p = pair(padding)
    channels, *spatial = b.shape(x)
    if ceil and any((n + 2 * q - m) % t for n, q, m, t in zip(spatial, p, k, s, strict=True)):
        raise RefusalError("average pooling with ceil_mode and a partial window", "use ceil_mode=False")
    if any(p) and not counts_pad:
        raise RefusalError(
            "average pooling that leaves padding out of the mean", "use count_include_pad=True or no padding"
        )
    if k == (1, 1) and s == (1, 1):
        return x
    if k == s and not any(p):
        return b.emit(call, AveragePool(k), x)
    mean = torch.full((channels, 1, *k), 1.0 / (k[0] * k[1]))
    return b.emit(call, Convolution(mean, stride=s, pads=(p[0], p[0], p[1], p[1]), groups=channels), x)


@handles(nn.AvgPool2d)
def avg_pool_module(b: Builder, call: Call) -> Any:
    m = cast(nn.AvgPool2d, call.module)
    if m.divisor_override is not None:
        raise RefusalError("divisor_override", "multiply by a constant instead")
    return _average(b, call, call.args[0], m.kernel_size, m.stride, m.padding, m.ceil_mode, m.count_include_pad)


@handles(F.avg_pool2d)
def avg_pool_function(b: Builder, call: Call) -> Any:
    x, kernel, stride, padding, ceil, counts_pad, divisor = call.bind(
        "input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override",
        stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None,
    )  # fmt: skip
    if divisor is not None:
        raise RefusalError("divisor_override", "multiply by a constant instead")
    return _average(b, call, x, kernel, stride, padding, ceil, counts_pad)


@handles(nn.AvgPool1d)
def avg_pool1d_module(b: Builder, call: Call) -> Any:
    m = cast(nn.AvgPool1d, call.module)
    kernel, stride, padding = _wide(m.kernel_size, 1), _wide(m.stride, 1), _wide(m.padding, 0)
    return _average(b, call, call.args[0], kernel, stride, padding, m.ceil_mode, m.count_include_pad)


@handles(F.avg_pool1d, torch.avg_pool1d)
def avg_pool1d_function(b: Builder, call: Call) -> Any:
    x, kernel, stride, padding, ceil, counts_pad = call.bind(
        "input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad",
        stride=None, padding=0, ceil_mode=False, count_include_pad=True,
    )  # fmt: skip
    wide_stride = None if stride is None or stride == () else _wide(stride, 1)
    return _average(b, call, x, _wide(kernel, 1), wide_stride, _wide(padding, 0), ceil, counts_pad)


@handles(nn.AdaptiveAvgPool1d)
def adaptive1d_module(b: Builder, call: Call) -> Any:
    return _adaptive(b, call, call.args[0], _wide(cast(nn.AdaptiveAvgPool1d, call.module).output_size, 1))


@handles(F.adaptive_avg_pool1d, torch.adaptive_avg_pool1d)
def adaptive1d_function(b: Builder, call: Call) -> Any:
    x, size = call.bind("input", "output_size")
    return _adaptive(b, call, x, _wide(size, 1))


def _adaptive(b: Builder, call: Call, x: Any, size: Any) -> Any:
    _, height, width = b.shape(x)
    wanted = (size, size) if isinstance(size, int) or size is None else tuple(size)
    rows, cols = (n if m is None else int(m) for n, m in zip((height, width), wanted, strict=True))
    wider = rows if height == 1 else 1, cols if width == 1 else 1  # one value becomes several equal ones
    if height % rows * (height > 1) or width % cols * (width > 1):
        raise RefusalError(
            f"adaptive average pooling of {height}x{width} to {rows}x{cols}",
            "choose sizes that divide the input evenly",
        )
    if wider == (1, 1):
        return _average(b, call, x, (height // rows, width // cols), None, 0, False, True)
    channels = b.shape(x)[0]
    window = (height // rows or 1, width // cols or 1)
    if window != (1, 1):
        x = b.emit(call, AveragePool(window), x, (channels, height // window[0], width // window[1]))
    pads = (wider[0] - 1, wider[0] - 1, wider[1] - 1, wider[1] - 1)
    return b.emit(call, Convolution(torch.ones(channels, 1, *wider), pads=pads, groups=channels), x)


@handles(nn.AdaptiveAvgPool2d)
def adaptive_module(b: Builder, call: Call) -> Any:
    return _adaptive(b, call, call.args[0], cast(nn.AdaptiveAvgPool2d, call.module).output_size)


@handles(F.adaptive_avg_pool2d)
def adaptive_function(b: Builder, call: Call) -> Any:
    return _adaptive(b, call, *call.bind("input", "output_size"))
